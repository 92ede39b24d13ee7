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

// term runs the roles of a leader over one organization, one term after the other. dispatcher is nil without backfill;
// rounds is nil when weekly lines come from the commits, teams where no teams are read; copilot has a reader for each
// owner of Copilot reports.
type term struct {
	handover   *leaderHandover
	fences     *fencePublisher
	store      *termStore
	monitor    *health.Monitor
	loop       *passLoop
	dispatcher *gapDispatcher
	rounds     *lineRounds
	teams      *teamReader
	copilot    []*copilotReader
}

// run runs a term over the organization. It starts once the lease of a former leader was acquired, too. After the store
// has refused a write it stands by.
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
		return errNewTerm // the fence of a sole leader is lower than any other: the next term has a comparable one
	default:
		return t.handover.standBy(ctx, fence, former)
	}
}

// lead publishes the fence, so that the store refuses writes of earlier terms, and then runs passes, the dispatcher of
// gaps, rounds over weekly lines, readers of teams and of Copilot reports, and the repetition of the record, until ctx
// ends or the
// store refuses a write. It waits for all of them.
func (t *term) lead(ctx context.Context, fence uint64, former *formerLeases) error {
	ctx, endTerm := context.WithCancelCause(ctx)
	defer endTerm(nil)
	t.store.setOnFenced(func() { endTerm(ledger.ErrFenced) })
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
		t.rounds.gate.discardPasses()
		work.Go(func() { t.rounds.run(ctx, fence) })
	}
	if t.teams != nil {
		t.teams.gate.discardPasses()
		work.Go(func() { t.teams.run(ctx, fence) })
	}
	for _, reader := range t.copilot {
		work.Go(func() { reader.run(ctx, fence) })
	}
	if t.fences.lease.elected {
		work.Go(func() { t.fences.repeat(ctx, fence) })
	}
	t.loop.run(ctx, fence)
	work.Wait()
	return context.Cause(ctx)
}

// resign ends a term: it clears what only a leader reports, and commits the remaining tallies without authority.
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

// termStore is the store as the roles of one organization use it. A write that the store refuses for its fence ends the
// present term, whichever role made it: another election has authority over the organization. It is safe for concurrent
// use.
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
		onFenced := a.onFenced
		a.mu.Unlock()
		if onFenced != nil {
			onFenced()
		}
	}
	return receipt, err
}

// setOnFenced sets the function that is called when the store refuses a write; nil for none.
func (a *termStore) setOnFenced(onFenced func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.onFenced = onFenced
}
