// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package memqueue is a queue in this process. Its jobs end with the process: the coverage still has their gaps, and
// the next sweep publishes them again.
package memqueue

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

const (
	// maxPending bounds the jobs that are ready or wait for a retry.
	maxPending = 100_000
	// maxDeadLetters bounds the dead letters; the oldest are dropped first.
	maxDeadLetters = 1000
)

// ErrFull is the error of Publish when maxPending jobs are pending.
var ErrFull = errors.New("the queue is full")

// Settings configure a Queue.
type Settings struct {
	Retries backfill.RetryPolicy
	// Consumers is the number of jobs that each call of Consume works on at a time; at least one.
	Consumers int
}

// Queue is a queue in memory. It is safe for concurrent use.
type Queue struct {
	settings Settings

	mu          sync.Mutex
	ready       []backfill.Job
	jobsAdded   chan struct{} // closed and replaced when ready grows
	retries     int
	deadLetters []DeadLetter
	consumers   int
}

// DeadLetter is a job that is not delivered again, with the error of its last attempt.
type DeadLetter struct {
	Job backfill.Job
	Err error
}

var _ backfill.Queue = (*Queue)(nil)

// New returns an empty queue.
func New(settings Settings) *Queue {
	return &Queue{settings: settings, jobsAdded: make(chan struct{})}
}

// Publish implements backfill.Queue. It returns ErrFull when only the first of the jobs, or none, are accepted.
func (q *Queue) Publish(_ context.Context, jobs []backfill.Job) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	accepted := min(len(jobs), max(0, maxPending-len(q.ready)-q.retries))
	q.enqueue(jobs[:accepted]...)
	if accepted < len(jobs) {
		return accepted, ErrFull
	}
	return accepted, nil
}

// enqueue appends jobs and wakes the consumers. q.mu is held.
func (q *Queue) enqueue(jobs ...backfill.Job) {
	q.ready = append(q.ready, jobs...)
	close(q.jobsAdded)
	q.jobsAdded = make(chan struct{})
}

// Consume implements backfill.Queue.
func (q *Queue) Consume(ctx context.Context, handler backfill.Handler) error {
	q.addConsumers(1)
	defer q.addConsumers(-1)
	var consumers sync.WaitGroup
	for range max(1, q.settings.Consumers) {
		consumers.Go(func() { q.runConsumer(ctx, handler) })
	}
	consumers.Wait()
	return context.Cause(ctx)
}

// addConsumers adds n, which may be negative, to the number of consumers.
func (q *Queue) addConsumers(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.consumers += n
}

// runConsumer handles one job after the other until ctx ends. It requeues the one that ctx interrupted.
func (q *Queue) runConsumer(ctx context.Context, handler backfill.Handler) {
	for ctx.Err() == nil {
		job, jobsAdded := q.dequeue()
		if job == nil {
			select {
			case <-ctx.Done():
			case <-jobsAdded:
			}
			continue
		}
		err := handler(ctx, *job)
		if ctx.Err() != nil && err != nil {
			q.requeue(job)
			return
		}
		q.applyOutcome(job, err)
	}
}

// dequeue removes and returns the first ready job, or nil and a channel that is closed when jobs are added.
func (q *Queue) dequeue() (*backfill.Job, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ready) == 0 {
		return nil, q.jobsAdded
	}
	job := q.ready[0]
	q.ready = q.ready[1:]
	return &job, nil
}

// requeue puts an unfinished job back in front of the ready ones.
func (q *Queue) requeue(job *backfill.Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ready = append([]backfill.Job{*job}, q.ready...)
	q.enqueue() // wakes the other consumers
}

// applyOutcome retries or dead-letters a job whose handler returned err. A retry's timer is not awaited: it only
// appends to a queue that may have no consumer any more.
func (q *Queue) applyOutcome(job *backfill.Job, err error) {
	outcome := q.settings.Retries.DecideOutcome(job, err)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch outcome.Kind {
	case backfill.OutcomeDone:
	case backfill.OutcomeDeadLetter:
		q.deadLetters = append(
			q.deadLetters[max(0, len(q.deadLetters)+1-maxDeadLetters):],
			DeadLetter{Job: *job, Err: err},
		)
	case backfill.OutcomeRetry:
		next := *job
		next.Attempt, next.Returns = outcome.Attempt, outcome.Returns
		q.retries++
		time.AfterFunc(outcome.Delay, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.retries--
			q.enqueue(next)
		})
	}
}

// Depth implements backfill.Queue. MaxUnacked is zero: a job that ends with the process is not delivered again.
func (q *Queue) Depth(context.Context) (backfill.Depth, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	depth := backfill.Depth{
		Ready: len(q.ready), Retries: q.retries, DeadLetters: len(q.deadLetters), Consumers: q.consumers,
	}
	if depth.Ready > 0 {
		depth.Oldest = q.ready[0].CreatedAt
	}
	return depth, nil
}

// DeadLetters returns the dead letters, the oldest first.
func (q *Queue) DeadLetters() []DeadLetter {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.deadLetters)
}
