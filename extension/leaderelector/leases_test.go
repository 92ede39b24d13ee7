// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package leaderelector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-358c4d9d/githubexporter/extension/leaderelector/internal/metadata"
)

// reportingHost is a host that records the component status.
type reportingHost struct {
	component.Host

	mu     sync.Mutex
	events []*componentstatus.Event
}

func (h *reportingHost) Report(event *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, event)
}

// TestBackendFailuresAreReportedOnChange: the log has a line for each change, the component status also the present
// reason.
func TestBackendFailuresAreReportedOnChange(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.InfoLevel)
	host := &reportingHost{Host: componenttest.NewNopHost()}
	r := &statusReporter{host: host, logger: zap.New(core)}
	for n := range 100 {
		r.onBackend("a", fmt.Errorf("read tcp 127.0.0.1:%d: i/o timeout", 40000+n))
	}
	r.onBackend("b", nil)
	require.Equal(t, 1, logs.Len(), "%v", logs.All())
	require.Len(t, host.events, 1)
	r.onBackend("a", errors.New("WRONGPASS invalid username-password pair"))
	require.Equal(t, 1, logs.Len())
	require.Len(t, host.events, 2)
	require.ErrorContains(t, host.events[1].Err(), "WRONGPASS")
	r.onBackend("b", errors.New("WRONGPASS invalid username-password pair"))
	r.onBackend("a", nil)
	require.Len(t, host.events, 2, "the other lease is still in trouble")
	r.onBackend("b", nil)
	require.Len(t, host.events, 3)
	require.Equal(t, componentstatus.StatusOK, host.events[2].Status())
	r.onBackend("a", nil)
	require.Len(t, host.events, 3)
}

// TestForbiddenLeases: a service account without rights for Leases is named in one log line and one status.
func TestForbiddenLeases(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,` +
			`"message":"leases.coordination.k8s.io is forbidden: User \"system:serviceaccount:a:b\" cannot get"}`))
	}))
	t.Cleanup(server.Close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"a",`+
		`"clusters":[{"name":"a","cluster":{"server":"`+server.URL+`"}}],"users":[{"name":"a","user":{}}],`+
		`"contexts":[{"name":"a","context":{"cluster":"a","user":"a"}}]}`), 0o600))
	core, logs := observer.New(zapcore.InfoLevel)
	settings := extensiontest.NewNopSettings(metadata.Type)
	settings.Logger = zap.New(core)
	config, err := loadConfig(t, map[string]any{
		"kubernetes":     map[string]any{"kubeconfig": kubeconfig, "namespace": "monitoring"},
		"lease_duration": "2s", "renew_deadline": "1s", "retry_period": "100ms",
	})
	require.NoError(t, err)
	one := newElector(config, settings)
	host := &reportingHost{Host: componenttest.NewNopHost()}
	require.NoError(t, one.Start(t.Context(), host))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- one.Lead(ctx, "", func(context.Context, uint64) error { return nil }) }()
	want := `the lease "githubexporter" cannot be acquired: leases.coordination.k8s.io is forbidden`
	require.Eventually(t, func() bool { return strings.Contains(one.DescribeLease(""), want) },
		20*time.Second, 20*time.Millisecond)
	<-time.After(time.Second) // many attempts
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.NoError(t, one.Shutdown(context.WithoutCancel(t.Context())))
	require.Equal(t, 1, logs.FilterMessageSnippet("Leader election backend unreachable").Len())
	require.Len(t, host.events, 1)
	require.ErrorContains(t, host.events[0].Err(), "forbidden")
}
