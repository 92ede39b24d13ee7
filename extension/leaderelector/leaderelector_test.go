// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package leaderelector

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/extension/extensiontest"

	"github.com/seed-358c4d9d/githubexporter/extension/leaderelector/internal/metadata"
)

// contribElector is the interface of contrib's k8s_leader_elector, as its receivers declare it.
type contribElector interface {
	SetCallBackFuncs(onStartLeading func(context.Context), onStopLeading func())
}

var _ contribElector = (*elector)(nil)

// settings is a block of a configuration.
type settings = map[string]any

// loadConfig reads a configuration as the collector does.
func loadConfig(t *testing.T, values settings) (*Config, error) {
	t.Helper()
	config := createDefaultConfig().(*Config)
	if err := config.Unmarshal(confmap.NewFromStringMap(values)); err != nil {
		return nil, err
	}
	return config, xconfmap.Validate(config)
}

func TestWrongConfigIsRefused(t *testing.T) {
	t.Parallel()
	static := settings{"role": "leader"}
	redis := func(more settings) settings {
		one := settings{"endpoints": []any{"127.0.0.1:6379"}}
		maps.Copy(one, more)
		return settings{"redis": one}
	}
	for want, values := range map[string]settings{
		"0 backends, want exactly one of static, redis, kubernetes": {},
		"2 backends, want exactly one":                              {"static": static, "kubernetes": settings{}},
		`static: role: "boss", want one of leader, follower`:        {"static": settings{"role": "boss"}},
		"statics: unknown key, want one of":                         {"statics": static},
		"static::rule: unknown key, want one of role":               {"static": settings{"rule": "leader"}},
		`lease_duration: "soon", want a duration`:                   {"static": static, "lease_duration": "soon"},
		"lease_duration: 15ns, want a duration from 1s":             {"static": static, "lease_duration": 15},
		"renew_deadline: 20s, want a duration from":                 {"static": static, "renew_deadline": "20s"},
		"retry_period: 9s, want a duration from":                    {"static": static, "retry_period": "9s"},
		"identity: \"a b\", want at most 128 characters":            {"static": static, "identity": "a b"},
		"redis: endpoints: the list is empty, want host:port":       {"redis": settings{}},
		"redis::endpoints::0: without a port, want host:port":       redis(settings{"endpoints": []any{"nowhere"}}),
		"redis: mode: \"ring\", want one of standalone":             redis(settings{"mode": "ring"}),
		"redis: master_name":                                        redis(settings{"mode": "sentinel"}),
		"redis: db: 1, want 0 with mode cluster":                    redis(settings{"mode": "cluster", "db": 1}),
		"redis: key_prefix: \"{a}\", want a name":                   redis(settings{"key_prefix": "{a}"}),
		"endpoints: 2, want exactly one with mode standalone":       redis(settings{"endpoints": []any{"a:1", "b:2"}}),
		"kubernetes: lease_name: empty":                             {"kubernetes": settings{"lease_name": ""}},
		`kubernetes: lease_name: "My_Lease", want at most 253`:      {"kubernetes": settings{"lease_name": "My_Lease"}},
		`kubernetes: lease_name: "lease-", want at most 253`:        {"kubernetes": settings{"lease_name": "lease-"}},
		`kubernetes: kubeconfig: "/not/there": no such file`: {"kubernetes": settings{
			"kubeconfig": "/not/there",
		}},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			_, err := loadConfig(t, values)
			require.Error(t, err)
			require.Contains(t, err.Error(), want)
		})
	}
}

// startElector starts an elector that ends with the test.
func startElector(t *testing.T, values settings) *elector {
	t.Helper()
	config, err := loadConfig(t, values)
	require.NoError(t, err)
	one, err := create(t.Context(), extensiontest.NewNopSettings(metadata.Type), config)
	require.NoError(t, err)
	require.NoError(t, one.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, one.Shutdown(context.WithoutCancel(t.Context()))) })
	return one.(*elector)
}

func TestStartFailsOutsideOfKubernetes(t *testing.T) {
	t.Parallel()
	config, err := loadConfig(t, settings{"kubernetes": settings{}})
	require.NoError(t, err)
	one, err := create(t.Context(), extensiontest.NewNopSettings(metadata.Type), config)
	require.NoError(t, err)
	require.ErrorContains(
		t,
		one.Start(t.Context(), componenttest.NewNopHost()),
		"kubernetes: use the pod's service account",
	)
}

// scriptedBackend is a backend whose terms a test begins and ends.
type scriptedBackend struct{ terms chan context.Context }

func (s *scriptedBackend) Lead(ctx context.Context, _ string, work func(context.Context, uint64) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case term := <-s.terms:
			_ = work(term, 1)
		}
	}
}

// callbackRecorder records the calls of one registration.
type callbackRecorder struct {
	calls chan string
	mu    sync.Mutex
	ctx   context.Context //nolint:containedctx // what the callback got
}

// register registers the recorder's callback.
func (r *callbackRecorder) register(c *callbacks) {
	c.register(func(ctx context.Context) {
		r.mu.Lock()
		r.ctx = ctx
		r.mu.Unlock()
		r.calls <- "start"
	}, func() { r.calls <- "stop" })
}

// term returns the context with which start was called, nil before.
func (r *callbackRecorder) term() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ctx
}

// TestCallbacks: each start is followed by its stop, and no stop is called without a start; a late registration gets
// the term's context; a callback that blocks does not delay the others; and the term ends after all were stopped.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	backend := &scriptedBackend{terms: make(chan context.Context)}
	c := newCallbacks(backend)
	first, late := &callbackRecorder{calls: make(chan string)}, &callbackRecorder{calls: make(chan string)}
	first.register(c)
	term, end := context.WithCancel(t.Context())
	backend.terms <- term
	late.register(c) // first is in its start callback all the time
	require.Equal(t, "start", <-late.calls)
	require.Equal(t, "start", <-first.calls)
	require.NoError(t, late.term().Err())
	end()
	<-late.term().Done()
	select {
	case backend.terms <- t.Context():
		require.Fail(t, "the next term began before the stops of the last one")
	case call := <-first.calls:
		require.Equal(t, "stop", call)
	case <-time.After(10 * time.Second):
		require.Fail(t, "no stop")
	}
	require.Equal(t, "stop", <-late.calls)
	second, endSecond := context.WithCancel(t.Context())
	backend.terms <- second
	require.Equal(t, "start", <-first.calls)
	require.Equal(t, "start", <-late.calls)
	endSecond()
	require.Equal(t, "stop", <-first.calls)
	require.Equal(t, "stop", <-late.calls)
	c.stop()
	never := &callbackRecorder{}
	never.register(c) // after the end: nothing is called
}
