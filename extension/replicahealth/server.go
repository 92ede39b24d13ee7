// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package replicahealth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensioncapabilities"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// server is the extension.
type server struct {
	config    *Config
	settings  extension.Settings
	state     *replicaState
	http      *http.Server
	serveLoop sync.WaitGroup
	details   orgDetails
}

var (
	_ extension.Extension                   = (*server)(nil)
	_ extensioncapabilities.PipelineWatcher = (*server)(nil)
	_ componentstatus.Watcher               = (*server)(nil)
)

// Start listens and serves. It returns an error when the address is in use.
func (s *server) Start(ctx context.Context, host component.Host) error {
	var err error
	if s.http, err = s.config.ToServer(
		ctx,
		host.GetExtensions(),
		s.settings.TelemetrySettings,
		s.handler(),
	); err != nil {
		return err
	}
	listener, err := s.config.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	s.serveLoop.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	})
	return nil
}

// Shutdown waits for running requests until ctx ends, and for the server to stop.
func (s *server) Shutdown(ctx context.Context) error {
	if s.http == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	s.serveLoop.Wait()
	return err
}

// Ready implements extensioncapabilities.PipelineWatcher.
func (s *server) Ready() error {
	s.state.setPipelinesReady(true)
	return nil
}

// NotReady implements extensioncapabilities.PipelineWatcher.
func (s *server) NotReady() error {
	s.state.setPipelinesReady(false)
	return nil
}

// ComponentStatusChanged implements componentstatus.Watcher, which collectors before 0.165 call.
func (s *server) ComponentStatusChanged(source *componentstatus.InstanceID, event *componentstatus.Event) {
	s.Changed(source, event)
}

// Changed implements extensioncapabilities.ComponentStatusWatcher, which collectors from 0.165 on call. The oldest
// supported collector does not have that interface, so it is not asserted here.
func (s *server) Changed(source *componentstatus.InstanceID, event *componentstatus.Event) {
	s.state.observe(source, event)
}

// handler returns the handler of GET and HEAD on the paths.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.serveOverview)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, true, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := s.state.readiness()
		writeJSON(w, r.Ready, r)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		d := s.state.detail()
		writeJSON(w, d.Mode != health.Unhealthy, d)
	})
	return mux
}

// writeJSON responds with a JSON body of any type that encoding/json accepts: 200 when ok, otherwise 503.
func writeJSON(w http.ResponseWriter, ok bool, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}
