// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// feedBacklog is the number of changes that a follower may lag behind before it gets a new snapshot instead.
const feedBacklog = 1024

// feed distributes the changes of one organization to followers in this process. Its zero value is ready for use; it is
// safe for concurrent use.
type feed struct {
	mu        sync.Mutex
	followers map[*follower]struct{}
}

// follower is one call of follow. The feed's lock guards its backlog.
type follower struct {
	backlog    []ledger.Change
	overflowed bool          // the backlog overflowed: only a snapshot helps
	wakeup     wakeup.Signal // holds a token while there is something to take
}

// publish appends a change to the backlog of every follower. It never blocks on one.
func (f *feed) publish(c ledger.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for one := range f.followers {
		if len(one.backlog) >= feedBacklog {
			one.backlog, one.overflowed = nil, true
		}
		if !one.overflowed {
			one.backlog = append(one.backlog, c)
		}
		one.notify()
	}
}

// restartFollowers makes every follower start over with a snapshot.
func (f *feed) restartFollowers() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for one := range f.followers {
		one.backlog, one.overflowed = nil, true
		one.notify()
	}
}

// notify wakes the follower.
func (one *follower) notify() {
	one.wakeup.Notify()
}

// follow applies a snapshot and then the published changes, until ctx ends or apply fails. attach calls its argument
// under the lock that publish's callers hold, and returns the snapshot of that time, so that no change is missed or
// applied twice.
func (f *feed) follow(ctx context.Context, attach func(subscribe func()) ([]ledger.Change, error),
	apply func(ledger.Change) error,
) error {
	one := &follower{wakeup: wakeup.NewSignal()}
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
		if err := f.applyPublished(ctx, one, apply); err != nil {
			return err
		}
	}
}

// applyPublished applies the published changes; it returns nil when the follower has to start over.
func (f *feed) applyPublished(ctx context.Context, one *follower, apply func(ledger.Change) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-one.wakeup:
		}
		backlog, lost := f.takeBacklog(one)
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

// subscribe makes the feed append changes to an empty backlog of a follower.
func (f *feed) subscribe(one *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followers == nil {
		f.followers = make(map[*follower]struct{})
	}
	one.backlog, one.overflowed = nil, false
	f.followers[one] = struct{}{}
}

// unsubscribe ends what subscribe started.
func (f *feed) unsubscribe(one *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followers, one)
}

// takeBacklog returns and empties the backlog of a follower. lost reports that it overflowed: changes are missing.
func (f *feed) takeBacklog(one *follower) (backlog []ledger.Change, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	backlog, one.backlog = one.backlog, nil
	return backlog, one.overflowed
}
