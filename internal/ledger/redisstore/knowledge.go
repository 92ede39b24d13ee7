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

// knowledge is what this process remembers of an organization in Redis, so that a commit takes one round trip. It may be
// out of date: the script compares, and then it is read again.
type knowledge struct {
	mu     sync.Mutex
	loaded bool
	facts
	// losses counts the times that Redis turned out to have lost what it had.
	losses int
	// series and events are what followers saw last. Whoever shows them does not wait for who talks to Redis.
	series, events atomic.Int64
}

// facts are what a commit takes for granted.
type facts struct {
	epoch  string              // "" before the ledger began
	pruned string              // in Unix seconds, "" when nothing was
	since  map[int64]time.Time // of the repositories met so far
	// wrote is the newest entry of the log that this process has written with a basis; "" for none. While the log has
	// it, it has all that was written before.
	wrote string
	basis string // see ledger.Batch
}

// adopt takes what Redis says. Facts of another epoch than before are those of another ledger.
func (k *knowledge) adopt(f facts) {
	if k.epoch != "" && f.epoch != k.epoch {
		k.losses++
		k.wrote = ""
	}
	f.wrote = k.wrote
	k.facts, k.loaded = f, true
}

// present is the basis of a coverage that is read now.
func (k *knowledge) present() string { return strconv.Itoa(k.losses + 1) }

func (f *facts) prunedTime() time.Time { return fromUnix(f.pruned) }

// fromUnix is a time from decimal Unix seconds, zero for anything else.
func fromUnix(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

func unix(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10)
}

func (s *Store) known(org string) *knowledge {
	org = strings.ToLower(org)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.orgs[org]
	if k == nil {
		k = &knowledge{}
		s.orgs[org] = k
	}
	return k
}

// facts are known, or read, for a batch. Of the repositories it has those of the batch.
func (s *Store) facts(ctx context.Context, b *ledger.Batch) (facts, error) {
	k := s.known(b.Org)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.loaded {
		if err := s.load(ctx, b.Org, k); err != nil {
			return facts{}, err
		}
	}
	f := facts{
		epoch: k.epoch, pruned: k.pruned, since: make(map[int64]time.Time), wrote: k.wrote, basis: k.present(),
	}
	return f, s.meet(ctx, b, k, f.since)
}

func (s *Store) load(ctx context.Context, org string, k *knowledge) error {
	values, err := s.client.HMGet(ctx, s.keys(org).meta, "epoch", "pruned").Result()
	if err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", org, err)
	}
	k.adopt(facts{epoch: text(values[0]), pruned: text(values[1]), since: make(map[int64]time.Time)})
	return nil
}

// meet fills in the repositories of a batch. Those that the process does not know are looked up.
func (s *Store) meet(ctx context.Context, b *ledger.Batch, k *knowledge, met map[int64]time.Time) error {
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
		if _, since, ok := parseContact(text(values[i])); ok {
			k.since[id], met[id] = since, since
		}
	}
	return nil
}

// forget makes the next commit read again.
func (s *Store) forget(org string) {
	k := s.known(org)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = false
}

// reset forgets a ledger that was deleted because it was damaged.
func (s *Store) reset(org string) {
	k := s.known(org)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.facts, k.loaded = facts{}, false
	k.losses++
}

// lose notes that Redis does not have what this process wrote, once for each loss: commits under way find it at the
// same time.
func (s *Store) lose(org, wrote string) {
	k := s.known(org)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = false
	if k.wrote == wrote {
		k.losses++
		k.wrote = ""
		s.settings.OnLost(org)
	}
}

// learn takes what a commit made true.
func (s *Store) learn(org, epoch, wrote string, introduced map[int64]time.Time) {
	k := s.known(org)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch == "" {
		k.epoch = epoch
	}
	if k.epoch == epoch {
		maps.Copy(k.since, introduced)
		if isBefore(k.wrote, wrote) {
			k.wrote = wrote
		}
	}
}

// isBefore reports whether an id of the log is before another one. "" is before all.
func isBefore(a, b string) bool {
	aTime, aNumber, _ := strings.Cut(a, "-")
	bTime, bNumber, _ := strings.Cut(b, "-")
	return cmp.Or(len(aTime)-len(bTime), strings.Compare(aTime, bTime), len(aNumber)-len(bNumber),
		strings.Compare(aNumber, bNumber)) < 0
}

// text is a string that Redis gave, "" for nil.
func text(value any) string {
	s, _ := value.(string)
	return s
}
