// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// storeRetryInterval is the wait before a new leader tries again to read or write the store.
const storeRetryInterval = time.Second

// entryLeader is the entry that records which lease leads an organization. Each term writes it with its first commit,
// and a leader that has nothing else to write repeats it. Its data is a leaderRecord.
var entryLeader = ledger.EntryKey{Name: ledger.EntryLeader}

// leaderRecord is the data of entryLeader, in JSON.
type leaderRecord struct {
	Lease    string `json:"lease"`
	Identity string `json:"identity"`
	// Fence is the fence of the term: a leader that does not record itself has a newer one.
	Fence uint64 `json:"fence,string"`
}

// maxLeaderField bounds the texts of a leaderRecord in bytes.
const maxLeaderField = 512

// leaderEntry returns the entry with the record of a leader, observed at a time.
func leaderEntry(record leaderRecord, at time.Time) (ledger.Entry, error) {
	data, err := json.Marshal(record)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("encode the leader: %w", err)
	}
	return ledger.Entry{EntryKey: entryLeader, Data: data, Observed: at}, nil
}

// decodeLeader decodes the data of entryLeader. Its errors wrap ledger.ErrCorrupt.
func decodeLeader(data []byte) (leaderRecord, error) {
	var record leaderRecord
	if err := json.Unmarshal(data, &record); err != nil {
		return leaderRecord{}, fmt.Errorf("%w: the leader: %w", ledger.ErrCorrupt, err)
	}
	if len(record.Lease) > maxLeaderField || len(record.Identity) > maxLeaderField {
		return leaderRecord{}, fmt.Errorf("%w: the leader: a text of more than %d bytes", ledger.ErrCorrupt,
			maxLeaderField)
	}
	return record, nil
}

// fencePublisher commits the fence of a term to the ledger of an organization, with the record of the leader.
type fencePublisher struct {
	org      string
	lease    orgLease
	store    ledger.Store
	view     *ledgerview.View
	watch    *leaderWatch
	watchdog *watchdog
	logger   *zap.Logger
}

// fenceBatch returns a batch without events whose commit publishes the fence, and which records the lease where leaders
// are elected.
func (p *fencePublisher) fenceBatch(fence uint64, now time.Time) ledger.Batch {
	b := ledger.Batch{Org: p.org, Observed: now}
	if !p.lease.elected {
		return b
	}
	if last, ok := p.view.Entry(entryLeader); ok && last.Observed.After(now) {
		now = last.Observed // the newest observation wins, and the other clock may be fast
	}
	entry, err := leaderEntry(leaderRecord{Lease: p.lease.name, Identity: p.lease.identity, Fence: fence}, now)
	if err != nil {
		p.logger.Debug("Failed to record the leader.", zap.Error(err)) // cannot be: it has plain texts
		return b
	}
	b.Entries = []ledger.Entry{entry}
	return b
}

// publish commits the first batch of a term: from then on the store refuses writes of earlier terms. It retries until
// the store responds or ctx ends; an ErrFenced ends it, too.
func (p *fencePublisher) publish(ctx context.Context, fence uint64) error {
	for tries := 0; ; tries++ {
		_, err := p.store.Commit(ctx, fence, p.fenceBatch(fence, time.Now()))
		if err == nil || errors.Is(err, ledger.ErrFenced) || ctx.Err() != nil {
			return err
		}
		if tries == 0 {
			p.logger.Warn("Failed to publish the new leader's fence; retrying.", zap.Error(err))
		}
		_ = wakeup.Sleep(ctx, storeRetryInterval)
	}
}

// repeat commits the record of the leader again when this replica has written nothing for half of silenceLimit, as
// while a rate limit holds up its passes. It stops while the watchdog reports the pass loop as stuck, so that the
// others notice.
func (p *fencePublisher) repeat(ctx context.Context, fence uint64) {
	for ctx.Err() == nil {
		rest := p.watch.silenceLimit()/2 - p.watch.silentFor(time.Now())
		if rest > 0 {
			_ = wakeup.Sleep(ctx, rest)
			continue
		}
		if now := time.Now(); p.watchdog.stuckError(now) == nil {
			if _, err := p.store.Commit(ctx, fence, p.fenceBatch(fence, now)); err != nil && ctx.Err() == nil {
				p.logger.Debug("Failed to record that this replica leads; will retry.", zap.Error(err))
			}
		}
		_ = wakeup.Sleep(ctx, p.watch.silenceLimit()/8)
	}
}
