package backfill

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// Queue carries jobs to whoever consumes them: each at least once, until a handler is done with it.
type Queue interface {
	// Publish returns when the queue has the jobs. After an error the first confirmed ones of them are there for sure; the
	// others may be.
	Publish(ctx context.Context, jobs []Job) (confirmed int, err error)
	// Consume hands jobs to the handler, several at a time, until ctx ends. It waits for the handlers. A job whose handler
	// did not return is delivered again, here or elsewhere. Its error is ctx's.
	Consume(ctx context.Context, handler Handler) error
	// Depth is how many jobs wait.
	Depth(ctx context.Context) (Depth, error)
}

// Handler works on a job. nil means done; Snooze, Discard, a ForeignError and any other error say what becomes of it.
type Handler func(ctx context.Context, job Job) error

// Depth is how many jobs wait, and for whom.
type Depth struct {
	// Ready wait for a consumer, Retries for their time, DeadLetters for an operator.
	Ready, Retries, DeadLetters int
	// MaxUnacked is how many jobs consumers have received and not acknowledged, at most. They are not among Jobs.
	MaxUnacked int
	// Consumers is how many consumers the jobs have, in all replicas; where there are several queues, that of the queue
	// with the fewest.
	Consumers int
	// Oldest is when the job was published that was delivered last; zero when none was, or nothing waits.
	Oldest time.Time
	// Queues are the queues of jobs one by one, where there are several.
	Queues []QueueDepth
}

// QueueDepth is how many jobs wait in one queue.
type QueueDepth struct {
	Name string
	// Org is whose jobs they are; "" where organizations share the queue.
	Org              string
	Ready, Consumers int
	// Oldest is as in Depth.
	Oldest time.Time
}

// Pending is how many jobs are still to be done.
func (d *Depth) Pending() int { return d.Ready + d.Retries }

// DeferError puts a job off. That does not count as an attempt.
type DeferError struct {
	Delay time.Duration
	Err   error
}

// Error implements error.
func (e *DeferError) Error() string { return fmt.Sprintf("put off for %s: %v", e.Delay, e.Err) }

// Unwrap gives the reason.
func (e *DeferError) Unwrap() error { return e.Err }

// Defer is the error of a job that cannot be done now, through no fault of its own.
func Defer(d time.Duration, reason error) error { return &DeferError{Delay: d, Err: reason} }

// DiscardError sends a job to the dead ones at once.
type DiscardError struct{ Err error }

// Error implements error.
func (e *DiscardError) Error() string { return "discarded: " + e.Err.Error() }

// Unwrap gives the reason.
func (e *DiscardError) Unwrap() error { return e.Err }

// Discard is the error of a job that can never be done.
func Discard(reason error) error { return &DiscardError{Err: reason} }

// UnknownOrgError gives back a job of an organization that is not configured here. Another deployment that shares the
// queue may have it.
type UnknownOrgError struct{ Org string }

// Error implements error.
func (e *UnknownOrgError) Error() string {
	return fmt.Sprintf("organization %q is not configured here", e.Org)
}

const (
	// MaxReturns is how often a job is given back before it is dead: a queue that no other deployment consumes must not
	// pass it round for ever.
	MaxReturns = 30
	// returnsPerDelay is how many returns in a row wait for the same delay.
	returnsPerDelay = 5
)

// RetryPolicy say how often a job is tried, and when again. All queues judge by them.
type RetryPolicy struct {
	// Delays are the waits after the first, the second and every further failed attempt; the last one goes on. At least one,
	// ascending.
	Delays []time.Duration
	// MaxAttempts is how often a job may fail.
	MaxAttempts int
}

// Outcome is what becomes of a delivered job.
type Outcome struct {
	// Done jobs are over; Dead ones wait for an operator. Any other comes again, with this Attempt, after Delay, which is
	// one of the delays.
	Done, Dead bool
	Attempt    int
	// Returns is how often the job was given back, in a row. One that is given back comes again in the queue it came
	// from.
	Returns int
	Delay   time.Duration
}

// DecideOutcome says what becomes of a job whose handler returned err.
func (r *RetryPolicy) DecideOutcome(job *Job, err error) Outcome {
	if err == nil {
		return Outcome{Done: true}
	}
	if snooze, ok := errors.AsType[*DeferError](err); ok {
		return Outcome{Attempt: job.Attempt, Delay: r.longestDelayWithin(snooze.Delay)}
	}
	if _, ok := errors.AsType[*DiscardError](err); ok {
		return Outcome{Dead: true}
	}
	if _, ok := errors.AsType[*UnknownOrgError](err); ok {
		return r.returnJob(job)
	}
	if job.Attempt >= r.MaxAttempts {
		return Outcome{Dead: true}
	}
	return Outcome{Attempt: job.Attempt + 1, Delay: r.Delays[min(job.Attempt, len(r.Delays))-1]}
}

// returnJob spends no attempt, and waits longer the more often it was in vain.
func (r *RetryPolicy) returnJob(job *Job) Outcome {
	if job.Returns >= MaxReturns {
		return Outcome{Dead: true}
	}
	return Outcome{Attempt: job.Attempt, Returns: job.Returns + 1, Delay: r.returnDelay(job)}
}

// returnDelay is one of two neighbouring delays, which job and return choose. A broker serves consumers in turn: two
// jobs that always come again together would always meet the consumers in the same order, each the wrong one.
func (r *RetryPolicy) returnDelay(job *Job) time.Duration {
	if job.Returns == 0 || len(r.Delays) == 1 {
		return r.Delays[0]
	}
	hash := sha256.Sum256(fmt.Append(nil, job.ID, "/", job.Returns))
	lower := min(job.Returns/returnsPerDelay, len(r.Delays)-2)
	return r.Delays[lower+int(hash[0]&1)]
}

// longestDelayWithin is the longest delay that is not longer than d, or the shortest one: who is back early is put off again.
func (r *RetryPolicy) longestDelayWithin(d time.Duration) time.Duration {
	best := r.Delays[0]
	for _, delay := range r.Delays {
		if delay <= d {
			best = delay
		}
	}
	return best
}
