// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	fences "github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// leaderElection is what the receiver needs of an extension that elects leaders. Lead blocks: while this replica holds
// the lease called name it runs work with a context that ends with the term, waits for it, and campaigns again, until
// ctx ends.
type leaderElection interface {
	Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error
}

// callbackElection is contrib's interface of an extension that elects leaders. It knows one lease and no fences.
type callbackElection interface {
	SetCallBackFuncs(start func(context.Context), stop func())
}

const (
	// soleLeader is the fence of a process that leads without an election.
	soleLeader = 1
	// noFence is the fence under an election that gives none.
	noFence = 0
)

// errNewTerm ends a term in which the store refused the writes, so that the next one has a newer fence.
var errNewTerm = errors.New("a new term is needed: the store refused the writes of this one")

// How leadership is divided.
const (
	leadershipReceiver = "receiver"
	leadershipOrg      = "org"
)

// findElection finds the election that the configuration names.
func (r *githubReceiver) findElection(host component.Host) (leaderElection, error) {
	id := r.config.LeaderElection
	if id == nil {
		return &soleElection{shared: r.config.Redis.Enabled()}, nil
	}
	extension, ok := host.GetExtensions()[*id]
	if !ok {
		return nil, fmt.Errorf(
			"leader_election: there is no extension %q, want the id of one under extensions and service::extensions",
			id)
	}
	if elector, ok := extension.(leaderElection); ok {
		return elector, nil
	}
	if elector, ok := extension.(callbackElection); ok {
		if r.config.Leadership == leadershipOrg {
			return nil, fmt.Errorf("leadership: %s, want %s with the extension %q, which knows one lease only",
				leadershipOrg, leadershipReceiver, id)
		}
		r.settings.Logger.Warn("The leader election provides no fences: the store cannot reject writes of a "+
			"former leader. Recording is a set union, so such writes corrupt nothing, but prefer leader_elector.",
			zap.Stringer("extension", id))
		return newCallbackTermElection(elector), nil
	}
	return nil, fmt.Errorf("leader_election: the extension %q is no leader election, want one such as "+
		"leader_elector", id)
}

// soleElection leads for ever.
type soleElection struct {
	// shared says that others may have led with the same store.
	shared bool
}

// Lead implements election. A store that has seen an election refuses the fence of a sole leader: then it is made as
// elections make theirs.
func (a *soleElection) Lead(ctx context.Context, _ string, work func(context.Context, uint64) error) error {
	fence := uint64(soleLeader)
	for ctx.Err() == nil {
		err := work(ctx, fence) // returns when ctx has ended, or a newer fence is needed
		if a.shared && errors.Is(err, errNewTerm) {
			fence = max(fence+1, fences.NewFence(time.Now()))
		}
	}
	return context.Cause(ctx)
}

// callbackTermElection makes terms of contrib's callbacks. Those may come under a lock, a stop without a start or
// before it, and they cannot be unregistered: they only leave a note.
type callbackTermElection struct {
	termStarted wakeup.Signal

	mu         sync.Mutex
	term       context.Context //nolint:containedctx // of the present term: contrib gives it to a callback
	cancelTerm context.CancelFunc
}

func newCallbackTermElection(elector callbackElection) *callbackTermElection {
	t := &callbackTermElection{termStarted: wakeup.NewSignal()}
	elector.SetCallBackFuncs(t.start, t.stop)
	return t
}

func (t *callbackTermElection) start(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancelTerm != nil {
		t.cancelTerm()
	}
	t.term, t.cancelTerm = context.WithCancel(ctx)
	t.termStarted.Notify()
}

func (t *callbackTermElection) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancelTerm != nil {
		t.cancelTerm()
	}
}

func (t *callbackTermElection) current() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.term
}

// Lead implements election for one lease.
func (t *callbackTermElection) Lead(ctx context.Context, _ string, work func(context.Context, uint64) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.termStarted:
		}
		term, cancel := context.WithCancel(t.current())
		stop := context.AfterFunc(ctx, cancel)
		for term.Err() == nil {
			_ = work(term, noFence) //nolint:contextcheck // returns when the term has ended, which ends with ctx
		}
		stop()
		cancel()
	}
}

// campaign leads what this replica is elected for, until ctx ends.
func (r *githubReceiver) campaign(ctx context.Context) {
	if r.config.Leadership == leadershipReceiver {
		lease := r.leases.ofReceiver()
		r.tasks.Go(func() { _ = r.election.Lead(ctx, lease, r.runTerm) }) // ends with the context only
		return
	}
	for _, org := range r.orgs {
		r.tasks.Go(func() {
			_ = r.election.Lead(ctx, org.term.handover.lease.name, func(ctx context.Context, fence uint64) error {
				former := newFormerLeases(ctx, r.leases)
				defer former.release()
				return org.term.run(ctx, fence, former)
			})
		})
	}
}

// runTerm is a term over all organizations. None of them waits for another, and it ends when all have stopped. One of
// which the store refuses the writes does not stop the others, until a new term is needed for it.
func (r *githubReceiver) runTerm(ctx context.Context, fence uint64) error {
	errs := make([]error, len(r.orgs))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	former := newFormerLeases(ctx, r.leases)
	defer former.release()
	var leading sync.WaitGroup
	for i, org := range r.orgs {
		leading.Go(func() {
			errs[i] = org.term.run(ctx, fence, former)
			if errors.Is(errs[i], errNewTerm) {
				cancel() // the term is over for all of them
			}
		})
	}
	leading.Wait()
	return errors.Join(errs...)
}
