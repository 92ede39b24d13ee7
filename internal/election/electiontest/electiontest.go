// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package electiontest is the conformance suite that every elector passes.
package electiontest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
)

// Elector is the elector under test.
type Elector interface {
	Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error
}

// Harness makes the electors of the replicas of one system.
type Harness struct {
	NewElector func(tb testing.TB) Elector
	// HasFixedLeader says that only the first elector ever leads.
	HasFixedLeader bool
}

// Timing is short, with a margin for a busy machine.
var Timing = election.Timing{
	LeaseDuration: 3 * time.Second,
	RenewDeadline: 2 * time.Second,
	RetryPeriod:   200 * time.Millisecond,
}

// waitTimeout bounds every wait.
const waitTimeout = 30 * time.Second

// Run runs the suite. newHarness returns a system in which no replica has led.
func Run(t *testing.T, newHarness func(tb testing.TB) Harness) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, h Harness){
		"one leader at a time":         testOneLeaderAtATime,
		"context is cancelled":         testContextCancelled,
		"lease is handed over":         testHandOver,
		"names are independent":        testNamesAreIndependent,
		"work that returns":            testWorkReturns,
		"repeated campaigns":           testRepeatedCampaigns,
		"context was cancelled before": testCancelledBeforeStart,
		"cause is returned":            testCauseIsReturned,
		"concurrent campaigns":         testConcurrentCampaigns,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newHarness(t))
		})
	}
}

// campaign is a call of Lead in the background.
type campaign struct {
	cancel context.CancelCauseFunc
	done   chan error
	terms  chan term
}

// term is a term that a test observes.
type term struct {
	ctx    context.Context
	fence  uint64
	finish func(error) // ends the work
}

// startCampaign calls Lead in the background. The test receives its terms from a channel.
func startCampaign(t *testing.T, e Elector, name string) *campaign {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	c := &campaign{cancel: cancel, done: make(chan error, 1), terms: make(chan term)}
	go func() {
		c.done <- e.Lead(ctx, name, func(ctx context.Context, fence uint64) error {
			result := make(chan error, 1)
			select {
			case c.terms <- term{ctx, fence, func(err error) { result <- err }}:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case err := <-result:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	t.Cleanup(func() { cancel(nil); _ = c.join(t) })
	return c
}

// join waits for Lead and returns its error.
func (c *campaign) join(t *testing.T) error {
	t.Helper()
	err := receive(t, c.done)
	c.done <- err
	return err
}

// receive returns the next value of a channel, and fails the test when there is none within waitTimeout.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(waitTimeout):
		require.Fail(t, "no event", "within %s", waitTimeout)
		panic("unreachable")
	}
}

// testOneLeaderAtATime: while one replica leads, another one does not.
func testOneLeaderAtATime(t *testing.T, h Harness) {
	t.Helper()
	first := startCampaign(t, h.NewElector(t), "one")
	term := receive(t, first.terms)
	second := startCampaign(t, h.NewElector(t), "one")
	select {
	case <-second.terms:
		require.Fail(t, "two replicas lead")
	case <-time.After(2 * Timing.LeaseDuration): // the first one renews meanwhile
	}
	require.NoError(t, term.ctx.Err())
}

// testContextCancelled: Lead returns after its context has ended and the work has returned.
func testContextCancelled(t *testing.T, h Harness) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var finished atomic.Bool
	started, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	elector := h.NewElector(t)
	go func() {
		done <- elector.Lead(ctx, "one", func(ctx context.Context, _ uint64) error {
			close(started)
			<-ctx.Done()
			<-release
			finished.Store(true)
			return nil
		})
	}()
	receive(t, started)
	cancel()
	select {
	case err := <-done:
		require.Fail(t, "Lead did not wait for the work", "%v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	require.ErrorIs(t, receive(t, done), context.Canceled)
	require.True(t, finished.Load())
}

// testHandOver: a replica that stops hands the lease over within a second.
func testHandOver(t *testing.T, h Harness) {
	t.Helper()
	first := startCampaign(t, h.NewElector(t), "one")
	fence := receive(t, first.terms).fence
	second := startCampaign(t, h.NewElector(t), "one")
	first.cancel(nil)
	began := time.Now()
	require.Error(t, first.join(t))
	if h.HasFixedLeader {
		return
	}
	require.Greater(t, receive(t, second.terms).fence, fence)
	t.Logf("handed over in %s", time.Since(began))
}

// testNamesAreIndependent: one elector leads under two names, and ends one of them alone.
func testNamesAreIndependent(t *testing.T, h Harness) {
	t.Helper()
	elector := h.NewElector(t)
	one, two := startCampaign(t, elector, "one"), startCampaign(t, elector, "two")
	a, b := receive(t, one.terms), receive(t, two.terms)
	require.NoError(t, a.ctx.Err())
	require.NoError(t, b.ctx.Err())
	two.cancel(nil)
	require.Error(t, two.join(t))
	require.NoError(t, a.ctx.Err())
}

// testWorkReturns: a term ends when the work returns, and the replica leads again with a higher fence.
func testWorkReturns(t *testing.T, h Harness) {
	t.Helper()
	one := startCampaign(t, h.NewElector(t), "one")
	var last uint64
	for _, result := range []error{nil, errors.New("failed"), nil} {
		term := receive(t, one.terms)
		require.Greater(t, term.fence, last)
		last = term.fence
		term.finish(result)
		receive(t, term.ctx.Done())
	}
}

// testRepeatedCampaigns: a replica that leads, stops and leads again has a new term each time.
func testRepeatedCampaigns(t *testing.T, h Harness) {
	t.Helper()
	elector := h.NewElector(t)
	var last uint64
	for range 5 {
		one := startCampaign(t, elector, "one")
		fence := receive(t, one.terms).fence
		require.Greater(t, fence, last)
		last = fence
		one.cancel(nil)
		require.Error(t, one.join(t))
	}
}

// testCancelledBeforeStart: with a context that has ended, Lead returns without calling work.
func testCancelledBeforeStart(t *testing.T, h Harness) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := h.NewElector(t).Lead(ctx, "one", func(context.Context, uint64) error {
		t.Error("work was called with a context that has ended")
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
}

// testCauseIsReturned: Lead returns the cause of its context.
func testCauseIsReturned(t *testing.T, h Harness) {
	t.Helper()
	reason := errors.New("enough")
	one := startCampaign(t, h.NewElector(t), "one")
	receive(t, one.terms)
	one.cancel(reason)
	require.ErrorIs(t, one.join(t), reason)
}

// testConcurrentCampaigns: however short terms are, there are never two at once, and fences grow.
func testConcurrentCampaigns(t *testing.T, h Harness) {
	t.Helper()
	const wanted = 12
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var active atomic.Int32
	var mu sync.Mutex
	var fences []uint64
	var leads sync.WaitGroup
	for range 4 {
		elector := h.NewElector(t)
		leads.Go(func() {
			_ = elector.Lead(ctx, "one", func(_ context.Context, fence uint64) error {
				if n := active.Add(1); n != 1 {
					t.Errorf("%d lead at once", n)
				}
				mu.Lock()
				if fences = append(fences, fence); len(fences) == wanted {
					cancel()
				}
				mu.Unlock()
				active.Add(-1)
				return nil
			})
		})
	}
	leads.Wait()
	require.GreaterOrEqual(t, len(fences), wanted)
	require.True(t, slices.IsSorted(fences), "%v", fences)
	require.Len(t, slices.Compact(fences), len(fences))
}
