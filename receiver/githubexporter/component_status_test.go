// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// eventHost keeps the events that a component reports.
type eventHost struct {
	component.Host
	events []*componentstatus.Event
}

func (h *eventHost) Report(event *componentstatus.Event) { h.events = append(h.events, event) }

func (h *eventHost) last() *componentstatus.Event { return h.events[len(h.events)-1] }

func newEventMonitor() (*eventHost, *health.Monitor) {
	h := &eventHost{Host: componenttest.NewNopHost()}
	return h, newMonitor(&Config{Orgs: []OrgConfig{{Name: "acme"}}}, h)
}

// TestComponentStatus: the status is the readiness by role, and the attributes have the report.
func TestComponentStatus(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	broken := &health.PermanentError{Err: errors.New("damaged")}
	const ok, unready = componentstatus.StatusOK, componentstatus.StatusRecoverableError
	for name, c := range map[string]struct {
		leads  bool
		states map[string]error
		want   componentstatus.Status
		mode   health.Mode
	}{
		"healthy":                   {false, map[string]error{health.Redis: nil}, ok, health.Healthy},
		"degraded":                  {false, map[string]error{health.GitHub: down}, ok, health.Degraded},
		"not ready":                 {false, map[string]error{health.Redis: down}, unready, health.Unhealthy},
		"a follower's scheduler":    {false, map[string]error{health.Scheduler: down}, ok, health.Degraded},
		"a leader's scheduler":      {true, map[string]error{health.Scheduler: down}, unready, health.Unhealthy},
		"a leader's consumer":       {true, map[string]error{health.Consumer: down}, ok, health.Degraded},
		"beyond mending, in a part": {false, map[string]error{health.GitHub: broken}, ok, health.Degraded},
		"beyond mending": {
			false, map[string]error{health.Storage: broken}, componentstatus.StatusPermanentError, health.Unhealthy,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, monitor := newEventMonitor()
			monitor.SetLeader("acme", c.leads)
			monitor.SetDependencies(c.states)
			event := h.last()
			require.Equal(t, c.want, event.Status())
			require.Equal(t, c.want != componentstatus.StatusOK, event.Err() != nil)
			attribute, ok := event.Attributes().Get(health.Attribute)
			require.True(t, ok)
			report, err := health.FromMap(attribute.Map().AsRaw())
			require.NoError(t, err)
			require.Equal(t, c.mode, report.Mode)
		})
	}
}

// TestOutageKeepsItsTime: a new reason is a new event with the time at which the outage began, and what was reported
// before does not change. The same reason is no event.
func TestOutageKeepsItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, monitor := newEventMonitor()
		monitor.SetDependencies(map[string]error{health.Redis: errors.New("status 502 [request 1]")})
		first := h.last()
		began := first.Timestamp()
		monitor.SetDependencies(map[string]error{health.Redis: errors.New("status 502 [request 2]")})
		require.Same(t, first, h.last())
		for n := range 50 {
			time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
			monitor.SetDependencies(map[string]error{health.Redis: fmt.Errorf("reason %d", n)})
			require.EqualError(t, h.last().Err(), fmt.Sprintf("redis: reason %d", n))
			require.Equal(t, began, h.last().Timestamp())
		}
		require.EqualError(t, first.Err(), "redis: status 502 [request 1]")
		monitor.SetDependencies(map[string]error{health.Redis: nil})
		require.Equal(t, componentstatus.StatusOK, h.last().Status())
		monitor.SetDependencies(map[string]error{health.Redis: errors.New("again")})
		require.Equal(t, began.Add(50*time.Minute), h.last().Timestamp(), "another outage has a time of its own")
	})
}

// TestManyReasons: an outage has as many reasons as there are.
func TestManyReasons(t *testing.T) {
	t.Parallel()
	h, monitor := newEventMonitor()
	for n := range 3 * maxReasons {
		monitor.SetDependencies(map[string]error{health.Redis: fmt.Errorf("reason %d", n)})
		require.EqualError(t, h.last().Err(), fmt.Sprintf("redis: reason %d", n))
	}
}

// TestNothingAfterAPermanentError: the collector would refuse it.
func TestNothingAfterAPermanentError(t *testing.T) {
	t.Parallel()
	h, monitor := newEventMonitor()
	monitor.SetDependencies(map[string]error{health.Storage: &health.PermanentError{Err: errors.New("damaged")}})
	monitor.SetDependencies(map[string]error{health.Storage: nil})
	require.Len(t, h.events, 1)
}
