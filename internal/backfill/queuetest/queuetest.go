// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package queuetest is the conformance suite that every backfill.Queue passes.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// RetryPolicy returns the policy of the queues under test.
func RetryPolicy() backfill.RetryPolicy {
	return backfill.RetryPolicy{Delays: []time.Duration{50 * time.Millisecond, 200 * time.Millisecond}, MaxAttempts: 3}
}

// Consumers is how many jobs a queue under test works on at a time.
const Consumers = 2

// waitTimeout bounds every wait.
const waitTimeout = 30 * time.Second

// NewJob returns a valid job with a number of its own.
func NewJob(n int) backfill.Job {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return backfill.Job{
		ID:      fmt.Sprintf("job-%d", n),
		Org:     "octo",
		Repo:    fmt.Sprintf("repo-%d", n),
		RepoID:  int64(n + 1),
		Streams: activity.StreamsOf(activity.StreamCommits, activity.StreamComments),
		Window: activity.Window{
			Start: now.Add(-2 * time.Hour).Truncate(time.Minute),
			End:   now.Add(-time.Hour).Truncate(time.Minute),
		},
		Reason:    backfill.ReasonScrapeError,
		Attempt:   1,
		CreatedAt: now,
	}
}

// NewJobs returns n jobs.
func NewJobs(n int) []backfill.Job {
	list := make([]backfill.Job, n)
	for i := range list {
		list[i] = NewJob(i)
	}
	return list
}

// Run runs the suite. start returns an empty queue with RetryPolicy and Consumers.
func Run(t *testing.T, start func(t *testing.T) backfill.Queue) {
	t.Helper()
	tests := map[string]func(t *testing.T, q backfill.Queue){
		"delivers jobs as published":                 testDeliversAsPublished,
		"limits concurrency":                         testConcurrencyLimit,
		"retries a failed job":                       testRetriesFailedJob,
		"dead-letters after the last attempt":        testDeadLettersAfterMaxAttempts,
		"dead-letters a discarded job":               testDeadLettersDiscardedJob,
		"a deferral spends no attempt":               testDeferKeepsAttempt,
		"redelivers an unfinished job":               testRedeliversUnfinishedJob,
		"returns the job of an unknown organization": testReturnsUnknownOrg,
		"reports the depth":                          testDepth,
		"shares jobs among consumers":                testSharesJobsAmongConsumers,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

// jobLog records the jobs that a handler received.
type jobLog struct {
	mu   sync.Mutex
	seen []backfill.Job
}

func (l *jobLog) add(job backfill.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, job)
}

func (l *jobLog) jobs() []backfill.Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]backfill.Job(nil), l.seen...)
}

// consume runs a consumer until the test ends or stop is called, which waits for it.
func consume(t *testing.T, q backfill.Queue, handler backfill.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Consume(ctx, handler) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.ErrorIs(t, <-done, context.Canceled)
		})
	}
	t.Cleanup(stop)
	return stop
}

func publish(t *testing.T, q backfill.Queue, jobs ...backfill.Job) {
	t.Helper()
	n, err := q.Publish(t.Context(), jobs)
	require.NoError(t, err)
	require.Len(t, jobs, n)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, waitTimeout, 5*time.Millisecond, what)
}

func isDrained(t *testing.T, q backfill.Queue) func() bool {
	t.Helper()
	return func() bool {
		depth, err := q.Depth(t.Context())
		return err == nil && depth.Pending() == 0
	}
}

func testDeliversAsPublished(t *testing.T, q backfill.Queue) {
	jobs := NewJobs(250)
	publish(t, q, jobs...)
	var got jobLog
	consume(t, q, func(_ context.Context, job backfill.Job) error {
		got.add(job)
		return nil
	})
	eventually(t, "all jobs", func() bool { return len(got.jobs()) == len(jobs) })
	require.ElementsMatch(t, jobs, got.jobs())
	eventually(t, "an empty queue", isDrained(t, q))
}

func testConcurrencyLimit(t *testing.T, q backfill.Queue) {
	publish(t, q, NewJobs(20)...)
	var mu sync.Mutex
	running, peak, total := 0, 0, 0
	allBusy := make(chan struct{})
	consume(t, q, func(ctx context.Context, _ backfill.Job) error {
		mu.Lock()
		running++
		total++
		peak = max(peak, running)
		if running == Consumers && total == Consumers {
			close(allBusy)
		}
		mu.Unlock()
		select { // every consumer has a job before one goes on
		case <-allBusy:
		case <-ctx.Done():
		}
		mu.Lock()
		defer mu.Unlock()
		running--
		return nil
	})
	eventually(t, "all jobs", func() bool { mu.Lock(); defer mu.Unlock(); return total == 20 })
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, Consumers, peak)
}

func testRetriesFailedJob(t *testing.T, q backfill.Queue) {
	job := NewJob(1)
	publish(t, q, job)
	var got jobLog
	consume(t, q, func(_ context.Context, job backfill.Job) error {
		got.add(job)
		if job.Attempt == 1 {
			return errors.New("not yet")
		}
		return nil
	})
	eventually(t, "a second attempt", func() bool { return len(got.jobs()) == 2 })
	second := job
	second.Attempt = 2
	require.Equal(t, []backfill.Job{job, second}, got.jobs())
	eventually(t, "an empty queue", isDrained(t, q))
}

func testDeadLettersAfterMaxAttempts(t *testing.T, q backfill.Queue) {
	publish(t, q, NewJob(1))
	var got jobLog
	consume(t, q, func(_ context.Context, job backfill.Job) error {
		got.add(job)
		return errors.New("never")
	})
	eventually(t, "a dead job", hasDeadLetters(t, q, 1))
	require.Len(t, got.jobs(), RetryPolicy().MaxAttempts)
	require.True(t, isDrained(t, q)())
}

func hasDeadLetters(t *testing.T, q backfill.Queue, n int) func() bool {
	t.Helper()
	return func() bool {
		depth, err := q.Depth(t.Context())
		return err == nil && depth.DeadLetters == n
	}
}

func testDeadLettersDiscardedJob(t *testing.T, q backfill.Queue) {
	publish(t, q, NewJobs(2)...)
	var got jobLog
	consume(t, q, func(_ context.Context, job backfill.Job) error {
		got.add(job)
		if job.ID == NewJob(0).ID {
			return backfill.Discard(errors.New("invalid window"))
		}
		return nil
	})
	eventually(t, "a dead job", hasDeadLetters(t, q, 1))
	eventually(t, "the other job", func() bool { return len(got.jobs()) == 2 })
	eventually(t, "an empty queue", isDrained(t, q))
}

func testDeferKeepsAttempt(t *testing.T, q backfill.Queue) {
	publish(t, q, NewJob(1))
	var got jobLog
	consume(t, q, func(_ context.Context, job backfill.Job) error {
		got.add(job)
		if len(got.jobs()) <= 2*RetryPolicy().MaxAttempts {
			return backfill.Defer(time.Millisecond, errors.New("a limit"))
		}
		return nil
	})
	eventually(t, "the last delivery", func() bool { return len(got.jobs()) == 2*RetryPolicy().MaxAttempts+1 })
	for _, job := range got.jobs() {
		require.Equal(t, 1, job.Attempt)
	}
	require.True(t, hasDeadLetters(t, q, 0)())
}

func testReturnsUnknownOrg(t *testing.T, q backfill.Queue) {
	publish(t, q, NewJobs(2)...)
	var got jobLog
	consume(t, q, func(_ context.Context, job backfill.Job) error {
		got.add(job)
		if job.ID == NewJob(0).ID || job.Returns == 0 {
			return &backfill.UnknownOrgError{Org: job.Org}
		}
		return nil
	})
	eventually(t, "a dead job", hasDeadLetters(t, q, 1))
	returns := make(map[string][]int)
	for _, job := range got.jobs() {
		require.Equal(t, 1, job.Attempt)
		returns[job.ID] = append(returns[job.ID], job.Returns)
	}
	require.Equal(t, []int{0, 1}, returns[NewJob(1).ID])
	require.Len(t, returns[NewJob(0).ID], backfill.MaxReturns+1)
	require.True(t, isDrained(t, q)())
}

func testRedeliversUnfinishedJob(t *testing.T, q backfill.Queue) {
	publish(t, q, NewJob(1))
	began := make(chan struct{})
	stop := consume(t, q, func(ctx context.Context, _ backfill.Job) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	})
	<-began
	stop()
	var got jobLog
	consume(t, q, func(_ context.Context, job backfill.Job) error {
		got.add(job)
		return nil
	})
	eventually(t, "the job again", func() bool { return len(got.jobs()) == 1 })
	require.Equal(t, 1, got.jobs()[0].Attempt)
}

func testDepth(t *testing.T, q backfill.Queue) {
	publish(t, q, NewJobs(7)...)
	eventually(t, "the jobs in the depth", func() bool {
		depth, err := q.Depth(t.Context())
		return err == nil && depth.Ready == 7 && depth.Pending() == 7 && depth.Consumers == 0
	})
	consume(t, q, func(context.Context, backfill.Job) error { return nil })
	eventually(t, "a consumer in the depth", func() bool {
		depth, err := q.Depth(t.Context())
		return err == nil && depth.Pending() == 0 && depth.Consumers == 1
	})
}

func testSharesJobsAmongConsumers(t *testing.T, q backfill.Queue) {
	var first, second jobLog
	handler := func(mine, theirs *jobLog) backfill.Handler {
		return func(ctx context.Context, job backfill.Job) error {
			mine.add(job)
			for len(theirs.jobs()) == 0 { // one consumer alone could do all jobs
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Millisecond):
				}
			}
			return nil
		}
	}
	consume(t, q, handler(&first, &second))
	consume(t, q, handler(&second, &first))
	eventually(t, "two consumers", func() bool {
		depth, err := q.Depth(t.Context())
		return err == nil && depth.Consumers == 2
	})
	publish(t, q, NewJobs(400)...)
	eventually(t, "all jobs", func() bool { return len(first.jobs())+len(second.jobs()) == 400 })
}
