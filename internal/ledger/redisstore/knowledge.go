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

// orgCache is what this process remembers of an organization in Redis, so that a commit takes one round trip. It may be
// out of date: the script compares, and then it is read again.
type orgCache struct {
	mu     sync.Mutex
	loaded bool
	orgFacts
	// losses counts the times that Redis turned out to have lost what it had.
	losses int
	// series and events are what followers saw last. Whoever shows them does not wait for who talks to Redis.
	series, events atomic.Int64
}

// orgFacts are what a commit takes for granted.
type orgFacts struct {
	epoch  string              // "" before the ledger began
	pruned string              // in Unix seconds, "" when nothing was
	since  map[int64]time.Time // of the repositories met so far
	// wrote is the newest entry of the log that this process has written with a basis; "" for none. While the log has
	// it, it has all that was written before.
	wrote string
	basis string // see ledger.Batch
}

// replaceFacts takes what Redis says. Facts of another epoch than before are those of another ledger.
func (k *orgCache) replaceFacts(f orgFacts) {
	if k.epoch != "" && f.epoch != k.epoch {
		k.losses++
		k.wrote = ""
	}
	f.wrote = k.wrote
	k.orgFacts, k.loaded = f, true
}

// currentBasis is the basis of a coverage that is read now.
func (k *orgCache) currentBasis() string { return strconv.Itoa(k.losses + 1) }

func (f *orgFacts) prunedTime() time.Time { return parseOptionalTime(f.pruned) }

// parseOptionalTime is a time from decimal Unix seconds, zero for anything else.
func parseOptionalTime(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

func encodeOptionalTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10)
}

func (s *Store) cacheOf(org string) *orgCache {
	org = strings.ToLower(org)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.caches[org]
	if k == nil {
		k = &orgCache{}
		s.caches[org] = k
	}
	return k
}

// factsFor are known, or read, for a batch. Of the repositories it has those of the batch.
func (s *Store) factsFor(ctx context.Context, b *ledger.Batch) (orgFacts, error) {
	k := s.cacheOf(b.Org)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.loaded {
		if err := s.loadFacts(ctx, b.Org, k); err != nil {
			return orgFacts{}, err
		}
	}
	f := orgFacts{
		epoch: k.epoch, pruned: k.pruned, since: make(map[int64]time.Time), wrote: k.wrote, basis: k.currentBasis(),
	}
	return f, s.lookupRepos(ctx, b, k, f.since)
}

func (s *Store) loadFacts(ctx context.Context, org string, k *orgCache) error {
	values, err := s.client.HMGet(ctx, s.keys(org).meta, "epoch", "pruned").Result()
	if err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", org, err)
	}
	k.replaceFacts(orgFacts{epoch: replyString(values[0]), pruned: replyString(values[1]), since: make(map[int64]time.Time)})
	return nil
}

// lookupRepos fills in the repositories of a batch. Those that the process does not know are looked up.
func (s *Store) lookupRepos(ctx context.Context, b *ledger.Batch, k *orgCache, met map[int64]time.Time) error {
	strangers := make(map[int64]bool)
	look := func(id int64) {
		if since, known := k.since[id]; known {
			met[id] = since
		} else {
			strangers[id] = true
		}
	}
	for i := range b.Events {
		look(b.Events[i].Repo)
	}
	for i := range b.Progress.Repos {
		look(b.Progress.Repos[i].ID)
	}
	if len(strangers) == 0 || k.epoch == "" {
		return nil
	}
	ids := slices.Collect(maps.Keys(strangers))
	fields := make([]string, len(ids))
	for i, id := range ids {
		fields[i] = contactField(id)
	}
	values, err := s.client.HMGet(ctx, s.keys(b.Org).cov, fields...).Result()
	if err != nil {
		return fmt.Errorf("redis: read the coverage of %s: %w", b.Org, err)
	}
	for i, id := range ids {
		if _, since, ok := parseContact(replyString(values[i])); ok {
			k.since[id], met[id] = since, since
		}
	}
	return nil
}

// invalidate makes the next commit read again.
func (s *Store) invalidate(org string) {
	k := s.cacheOf(org)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = false
}

// resetFacts forgets a ledger that was deleted because it was damaged.
func (s *Store) resetFacts(org string) {
	k := s.cacheOf(org)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.orgFacts, k.loaded = orgFacts{}, false
	k.losses++
}

// recordLoss notes that Redis does not have what this process wrote, once for each loss: commits under way find it at the
// same time.
func (s *Store) recordLoss(org, wrote string) {
	k := s.cacheOf(org)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = false
	if k.wrote == wrote {
		k.losses++
		k.wrote = ""
		s.settings.OnLost(org)
	}
}

// update takes what a commit made true.
func (s *Store) update(org, epoch, wrote string, introduced map[int64]time.Time) {
	k := s.cacheOf(org)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch == "" {
		k.epoch = epoch
	}
	if k.epoch == epoch {
		maps.Copy(k.since, introduced)
		if isEarlierEntry(k.wrote, wrote) {
			k.wrote = wrote
		}
	}
}

// isEarlierEntry reports whether an id of the log is before another one. "" is before all.
func isEarlierEntry(a, b string) bool {
	aTime, aNumber, _ := strings.Cut(a, "-")
	bTime, bNumber, _ := strings.Cut(b, "-")
	return cmp.Or(len(aTime)-len(bTime), strings.Compare(aTime, bTime), len(aNumber)-len(bNumber),
		strings.Compare(aNumber, bNumber)) < 0
}

// replyString is a string that Redis gave, "" for nil.
func replyString(value any) string {
	s, _ := value.(string)
	return s
}
