// Package collect reads one organization: it finds out what changed, reads just that, commits what it found and
// reports what it could not read. A Collector makes passes, fills gaps and reconciles; when to do which is its
// caller's business.
package collect

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// recentWindow is what a scheduled pass reads at once of a repository that it meets for the first time or that was away:
	// what the rolling windows need. The rest is a gap for later.
	recentWindow = 24 * time.Hour
	// readOverlap is how far a reading reaches back behind the edge of the coverage: GitHub's replicas need not agree at
	// once, and recording twice costs nothing.
	readOverlap = 2 * time.Minute
	// signalSettleTime is how old a change must be at the time of its observation to be sure that the signal stays different
	// from that of a later change: times are in whole seconds.
	signalSettleTime = 30 * time.Second
)

// Source is where activity is read from. Its errors are package github's.
type Source interface {
	// Discover calls page for each page of the repositories that the credential can see in the organization. Its error is
	// a *github.IncompleteError when it could not tell some of them.
	Discover(ctx context.Context, org string, page func([]activity.Repository) error) error
	// Prefetch asks for what several readings begin with, where that is cheaper together.
	Prefetch(ctx context.Context, requests []*github.ReadRequest)
	// Lookup calls seen once for each of the repositories, with what it is now.
	Lookup(ctx context.Context, org string, asked []activity.Repository, seen func(github.LookupResult))
	// Read yields the events of a repository page by page.
	Read(ctx context.Context, req github.ReadRequest, emit func([]activity.Event) error) github.ReadResult
}

// Recorder is the part of a store that a collector needs.
type Recorder interface {
	Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error)
	Coverage(ctx context.Context, org string) (ledger.Coverage, error)
	ReadEntries(ctx context.Context, org string, keys []ledger.EntryKey) (map[ledger.EntryKey]ledger.Entry, error)
}

// StoreError is the store's error, as opposed to one of the source.
type StoreError struct{ Err error }

// Error implements error.
func (e *StoreError) Error() string { return "the store: " + e.Err.Error() }

// Unwrap gives the store's own error.
func (e *StoreError) Unwrap() error { return e.Err }

// Settings are a collector's.
type Settings struct {
	Org    string
	Source Source
	Store  Recorder
	// Filter says which repositories are read.
	Filter Filter
	// Concurrency is how many repositories are read at once.
	Concurrency int
	// Interval is the time between two passes: what fails in one repository alone is asked for again after some of
	// them.
	Interval time.Duration
	// Lookback is how far back a repository is read when it is met for the first time.
	Lookback time.Duration
	// BackfillEnabled says that what a pass has missed is read by somebody else with Fill: the next pass goes on after it.
	// Otherwise the next pass reads it together with what is new, the last 24 h of it.
	BackfillEnabled bool
	// WithoutLines reads commits without their lines: Lines has those of a week.
	WithoutLines bool
	// Now is the clock, Skew how far GitHub's is ahead of it: nil for not at all.
	Now  func() time.Time
	Skew func() time.Duration
	// ShowsLogin reports whether this replica shows an account under its login; nil does not look for renamed accounts.
	ShowsLogin func(activity.Actor) bool
	// Tracer traces passes; nil for none.
	Tracer trace.Tracer
}

// Collector reads one organization. Passes of one collector must not overlap; gaps may be filled beside them.
type Collector struct {
	settings Settings
	tallies  *Tallies
	backoffs *streamBackoffs

	permissions permissions

	mu sync.Mutex
	// rewrittenAt has when the default branches of repositories were found to have lost commits.
	rewrittenAt    map[int64]time.Time
	nodeIDs        map[int64]string           // of the repositories that are there
	pendingStreams map[int64]activity.Streams // what the present pass is still to read
	// unseen are the repositories that the pass which began at suspectedAt did not find, absent those and the ones
	// that it could not see.
	unseen, notFound map[int64]bool
	unseenAt         time.Time
}

// New makes a collector. It counts into tallies, which go to the store with the next commit.
func New(settings Settings, tallies *Tallies) *Collector {
	if settings.Tracer == nil {
		settings.Tracer = noop.NewTracerProvider().Tracer("")
	}
	if settings.Skew == nil {
		settings.Skew = func() time.Duration { return 0 }
	}
	settings.Concurrency = max(1, settings.Concurrency)
	return &Collector{
		settings: settings, tallies: tallies,
		backoffs: newStreamBackoffs(firstRefusedDelay, maxRefusedDelay, settings.Interval),
	}
}

// now is the present by the slower of the two clocks: were ours ahead of GitHub's, the edge would run ahead of the
// dates that GitHub gives.
func (c *Collector) now() time.Time {
	return c.settings.Now().Add(min(0, c.settings.Skew())).UTC().Truncate(time.Second)
}

// readActivity reads from the source, with lines or without.
func (c *Collector) readActivity(ctx context.Context, req github.ReadRequest, emit func([]activity.Event) error) github.ReadResult {
	req.SkipLines = c.settings.WithoutLines
	return c.settings.Source.Read(ctx, req, emit)
}

// commit records a batch together with the tallies that have come up.
func (c *Collector) commit(ctx context.Context, fence uint64, source string, b ledger.Batch) (ledger.Receipt, error) {
	b.Org = c.settings.Org
	b.Observed = c.settings.Now().UTC().Truncate(time.Second)
	c.addLogins(&b)
	pending := c.tallies.drain()
	written := ledger.Tally{TallyKey: ledger.TallyKey{Name: TallyStoreWrites, Labels: [2]string{source, "success"}}, Add: 1}
	b.Tallies = slices.Concat(b.Tallies, pending, []ledger.Tally{written})
	receipt, err := c.settings.Store.Commit(ctx, fence, b)
	if err != nil {
		c.tallies.restore(pending)
		c.tallies.Add(TallyStoreWrites, source, writeResult(err))
		return receipt, &StoreError{err}
	}
	return receipt, nil
}

// readCoverage is what the store knows of the organization.
func (c *Collector) readCoverage(ctx context.Context) (ledger.Coverage, error) {
	cov, err := c.settings.Store.Coverage(ctx, c.settings.Org)
	if err != nil {
		return cov, &StoreError{fmt.Errorf("read coverage: %w", err)}
	}
	return cov, nil
}
