package redisstore

import (
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
	// series and events are what followers saw last. Whoever shows them does not wait for who talks to Redis.
	series, events atomic.Int64
}

// facts are what a commit takes for granted.
type facts struct {
	epoch  string              // "" before the ledger began
	pruned string              // in Unix seconds, "" when nothing was
	since  map[int64]time.Time // of the repositories met so far
}

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
	f := facts{epoch: k.epoch, pruned: k.pruned, since: make(map[int64]time.Time)}
	return f, s.meet(ctx, b, k, f.since)
}

func (s *Store) load(ctx context.Context, org string, k *knowledge) error {
	values, err := s.client.HMGet(ctx, s.keys(org).meta, "epoch", "pruned").Result()
	if err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", org, err)
	}
	k.facts = facts{epoch: text(values[0]), pruned: text(values[1]), since: make(map[int64]time.Time)}
	k.loaded = true
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

// learn takes what a commit made true.
func (s *Store) learn(org, epoch string, introduced map[int64]time.Time) {
	k := s.known(org)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch == "" {
		k.epoch = epoch
	}
	if k.epoch == epoch {
		maps.Copy(k.since, introduced)
	}
}

// text is a string that Redis gave, "" for nil.
func text(value any) string {
	s, _ := value.(string)
	return s
}
