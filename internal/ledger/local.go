package ledger

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Journal keeps the changes of organizations somewhere that outlives the process. Its methods are called one at a time.
type Journal interface {
	// Load gives the state that was kept, an empty one of an organization that is new.
	Load(ctx context.Context, org string) (*State, error)
	// Append keeps a change that state is about to make. After an error it is unknown whether it was kept.
	Append(ctx context.Context, org string, c Change, state *State) error
}

// Local is a store in this process, with a journal or without. It cannot fence other processes out.
type Local struct {
	journal   Journal
	maxSeries int

	mu   sync.Mutex
	orgs map[string]*localOrg
}

// localOrg is an organization's state and those who follow it.
type localOrg struct {
	state *State // nil until it is loaded, and after a write of which nobody knows whether it was made
	feed  Feed
	// fence and series are what the state knew last: neither leadership nor the budget waits for it to be loaded again.
	fence  uint64
	series int
}

// drop forgets the state; the followers begin again with a snapshot of what will be loaded.
func (o *localOrg) drop() {
	o.fence, o.series = o.state.fence, o.state.NumSeries()
	o.state = nil
	o.feed.restart()
}

// NewLocal makes a store. journal may be nil; maxSeries bounds the series of all organizations together, 0 does not.
func NewLocal(journal Journal, maxSeries int) *Local {
	return &Local{journal: journal, maxSeries: maxSeries, orgs: make(map[string]*localOrg)}
}

// Commit implements Store.
func (l *Local) Commit(ctx context.Context, fence uint64, b Batch) (Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org, err := l.org(ctx, b.Org)
	if err != nil {
		return Receipt{}, err
	}
	change, receipt, err := org.state.Plan(fence, &b, l.room())
	if err != nil {
		return Receipt{}, err
	}
	return receipt, l.make(ctx, b.Org, org, change)
}

// Prune implements Store.
func (l *Local) Prune(ctx context.Context, name string, before time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	org, err := l.org(ctx, name)
	if err != nil {
		return err
	}
	change, needless := org.state.PlanPrune(before)
	if needless {
		return nil
	}
	return l.make(ctx, name, org, change)
}

// make keeps a change, applies it and tells it. When it is unknown whether it was kept, the state in memory is dropped:
// it is loaded again as it was kept, and the followers get it as a new snapshot.
func (l *Local) make(ctx context.Context, name string, org *localOrg, change Change) error {
	if l.journal != nil {
		if err := l.journal.Append(ctx, key(name), change, org.state); err != nil {
			org.drop()
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
	org, err := l.org(ctx, name)
	if err != nil {
		return Coverage{}, err
	}
	return org.state.Coverage(), nil
}

// ReadEntries implements Store.
func (l *Local) ReadEntries(ctx context.Context, name string, keys []EntryKey) (map[EntryKey]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org, err := l.org(ctx, name)
	if err != nil {
		return nil, err
	}
	found := make(map[EntryKey]Entry)
	for _, key := range keys {
		if sample, ok := org.state.samples[key]; ok {
			found[key] = sample
		}
	}
	return found, nil
}

// Follow implements Store.
func (l *Local) Follow(ctx context.Context, name string, apply func(Change) error) error {
	return l.named(name).feed.Follow(ctx, func(subscribe func()) ([]Change, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		org, err := l.org(ctx, name)
		if err != nil {
			return nil, err
		}
		subscribe()
		return org.state.Snapshot(), nil
	}, apply)
}

// ReplaceState makes a state the organization's. Its followers begin again with a snapshot. It is for stores without a journal
// that mirror another one; the state is the store's from now on.
func (l *Local) ReplaceState(name string, state *State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org := l.entry(name)
	if org.state != nil {
		state.fence = max(state.fence, org.state.fence)
	}
	org.state = state
	org.feed.restart()
}

// ApplyChange applies a change that another store has made, and tells it to the followers.
func (l *Local) ApplyChange(name string, c Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org := l.entry(name)
	if org.state == nil {
		org.state = NewState()
	}
	org.state.Apply(&c)
	org.feed.Publish(c)
}

// Sizes is how many series and events an organization has; none when it has not been loaded.
func (l *Local) Sizes(name string) (series, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	org := l.orgs[key(name)]
	if org == nil || org.state == nil {
		return 0, 0
	}
	return org.state.NumSeries(), org.state.NumEvents()
}

func (l *Local) named(name string) *localOrg {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entry(name)
}

func (l *Local) entry(name string) *localOrg {
	org := l.orgs[key(name)]
	if org == nil {
		org = &localOrg{}
		l.orgs[key(name)] = org
	}
	return org
}

// org is an organization with its state.
func (l *Local) org(ctx context.Context, name string) (*localOrg, error) {
	org := l.entry(name)
	if org.state != nil {
		return org, nil
	}
	if l.journal == nil {
		org.state = NewState()
		return org, nil
	}
	state, err := l.journal.Load(ctx, key(name))
	if err != nil {
		return nil, err
	}
	state.fence = max(state.fence, org.fence)
	org.state = state
	return org, nil
}

// size is how many series the organization has, or had when its state was dropped.
func (o *localOrg) size() int {
	if o.state == nil {
		return o.series
	}
	return o.state.NumSeries()
}

// room is how many more series there may be.
func (l *Local) room() int {
	if l.maxSeries <= 0 {
		return int(^uint(0) >> 1)
	}
	room := l.maxSeries
	for _, org := range l.orgs {
		room -= org.size()
	}
	return max(0, room)
}

// key is the same for two spellings of an organization's login: GitHub ignores case.
func key(org string) string { return strings.ToLower(org) }
