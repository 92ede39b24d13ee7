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
	// standbyLogDelay is the wait before a refused write is logged: the term may be about to end, as after a pause of
	// the process.
	standbyLogDelay = 2 * time.Second
)

// leaderHandover orders the terms of leaders of one organization that hold leases of different names: before a term it
// acquires the lease of the former leader, and while another election leads it stands by. It belongs to the goroutine
// of the term.
type leaderHandover struct {
	org    string
	lease  orgLease
	store  ledger.Store
	watch  *leaderWatch
	logger *zap.Logger
}

// awaitFormerLease acquires the lease under which the organization was led before, where it has another name: its
// leader may be of the release before, or have another set of organizations. The lease is held for the term. When it
// cannot be acquired and no leader of the organization writes, the term starts without it. It returns the newer fence
// of both leases.
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

// findFormerLease returns the lease under which the organization was led last; nil when that is this replica's own, or
// the organization was never read. It retries until the store responds or ctx ends.
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

// readFormerLease reads from the store what findFormerLease returns.
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

// findUnrecordedLeader returns the lease of a leader that came after the recorded one and does not record itself, as in
// the release before; nil when there is none. It commits an empty batch under the recorded fence, which the store
// refuses after such a leader.
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

// standBy waits while another election leads the organization: the store refused a write of this replica, whose own
// lease is valid. It returns errNewTerm when the other leader has written nothing for silenceLimit, or has released its
// lease, where the name of that is known; otherwise the cause of ctx.
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

// awaitRelease begins to campaign for the lease under which the other leader leads, where its name is known. It returns
// a channel that is closed when that lease was released; nil when the other leader does not hold it.
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

// formerLeases are the leases of former leaders that a term holds beside its own: replicas of the release before, or
// with another set of organizations, wait for those. Organizations with the same former leader share one. It is safe
// for concurrent use.
type formerLeases struct {
	elector leaseElection
	// releaseEarly says that a lease is released as soon as the fence is published: with leadership: org the
	// organizations of other replicas may wait for the same one.
	releaseEarly bool
	ctx          context.Context //nolint:containedctx // of the term, and of what ends it
	cancel       context.CancelFunc

	mu    sync.Mutex
	held  map[string]*formerLease
	tasks sync.WaitGroup
}

// formerLease is a lease of a former leader.
type formerLease struct {
	// acquired is closed when the lease was acquired first; fence is the fence of that term.
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

// acquire begins to campaign for a lease, once for each name, and returns it at once.
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

// fencePublished releases the leases if they are not needed once the fence of an organization is published.
func (f *formerLeases) fencePublished() {
	if f.releaseEarly {
		f.cancel()
	}
}

// release releases all leases and waits until they are released.
func (f *formerLeases) release() {
	f.cancel()
	f.tasks.Wait()
}
