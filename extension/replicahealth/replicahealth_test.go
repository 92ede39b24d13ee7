// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package replicahealth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-358c4d9d/githubexporter/extension/replicahealth/internal/metadata"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

var (
	noon     = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	receiver = componentstatus.NewInstanceID(component.MustNewID("githubexporter"), component.KindReceiver)
	exporter = componentstatus.NewInstanceID(component.MustNewID("prometheus"), component.KindExporter)
)

// statusEvent returns a status event with a report.
func statusEvent(status componentstatus.Status, r health.Report) *componentstatus.Event {
	attributes := pcommon.NewMap()
	if err := attributes.FromRaw(map[string]any{health.Attribute: r.ToMap()}); err != nil {
		panic(err)
	}
	return componentstatus.NewEvent(status, componentstatus.WithAttributes(attributes))
}

// newReport returns the report of a follower in a mode.
func newReport(mode health.Mode) health.Report {
	return health.Report{
		Role: health.Follower, Ready: mode != health.Unhealthy, Mode: mode, Since: noon,
		Dependencies: []health.Dependency{
			{Name: "github", Healthy: mode == health.Healthy, Since: noon, Detail: "503"},
			{
				Name:     "redis",
				Healthy:  mode != health.Unhealthy,
				Required: true,
				Since:    noon,
				Detail:   "connection refused",
			},
		},
		Organizations: map[string]health.Role{"acme": health.Follower},
	}
}

// newStateWithComponents returns the state of a collector with ready pipelines, a receiver that has not reported its
// health yet, and a running exporter.
func newStateWithComponents() *replicaState {
	s := newState(zap.NewNop())
	s.setPipelinesReady(true)
	s.observe(receiver, componentstatus.NewEvent(componentstatus.StatusStarting))
	s.observe(exporter, componentstatus.NewEvent(componentstatus.StatusOK))
	return s
}

func TestReadinessAndModeOfComponents(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		event func(s *replicaState)
		ready bool
		mode  health.Mode
	}{
		"starting": {func(*replicaState) {}, false, health.Unhealthy},
		"healthy": {func(s *replicaState) {
			s.observe(receiver, statusEvent(componentstatus.StatusOK, newReport(health.Healthy)))
		}, true, health.Healthy},
		"degraded": {func(s *replicaState) {
			s.observe(receiver, statusEvent(componentstatus.StatusRecoverableError, newReport(health.Degraded)))
		}, true, health.Degraded},
		"unhealthy": {func(s *replicaState) {
			s.observe(receiver, statusEvent(componentstatus.StatusRecoverableError, newReport(health.Unhealthy)))
		}, false, health.Unhealthy},
		"healthy after unhealthy": {func(s *replicaState) {
			s.observe(receiver, statusEvent(componentstatus.StatusRecoverableError, newReport(health.Unhealthy)))
			s.observe(receiver, statusEvent(componentstatus.StatusOK, newReport(health.Healthy)))
		}, true, health.Healthy},
		"pipelines not ready": {func(s *replicaState) {
			s.observe(receiver, statusEvent(componentstatus.StatusOK, newReport(health.Healthy)))
			s.setPipelinesReady(false)
		}, false, health.Unhealthy},
		"recoverable error of another component": {func(s *replicaState) {
			s.observe(receiver, statusEvent(componentstatus.StatusOK, newReport(health.Healthy)))
			s.observe(exporter, componentstatus.NewRecoverableErrorEvent(errors.New("refused")))
		}, true, health.Degraded},
		"permanent error of another component": {func(s *replicaState) {
			s.observe(receiver, statusEvent(componentstatus.StatusOK, newReport(health.Healthy)))
			s.observe(exporter, componentstatus.NewPermanentErrorEvent(errors.New("broken")))
		}, false, health.Unhealthy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStateWithComponents()
			test.event(s)
			r, d := s.readiness(), s.detail()
			require.Equal(t, test.ready, r.Ready, "%v", r.Reasons)
			require.Equal(t, test.ready, len(r.Reasons) == 0)
			require.Equal(t, test.mode, d.Mode)
		})
	}
}

// TestReadyWithoutAReporter: a collector without a component that reports is ready when its pipelines are.
func TestReadyWithoutAReporter(t *testing.T) {
	t.Parallel()
	s := newState(zap.NewNop())
	require.False(t, s.readiness().Ready)
	s.setPipelinesReady(true)
	s.observe(exporter, componentstatus.NewEvent(componentstatus.StatusOK))
	require.True(t, s.readiness().Ready)
}

// TestInvalidReportKeepsTheLastOne: a report that cannot be read is logged once, and the one before is still shown.
func TestInvalidReportKeepsTheLastOne(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.WarnLevel)
	s := newState(zap.New(core))
	s.setPipelinesReady(true)
	s.observe(receiver, statusEvent(componentstatus.StatusOK, newReport(health.Healthy)))
	for _, raw := range []any{"text", map[string]any{"ready": 1}} {
		attributes := pcommon.NewMap()
		require.NoError(t, attributes.FromRaw(map[string]any{health.Attribute: raw}))
		s.observe(
			receiver,
			componentstatus.NewEvent(componentstatus.StatusOK, componentstatus.WithAttributes(attributes)),
		)
	}
	require.True(t, s.readiness().Ready)
	require.Equal(t, 1, logs.Len())
}

// TestPages sends requests to a running extension.
func TestPages(t *testing.T) {
	t.Parallel()
	config := createDefaultConfig().(*Config)
	config.NetAddr.Endpoint = "127.0.0.1:0"
	ext, err := create(t.Context(), extensiontest.NewNopSettings(metadata.Type), config)
	require.NoError(t, err)
	require.NoError(t, ext.Start(t.Context(), componenttest.NewNopHost()))
	s := ext.(*server)
	ask := func(method, path string) (int, map[string]any) {
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
		var body map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &body)
		return w.Code, body
	}
	code, _ := ask(http.MethodGet, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.NoError(t, s.Ready())
	s.ComponentStatusChanged(receiver, statusEvent(componentstatus.StatusRecoverableError, newReport(health.Degraded)))
	code, body := ask(http.MethodGet, "/healthz")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "degraded", body["mode"])
	require.Equal(t, "follower", body["role"])
	one := body["components"].(map[string]any)["Receiver:githubexporter"].(map[string]any)
	require.Equal(t, map[string]any{
		"github": map[string]any{"healthy": false, "required": false, "since": "2026-03-11T12:00:00Z", "detail": "503"},
		"redis": map[string]any{
			"healthy":  true,
			"required": true,
			"since":    "2026-03-11T12:00:00Z",
			"detail":   "connection refused",
		},
	}, one["dependencies"])
	require.Equal(t, map[string]any{"acme": "follower"}, one["organizations"])
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/": 200, "/else": 404} {
		code, _ := ask(http.MethodHead, path)
		require.Equal(t, want, code, path)
	}
	code, _ = ask(http.MethodPost, "/livez")
	require.Equal(t, http.StatusMethodNotAllowed, code)
	require.NoError(t, s.NotReady())
	code, _ = ask(http.MethodGet, "/healthz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.NoError(t, ext.Shutdown(t.Context()))
}

func TestWrongConfigIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"endpoint": `endpoint: "nowhere", want host:port`,
		"port":     "port: unknown key, want one of",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			config := createDefaultConfig().(*Config)
			err := config.Unmarshal(confmap.NewFromStringMap(map[string]any{text: "nowhere"}))
			if err == nil {
				err = xconfmap.Validate(config)
			}
			require.ErrorContains(t, err, want)
		})
	}
}
