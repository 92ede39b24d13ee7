package ledger

import (
	"context"
	"sync"
)

// feedBacklog is how many changes a follower may be behind before it gets a new snapshot instead.
const feedBacklog = 1024

// Feed hands the changes of one organization to followers in this process. Its zero value is ready.
type Feed struct {
	mu        sync.Mutex
	followers map[*follower]struct{}
}

// follower is one caller of Follow. Its backlog is guarded by the feed's lock.
type follower struct {
	backlog []Change
	lost    bool          // the backlog overflowed: only a snapshot helps
	ready   chan struct{} // holds a token while there is something to take
}

// Publish hands a change to every follower. It never waits for one.
func (f *Feed) Publish(c Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for one := range f.followers {
		if len(one.backlog) >= feedBacklog {
			one.backlog, one.lost = nil, true
		}
		if !one.lost {
			one.backlog = append(one.backlog, c)
		}
		one.wake()
	}
}

// restart makes every follower begin again with a snapshot.
func (f *Feed) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for one := range f.followers {
		one.backlog, one.lost = nil, true
		one.wake()
	}
}

func (one *follower) wake() {
	select {
	case one.ready <- struct{}{}:
	default:
	}
}

// Follow applies a snapshot and then what is published, until ctx ends or apply fails. attach calls its argument under
// the lock that Publish's callers hold, and returns the snapshot of that moment: so nothing is missed and nothing
// comes twice.
func (f *Feed) Follow(ctx context.Context, attach func(subscribe func()) ([]Change, error), apply func(Change) error) error {
	one := &follower{ready: make(chan struct{}, 1)}
	defer f.unsubscribe(one)
	for {
		snapshot, err := attach(func() { f.subscribe(one) })
		if err != nil {
			return err
		}
		for _, c := range snapshot {
			if err := apply(c); err != nil {
				return err
			}
		}
		if err := f.drain(ctx, one, apply); err != nil {
			return err
		}
	}
}

// drain applies what is published; it returns nil when the follower has to start over.
func (f *Feed) drain(ctx context.Context, one *follower, apply func(Change) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-one.ready:
		}
		backlog, lost := f.take(one)
		if lost {
			return nil
		}
		for _, c := range backlog {
			if err := apply(c); err != nil {
				return err
			}
		}
	}
}

func (f *Feed) subscribe(one *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followers == nil {
		f.followers = make(map[*follower]struct{})
	}
	one.backlog, one.lost = nil, false
	f.followers[one] = struct{}{}
}

func (f *Feed) unsubscribe(one *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followers, one)
}

func (f *Feed) take(one *follower) (backlog []Change, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	backlog, one.backlog = one.backlog, nil
	return backlog, one.lost
}
