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
	// maxPending bounds the jobs that wait for a consumer or for their time.
	maxPending = 100_000
	// maxDeadLetters bounds the dead jobs; the oldest go first.
	maxDeadLetters = 1000
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

	mu          sync.Mutex
	ready       []backfill.Job
	jobsAdded   chan struct{} // closed when there are more jobs
	retries     int
	deadLetters []DeadLetter
	consumers   int
	oldest      time.Time
}

// DeadLetter is a job that nobody will do, and why.
type DeadLetter struct {
	Job backfill.Job
	Err error
}

// New makes a queue.
func New(settings Settings) *Queue {
	return &Queue{settings: settings, jobsAdded: make(chan struct{})}
}

// Publish implements backfill.Queue.
func (q *Queue) Publish(_ context.Context, jobs []backfill.Job) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	room := max(0, maxPending-len(q.ready)-q.retries)
	n := min(len(jobs), room)
	q.enqueue(jobs[:n]...)
	if n < len(jobs) {
		return n, ErrFull
	}
	return n, nil
}

// enqueue puts jobs in and wakes the consumers. The caller holds the lock.
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

func (q *Queue) addConsumers(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.consumers += n
}

func (q *Queue) runConsumer(ctx context.Context, handler backfill.Handler) {
	for ctx.Err() == nil {
		job, changed := q.dequeue()
		if job == nil {
			select {
			case <-ctx.Done():
			case <-changed:
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

// dequeue gives the first job, or what is closed when there is one.
func (q *Queue) dequeue() (*backfill.Job, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ready) == 0 {
		return nil, q.jobsAdded
	}
	job := q.ready[0]
	q.ready = q.ready[1:]
	q.oldest = job.CreatedAt
	return &job, nil
}

// requeue puts a job in front that nobody has finished.
func (q *Queue) requeue(job *backfill.Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ready = append([]backfill.Job{*job}, q.ready...)
	q.enqueue() // wakes whoever waits
}

func (q *Queue) applyOutcome(job *backfill.Job, err error) {
	outcome := q.settings.Retries.DecideOutcome(job, err)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch outcome.Kind {
	case backfill.OutcomeDone:
	case backfill.OutcomeDeadLetter:
		q.deadLetters = append(q.deadLetters[max(0, len(q.deadLetters)+1-maxDeadLetters):], DeadLetter{Job: *job, Err: err})
	default:
		again := *job
		again.Attempt, again.Returns = outcome.Attempt, outcome.Returns
		q.retries++
		time.AfterFunc(outcome.Delay, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.retries--
			q.enqueue(again)
		})
	}
}

// Depth implements backfill.Queue.
func (q *Queue) Depth(context.Context) (backfill.Depth, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	depth := backfill.Depth{Ready: len(q.ready), Retries: q.retries, DeadLetters: len(q.deadLetters), Consumers: q.consumers}
	if depth.Ready > 0 {
		depth.Oldest = q.ready[0].CreatedAt
	}
	return depth, nil
}

// DeadLetters lists the dead jobs.
func (q *Queue) DeadLetters() []DeadLetter {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]DeadLetter(nil), q.deadLetters...)
}
