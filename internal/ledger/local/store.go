// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Journal stores the changes of organizations durably. Its calls for one organization come one at a time; those for
// different organizations are concurrent.
type Journal interface {
	// Load returns the stored state, an empty one of an organization that has none.
	Load(ctx context.Context, org string) (*State, error)
	// Append stores a change before it is applied to state, which it must not keep. After an error it is unknown
	// whether the change was stored.
	Append(ctx context.Context, org string, c ledger.Change, state *State) error
}

// Store is a ledger.Store in this process, with a journal or without. It cannot fence other processes out.
//
// Each organization has a lock of its own, which is held while its journal works, so that a slow write holds up nothing
// but the calls for that organization. No call holds the locks of two organizations. The other locks (of the list of
// organizations, the series budget and a feed) are taken after an organization's, or alone, and nothing is locked and
// no I/O is done while one of them is held. So there is no circle of waiting calls.
type Store struct {
	journal Journal
	series  seriesBudget

	mu   sync.Mutex // guards orgs
	orgs map[string]*organization
}

// organization is the state of one organization with its followers.
type organization struct {
	feed feed
	// sizes has the numbers of series and events of the state, for readers that do not wait for the journal.
	sizes atomic.Pointer[sizes]

	mu     sync.Mutex
	state  *State // nil until it is loaded, and after a write whose result is unknown
	fence  uint64 // of the last state that was loaded: leadership does not wait until it is loaded again
	series budgetShare
}

// sizes are the numbers of series and events of an organization.
type sizes struct{ series, events int }

// New returns a store. journal may be nil; maxSeries bounds the series of all organizations together, 0 means no bound.
func New(journal Journal, maxSeries int) *Store {
	return &Store{
		journal: journal, series: seriesBudget{limit: maxSeries}, orgs: make(map[string]*organization),
	}
}

// Commit implements ledger.Store.
func (s *Store) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	org, err := s.lockLoaded(ctx, b.Org)
	if err != nil {
		return ledger.Receipt{}, err
	}
	defer org.mu.Unlock()
	reserve := func() bool { return s.series.reserve(&org.series) }
	change, receipt, err := org.state.Plan(fence, &b, reserve)
	if err != nil {
		return ledger.Receipt{}, err
	}
	return receipt, s.appendAndApply(ctx, b.Org, org, change)
}

// Prune implements ledger.Store.
func (s *Store) Prune(ctx context.Context, name string, before time.Time) error {
	org, err := s.lockLoaded(ctx, name)
	if err != nil {
		return err
	}
	defer org.mu.Unlock()
	change, needless := org.state.PlanPrune(before)
	if needless {
		return nil
	}
	return s.appendAndApply(ctx, name, org, change)
}

// appendAndApply stores a change, applies it and publishes it. When it is unknown whether the change was stored, the
// state in memory is dropped: the journal's is loaded, and followers start over with its snapshot. The caller holds the
// organization's lock.
func (s *Store) appendAndApply(ctx context.Context, name string, org *organization, change ledger.Change) error {
	if s.journal != nil {
		if err := s.journal.Append(ctx, orgKey(name), change, org.state); err != nil {
			s.unload(org)
			return err
		}
	}
	org.state.Apply(&change)
	s.updateSizes(org)
	org.feed.publish(change)
	return nil
}

// unload drops the state of an organization, which keeps its fence and its part of the series budget. The followers
// start over with a snapshot of the state that is loaded next.
func (s *Store) unload(org *organization) {
	s.updateSizes(org)
	org.fence, org.state = org.state.fence, nil
	org.sizes.Store(nil)
	org.feed.restartFollowers()
}

// updateSizes records the sizes of a state that was loaded or has changed.
func (s *Store) updateSizes(org *organization) {
	series := org.state.NumSeries()
	s.series.set(&org.series, series)
	org.sizes.Store(&sizes{series: series, events: org.state.NumEvents()})
}

// Coverage implements ledger.Store.
func (s *Store) Coverage(ctx context.Context, name string) (ledger.Coverage, error) {
	org, err := s.lockLoaded(ctx, name)
	if err != nil {
		return ledger.Coverage{}, err
	}
	defer org.mu.Unlock()
	return org.state.Coverage(), nil
}

// ReadEntries implements ledger.Store.
func (s *Store) ReadEntries(
	ctx context.Context, name string, keys []ledger.EntryKey,
) (map[ledger.EntryKey]ledger.Entry, error) {
	org, err := s.lockLoaded(ctx, name)
	if err != nil {
		return nil, err
	}
	defer org.mu.Unlock()
	found := make(map[ledger.EntryKey]ledger.Entry)
	for _, key := range keys {
		if entry, ok := org.state.entries[key]; ok {
			found[key] = entry
		}
	}
	return found, nil
}

// Follow implements ledger.Store.
func (s *Store) Follow(ctx context.Context, name string, apply func(ledger.Change) error) error {
	return s.organization(name).feed.follow(ctx, func(subscribe func()) ([]ledger.Change, error) {
		org, err := s.lockLoaded(ctx, name)
		if err != nil {
			return nil, err
		}
		defer org.mu.Unlock()
		subscribe()
		return org.state.Snapshot(), nil
	}, apply)
}

// ReplaceState sets the organization's state, which the store owns from now on. Its followers start over with a
// snapshot. It is for stores without a journal that mirror another store.
func (s *Store) ReplaceState(name string, state *State) {
	org := s.organization(name)
	org.mu.Lock()
	defer org.mu.Unlock()
	if org.state != nil {
		state.fence = max(state.fence, org.state.fence)
	}
	org.state = state
	s.updateSizes(org)
	org.feed.restartFollowers()
}

// ApplyChange applies a change that another store has made, and publishes it.
func (s *Store) ApplyChange(name string, c ledger.Change) {
	org := s.organization(name)
	org.mu.Lock()
	defer org.mu.Unlock()
	if org.state == nil {
		org.state = NewState()
	}
	org.state.Apply(&c)
	s.updateSizes(org)
	org.feed.publish(c)
}

// Sizes returns the numbers of series and events of an organization; zeros when it is not loaded. It waits for no
// write.
func (s *Store) Sizes(name string) (series, events int) {
	if n := s.organization(name).sizes.Load(); n != nil {
		return n.series, n.events
	}
	return 0, 0
}

// organization returns an organization, without its lock.
func (s *Store) organization(name string) *organization {
	s.mu.Lock()
	defer s.mu.Unlock()
	org := s.orgs[orgKey(name)]
	if org == nil {
		org = &organization{}
		s.orgs[orgKey(name)] = org
	}
	return org
}

// lockLoaded returns an organization with its state, locked. After an error it is not locked.
func (s *Store) lockLoaded(ctx context.Context, name string) (*organization, error) {
	org := s.organization(name)
	org.mu.Lock()
	if err := s.load(ctx, name, org); err != nil {
		org.mu.Unlock()
		return nil, err
	}
	return org, nil
}

// load loads the state of an organization that has none. The caller holds the organization's lock.
func (s *Store) load(ctx context.Context, name string, org *organization) error {
	if org.state != nil {
		return nil
	}
	state := NewState()
	if s.journal != nil {
		var err error
		if state, err = s.journal.Load(ctx, orgKey(name)); err != nil {
			return err
		}
	}
	state.fence = max(state.fence, org.fence)
	org.state = state
	s.updateSizes(org)
	return nil
}

// orgKey returns the same key for all spellings of an organization's login: GitHub ignores case.
func orgKey(org string) string { return strings.ToLower(org) }
