// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// conditionUnderTest is one of the types that compute a state under a lock and report it to the monitor.
type conditionUnderTest struct {
	dependency string
	set        func(err error)
	current    func() error
}

// conditionsOf returns all types that report states of a dependency, on a monitor.
func conditionsOf(monitor *health.Monitor) map[string]conditionUnderTest {
	const org = "acme"
	access, errs, queue := newGitHubAccess(monitor), newReadErrors(monitor), newQueueErrors(monitor)
	access.add(org, func() time.Time { return time.Time{} })
	return map[string]conditionUnderTest{
		"access": {
			health.GitHubAccess, func(err error) { access.recordPass(org, err) },
			func() error { return access.errorOf(org) },
		},
		"read errors": {
			health.GitHub, func(err error) { errs.set(org, err) }, func() error { return errs.errorOf(org) },
		},
		"queue errors": {health.Backfill, func(err error) { queue.setRefused("jobs", err) }, func() error {
			queue.mu.Lock()
			defer queue.mu.Unlock()
			return queue.errs["queue jobs"]
		}},
	}
}

// TestHostIsCalledWithoutALock: while the host has not returned from a report, the state can be read and replaced, from
// the host's own call too, and the newer state is the one that stays.
func TestHostIsCalledWithoutALock(t *testing.T) {
	t.Parallel()
	for name := range conditionsOf(health.NewMonitor(nil, nil, time.Now, func(health.Report) {})) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reported := make(chan struct{}, 100)
			proceed := make(chan struct{})
			onReport := func() {}
			var once sync.Once
			monitor := health.NewMonitor(nil, nil, time.Now, func(health.Report) {
				once.Do(func() {
					onReport()
					reported <- struct{}{}
					<-proceed
				})
			})
			condition := conditionsOf(monitor)[name]
			var seen error
			onReport = func() { seen = condition.current() }
			var work sync.WaitGroup
			work.Go(func() { condition.set(errors.New("first")) })
			<-reported
			require.ErrorContains(t, seen, "first")
			condition.set(errors.New("second"))
			require.ErrorContains(t, condition.current(), "second")
			close(proceed)
			work.Wait()
			require.Contains(t, detailOf(monitor, condition.dependency), "second")
		})
	}
}

// TestNewestStateStays: however many goroutines change a condition, the monitor ends with its last state.
func TestNewestStateStays(t *testing.T) {
	t.Parallel()
	for name := range conditionsOf(health.NewMonitor(nil, nil, time.Now, func(health.Report) {})) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			monitor := health.NewMonitor(nil, nil, time.Now, func(health.Report) {})
			condition := conditionsOf(monitor)[name]
			for round := range 50 {
				var changes sync.WaitGroup
				for i := range 8 {
					changes.Go(func() { condition.set(fmt.Errorf("round %d state %d;", round, i)) })
				}
				changes.Wait()
				last := condition.current()
				require.Error(t, last)
				require.Contains(t, detailOf(monitor, condition.dependency), last.Error())
			}
		})
	}
}
