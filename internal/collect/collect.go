// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package collect reads one organization:
//
//	Pass      discover what changed ── plan ── read ── commit events, gaps and the edge (by the leader)
//	Fill      read the gap of a backfill job ── commit events and the window              (any worker)
//	Reconcile read the last 24 h again ── commit what passes have missed                  (the leader, now and then)
//
// The caller decides when to call which.
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
	// recentWindow is what a pass itself reads of a repository that is new or readable again: the rolling windows need
	// it. What is older is a gap for backfill.
	recentWindow = 24 * time.Hour
	// readOverlap is how far a reading starts before the edge of the coverage: GitHub's replicas are eventually
	// consistent, and recording an event twice has no effect.
	readOverlap = 2 * time.Minute
	// signalSettleTime is how old a change must be when it is observed for a later change to have a different signal:
	// GitHub's times are in whole seconds.
	signalSettleTime = 30 * time.Second
)

// Source reads activity from GitHub. Its errors are those of the packages github and transport.
type Source interface {
	// Discover calls page for each page of the organization's repositories that the credential may read. Its error is a
	// *github.IncompleteError when some are missing.
	Discover(ctx context.Context, org string, page func([]activity.Repository) error) error
	// Prefetch sends the first requests of several readings together, where that costs less, and stores the responses
	// in the requests.
	Prefetch(ctx context.Context, requests []*github.ReadRequest)
	// Lookup requests the repositories by their ids, and calls seen once for each with its present state.
	Lookup(ctx context.Context, org string, asked []activity.Repository, seen func(github.LookupResult))
	// ReadCounts requests the counts of repositories and calls onResult once for each that was read, one at a time.
	// CountsLimit returns how many repositories are worth their requests in one call.
	ReadCounts(ctx context.Context, org string, repos []activity.Repository,
		onResult func(repo int64, counts activity.RepoCounts))
	CountsLimit() int
	// Read yields the events of a repository page by page.
	Read(ctx context.Context, req github.ReadRequest, emit func([]activity.Event) error) github.ReadResult
	// ReadStocks counts what is open in repositories, and calls onResult once for each that it could ask for.
	ReadStocks(
		ctx context.Context, org string, requests []github.StockRequest, onResult func(github.StockResult),
	)
}

// Recorder is the part of a store that a Collector needs; see ledger.Store.
type Recorder interface {
	Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error)
	Coverage(ctx context.Context, org string) (ledger.Coverage, error)
	ReadEntries(ctx context.Context, org string, keys []ledger.EntryKey) (map[ledger.EntryKey]ledger.Entry, error)
}

// StoreError wraps an error of the store; errors of the source are not wrapped.
type StoreError struct{ Err error }

// Error implements error.
func (e *StoreError) Error() string { return "the store: " + e.Err.Error() }

// Unwrap returns the error of the store.
func (e *StoreError) Unwrap() error { return e.Err }

// Settings configure a Collector.
type Settings struct {
	Org    string
	Source Source
	Store  Recorder
	// Filter selects the repositories that are read.
	Filter Filter
	// Concurrency is how many repositories are read at once.
	Concurrency int
	// Interval is the time between two passes. The backoff of a stream that is unavailable starts with it.
	Interval time.Duration
	// Lookback is how far back a new repository is read.
	Lookback time.Duration
	// BackfillEnabled leaves gaps to backfill, which reads them with Fill: the next pass continues after them.
	// Otherwise the next pass reads the last 24 h of a gap itself.
	BackfillEnabled bool
	// DisabledStreams are not read, as if they were disabled in every repository.
	DisabledStreams activity.Streams
	// WithoutLines reads commits without their lines.
	WithoutLines bool
	// ReadsStocks counts what is open in repositories. Without it stocks of former passes are kept up as outdated.
	ReadsStocks bool
	// Now is the clock. Skew is how far GitHub's clock is ahead of it; nil means that they agree.
	Now  func() time.Time
	Skew func() time.Duration
	// ShowsLogin reports whether this replica shows an account under the actor's login; with nil renamed accounts are
	// not recorded.
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
	stocks      stocks

	mu sync.Mutex
	// rewrittenAt has, by repository, when the default branch was last found to have lost commits.
	rewrittenAt    map[int64]time.Time
	nodeIDs        map[int64]string           // of the readable repositories
	pendingStreams map[int64]activity.Streams // what the present pass has not read yet
	// unseen are the repositories that the pass that started at unseenAt did not find, notFound those and the ones that
	// may be unreadable.
	unseen, notFound map[int64]bool
	unseenAt         time.Time
	lastEvents       lastEvents

	facts knownFacts
}

// New makes a collector. Its counters are added to tallies, which are stored with the next commit.
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
		backoffs:   newStreamBackoffs(firstRefusedDelay, maxRefusedDelay, settings.Interval),
		lastEvents: make(lastEvents),
	}
}

// Now returns the present by the slower one of this clock and GitHub's, in whole seconds. Otherwise the edge could be
// ahead of the times that GitHub gives to events.
func (c *Collector) Now() time.Time {
	return c.settings.Now().Add(min(0, c.settings.Skew())).UTC().Truncate(time.Second)
}

// readActivity reads from the source, with or without the lines of commits. It leaves out events of later streams from
// before they are wanted: of those the ledger would have some, of items that were updated since.
func (c *Collector) readActivity(
	ctx context.Context, req github.ReadRequest, wanted wantedSince, emit func([]activity.Event) error,
) github.ReadResult {
	req.SkipLines = c.settings.WithoutLines
	return c.settings.Source.Read(ctx, req, func(events []activity.Event) error { return emit(wanted.filter(events)) })
}

// wantedSince has the times from which the events of a repository's later streams are wanted, by stream. It is nil
// where all streams are as old as the repository.
type wantedSince map[activity.Stream]time.Time

func newWantedSince(r *ledger.RepoCoverage) wantedSince {
	var wanted wantedSince
	for _, c := range r.Contacts {
		if wanted == nil {
			wanted = make(wantedSince, len(r.Contacts))
		}
		wanted[c.Stream] = r.WantedSince(c.Stream)
	}
	return wanted
}

// filter returns the events that are wanted.
func (w wantedSince) filter(events []activity.Event) []activity.Event {
	if w == nil {
		return events
	}
	return slices.DeleteFunc(events, func(e activity.Event) bool { return e.Time.Before(w[e.Kind.Stream()]) })
}

// commit commits a batch of a source, sourceLeader or sourceWorker, together with the pending tallies. If it fails they
// stay pending. Its error is a *StoreError.
func (c *Collector) commit(ctx context.Context, fence uint64, source string, b ledger.Batch) (ledger.Receipt, error) {
	b.Org = c.settings.Org
	b.Observed = c.settings.Now().UTC().Truncate(time.Second)
	if c.settings.ShowsLogin != nil {
		addLogins(&b, c.settings.ShowsLogin)
	}
	newest := c.newestEvents(&b)
	b.Entries = slices.Concat(b.Entries, newest)
	pending := c.tallies.drain()
	written := ledger.Tally{
		TallyKey: ledger.TallyKey{Name: TallyStoreWrites, Labels: [2]string{source, "success"}}, Add: 1,
	}
	b.Tallies = slices.Concat(b.Tallies, pending, []ledger.Tally{written})
	receipt, err := c.settings.Store.Commit(ctx, fence, b)
	if err != nil {
		c.tallies.restore(pending)
		c.tallies.Add(TallyStoreWrites, source, writeResult(err))
		return receipt, &StoreError{err}
	}
	c.recordNewestEvents(newest)
	return receipt, nil
}

// newestEvents returns the entries with the times of the newest events of a batch.
func (c *Collector) newestEvents(b *ledger.Batch) []ledger.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastEvents.entries(b)
}

// recordNewestEvents records that entries of newestEvents were committed.
func (c *Collector) recordNewestEvents(entries []ledger.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastEvents.record(entries)
}

// CommitAsLeader commits a batch with the leader's fence, together with the pending tallies. Its error is a
// *StoreError.
func (c *Collector) CommitAsLeader(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	return c.commit(ctx, fence, sourceLeader, b)
}

// CommitAsWorker commits a batch without authority, together with the pending tallies. Its error is a *StoreError.
func (c *Collector) CommitAsWorker(ctx context.Context, b ledger.Batch) (ledger.Receipt, error) {
	return c.commit(ctx, 0, sourceWorker, b)
}

// Coverage reads the organization's coverage from the store. Its error is a *StoreError.
func (c *Collector) Coverage(ctx context.Context) (ledger.Coverage, error) {
	cov, err := c.settings.Store.Coverage(ctx, c.settings.Org)
	if err != nil {
		return cov, &StoreError{fmt.Errorf("read coverage: %w", err)}
	}
	return cov, nil
}

// MissingPermissions returns the permissions that the credential lacks for something that is to be read, as GitHub
// names them, sorted. One is in the list until the stream that needs it was read or its repository is gone.
func (c *Collector) MissingPermissions() []string { return c.permissions.missing() }

// Flush commits the pending tallies, without a fence. If it fails they stay pending.
func (c *Collector) Flush(ctx context.Context) error {
	pending := c.tallies.drain()
	if len(pending) == 0 {
		return nil
	}
	_, err := c.settings.Store.Commit(ctx, 0, ledger.Batch{
		Org: c.settings.Org, Observed: c.settings.Now(), Tallies: pending,
	})
	if err != nil {
		c.tallies.restore(pending)
		return fmt.Errorf("commit counters: %w", err)
	}
	return nil
}
