// Package redisstore is a ledger.Store on Redis, shared by all replicas. It works with Redis 6.2 and newer, alone, under
// Sentinel and as a Cluster.
//
// Each organization has nine keys that share a hash tag, "<prefix>:1:{<organization>}:<name>", where 1 is the version
// of this layout:
//
//	meta     hash    fence, epoch, began, pruned, carried, swept, granted, last, edge, whole, sizes
//	seen     set     the keys of the events that the ledger has
//	removed  hash    the keys of those of them that are not there any more
//	log      stream  every commit: its new events, what it says of coverage, samples and tallies
//	series   hash    a user in a repository → the newest event
//	carried  hash    a user in a repository → totals of the events that were pruned
//	cov      hash    what is exceptional about each repository: see coverage.go
//	tallies, samples hash
//
// The keys are one thing: all of them but the log and meta have a mark and a known number of entries, and the entries
// of the log are a chain (scripts/whole.lua). A ledger of which something is gone begins again with the next commit.
//
// The log is the ledger: who starts late reads the other keys and the log's last id in one transaction, and then the log
// up to that id. It is trimmed by pruning alone. The epoch is drawn when the ledger begins: when Redis lost its memory,
// followers and committers see another one and begin anew.
package redisstore

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// layout is the version in the names of the keys.
const layout = "1"

// The scripts. Each checks everything before it writes anything.
var (
	//go:embed scripts/whole.lua
	integritySource string
	//go:embed scripts/commit.lua
	commitSource string
	//go:embed scripts/mark.lua
	pruneSource string
	//go:embed scripts/carry.lua
	carrySource string
	//go:embed scripts/declare.lua
	declareSource string
	//go:embed scripts/grant.lua
	grantSource string

	commitScript = redis.NewScript(integritySource + commitSource)
	pruneScript   = redis.NewScript(integritySource + pruneSource)
	carryScript  = redis.NewScript(carrySource)
	grantScript  = redis.NewScript(grantSource)

	declareScript = redis.NewScript(integritySource + declareSource)
)

// Settings are a store's.
type Settings struct {
	// Prefix begins the names of all keys.
	Prefix string
	// Now is the clock.
	Now func() time.Time
	// MaxSeries bounds the users in repositories over all organizations; 0 does not.
	MaxSeries int
	// SnapshotInterval, when positive, makes followers read a whole snapshot so often instead of the changes.
	SnapshotInterval time.Duration
	// OnCorrupt is told of values that cannot be what was written; they are left out.
	OnCorrupt func(key string, err error)
	// OnDamaged is called with each organization of which keys were gone: what was left is deleted, and the ledger
	// begins again.
	OnDamaged func(org string)
	// OnLost is called when Redis does not have the last writes of this process, as after a failover: the readings that
	// build on them are refused and begin again.
	OnLost func(org string)
	// OnFollowError is told when followers cannot read (an error) and when they can again (nil): on changes only, one
	// organization at a time.
	OnFollowError func(org string, err error)
}

// Store is a ledger.Store on Redis. It does not own its client.
type Store struct {
	client   redis.UniversalClient
	scripter redis.Scripter
	settings Settings

	mu   sync.Mutex
	caches map[string]*orgCache
}

var _ ledger.Store = (*Store)(nil)

// New makes a store. The clients of one process may share a Redis client.
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
		s.scripter = pipeline // commits of many organizations and workers share round trips
	}
	return s
}

// Ping asks whether Redis answers and may be written to.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.client.HSet(ctx, s.settings.Prefix+":"+layout+":probe", "at", s.settings.Now().Unix()).Err(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// orgKeys are the names of an organization's keys.
type orgKeys struct{ meta, seen, removed, log, series, carried, cov, tallies, samples string }

func (s *Store) keys(org string) orgKeys {
	name := func(part string) string {
		return s.settings.Prefix + ":" + layout + ":{" + strings.ToLower(org) + "}:" + part
	}
	return orgKeys{
		meta: name("meta"), seen: name("seen"), removed: name("removed"), log: name("log"), series: name("series"),
		carried: name("carried"), cov: name("cov"), tallies: name("tallies"), samples: name("samples"),
	}
}

func (s *Store) grantsKey() string { return s.settings.Prefix + ":" + layout + ":grants" }

// Sizes is how many series and events an organization had when its followers last looked.
func (s *Store) Sizes(org string) (series, events int) {
	k := s.cacheOf(org)
	return int(k.series.Load()), int(k.events.Load())
}
