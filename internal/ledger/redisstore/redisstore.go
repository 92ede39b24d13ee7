// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package redisstore is a ledger.Store on Redis, shared by all replicas. It works with Redis 6.2 and newer, alone,
// under Sentinel and as a Cluster.
//
// Each organization has nine keys that share a hash tag, "<prefix>:1:{<organization>}:<name>", where 1 is the version
// of this layout:
//
//	meta     hash    fence, epoch, began, pruned, carried, swept, granted, last, edge, whole, sizes
//	seen     set     the keys of the events that the ledger has
//	removed  hash    the keys of those of them that GitHub no longer has
//	log      stream  one entry for each commit: its new events and its change of coverage, entries and tallies
//	series   hash    a user in a repository → the newest event
//	carried  hash    a user in a repository → totals of the events that were pruned
//	cov      hash    the exceptions to full coverage of each repository: see coverage.go
//	tallies  hash    shared operational counters
//	samples  hash    the ledger's entries. The name is older than that word; it is stored, so it stays
//
// The keys are valid only together: each hash and the set have a marker with the epoch, meta has the number of their
// fields, and the entries of the log are a chain (scripts/integrity.lua). When a key or an entry is missing, the next
// commit deletes the rest and starts a new ledger.
//
// The log is the ledger: a new follower reads the other keys and the id of the log's last entry in one transaction, and
// then the log up to that id. Only pruning trims it. The epoch is a random text that is drawn when a ledger starts, so
// that followers and committers detect a Redis that was emptied or replaced, and start over.
package redisstore

import (
	"context"
	_ "embed"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/rediskeys"
)

// The scripts. Each makes all of its checks before its first write.
var (
	//go:embed scripts/integrity.lua
	integritySource string
	//go:embed scripts/commit.lua
	commitSource string
	//go:embed scripts/prune.lua
	pruneSource string
	//go:embed scripts/carry.lua
	carrySource string
	//go:embed scripts/declare.lua
	declareSource string
	//go:embed scripts/grant.lua
	grantSource string

	commitScript = redis.NewScript(integritySource + commitSource)
	pruneScript  = redis.NewScript(integritySource + pruneSource)
	carryScript  = redis.NewScript(carrySource)
	grantScript  = redis.NewScript(grantSource)

	declareScript = redis.NewScript(integritySource + declareSource)
)

// Settings configure a store. Prefix and Now are required.
type Settings struct {
	// Prefix begins the names of all keys.
	Prefix string
	// Now is the clock.
	Now func() time.Time
	// MaxSeries limits the number of series over all organizations; 0 means no limit.
	MaxSeries int
	// SnapshotInterval is the time between two full snapshots of a follower; 0 means that it reads one, and then
	// changes.
	SnapshotInterval time.Duration
	// OnCorrupt is called for each value that fails to decode. The value is ignored.
	OnCorrupt func(key string, err error)
	// OnDamaged is called for each organization with missing keys. Its other keys are deleted, and a new ledger starts.
	OnDamaged func(org string)
	// OnLost is called when Redis lacks the last writes of this process, as after a failover. Commits of passes that
	// depend on them are refused, and those passes start over.
	OnLost func(org string)
	// OnFollowError is called when a follower fails to read an organization (an error), and when it succeeds again
	// (nil); not for further failures in between.
	OnFollowError func(org string, err error)
}

// Store is a ledger.Store on Redis. It is safe for concurrent use. The caller closes its client.
type Store struct {
	client   redis.UniversalClient
	scripter redis.Scripter
	settings Settings

	mu     sync.Mutex
	caches map[string]*orgCache
}

var _ ledger.Store = (*Store)(nil)

// New returns a store on a client, which other stores of the process may share. It does no I/O.
func New(client redis.UniversalClient, settings Settings) *Store {
	if settings.OnCorrupt == nil {
		settings.OnCorrupt = func(string, error) {}
	}
	if settings.OnDamaged == nil {
		settings.OnDamaged = func(string) {}
	}
	if settings.OnLost == nil {
		settings.OnLost = func(string) {}
	}
	if settings.OnFollowError == nil {
		settings.OnFollowError = func(string, error) {}
	}
	s := &Store{client: client, scripter: client, settings: settings, caches: make(map[string]*orgCache)}
	if pipeline, err := client.AutoPipelineWithOptions(&redis.AutoPipelineOptions{
		MaxBatchSize: 64, Unordered: true, MaxConcurrentBatches: 2,
	}); err == nil {
		s.scripter = pipeline // concurrent commits share round trips
	}
	return s
}

// Ping writes to Redis and returns an error when that fails, as on a read-only replica.
func (s *Store) Ping(ctx context.Context) error {
	key := rediskeys.Prefix(s.settings.Prefix).Deployment("probe")
	if err := s.client.HSet(ctx, key, "at", s.settings.Now().Unix()).Err(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// orgKeys has the names of an organization's keys, see the package's comment.
type orgKeys struct{ meta, seen, removed, log, series, carried, cov, tallies, entries string }

// keys returns the names of the keys of an organization.
func (s *Store) keys(org string) orgKeys {
	name := func(part string) string {
		return rediskeys.Prefix(s.settings.Prefix).Org(org, part)
	}
	return orgKeys{
		meta: name("meta"), seen: name("seen"), removed: name("removed"), log: name("log"), series: name("series"),
		carried: name("carried"), cov: name("cov"), tallies: name("tallies"), entries: name("samples"),
	}
}

// grantsKey returns the name of the hash with the number of series that each organization may have.
func (s *Store) grantsKey() string {
	return rediskeys.Prefix(s.settings.Prefix).Deployment("grants")
}

// Sizes returns the number of series and of events of an organization at the last check of its followers, without I/O;
// 0 before it.
func (s *Store) Sizes(org string) (series, events int) {
	c := s.cacheOf(org)
	return int(c.series.Load()), int(c.events.Load())
}
