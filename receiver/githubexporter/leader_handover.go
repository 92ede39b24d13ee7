// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

const (
	// standbyLogDelay is the wait before a refusal is logged: the term may be about to end, as after a pause of the
	// process.
	standbyLogDelay = 2 * time.Second
)

// leaderHandover orders the terms of leaders of an organization that do not wait for the same lease: it acquires the
// lease of the former leader before a term, and stands by while another election leads.
type leaderHandover struct {
	org    string
	lease  orgLease
	store  ledger.Store
	watch  *leaderWatch
	logger *zap.Logger
}

// awaitFormerLease waits for the lease under which the organization was led before, where that is another one: its
// leader may be of the version before, or have another set of organizations. It is held for the term. When it is not to
// be had and no leader of the organization writes, the replica leads without it. The fence that it returns is the newer
// one of both leases.
func (h *leaderHandover) awaitFormerLease(ctx context.Context, fence uint64, former *formerLeases) (uint64, error) {
	if !h.lease.hasNames() {
		return fence, nil
	}
	name, err := h.findFormerLease(ctx)
	if err != nil {
		return 0, err
	}
	if name == nil {
		return fence, nil
	}
	h.logger.Info("The organization was led under another lease; acquiring that lease as well.",
		zap.String("lease", h.lease.name), zap.String("former_lease", *name))
	h.watch.setWaitsFor(name)
	defer h.watch.setWaitsFor(nil)
	lease := former.acquire(*name)
	silent := h.watch.awaitSilence(ctx, lease.acquired)
	select {
	case <-lease.acquired:
		return max(fence, lease.fence), nil
	default:
	}
	if !silent {
		return 0, context.Cause(ctx)
	}
	h.logger.Warn("Failed to acquire the former leader's lease, and no leader has written within the silence "+
		"limit; leading without it.",
		zap.String("former_lease", *name), zap.Duration("silent_for", h.watch.silenceLimit()))
	return fence, nil
}

// findFormerLease is the lease under which the organization was led last, nil when it is this replica's own or the
// organization was never read. It asks until the store answers or ctx ends.
func (h *leaderHandover) findFormerLease(ctx context.Context) (*string, error) {
	for tries := 0; ; tries++ {
		name, err := h.readFormerLease(ctx)
		if err == nil || ctx.Err() != nil {
			return name, err
		}
		if tries == 0 {
			h.logger.Warn("Failed to read the last leader from the store; the term starts once the read succeeds.",
				zap.Error(err))
		}
		_ = wakeup.Sleep(ctx, storeRetryInterval)
	}
}

func (h *leaderHandover) readFormerLease(ctx context.Context) (*string, error) {
	entries, err := h.store.ReadEntries(ctx, h.org, []ledger.EntryKey{entryLeader})
	if err != nil {
		return nil, fmt.Errorf("read the last leader: %w", err)
	}
	unrecorded := h.lease.legacyName()
	if entry, ok := entries[entryLeader]; ok {
		record, err := decodeLeader(entry.Data)
		if err == nil && record.Lease != h.lease.name {
			return &record.Lease, nil
		}
		if err == nil {
			return h.findUnrecordedLeader(ctx, &record, unrecorded)
		}
		h.logger.Warn("The record of the last leader is corrupt; acquiring the lease of versions without such a "+
			"record.",
			zap.Error(err))
	}
	if unrecorded == h.lease.name {
		return nil, nil //nolint:nilnil // nil is no other lease
	}
	cov, err := h.store.Coverage(ctx, h.org)
	if err != nil {
		return nil, fmt.Errorf("read the coverage: %w", err)
	}
	if cov.Edge.IsZero() && len(cov.Repos) == 0 {
		return nil, nil //nolint:nilnil // nil is no other lease
	}
	return &unrecorded, nil
}

// findUnrecordedLeader is the lease of a leader that has come after the recorded one and does not record itself, as the
// version before does not; nil when there is none. A batch of nothing under the recorded fence shows it: the store
// refuses it then.
func (h *leaderHandover) findUnrecordedLeader(ctx context.Context, record *leaderRecord, unrecorded string) (*string,
	error,
) {
	if unrecorded == h.lease.name || record.Fence == 0 {
		return nil, nil //nolint:nilnil // nil is no other lease
	}
	_, err := h.store.Commit(ctx, record.Fence, ledger.Batch{Org: h.org, Observed: time.Now()})
	switch {
	case errors.Is(err, ledger.ErrFenced):
		return &unrecorded, nil
	case err != nil:
		return nil, fmt.Errorf("compare the fence of the last leader: %w", err)
	default:
		return nil, nil //nolint:nilnil // nil is no other lease
	}
}

// standBy is for a replica whose writes the store refuses while its own lease is valid: another election has authority
// over the organization. It makes no passes, and ends the term when the other leader has written nothing for a
// while, or has released its lease, where that is known.
func (h *leaderHandover) standBy(ctx context.Context, fence uint64, former *formerLeases) error {
	h.watch.setStandsBy(fence, time.Now())
	defer h.watch.setStandsBy(0, time.Now())
	_ = wakeup.Sleep(ctx, standbyLogDelay)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h.logger.Warn("Another election leads the organization: the store rejects the writes of this replica, which "+
		"stands by until the other leader stops writing.",
		zap.String("lease", h.lease.name), zap.Uint64("fence", fence),
		zap.Duration("retry_after", h.watch.silenceLimit()))
	released := h.awaitRelease(ctx, former)
	h.watch.awaitSilence(ctx, released)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h.logger.Info("The other leader of the organization stopped; starting a new term.")
	return errNewTerm
}

// awaitRelease begins to campaign for the lease under which the other leader leads, where that is known. What it
// returns is closed when the lease was released; it is nil when the other leader does not hold it.
func (h *leaderHandover) awaitRelease(ctx context.Context, former *formerLeases) <-chan struct{} {
	if !h.lease.hasNames() {
		return nil
	}
	name, err := h.readFormerLease(ctx)
	if err != nil || name == nil {
		return nil
	}
	lease := former.acquire(*name)
	_ = wakeup.Sleep(ctx, standbyLogDelay)
	select {
	case <-lease.acquired:
		return nil
	default:
		return lease.acquired
	}
}

// formerLeases are the leases of former leaders that a term holds beside its own: replicas of the version before, or
// with another set of organizations, wait for those. Organizations with the same former leader share one.
type formerLeases struct {
	elector leaseElection
	// releaseEarly says that a lease is released as soon as the organization is claimed: with leadership: org the
	// organizations of other replicas may wait for the same one.
	releaseEarly bool
	ctx          context.Context //nolint:containedctx // of the term, and of what ends it
	cancel       context.CancelFunc

	mu    sync.Mutex
	held  map[string]*formerLease
	tasks sync.WaitGroup
}

// formerLease is one of them.
type formerLease struct {
	// acquired is closed when the lease was acquired first, with fence as its fence.
	acquired chan struct{}
	fence    uint64
}

// newFormerLeases returns an empty set for a term. Acquired leases outlive ctx: they are held until release, or only
// until fencePublished when releaseEarly is set.
func newFormerLeases(ctx context.Context, l *leases) *formerLeases {
	f := &formerLeases{elector: l.elector, releaseEarly: l.divided, held: make(map[string]*formerLease)}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return f
}

// acquire begins to campaign for a lease, once.
func (f *formerLeases) acquire(name string) *formerLease {
	f.mu.Lock()
	defer f.mu.Unlock()
	if lease := f.held[name]; lease != nil {
		return lease
	}
	lease := &formerLease{acquired: make(chan struct{})}
	f.held[name] = lease
	var first sync.Once
	f.tasks.Go(func() {
		// ends with the context only
		_ = f.elector.LeadBeside(f.ctx, name, func(ctx context.Context, fence uint64) error {
			first.Do(func() {
				lease.fence = fence
				close(lease.acquired)
			})
			<-ctx.Done()
			return context.Cause(ctx)
		})
	})
	return lease
}

// fencePublished is called when an organization was claimed.
func (f *formerLeases) fencePublished() {
	if f.releaseEarly {
		f.cancel()
	}
}

// release gives all leases back and waits for it.
func (f *formerLeases) release() {
	f.cancel()
	f.tasks.Wait()
}
