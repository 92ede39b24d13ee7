// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package health_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// TestRoleDependencyMatrix is each role with each dependency down, and back again.
func TestRoleDependencyMatrix(t *testing.T) {
	t.Parallel()
	all := []string{
		health.Redis, health.AMQP, health.GitHub, health.GitHubCore, health.Scheduler,
		health.Consumer, health.Exporter, health.GitHubAccess, health.Leadership,
	}
	for role, needs := range map[health.Role][]string{
		health.Leader: {
			health.Redis, health.AMQP, health.Scheduler, health.Exporter, health.GitHubAccess,
			health.Leadership,
		},
		health.Follower: {
			health.Redis, health.AMQP, health.Consumer, health.Exporter, health.GitHubAccess,
			health.Leadership,
		},
	} {
		for _, down := range all {
			t.Run(string(role)+" without "+down, func(t *testing.T) {
				t.Parallel()
				m := health.NewMonitor([]string{"acme"}, nil, func() time.Time { return noon }, func(health.Report) {})
				m.SetLeader("acme", role == health.Leader)
				for _, name := range all {
					m.SetDependencies(map[string]error{name: nil})
				}
				r := m.Report()
				require.Equal(t, role, r.Role)
				require.True(t, r.Ready)
				require.Equal(t, health.Healthy, r.Mode)
				m.SetDependencies(map[string]error{down: errors.New("connection refused")})
				r = m.Report()
				required := slices.Contains(needs, down)
				require.Equal(t, !required, r.Ready)
				if required {
					require.Equal(t, health.Unhealthy, r.Mode)
				} else {
					require.Equal(t, health.Degraded, r.Mode)
				}
				require.Equal(t, down+": connection refused", r.Summary())
				m.SetDependencies(map[string]error{down: nil})
				require.Equal(t, health.Healthy, m.Report().Mode)
			})
		}
	}
}

// TestMonitorReportsChanges: reports are reported on changes only, with the time of the change.
func TestMonitorReportsChanges(t *testing.T) {
	t.Parallel()
	now := noon
	var reported []health.Report
	m := health.NewMonitor(
		[]string{"acme", "other"},
		nil,
		func() time.Time { return now },
		func(r health.Report) { reported = append(reported, r) },
	)
	step := func(wanted int, do func()) health.Report {
		t.Helper()
		now = now.Add(time.Minute)
		do()
		require.Len(t, reported, wanted)
		return reported[wanted-1]
	}
	down := errors.New("down")
	r := step(1, func() { m.SetDependencies(map[string]error{health.Redis: nil}) })
	require.Equal(t, now, r.Since)
	require.Equal(t, now, r.Dependencies[0].Since)
	step(1, func() { m.SetDependencies(map[string]error{health.Redis: nil}) })
	r = step(2, func() { m.SetDependencies(map[string]error{health.Redis: down}) })
	require.Equal(t, now, r.Since)
	failed := now
	r = step(3, func() { m.SetDependencies(map[string]error{health.Redis: errors.New("down in another way")}) })
	require.Contains(t, r.Summary(), "another way", "the present reason")
	require.Equal(t, failed, r.Dependencies[0].Since)
	step(3, func() { m.SetDependencies(map[string]error{health.Redis: errors.New("down in another way")}) })
	r = step(4, func() { m.SetDependencies(map[string]error{health.GitHub: down}) })
	require.Equal(t, failed, r.Since, "neither role nor readiness nor mode changed")
	r = step(5, func() { m.SetLeader("acme", true) })
	require.Equal(t, health.Leader, r.Role)
	r = step(6, func() { m.SetLeader("other", true) })
	require.Equal(t, map[string]health.Role{"acme": health.Leader, "other": health.Leader}, r.Organizations)
	step(6, func() { m.SetLeader("other", true) })
	require.True(t, m.Leads("acme"))
}

// TestChangeCallsBack: a callback may call the monitor, and is called again with what it changed; while it runs, other
// goroutines read and change the monitor.
func TestChangeCallsBack(t *testing.T) {
	t.Parallel()
	var modes []health.Mode
	var m *health.Monitor
	m = health.NewMonitor([]string{"acme"}, nil, func() time.Time { return noon }, func(r health.Report) {
		modes = append(modes, r.Mode)
		if len(modes) > 1 {
			return
		}
		other := make(chan health.Mode)
		go func() {
			m.SetLeader("acme", true)
			other <- m.Report().Mode
		}()
		require.Equal(t, health.Unhealthy, <-other)
		m.SetDependencies(map[string]error{health.Redis: nil})
		require.Equal(t, health.Healthy, m.Report().Mode)
		require.True(t, m.Leads("acme"))
		require.Len(t, modes, 1, "one call at a time")
	})
	m.SetDependencies(map[string]error{health.Redis: errors.New("down")})
	require.Equal(t, []health.Mode{health.Unhealthy, health.Unhealthy, health.Healthy}, modes)
}

// TestOptionalDependency: a replica is ready without what it can do without.
func TestOptionalDependency(t *testing.T) {
	t.Parallel()
	m := health.NewMonitor(
		[]string{"acme"},
		[]string{health.Redis},
		func() time.Time { return noon },
		func(health.Report) {},
	)
	m.SetDependencies(map[string]error{health.Redis: errors.New("down")})
	r := m.Report()
	require.True(t, r.Ready)
	require.Equal(t, health.Degraded, r.Mode)
}

// TestWarningIsDegraded: a warning is degraded, whatever the role requires, and the same trouble without it is not
// ready.
func TestWarningIsDegraded(t *testing.T) {
	t.Parallel()
	changes := 0
	m := health.NewMonitor([]string{"acme"}, nil, func() time.Time { return noon }, func(health.Report) { changes++ })
	silent := errors.New("no replica leads")
	m.SetDependencies(map[string]error{health.Leadership: &health.Warning{Err: silent}})
	r := m.Report()
	require.True(t, r.Ready)
	require.Equal(t, health.Degraded, r.Mode)
	require.Equal(t, "leadership: no replica leads", r.Summary())
	m.SetDependencies(map[string]error{health.Leadership: silent})
	r = m.Report()
	require.False(t, r.Ready)
	require.Equal(t, 2, changes)
	m.SetDependencies(map[string]error{health.Leadership: nil})
	require.Equal(t, health.Healthy, m.Report().Mode)
}

func TestMapRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := health.NewMonitor(
			rapid.SliceOf(rapid.String()).Draw(t, "orgs"),
			nil,
			func() time.Time { return noon },
			func(health.Report) {},
		)
		for _, name := range rapid.SliceOf(rapid.SampledFrom([]string{"redis", "github", "amqp"})).Draw(t, "names") {
			if m.SetDependencies(map[string]error{name: nil}); rapid.Bool().Draw(t, "down") {
				m.SetDependencies(map[string]error{name: errors.New(rapid.String().Draw(t, "detail"))})
			}
		}
		want := m.Report()
		got, err := health.FromMap(want.ToMap())
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestFromMapErrors(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]map[string]any{
		"a number for a flag":      {"ready": 1},
		"a time that is none":      {"since": "yesterday"},
		"a dependency of nothing":  {"dependencies": map[string]any{"redis": nil}},
		"a dependency of a number": {"dependencies": map[string]any{"redis": map[string]any{"healthy": 1}}},
		"a role that is none":      {"organizations": map[string]any{"acme": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := health.FromMap(raw)
			require.Error(t, err)
		})
	}
	_, err := health.FromMap(nil)
	require.NoError(t, err)
}
