// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// DeferError is a handler's error for a job that cannot be done now: it is delivered again after a delay, and that does
// not count as an attempt.
type DeferError struct {
	Delay time.Duration
	Err   error
}

// Error implements error.
func (e *DeferError) Error() string { return fmt.Sprintf("deferred for %s: %v", e.Delay, e.Err) }

// Unwrap returns the reason.
func (e *DeferError) Unwrap() error { return e.Err }

// Defer returns the DeferError of a job that fails through no fault of its own: a rate limit, a cooldown, an outage.
func Defer(d time.Duration, reason error) error { return &DeferError{Delay: d, Err: reason} }

// DiscardError is a handler's error for a job that no attempt can do: it is dead-lettered at once.
type DiscardError struct{ Err error }

// Error implements error.
func (e *DiscardError) Error() string { return "discarded: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *DiscardError) Unwrap() error { return e.Err }

// Discard returns the DiscardError of a job.
func Discard(reason error) error { return &DiscardError{Err: reason} }

// UnknownOrgError is a handler's error for a job of an organization that is not configured here. The job returns to its
// queue, because another deployment that shares the queue may have that organization.
type UnknownOrgError struct{ Org string }

// Error implements error.
func (e *UnknownOrgError) Error() string {
	return fmt.Sprintf("organization %q is not configured here", e.Org)
}

const (
	// MaxReturns is the number of returns in a row after which a job is dead-lettered: where no other deployment
	// consumes the queue it would circulate for ever.
	MaxReturns = 30
	// returnsPerDelay is the number of returns in a row with the same delay.
	returnsPerDelay = 5
)

// OutcomeKind is one of the three results of a delivery; a deferral is a retry that spends no attempt.
type OutcomeKind uint8

// The kinds. The zero value is none of them.
const (
	_                 OutcomeKind = iota
	OutcomeDone                   // acknowledged: the job is over
	OutcomeRetry                  // delivered again after a delay
	OutcomeDeadLetter             // moved to the dead letters, which only an operator delivers again
)

// Outcome is the result of a delivery: what the queue does with the job.
type Outcome struct {
	Kind OutcomeKind
	// Attempt is the number of the next delivery's attempt, and Delay the wait before it, which is one of the policy's
	// delays. Both are zero unless Kind is OutcomeRetry.
	Attempt int
	Delay   time.Duration
	// Returns is how often in a row the job was returned for its organization; zero for any other retry. A job that is
	// returned is delivered again from the queue that it came from.
	Returns int
}

// RetryPolicy decides how often and when a job is tried again. All queues share it.
type RetryPolicy struct {
	// Delays are the waits after the first, the second and every further failed attempt; the last one applies to all
	// that follow. At least one, ascending.
	Delays []time.Duration
	// MaxAttempts is the number of failed attempts after which a job is dead-lettered.
	MaxAttempts int
}

// DecideOutcome returns the outcome of a job whose handler returned err: nil is done, DiscardError a dead letter.
// DeferError and UnknownOrgError retry without spending an attempt; any other error spends one.
func (r *RetryPolicy) DecideOutcome(job *Job, err error) Outcome {
	if err == nil {
		return Outcome{Kind: OutcomeDone}
	}
	if deferral, ok := errors.AsType[*DeferError](err); ok {
		return Outcome{Kind: OutcomeRetry, Attempt: job.Attempt, Delay: r.longestDelayWithin(deferral.Delay)}
	}
	if _, ok := errors.AsType[*DiscardError](err); ok {
		return Outcome{Kind: OutcomeDeadLetter}
	}
	if _, ok := errors.AsType[*UnknownOrgError](err); ok {
		return r.returnJob(job)
	}
	if job.Attempt >= r.MaxAttempts {
		return Outcome{Kind: OutcomeDeadLetter}
	}
	delay := r.Delays[min(job.Attempt, len(r.Delays))-1]
	return Outcome{Kind: OutcomeRetry, Attempt: job.Attempt + 1, Delay: delay}
}

// returnJob returns a job to its queue, up to MaxReturns times in a row, after delays that grow.
func (r *RetryPolicy) returnJob(job *Job) Outcome {
	if job.Returns >= MaxReturns {
		return Outcome{Kind: OutcomeDeadLetter}
	}
	return Outcome{Kind: OutcomeRetry, Attempt: job.Attempt, Returns: job.Returns + 1, Delay: r.returnDelay(job)}
}

// returnDelay chooses one of two neighbouring delays by a hash of the job and the return. A broker serves consumers in
// turn: two jobs that always return at the same time would always reach the consumers in the same order, each of them
// the wrong consumer.
func (r *RetryPolicy) returnDelay(job *Job) time.Duration {
	if job.Returns == 0 || len(r.Delays) == 1 {
		return r.Delays[0]
	}
	hash := sha256.Sum256(fmt.Append(nil, job.ID, "/", job.Returns))
	lower := min(job.Returns/returnsPerDelay, len(r.Delays)-2)
	return r.Delays[lower+int(hash[0]&1)]
}

// longestDelayWithin returns the longest delay that does not exceed d, or else the shortest one. A job that comes back
// early is deferred again.
func (r *RetryPolicy) longestDelayWithin(d time.Duration) time.Duration {
	best := r.Delays[0]
	for _, delay := range r.Delays {
		if delay <= d {
			best = delay
		}
	}
	return best
}
