// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// flushTimeout bounds the last commit of a term.
const flushTimeout = 500 * time.Millisecond

// term runs the roles of a leader over one organization, one term after the other. dispatcher is nil when
// backfill is off; rounds is nil when weekly lines come from the commits.
type term struct {
	handover   *leaderHandover
	fences     *fencePublisher
	store      *termStore
	monitor    *health.Monitor
	loop       *passLoop
	dispatcher *gapDispatcher
	rounds     *lineRounds
}

// run is a term over the organization. It begins when the lease of a former leader was acquired too, and after the
// store refused a write it stands by.
func (t *term) run(ctx context.Context, fence uint64, former *formerLeases) error {
	fence, err := t.handover.awaitFormerLease(ctx, fence, former)
	if err != nil {
		return err
	}
	err = t.lead(ctx, fence, former)
	switch {
	case ctx.Err() != nil || !errors.Is(err, ledger.ErrFenced):
		return err
	case fence == soleLeader:
		return errNewTerm // it says nothing about who was first
	default:
		return t.handover.standBy(ctx, fence, former)
	}
}

// lead makes passes, jobs of what they miss, and rounds over the weekly lines, until the term ends or the store
// refuses a write, and waits for all of them. The first write makes the fence known, so that nothing of an earlier
// term is accepted any more.
func (t *term) lead(ctx context.Context, fence uint64, former *formerLeases) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	t.store.setOnFenced(func() { end(ledger.ErrFenced) })
	defer t.store.setOnFenced(nil)
	if err := t.fences.publish(ctx, fence); err != nil {
		return err
	}
	former.fencePublished()
	t.monitor.SetLeader(t.loop.org, true)
	t.loop.state.startTerm()
	defer t.resign(ctx)
	var work sync.WaitGroup
	if t.dispatcher != nil {
		work.Go(func() { t.dispatcher.run(ctx) })
	}
	if t.rounds != nil {
		t.rounds.discardPasses()
		work.Go(func() { t.rounds.run(ctx, fence) })
	}
	if t.fences.lease.elected {
		work.Go(func() { t.fences.repeat(ctx, fence) })
	}
	t.loop.run(ctx, fence)
	work.Wait()
	return context.Cause(ctx)
}

// resign ends a term: what was counted and not committed yet goes to the store without authority.
func (t *term) resign(ctx context.Context) {
	t.monitor.SetLeader(t.loop.org, false)
	t.loop.health.reset()
	t.loop.watchdog.stop()
	t.loop.state.clearTerm()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := t.loop.collector.Flush(ctx); err != nil {
		t.loop.logger.Warn("Failed to flush the counters of the ended term; will retry with the next commit of this "+
			"process.", zap.Error(err))
	}
}

// termStore is the store as one organization uses it. A write that the store refuses for its fence ends the term in
// which it was made, whichever part of the leader made it: another election has authority over the organization.
type termStore struct {
	ledger.Store

	mu       sync.Mutex
	onFenced func() // ends the present term; nil outside of one
}

// Commit implements ledger.Store.
func (a *termStore) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	receipt, err := a.Store.Commit(ctx, fence, b)
	if errors.Is(err, ledger.ErrFenced) {
		a.mu.Lock()
		fenced := a.onFenced
		a.mu.Unlock()
		if fenced != nil {
			fenced()
		}
	}
	return receipt, err
}

// setOnFenced calls fenced when a write is refused, until it is called with nil.
func (a *termStore) setOnFenced(fenced func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.onFenced = fenced
}
