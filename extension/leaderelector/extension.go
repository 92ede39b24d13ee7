// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package leaderelector

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/election/redislease"
	"github.com/seed-358c4d9d/githubexporter/internal/election/static"
	"github.com/seed-358c4d9d/githubexporter/internal/notify"
)

// backend is an election of any kind; see election.Elector.Lead.
type backend interface {
	Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error
}

// elector is the extension.
type elector struct {
	config   *Config
	settings extension.Settings
	identity string
	status   statusReporter

	backend backend
	// leaseName returns the name of a lease in the backend; nil where there are no leases.
	leaseName func(name string) string
	closer    io.Closer // of the backend's connections, or nil
	callbacks *callbacks
}

var _ extension.Extension = (*elector)(nil)

func newElector(config *Config, settings extension.Settings) *elector {
	return &elector{config: config, settings: settings, status: statusReporter{logger: settings.Logger}}
}

// Start opens the backend. It returns an error when only another configuration can help, never because a server does
// not respond.
func (e *elector) Start(ctx context.Context, host component.Host) error {
	e.identity = e.config.Identity
	if e.identity == "" {
		name, err := os.Hostname()
		if err != nil {
			name = "replica"
		}
		e.identity = name + "-" + strings.ToLower(rand.Text()[:10])
	}
	e.status.host = host
	var err error
	if e.backend, err = e.openBackend(ctx); err != nil {
		return err
	}
	e.callbacks = newCallbacks(e.backend)
	e.settings.Logger.Info("Campaigning for leadership.", zap.String("identity", e.identity),
		zap.Duration("lease_duration", e.config.LeaseDuration))
	return nil
}

// openBackend opens the configured backend. Its error is one that only another configuration can end.
func (e *elector) openBackend(ctx context.Context) (backend, error) {
	switch {
	case e.config.Static != nil:
		leases := static.New(e.config.Static.Role == roleLeader)
		return election.New(leases, e.config.timing(), nil, e.status.hooks()), nil
	case e.config.Redis != nil:
		e.leaseName = redislease.LeaseName
		client, err := e.config.Redis.Connect(ctx)
		if err != nil {
			return nil, fmt.Errorf("redis: %w", err)
		}
		e.closer = client
		leases := redislease.New(client, redislease.Settings{
			Prefix: e.config.Redis.KeyPrefix, Identity: e.identity, Duration: e.config.LeaseDuration,
		})
		return election.New(leases, e.config.timing(), leases, e.status.hooks()), nil
	default:
		return e.openKubernetes()
	}
}

// Shutdown ends the terms of contrib's callbacks and waits for them. Terms of Lead end with the contexts of its
// callers: receivers stop before extensions.
func (e *elector) Shutdown(context.Context) error {
	if e.callbacks != nil {
		e.callbacks.stop()
	}
	if e.closer != nil {
		return e.closer.Close()
	}
	return nil
}

// Lead campaigns for the lease called name until ctx ends. While this replica holds the lease it runs work with a
// context that ends with the term; then it waits for work, releases the lease, and campaigns again. fence exceeds those
// of all earlier terms.
func (e *elector) Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error {
	return e.backend.Lead(ctx, name, work)
}

// SetCallBackFuncs is the interface of contrib's k8s_leader_elector. It calls start when this replica begins to lead,
// with a context that ends with the term, and stop after the term. Callbacks run in goroutines of their own. Each start
// is followed by its stop, and there is no stop without one. A registration during a term starts in that term. All
// callbacks share one lease.
func (e *elector) SetCallBackFuncs(start func(context.Context), stop func()) {
	e.callbacks.register(start, stop)
}

// statusReporter logs terms and the state of the backend, on changes only, and reports the latter as component status.
type statusReporter struct {
	host   component.Host
	logger *zap.Logger

	mu     sync.Mutex
	leases map[string]*leaseStatus
	// reportedKind is the kind of the error in the component status, "" for none.
	reportedKind string
	events       notify.Queue[*componentstatus.Event]
}

// hooks returns the hooks with which an elector reports to r.
func (r *statusReporter) hooks() election.Hooks {
	return election.Hooks{OnBackend: r.onBackend, OnTermStart: r.onTermStart, OnTermEnd: r.onTermEnd, OnHeld: r.onHeld}
}

// onTermStart records and logs that this replica leads.
func (r *statusReporter) onTermStart(t election.Term) {
	r.setLeads(t.Name, true)
	r.logger.Info("This replica leads.", zap.String("lease", t.Name), zap.Uint64("fence", t.Fence))
}

// onTermEnd records and logs that this replica does not lead any more, and why.
func (r *statusReporter) onTermEnd(t election.Term, why error) {
	r.setLeads(t.Name, false)
	r.logger.Info("This replica leads no more.", zap.String("lease", t.Name), zap.Uint64("fence", t.Fence),
		zap.NamedError("why", why))
}
