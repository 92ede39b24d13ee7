// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// orgCache is this process's copy of an organization's facts in Redis, so that most commits take one round trip. It may
// be out of date: the commit script compares it with Redis, and then it is read again. It is safe for concurrent use.
// The lock is not held while Redis is read: version then shows whether the result is still of use.
type orgCache struct {
	mu      sync.Mutex
	loaded  bool
	version uint64 // changes whenever facts are replaced or dropped
	orgFacts
	// losses counts the times that Redis was found without data that it had before.
	losses int
	// series and events are the sizes at the last check of a follower. They have no lock, so that metrics never wait
	// for Redis.
	series, events atomic.Int64
}

// orgFacts are the assumptions of a commit that the commit script verifies.
type orgFacts struct {
	epoch  string              // "" before the ledger starts
	pruned string              // Unix seconds of the pruning limit, "" before the first pruning
	since  map[int64]time.Time // start of recording, by the id of the repository; not of all repositories
	// wrote is the id of the newest log entry that this process has written with a basis, "" for none. A log that has
	// this entry has all writes before it.
	wrote string
	basis string // see ledger.Batch
}

// replaceFacts stores facts that were read from Redis. Another epoch than before is another ledger, and counts as a
// loss. The caller holds the lock.
func (c *orgCache) replaceFacts(f orgFacts) {
	if c.epoch != "" && f.epoch != c.epoch {
		c.losses++
		c.wrote = ""
	}
	f.wrote = c.wrote
	c.orgFacts, c.loaded = f, true
	c.version++
}

// drop makes the next commit read the facts from Redis. The caller holds the lock.
func (c *orgCache) drop() {
	c.loaded = false
	c.version++
}

// currentBasis returns the basis of a coverage that is read now. The caller holds the lock.
func (c *orgCache) currentBasis() string { return strconv.Itoa(c.losses + 1) }

// prunedTime returns the time before which events were pruned; zero before the first pruning.
func (f *orgFacts) prunedTime() time.Time { return parseOptionalTime(f.pruned) }

// cacheOf returns the cache of an organization, whose name may be in any case. It never returns nil.
func (s *Store) cacheOf(org string) *orgCache {
	org = strings.ToLower(org)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.caches[org]
	if c == nil {
		c = &orgCache{}
		s.caches[org] = c
	}
	return c
}

// factsFor returns the facts for a commit of a batch, from the cache where it has them. Its since has the repositories
// of the batch that the ledger has.
func (s *Store) factsFor(ctx context.Context, b *ledger.Batch) (orgFacts, error) {
	c := s.cacheOf(b.Org)
	for {
		f, uncached, version, ok := c.factsOf(b)
		switch {
		case !ok:
			if err := s.loadFacts(ctx, b.Org, c, version); err != nil {
				return orgFacts{}, err
			}
		case len(uncached) == 0 || f.epoch == "":
			return f, nil
		default:
			return f, s.lookupRepos(ctx, b.Org, c, version, uncached, f.since)
		}
	}
}

// factsOf returns the cached facts for a batch, the ids of its repositories that the cache does not have, and the
// version of the cache. ok is false when the facts have to be loaded.
func (c *orgCache) factsOf(b *ledger.Batch) (f orgFacts, uncached []int64, version uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		return f, nil, c.version, false
	}
	f = orgFacts{
		epoch: c.epoch, pruned: c.pruned, since: make(map[int64]time.Time), wrote: c.wrote, basis: c.currentBasis(),
	}
	missing := make(map[int64]bool)
	add := func(id int64) {
		if start, ok := c.since[id]; ok {
			f.since[id] = start
		} else {
			missing[id] = true
		}
	}
	for i := range b.Events {
		add(b.Events[i].Repo)
	}
	for i := range b.Progress.Repos {
		add(b.Progress.Repos[i].ID)
	}
	return f, slices.Collect(maps.Keys(missing)), c.version, true
}

// loadFacts reads the facts from Redis, and caches them unless the cache has another version by then.
func (s *Store) loadFacts(ctx context.Context, org string, c *orgCache, version uint64) error {
	values, err := s.client.HMGet(ctx, s.keys(org).meta, "epoch", "pruned").Result()
	if err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", org, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version == version {
		c.replaceFacts(orgFacts{
			epoch: replyString(values[0]), pruned: replyString(values[1]), since: make(map[int64]time.Time),
		})
	}
	return nil
}

// lookupRepos reads repositories from Redis and adds those that the ledger has to since. It caches them unless the
// cache has another version by then.
func (s *Store) lookupRepos(
	ctx context.Context, org string, c *orgCache, version uint64, ids []int64, since map[int64]time.Time,
) error {
	fields := make([]string, len(ids))
	for i, id := range ids {
		fields[i] = contactField(id)
	}
	values, err := s.client.HMGet(ctx, s.keys(org).cov, fields...).Result()
	if err != nil {
		return fmt.Errorf("redis: read the coverage of %s: %w", org, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, id := range ids {
		_, start, ok := parseContact(replyString(values[i]))
		if !ok {
			continue
		}
		since[id] = start
		if c.version == version {
			c.since[id] = start
		}
	}
	return nil
}

// invalidate makes the next commit read the facts from Redis.
func (s *Store) invalidate(org string) {
	c := s.cacheOf(org)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
}

// resetFacts drops the facts of a ledger that was deleted because it was damaged, and counts a loss.
func (s *Store) resetFacts(org string) {
	c := s.cacheOf(org)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.orgFacts = orgFacts{since: make(map[int64]time.Time)}
	c.drop()
	c.losses++
}

// recordLoss counts and reports that Redis lacks the entry wrote, once for each loss: concurrent commits find the same
// one.
func (s *Store) recordLoss(org, wrote string) {
	if s.cacheOf(org).countLoss(wrote) {
		s.settings.OnLost(org)
	}
}

// countLoss drops the facts and reports whether the loss of the entry wrote is a new one.
func (c *orgCache) countLoss(wrote string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
	if c.wrote != wrote {
		return false
	}
	c.losses++
	c.wrote = ""
	return true
}

// cacheCommit adds the results of a commit to the cache, unless that has the facts of another epoch by now. wrote is
// the id of the commit's entry in the log.
func (s *Store) cacheCommit(org, epoch, wrote string, newRepos map[int64]time.Time) {
	c := s.cacheOf(org)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == "" {
		c.epoch = epoch
	}
	if c.epoch == epoch {
		maps.Copy(c.since, newRepos)
		if isEarlierEntry(c.wrote, wrote) {
			c.wrote = wrote
		}
	}
}

// isEarlierEntry reports whether the log entry with the id a is before the one with the id b. "" is before all.
func isEarlierEntry(a, b string) bool {
	aTime, aNumber, _ := strings.Cut(a, "-")
	bTime, bNumber, _ := strings.Cut(b, "-")
	return cmp.Or(len(aTime)-len(bTime), strings.Compare(aTime, bTime), len(aNumber)-len(bNumber),
		strings.Compare(aNumber, bNumber)) < 0
}

// replyString returns a string of a reply of Redis, "" for nil.
func replyString(value any) string {
	s, _ := value.(string)
	return s
}
