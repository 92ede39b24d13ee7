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

// leaderElection is the part of an extension's leader election that the receiver uses. Lead blocks until ctx ends:
// while this replica holds the lease called name it runs work with a context that ends with the term, waits for it, and
// campaigns again.
type leaderElection interface {
	Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error
}

// callbackElection is contrib's interface of an extension that elects leaders. It has one lease and no fences.
type callbackElection interface {
	SetCallBackFuncs(start func(context.Context), stop func())
}

const (
	// soleLeader is the fence of a process that leads without an election.
	soleLeader = 1
	// noFence is the fence of terms of an election without fences.
	noFence = 0
)

// errNewTerm is the error of a term in which the store refused the writes: the next term has a newer fence.
var errNewTerm = errors.New("a new term is needed: the store refused the writes of this one")

// findElection returns the election that the configuration names. Its error is one of the configuration.
func findElection(config *Config, host component.Host, logger *zap.Logger) (leaderElection, error) {
	id := config.LeaderElection
	if id == nil {
		return &soleElection{shared: config.Redis.Enabled()}, nil
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
		if config.Leadership == leadershipOrg {
			return nil, fmt.Errorf("leadership: %s, want %s with the extension %q, which knows one lease only",
				leadershipOrg, leadershipReceiver, id)
		}
		logger.Warn("The leader election provides no fences: the store cannot reject writes of a "+
			"former leader. Recording is a set union, so such writes corrupt nothing, but prefer leader_elector.",
			zap.Stringer("extension", id))
		return newCallbackTermElection(elector), nil
	}
	return nil, fmt.Errorf("leader_election: the extension %q is no leader election, want one such as "+
		"leader_elector", id)
}

// soleElection is the election without others: this process leads until it ends.
type soleElection struct {
	// shared says that other processes may have led with the same store.
	shared bool
}

// Lead implements leaderElection. A store in which leaders of an election wrote refuses the fence soleLeader: then the
// next term has a fence as elections make theirs.
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

// callbackTermElection makes terms of contrib's callbacks. Those may be called under a lock, a stop without a start or
// before it, and they cannot be unregistered: they only set the present term. It is safe for concurrent use.
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

// Lead implements leaderElection, for one lease.
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
