// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Journal stores the changes of organizations durably. Its methods are called one at a time.
type Journal interface {
	// Load returns the stored state, an empty one of an organization that has none.
	Load(ctx context.Context, org string) (*State, error)
	// Append stores a change before it is applied to state. After an error it is unknown whether the change was stored.
	Append(ctx context.Context, org string, c ledger.Change, state *State) error
}

// Store is a store in this process, with a journal or without. It cannot fence other processes out.
type Store struct {
	journal   Journal
	maxSeries int

	mu   sync.Mutex
	orgs map[string]*organization
}

// organization is an organization's state with its followers.
type organization struct {
	state *State // nil until it is loaded, and after a write whose result is unknown
	feed  feed
	// fence and series are those of the last state that was loaded: neither leadership nor the series budget waits
	// until the state is loaded again.
	fence  uint64
	series int
}

// unload drops the state; the followers start over with a snapshot of the state that is loaded next.
func (o *organization) unload() {
	o.fence, o.series = o.state.fence, o.state.NumSeries()
	o.state = nil
	o.feed.restartFollowers()
}

// New returns a store. journal may be nil; maxSeries bounds the series of all organizations together, 0 means no
// bound.
func New(journal Journal, maxSeries int) *Store {
	return &Store{journal: journal, maxSeries: maxSeries, orgs: make(map[string]*organization)}
}

// Commit implements Store.
func (l *Store) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org, err := l.loadedOrg(ctx, b.Org)
	if err != nil {
		return ledger.Receipt{}, err
	}
	change, receipt, err := org.state.Plan(fence, &b, l.seriesRoom())
	if err != nil {
		return ledger.Receipt{}, err
	}
	return receipt, l.appendAndApply(ctx, b.Org, org, change)
}

// Prune implements Store.
func (l *Store) Prune(ctx context.Context, name string, before time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	org, err := l.loadedOrg(ctx, name)
	if err != nil {
		return err
	}
	change, needless := org.state.PlanPrune(before)
	if needless {
		return nil
	}
	return l.appendAndApply(ctx, name, org, change)
}

// appendAndApply stores a change, applies it and publishes it. When it is unknown whether the change was stored, the
// state in memory is dropped: the journal's is loaded, and followers start over with its snapshot.
func (l *Store) appendAndApply(ctx context.Context, name string, org *organization, change ledger.Change) error {
	if l.journal != nil {
		if err := l.journal.Append(ctx, orgKey(name), change, org.state); err != nil {
			org.unload()
			return err
		}
	}
	org.state.Apply(&change)
	org.feed.publish(change)
	return nil
}

// Coverage implements Store.
func (l *Store) Coverage(ctx context.Context, name string) (ledger.Coverage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org, err := l.loadedOrg(ctx, name)
	if err != nil {
		return ledger.Coverage{}, err
	}
	return org.state.Coverage(), nil
}

// ReadEntries implements Store.
func (l *Store) ReadEntries(
	ctx context.Context, name string, keys []ledger.EntryKey,
) (map[ledger.EntryKey]ledger.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org, err := l.loadedOrg(ctx, name)
	if err != nil {
		return nil, err
	}
	found := make(map[ledger.EntryKey]ledger.Entry)
	for _, key := range keys {
		if entry, ok := org.state.entries[key]; ok {
			found[key] = entry
		}
	}
	return found, nil
}

// Follow implements Store.
func (l *Store) Follow(ctx context.Context, name string, apply func(ledger.Change) error) error {
	return l.org(name).feed.follow(ctx, func(subscribe func()) ([]ledger.Change, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		org, err := l.loadedOrg(ctx, name)
		if err != nil {
			return nil, err
		}
		subscribe()
		return org.state.Snapshot(), nil
	}, apply)
}

// ReplaceState sets the organization's state, which the store owns from now on. Its followers start over with a
// snapshot. It is for stores without a journal that mirror another store.
func (l *Store) ReplaceState(name string, state *State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org := l.orgLocked(name)
	if org.state != nil {
		state.fence = max(state.fence, org.state.fence)
	}
	org.state = state
	org.feed.restartFollowers()
}

// ApplyChange applies a change that another store has made, and publishes it.
func (l *Store) ApplyChange(name string, c ledger.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org := l.orgLocked(name)
	if org.state == nil {
		org.state = NewState()
	}
	org.state.Apply(&c)
	org.feed.publish(c)
}

// Sizes returns the numbers of series and events of an organization; zeros when it has not been loaded.
func (l *Store) Sizes(name string) (series, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org := l.orgs[orgKey(name)]
	if org == nil || org.state == nil {
		return 0, 0
	}
	return org.state.NumSeries(), org.state.NumEvents()
}

func (l *Store) org(name string) *organization {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.orgLocked(name)
}

func (l *Store) orgLocked(name string) *organization {
	org := l.orgs[orgKey(name)]
	if org == nil {
		org = &organization{}
		l.orgs[orgKey(name)] = org
	}
	return org
}

// loadedOrg returns an organization with its state.
func (l *Store) loadedOrg(ctx context.Context, name string) (*organization, error) {
	org := l.orgLocked(name)
	if org.state != nil {
		return org, nil
	}
	if l.journal == nil {
		org.state = NewState()
		return org, nil
	}
	state, err := l.journal.Load(ctx, orgKey(name))
	if err != nil {
		return nil, err
	}
	state.fence = max(state.fence, org.fence)
	org.state = state
	return org, nil
}

// numSeries returns the number of series that the organization has, or had when its state was dropped.
func (o *organization) numSeries() int {
	if o.state == nil {
		return o.series
	}
	return o.state.NumSeries()
}

// seriesRoom returns how many more series there may be.
func (l *Store) seriesRoom() int {
	if l.maxSeries <= 0 {
		return int(^uint(0) >> 1)
	}
	room := l.maxSeries
	for _, org := range l.orgs {
		room -= org.numSeries()
	}
	return max(0, room)
}

// orgKey returns the same key for all spellings of an organization's login: GitHub ignores case.
func orgKey(org string) string { return strings.ToLower(org) }
