// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package election decides which replica leads. One replica at a time holds a lease. Each of its terms has a number,
// the fence, which only grows: a store that is written to refuses a leader of an earlier term by it.
package election

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// Leaser stores leases that all replicas reach. Its methods are safe for concurrent use and return when ctx ends. An
// error other than ErrHeld and ErrLost leaves open whether the operation took effect.
type Leaser interface {
	// Acquire acquires the lease called name for its duration. It returns ErrHeld, or a HeldError, when another term
	// holds the lease.
	Acquire(ctx context.Context, name string) (Term, error)
	// Renew extends a lease to its duration from now on. It returns ErrLost when the term is over.
	Renew(ctx context.Context, t Term) error
	// Release ends a term, so that other replicas need not wait for it to expire. It does nothing to a term that is
	// over.
	Release(ctx context.Context, t Term) error
}

// Term is one holding of a lease.
type Term struct {
	Name string
	// Fence exceeds the fences of all earlier terms of the lease, of this Leaser and of the ones before it.
	Fence uint64
	// Token identifies the term to its Leaser.
	Token string
}

// Errors of a Leaser, and causes of the end of a term.
var (
	ErrHeld         = errors.New("another replica holds the lease")
	ErrLost         = errors.New("the lease is lost")
	ErrExpired      = errors.New("the lease could not be renewed in time")
	ErrYielded      = errors.New("the lease was yielded to a replica that holds fewer")
	errWorkReturned = errors.New("the work of the leader returned")
)

// HeldError is the ErrHeld of a Leaser that can name the holder.
type HeldError struct {
	// Holder is the identity of the replica that holds the lease.
	Holder string
}

// Error implements error.
func (e *HeldError) Error() string { return ErrHeld.Error() + ": " + e.Holder }

// Is reports whether target is ErrHeld.
func (*HeldError) Is(target error) bool { return target == ErrHeld }

// Timing configures an Elector. Every field must be set.
type Timing struct {
	// LeaseDuration is how long a lease lasts without a renewal.
	LeaseDuration time.Duration
	// RenewDeadline is how long a leader goes on without a renewal. It is shorter than LeaseDuration.
	RenewDeadline time.Duration
	// RetryPeriod is the time-out of a request, the time between two renewals, and four times that between two attempts
	// to acquire.
	RetryPeriod time.Duration
}

// clockDriftDivisor makes the part of a lease's duration by which the clocks of this machine and of the Leaser may
// differ: a twentieth.
const clockDriftDivisor = 20

// trustedFor returns how long after the start of a successful request a leader may rely on its lease.
func (t Timing) trustedFor() time.Duration {
	return min(t.RenewDeadline, t.LeaseDuration-t.LeaseDuration/clockDriftDivisor)
}

// Elector campaigns for leases of a Leaser. It is safe for concurrent use.
type Elector struct {
	leaser   Leaser
	timing   Timing
	hooks    Hooks
	balancer balancer
}

// Hooks report what an Elector does. Each may be nil; none may block.
type Hooks struct {
	// OnBackend is called with the result of each request to the Leaser: nil when it responded, also that another term
	// holds the lease.
	OnBackend func(name string, err error)
	// OnTermStart and OnTermEnd are called with this replica's terms; why is the cause of the end.
	OnTermStart func(t Term)
	OnTermEnd   func(t Term, why error)
	// OnHeld is called with the holder each time that a lease is refused because another replica holds it.
	OnHeld func(name, holder string)
}

// New returns an elector. Where roster is not nil, leases are balanced over the replicas.
func New(leaser Leaser, timing Timing, roster Roster, hooks Hooks) *Elector {
	if hooks.OnBackend == nil {
		hooks.OnBackend = func(string, error) {}
	}
	if hooks.OnTermStart == nil {
		hooks.OnTermStart = func(Term) {}
	}
	if hooks.OnTermEnd == nil {
		hooks.OnTermEnd = func(Term, error) {}
	}
	if hooks.OnHeld == nil {
		hooks.OnHeld = func(string, string) {}
	}
	return &Elector{
		leaser:   leaser,
		timing:   timing,
		hooks:    hooks,
		balancer: balancer{roster: roster, period: timing.RetryPeriod},
	}
}

// Lead campaigns for the lease called name until ctx ends, and returns the cause of ctx. While this replica holds the
// lease it runs work with a context that ends with the term; then it waits for work, releases the lease, and campaigns
// again. fence exceeds those of all earlier terms. A term also ends when work returns.
func (e *Elector) Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error {
	e.balancer.addCampaign()
	defer e.balancer.removeCampaign()
	return e.campaign(ctx, name, &e.balancer, work)
}

// LeadBeside is Lead for a lease that a leader holds beside another one. It is not balanced over the replicas.
func (e *Elector) LeadBeside(
	ctx context.Context, name string, work func(ctx context.Context, fence uint64) error,
) error {
	return e.campaign(ctx, name, &balancer{period: e.timing.RetryPeriod}, work)
}

// campaign is Lead with the balancer of the lease.
func (e *Elector) campaign(
	ctx context.Context, name string, b *balancer, work func(ctx context.Context, fence uint64) error,
) error {
	for ctx.Err() == nil {
		term, until, ok := e.acquire(ctx, name)
		if !ok {
			b.rebalance(ctx)
			waitJittered(ctx, e.timing.RetryPeriod/attemptsPerRetryPeriod+b.acquireDelay())
			continue
		}
		why := e.serveTerm(ctx, term, until, b, work)
		if errors.Is(why, ErrYielded) || errors.Is(why, errWorkReturned) {
			waitJittered(ctx, 2*e.timing.RetryPeriod) // another replica acquires it first
		}
	}
	return context.Cause(ctx)
}

// attemptsPerRetryPeriod is the number of attempts to acquire in a retry period: a released lease is acquired within a
// quarter of it.
const attemptsPerRetryPeriod = 4

// waitJittered waits for 90 to 110 % of a duration, or until ctx ends, so that replicas do not send their requests at
// the same time.
func waitJittered(ctx context.Context, wait time.Duration) {
	wait += time.Duration((rand.Float64() - 0.5) * 0.2 * float64(wait)) //nolint:gosec // spreads attempts
	_ = wakeup.Sleep(ctx, wait)                                         // the caller checks ctx
}

// acquire tries once to acquire the lease, and reports whether it did. until is the time after which the term cannot be
// relied on without a renewal.
func (e *Elector) acquire(ctx context.Context, name string) (term Term, until time.Time, ok bool) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, e.timing.RetryPeriod)
	defer cancel()
	term, err := e.leaser.Acquire(ctx, name)
	if held := new(HeldError); errors.As(err, &held) {
		e.hooks.OnHeld(name, held.Holder)
	}
	if err == nil || errors.Is(err, ErrHeld) {
		e.hooks.OnBackend(name, nil)
	} else if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.hooks.OnBackend(name, err)
	}
	return term, start.Add(e.timing.trustedFor()), err == nil
}

// serveTerm runs work for a term, and returns the cause of the end of the term.
func (e *Elector) serveTerm(
	ctx context.Context, term Term, until time.Time, b *balancer, work func(context.Context, uint64) error,
) error {
	termCtx, endTerm := context.WithCancelCause(ctx)
	defer endTerm(nil)
	var renewing sync.WaitGroup
	renewing.Go(func() { e.renewTerm(termCtx, term, until, b, endTerm) })
	removeTerm := b.addTerm(func() { endTerm(ErrYielded) })
	e.hooks.OnTermStart(term)
	err := work(termCtx, term.Fence)
	removeTerm()
	endTerm(errors.Join(errWorkReturned, err)) // without effect when the term had ended before
	why := context.Cause(termCtx)
	e.hooks.OnTermEnd(term, why)
	renewing.Wait()
	if !errors.Is(why, ErrLost) {
		e.release(ctx, term)
	}
	return why
}

// renewTerm renews a term until its context ends. It ends the term when the lease is lost, and by the timer when it
// could not be renewed in time: the Leaser does not respond, or this process was stopped for a while.
func (e *Elector) renewTerm(
	ctx context.Context, term Term, until time.Time, b *balancer, endTerm context.CancelCauseFunc,
) {
	expiry := time.AfterFunc(time.Until(until), func() { endTerm(ErrExpired) })
	defer expiry.Stop()
	for {
		waitJittered(ctx, e.timing.RetryPeriod)
		if ctx.Err() != nil {
			return
		}
		start := time.Now()
		requestCtx, cancel := context.WithTimeout(ctx, e.timing.RetryPeriod)
		err := e.leaser.Renew(requestCtx, term)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrLost):
			e.hooks.OnBackend(term.Name, nil)
			endTerm(ErrLost)
			return
		case err == nil:
			if renewed := start.Add(e.timing.trustedFor()); expiry.Stop() {
				until = renewed
				expiry.Reset(time.Until(until))
			}
		}
		e.hooks.OnBackend(term.Name, err)
		b.rebalance(ctx)
	}
}

// releaseTimeout bounds how long a replica that stops waits for the release of its lease.
const releaseTimeout = 500 * time.Millisecond

// release releases a lease. A lease that cannot be released expires.
func (e *Elector) release(ctx context.Context, term Term) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(e.timing.RetryPeriod, releaseTimeout))
	defer cancel()
	if err := e.leaser.Release(ctx, term); err != nil {
		e.hooks.OnBackend(term.Name, err)
	}
}
