// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package fallback is a ledger.Store that continues in memory while the shared store is unreachable. It always mirrors
// the shared store, so that no sum decreases in an outage. Batches that are committed in an outage are replayed to the
// shared store afterwards, which is safe because recording is a set union.
package fallback

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/local"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

const (
	// pingInterval is the time between two pings of the shared store, pingTimeout the time limit of each.
	pingInterval = 2 * time.Second
	pingTimeout  = 2 * time.Second
	// outageFailures is the number of failed pings in a row that make an outage.
	outageFailures = 3
	// maxPendingEvents limits the events that wait for the shared store. Those beyond it are read from GitHub again.
	maxPendingEvents = 1_000_000
)

// errRecovered is the error of a commit during which the outage ended. Another attempt succeeds.
var errRecovered = errors.New("the shared store is reachable again: retry the commit")

// Shared is the store that all replicas share. Ping returns an error when it is unreachable.
type Shared interface {
	ledger.Store
	Ping(ctx context.Context) error
}

// Store is a ledger.Store over a shared one. It is safe for concurrent use. Close stops its goroutines.
type Store struct {
	shared   Shared
	mirror   *local.Store
	onChange func(degraded bool)
	cancel   context.CancelFunc
	tasks    sync.WaitGroup

	mu            sync.Mutex
	degraded      bool
	pending       []ledger.Batch // batches of the outage, in order
	pendingEvents int            // number of their events
	overflowed    bool           // whether a batch of the outage was dropped
	orgs          map[string]*mirroredOrg
	basis         map[string]string // of the last coverage that the shared store returned, by organization
}

// mirroredOrg is the progress of mirroring an organization.
type mirroredOrg struct {
	ready chan struct{} // closed when the mirror has a snapshot, or an outage has started
	once  sync.Once
}

// markReady lets followers of the organization start. It may be called more than once.
func (m *mirroredOrg) markReady() { m.once.Do(func() { close(m.ready) }) }

var _ ledger.Store = (*Store)(nil)

// New returns a store over a shared one, and starts to mirror the organizations. maxSeries limits the series of the
// mirror, as local.New does. onChange is called at the start and at the end of each outage, never concurrently.
func New(shared Shared, orgs []string, maxSeries int, onChange func(degraded bool)) *Store {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Store{
		shared: shared, mirror: local.New(nil, maxSeries), onChange: onChange, cancel: cancel,
		orgs:  make(map[string]*mirroredOrg),
		basis: make(map[string]string),
	}
	for _, org := range orgs {
		s.orgs[org] = &mirroredOrg{ready: make(chan struct{})}
	}
	s.tasks.Go(func() { s.supervise(ctx) })
	return s
}

// Close stops the mirroring and waits for its end. The caller closes the shared store.
func (s *Store) Close() {
	s.cancel()
	s.tasks.Wait()
}

// IsDegraded reports whether the store works in memory because of an outage.
func (s *Store) IsDegraded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.degraded
}

// supervise mirrors the organizations between outages, and replays the pending batches after each, until ctx ends.
func (s *Store) supervise(ctx context.Context) {
	for ctx.Err() == nil {
		mirroring, stop := context.WithCancel(ctx)
		var following sync.WaitGroup
		for org, m := range s.orgs {
			following.Go(func() { s.mirrorOrg(mirroring, org, m) })
		}
		s.awaitOutage(ctx)
		stop()
		following.Wait()
		if ctx.Err() != nil {
			return
		}
		s.enterDegraded()
		for ctx.Err() == nil && !s.replayPending(ctx) {
			_ = wakeup.Sleep(ctx, pingInterval) // the loop checks ctx
		}
	}
}

// awaitOutage returns when enough pings in a row have failed, or when ctx ends.
func (s *Store) awaitOutage(ctx context.Context) {
	for failed := 0; failed < outageFailures; {
		_ = wakeup.Sleep(ctx, pingInterval) // checked after the ping
		switch err := s.ping(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			failed++
		default:
			failed = 0
		}
	}
}

// ping returns an error unless the shared store answers within pingTimeout.
func (s *Store) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return s.shared.Ping(ctx)
}

// mirrorOrg mirrors an organization until ctx ends. A snapshot replaces the mirror's state when it is complete.
func (s *Store) mirrorOrg(ctx context.Context, org string, m *mirroredOrg) {
	var snapshot *local.State
	_ = s.shared.Follow(ctx, org, func(c ledger.Change) error { // returns when ctx ends
		if c.Reset {
			snapshot = local.NewState()
		}
		if snapshot == nil {
			s.mirror.ApplyChange(org, c)
			return nil
		}
		snapshot.Apply(&c)
		if c.CaughtUp {
			s.mirror.ReplaceState(org, snapshot)
			snapshot = nil
			m.markReady()
		}
		return nil
	})
}

// enterDegraded starts to work in memory, with what the mirror has.
func (s *Store) enterDegraded() {
	s.mu.Lock()
	s.degraded = true
	for _, m := range s.orgs {
		m.markReady()
	}
	s.mu.Unlock()
	s.onChange(true)
}

// replayPending commits the pending batches to the shared store. It ends the outage and returns true when all are
// committed; the lock excludes a commit to the mirror between the last batch and the end of the outage.
func (s *Store) replayPending(ctx context.Context) bool {
	if s.ping(ctx) != nil {
		return false
	}
	for {
		s.mu.Lock()
		if len(s.pending) == 0 {
			s.degraded, s.overflowed, s.pendingEvents = false, false, 0
			s.mu.Unlock()
			s.onChange(false)
			return true
		}
		next := s.pending[0]
		s.mu.Unlock()
		_, err := s.shared.Commit(ctx, 0, next)
		if errors.Is(err, ledger.ErrReplaced) { // its progress depends on lost writes: only the events are valid
			events := ledger.Batch{Org: next.Org, Observed: next.Observed, Events: next.Events, Tallies: next.Tallies}
			_, err = s.shared.Commit(ctx, 0, events)
		}
		if err != nil && !errors.Is(err, ledger.ErrInvalid) {
			return false
		}
		s.mu.Lock()
		s.pending = s.pending[1:]
		s.mu.Unlock()
	}
}

// Commit implements ledger.Store.
func (s *Store) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	if !s.IsDegraded() {
		return s.shared.Commit(ctx, fence, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The lock orders the commits of an outage, and excludes the end of the outage. It is held over no I/O: the mirror
	// is in memory.
	if !s.degraded { // the outage has ended after the first check
		return ledger.Receipt{}, errRecovered
	}
	receipt, err := s.mirror.Commit(ctx, fence, b)
	if err == nil {
		s.appendPending(b)
	}
	return receipt, err
}

// appendPending adds a batch to those for the shared store. After a batch that exceeds the limit it adds none: each
// depends on those before it. The caller holds the lock.
func (s *Store) appendPending(b ledger.Batch) {
	s.overflowed = s.overflowed || s.pendingEvents+len(b.Events) > maxPendingEvents
	if s.overflowed {
		return
	}
	s.pendingEvents += len(b.Events)
	s.pending = append(s.pending, b)
}

// Coverage implements ledger.Store. In an outage its basis is that of the last coverage of the shared store.
func (s *Store) Coverage(ctx context.Context, org string) (ledger.Coverage, error) {
	store := ledger.Store(s.shared)
	degraded := s.IsDegraded()
	if degraded {
		store = s.mirror
	}
	cov, err := store.Coverage(ctx, org)
	s.mu.Lock()
	defer s.mu.Unlock()
	if degraded {
		cov.Basis = s.basis[org]
	} else if err == nil {
		s.basis[org] = cov.Basis
	}
	return cov, err
}

// ReadEntries implements ledger.Store.
func (s *Store) ReadEntries(ctx context.Context, org string, keys []ledger.EntryKey) (map[ledger.EntryKey]ledger.Entry,
	error,
) {
	if s.IsDegraded() {
		return s.mirror.ReadEntries(ctx, org, keys)
	}
	return s.shared.ReadEntries(ctx, org, keys)
}

// Prune implements ledger.Store.
func (s *Store) Prune(ctx context.Context, org string, before time.Time) error {
	if s.IsDegraded() {
		return s.mirror.Prune(ctx, org, before)
	}
	return s.shared.Prune(ctx, org, before)
}

// Follow implements ledger.Store for the mirrored organizations, and returns an error for others.
func (s *Store) Follow(ctx context.Context, org string, apply func(ledger.Change) error) error {
	m := s.orgs[org]
	if m == nil {
		return fmt.Errorf("organization %s is not mirrored", org)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-m.ready:
	}
	return s.mirror.Follow(ctx, org, apply)
}

// Sizes returns the number of series and of events of an organization in the mirror.
func (s *Store) Sizes(org string) (series, events int) { return s.mirror.Sizes(org) }
