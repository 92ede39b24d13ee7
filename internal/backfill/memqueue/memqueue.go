// Package memqueue is a queue in this process. It keeps nothing when the process ends, and needs not: what is missing stands
// in the coverage.
package memqueue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

const (
	// capacity bounds the jobs that wait for a consumer or for their time.
	capacity = 100_000
	// maxDead bounds the dead jobs; the oldest go first.
	maxDead = 1000
)

// ErrFull refuses jobs of which there are too many.
var ErrFull = errors.New("the queue is full")

// Settings are a queue's.
type Settings struct {
	Retries backfill.RetryPolicy
	// Consumers is how many jobs each call of Consume hands out at a time.
	Consumers int
}

// Queue is a queue in memory. It is safe for concurrent use.
type Queue struct {
	settings Settings

	mu        sync.Mutex
	jobs      []backfill.Job
	changed   chan struct{} // closed when there are more jobs
	retries   int
	dead      []DeadLetter
	consumers int
	oldest    time.Time
}

// DeadLetter is a job that nobody will do, and why.
type DeadLetter struct {
	Job backfill.Job
	Err error
}

// New makes a queue.
func New(settings Settings) *Queue {
	return &Queue{settings: settings, changed: make(chan struct{})}
}

// Publish implements backfill.Queue.
func (q *Queue) Publish(_ context.Context, jobs []backfill.Job) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	room := max(0, capacity-len(q.jobs)-q.retries)
	n := min(len(jobs), room)
	q.add(jobs[:n]...)
	if n < len(jobs) {
		return n, ErrFull
	}
	return n, nil
}

// add puts jobs in and wakes the consumers. The caller holds the lock.
func (q *Queue) add(jobs ...backfill.Job) {
	q.jobs = append(q.jobs, jobs...)
	close(q.changed)
	q.changed = make(chan struct{})
}

// Consume implements backfill.Queue.
func (q *Queue) Consume(ctx context.Context, handler backfill.Handler) error {
	q.consuming(1)
	defer q.consuming(-1)
	var consumers sync.WaitGroup
	for range max(1, q.settings.Consumers) {
		consumers.Go(func() { q.consume(ctx, handler) })
	}
	consumers.Wait()
	return context.Cause(ctx)
}

func (q *Queue) consuming(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.consumers += n
}

func (q *Queue) consume(ctx context.Context, handler backfill.Handler) {
	for ctx.Err() == nil {
		job, changed := q.take()
		if job == nil {
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		err := handler(ctx, *job)
		if ctx.Err() != nil && err != nil {
			q.giveBack(job)
			return
		}
		q.judge(job, err)
	}
}

// take gives the first job, or what is closed when there is one.
func (q *Queue) take() (*backfill.Job, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return nil, q.changed
	}
	job := q.jobs[0]
	q.jobs = q.jobs[1:]
	q.oldest = job.CreatedAt
	return &job, nil
}

// giveBack puts a job in front that nobody has finished.
func (q *Queue) giveBack(job *backfill.Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append([]backfill.Job{*job}, q.jobs...)
	q.add() // wakes whoever waits
}

func (q *Queue) judge(job *backfill.Job, err error) {
	fate := q.settings.Retries.DecideOutcome(job, err)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case fate.Done:
	case fate.Dead:
		q.dead = append(q.dead[max(0, len(q.dead)+1-maxDead):], DeadLetter{Job: *job, Err: err})
	default:
		again := *job
		again.Attempt, again.Returns = fate.Attempt, fate.Returns
		q.retries++
		time.AfterFunc(fate.Delay, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.retries--
			q.add(again)
		})
	}
}

// Depth implements backfill.Queue.
func (q *Queue) Depth(context.Context) (backfill.Depth, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	depth := backfill.Depth{Ready: len(q.jobs), Retries: q.retries, DeadLetters: len(q.dead), Consumers: q.consumers}
	if depth.Ready > 0 {
		depth.Oldest = q.jobs[0].CreatedAt
	}
	return depth, nil
}

// DeadLetters lists the dead jobs.
func (q *Queue) DeadLetters() []DeadLetter {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]DeadLetter(nil), q.dead...)
}
