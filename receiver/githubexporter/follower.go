// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// followRetryDelay is the wait after the store could not be followed.
const followRetryDelay = 10 * time.Second

// follower keeps the view of an organization up to date, on every replica. One goroutine runs it.
type follower struct {
	org         string
	store       ledger.Store
	view        *ledgerview.View
	leaderWatch *leaderWatch
	gates       []*termGate
	logger      *zap.Logger
	state       *orgState

	ledgerStart time.Time // of the ledger that is followed; zero before it is known
}

// run applies the changes of the store to the view until ctx ends.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		start := time.Now()
		err := f.store.Follow(ctx, f.org, func(c ledger.Change) error {
			if c.Reset {
				start = time.Now()
			}
			f.logLedgerReset(&c)
			f.leaderWatch.observe(&c, time.Now())
			f.view.Apply(c)
			for _, gate := range f.gates {
				gate.signalViewChange()
			}
			if c.CaughtUp {
				f.state.recordCatchUp(time.Since(start))
			}
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		f.logger.Error("Failed to follow the store; will retry.", zap.Error(err))
		_ = wakeup.Sleep(ctx, followRetryDelay)
	}
}

// logLedgerReset logs a snapshot of another ledger than the one before. The passes read what that one held again.
func (f *follower) logLedgerReset(c *ledger.Change) {
	former := f.ledgerStart
	if c.Reset || !c.LedgerStart.IsZero() {
		f.ledgerStart = c.LedgerStart
	}
	if c.Reset && !former.IsZero() && !former.Equal(c.LedgerStart) {
		f.logger.Warn("Store was reset or replaced; re-reading its contents from GitHub.",
			zap.Time("ledger_start", c.LedgerStart), zap.Time("former_ledger_start", former))
	}
}
