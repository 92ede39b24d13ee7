// Package election decides which replica leads. A lease is held by one replica at a time; each term of it has a number,
// the fence, that only grows, so that whoever is written to can refuse a leader of the past.
package election

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// Leaser keeps leases somewhere that all replicas reach. Its methods are safe for concurrent use and end with their
// context. Their errors, other than those here, mean that the answer is not known.
type Leaser interface {
	// Acquire takes the lease called name for its duration, or gives ErrHeld.
	Acquire(ctx context.Context, name string) (Term, error)
	// Renew holds a lease for its duration from now on, or gives ErrLost when the term is over.
	Renew(ctx context.Context, t Term) error
	// Release ends a term, so that others need not wait for it to expire. A term that is over is left alone.
	Release(ctx context.Context, t Term) error
}

// Term is one holding of a lease.
type Term struct {
	Name string
	// Fence grows with every term of the lease, for ever.
	Fence uint64
	// Token tells this term from all others.
	Token string
}

// Errors of a Leaser, and causes of the end of a term.
var (
	ErrHeld         = errors.New("another replica holds the lease")
	ErrLost         = errors.New("the lease is lost")
	ErrExpired      = errors.New("the lease could not be renewed in time")
	ErrYielded      = errors.New("the lease is given to a replica that holds fewer")
	errWorkReturned = errors.New("the work of the leader returned")
)

// HeldError is ErrHeld of a Leaser that knows who holds the lease.
type HeldError struct {
	// Holder is the identity of the replica that holds the lease.
	Holder string
}

// Error implements error.
func (e *HeldError) Error() string { return ErrHeld.Error() + ": " + e.Holder }

// Is reports whether target is ErrHeld.
func (*HeldError) Is(target error) bool { return target == ErrHeld }

// Timing is how long things take. The zero value of a field is no valid one.
type Timing struct {
	// LeaseDuration is how long a lease is held without being renewed.
	LeaseDuration time.Duration
	// RenewDeadline is how long a leader goes on without having renewed. It is shorter than the lease.
	RenewDeadline time.Duration
	// RetryPeriod is how long a request may take, the time between two renewals, and four times that between two
	// attempts to acquire.
	RetryPeriod time.Duration
}

// clockDriftDivisor is the part of a lease's duration by which the clocks of this machine and of the leaser's may
// differ in speed.
const clockDriftDivisor = 20

// trustedFor is how long after the start of a successful request a leader may be sure of its lease.
func (t Timing) trustedFor() time.Duration {
	return min(t.RenewDeadline, t.LeaseDuration-t.LeaseDuration/clockDriftDivisor)
}

// Elector campaigns for leases with a Leaser.
type Elector struct {
	leaser   Leaser
	timing   Timing
	hooks    Hooks
	balancer balancer
}

// Hooks tell what happens. Each may be nil; none may block.
type Hooks struct {
	// OnBackend is told of every answer of the leaser: nil, or why there was none.
	OnBackend func(name string, err error)
	// OnTermStart and Ended are told of this replica's terms; why is the cause of the end.
	OnTermStart func(t Term)
	OnTermEnd   func(t Term, why error)
	// OnHeld is called with every refusal of a lease that another replica holds.
	OnHeld func(name, holder string)
}

// New makes an elector. roster may be nil: then leases are not spread over the replicas.
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
	return &Elector{leaser: leaser, timing: timing, hooks: hooks, balancer: balancer{roster: roster, period: timing.RetryPeriod}}
}

// Lead blocks. While this replica holds the lease called name it runs work with a context that ends with the term,
// waits for it, releases the lease, and campaigns again, until ctx ends. fence grows with every term, for ever. It
// gives the cause of ctx's end when everything has stopped. What work returns while its context lives ends the term,
// too.
func (e *Elector) Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error {
	e.balancer.addCampaign()
	defer e.balancer.removeCampaign()
	return e.campaign(ctx, name, &e.balancer, work)
}

// LeadBeside is Lead for a lease that a leader holds beside another one. It does not count where leases are spread over
// the replicas.
func (e *Elector) LeadBeside(
	ctx context.Context, name string, work func(ctx context.Context, fence uint64) error,
) error {
	return e.campaign(ctx, name, &balancer{period: e.timing.RetryPeriod}, work)
}

func (e *Elector) campaign(
	ctx context.Context, name string, spread *balancer, work func(ctx context.Context, fence uint64) error,
) error {
	for ctx.Err() == nil {
		term, until, ok := e.acquire(ctx, name)
		if !ok {
			spread.rebalance(ctx)
			waitJittered(ctx, e.timing.RetryPeriod/attemptsPerRetryPeriod+spread.acquireDelay())
			continue
		}
		why := e.serveTerm(ctx, term, until, spread, work)
		if errors.Is(why, ErrYielded) || errors.Is(why, errWorkReturned) {
			waitJittered(ctx, 2*e.timing.RetryPeriod) // others first
		}
	}
	return context.Cause(ctx)
}

// attemptsPerRetryPeriod is how many attempts to acquire there are in a retry period: what a leader releases is taken
// in a quarter of it.
const attemptsPerRetryPeriod = 4

// waitJittered waits, somewhat more or less.
func waitJittered(ctx context.Context, wait time.Duration) {
	wait += time.Duration((rand.Float64() - 0.5) * 0.2 * float64(wait)) //nolint:gosec // spreads attempts
	_ = wakeup.Sleep(ctx, wait)                                         // the caller checks ctx
}

// acquire tries to take the lease. until is when it cannot be trusted any more.
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

// serveTerm runs work for a term, and gives why the term ended.
func (e *Elector) serveTerm(
	ctx context.Context, term Term, until time.Time, spread *balancer, work func(context.Context, uint64) error,
) error {
	termCtx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var keeping sync.WaitGroup
	keeping.Go(func() { e.renewTerm(termCtx, term, until, spread, end) })
	withdraw := spread.addTerm(func() { end(ErrYielded) })
	e.hooks.OnTermStart(term)
	err := work(termCtx, term.Fence)
	withdraw()
	end(errors.Join(errWorkReturned, err)) // no cause when the term ended before
	why := context.Cause(termCtx)
	e.hooks.OnTermEnd(term, why)
	keeping.Wait()
	if !errors.Is(why, ErrLost) {
		e.release(ctx, term)
	}
	return why
}

// renewTerm renews a term until its context ends, and ends it when the lease cannot be trusted any more, be the leaser
// silent or this process stopped for a while.
func (e *Elector) renewTerm(
	ctx context.Context, term Term, until time.Time, spread *balancer, end context.CancelCauseFunc,
) {
	expiry := time.AfterFunc(time.Until(until), func() { end(ErrExpired) })
	defer expiry.Stop()
	for {
		waitJittered(ctx, e.timing.RetryPeriod)
		if ctx.Err() != nil {
			return
		}
		start := time.Now()
		request, cancel := context.WithTimeout(ctx, e.timing.RetryPeriod)
		err := e.leaser.Renew(request, term)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrLost):
			e.hooks.OnBackend(term.Name, nil)
			end(ErrLost)
			return
		case err == nil:
			if renewed := start.Add(e.timing.trustedFor()); expiry.Stop() {
				until = renewed
				expiry.Reset(time.Until(until))
			}
		}
		e.hooks.OnBackend(term.Name, err)
		spread.rebalance(ctx)
	}
}

// releaseTimeout bounds how long a replica that stops waits to give its lease back.
const releaseTimeout = 500 * time.Millisecond

// release gives a lease back. If that fails it expires.
func (e *Elector) release(ctx context.Context, term Term) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(e.timing.RetryPeriod, releaseTimeout))
	defer cancel()
	if err := e.leaser.Release(ctx, term); err != nil {
		e.hooks.OnBackend(term.Name, err)
	}
}
