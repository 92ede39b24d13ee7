// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Journal stores the changes of organizations durably. Its methods are called one at a time.
type Journal interface {
	// Load returns the stored state, an empty one of an organization that has none.
	Load(ctx context.Context, org string) (*State, error)
	// Append stores a change before it is applied to state. After an error it is unknown whether the change was stored.
	Append(ctx context.Context, org string, c Change, state *State) error
}

// Local is a store in this process, with a journal or without. It cannot fence other processes out.
type Local struct {
	journal   Journal
	maxSeries int

	mu   sync.Mutex
	orgs map[string]*localOrg
}

// localOrg is an organization's state with its followers.
type localOrg struct {
	state *State // nil until it is loaded, and after a write whose result is unknown
	feed  Feed
	// fence and series are those of the last state that was loaded: neither leadership nor the series budget waits
	// until the state is loaded again.
	fence  uint64
	series int
}

// unload drops the state; the followers start over with a snapshot of the state that is loaded next.
func (o *localOrg) unload() {
	o.fence, o.series = o.state.fence, o.state.NumSeries()
	o.state = nil
	o.feed.restartFollowers()
}

// NewLocal returns a store. journal may be nil; maxSeries bounds the series of all organizations together, 0 means no
// bound.
func NewLocal(journal Journal, maxSeries int) *Local {
	return &Local{journal: journal, maxSeries: maxSeries, orgs: make(map[string]*localOrg)}
}

// Commit implements Store.
func (l *Local) Commit(ctx context.Context, fence uint64, b Batch) (Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org, err := l.loadedOrg(ctx, b.Org)
	if err != nil {
		return Receipt{}, err
	}
	change, receipt, err := org.state.Plan(fence, &b, l.seriesRoom())
	if err != nil {
		return Receipt{}, err
	}
	return receipt, l.appendAndApply(ctx, b.Org, org, change)
}

// Prune implements Store.
func (l *Local) Prune(ctx context.Context, name string, before time.Time) error {
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
func (l *Local) appendAndApply(ctx context.Context, name string, org *localOrg, change Change) error {
	if l.journal != nil {
		if err := l.journal.Append(ctx, orgKey(name), change, org.state); err != nil {
			org.unload()
			return err
		}
	}
	org.state.Apply(&change)
	org.feed.Publish(change)
	return nil
}

// Coverage implements Store.
func (l *Local) Coverage(ctx context.Context, name string) (Coverage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org, err := l.loadedOrg(ctx, name)
	if err != nil {
		return Coverage{}, err
	}
	return org.state.Coverage(), nil
}

// ReadEntries implements Store.
func (l *Local) ReadEntries(ctx context.Context, name string, keys []EntryKey) (map[EntryKey]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org, err := l.loadedOrg(ctx, name)
	if err != nil {
		return nil, err
	}
	found := make(map[EntryKey]Entry)
	for _, key := range keys {
		if entry, ok := org.state.entries[key]; ok {
			found[key] = entry
		}
	}
	return found, nil
}

// Follow implements Store.
func (l *Local) Follow(ctx context.Context, name string, apply func(Change) error) error {
	return l.org(name).feed.Follow(ctx, func(subscribe func()) ([]Change, error) {
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
func (l *Local) ReplaceState(name string, state *State) {
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
func (l *Local) ApplyChange(name string, c Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org := l.orgLocked(name)
	if org.state == nil {
		org.state = NewState()
	}
	org.state.Apply(&c)
	org.feed.Publish(c)
}

// Sizes returns the numbers of series and events of an organization; zeros when it has not been loaded.
func (l *Local) Sizes(name string) (series, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org := l.orgs[orgKey(name)]
	if org == nil || org.state == nil {
		return 0, 0
	}
	return org.state.NumSeries(), org.state.NumEvents()
}

func (l *Local) org(name string) *localOrg {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.orgLocked(name)
}

func (l *Local) orgLocked(name string) *localOrg {
	org := l.orgs[orgKey(name)]
	if org == nil {
		org = &localOrg{}
		l.orgs[orgKey(name)] = org
	}
	return org
}

// loadedOrg returns an organization with its state.
func (l *Local) loadedOrg(ctx context.Context, name string) (*localOrg, error) {
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
func (o *localOrg) numSeries() int {
	if o.state == nil {
		return o.series
	}
	return o.state.NumSeries()
}

// seriesRoom returns how many more series there may be.
func (l *Local) seriesRoom() int {
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
