package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// PassStatus is how a pass ended.
type PassStatus string

// The results of passes.
const (
	PassSuccess        PassStatus = "success" // everything that changed was read
	PassPartial        PassStatus = "partial" // some of it was
	PassFailure        PassStatus = "failure" // the organization could not be read at all
	PassSkippedLimited PassStatus = "skipped_limited"
	// PassSkippedUnhealthy is of a pass that was not made, because GitHub answers nothing but errors.
	PassSkippedUnhealthy PassStatus = "skipped_unhealthy"
)

// PassResult says what a pass did.
type PassResult struct {
	Status   PassStatus
	Start    time.Time
	Duration time.Duration
	// Repositories is how many there are that the filter selects, Changed in how many of them there was, or may have
	// been, something new.
	Repositories, Changed int
	// UnmatchedPatterns are the filter's patterns that match none of the repositories that were discovered.
	UnmatchedPatterns UnmatchedPatterns
	// Events is how many were new.
	Events int
	// Failures are what could not be read, now or when it was asked for last; they have become gaps.
	Failures []Failure
	// Incomplete is why the listing did not tell all repositories, where those that were known do not account for it; nil
	// when it did.
	Incomplete error
	// VanishedRepositories is how many repositories were not there any more, when they were most of those that had been: they are
	// looked for again in the next pass, before anything of them ends. 0 otherwise.
	VanishedRepositories int
	// Deferred are the streams of which the pass read the last 24 h only, because nobody had read for longer.
	Deferred []RepoStream
	// RetryAt is when a limit ends that was met; zero when none was.
	RetryAt time.Time
}

// Failure is a stream of a repository that could not be read.
type Failure struct {
	RepoID int64
	Repo   string
	Stream activity.Stream
	Err    error
	// AllFailed says that nothing could be read of what the pass wanted of the repository.
	AllFailed bool
	// PresenceUnknown says that discovery did not show the repository, and could not tell whether it is there.
	PresenceUnknown bool
}

// RepoStream is a stream of a repository.
type RepoStream struct {
	RepoID int64
	Stream activity.Stream
}

// Pass looks for what changed in the organization and reads it. Its error says that the organization as a whole could
// not be read, or that the store refused what was found; what could not be read of single repositories is in the
// summary. fence is the authority under which it writes.
func (c *Collector) Pass(ctx context.Context, fence uint64) (PassResult, error) {
	ctx, span := c.settings.Tracer.Start(ctx, "githubexporter/pass",
		trace.WithAttributes(attribute.String("vcs.provider.name", "github"), attribute.String("vcs.owner.name", c.settings.Org)))
	defer span.End()
	began := c.settings.Now()
	sum, err := c.pass(ctx, fence)
	if errors.Is(err, ledger.ErrReplaced) { // the coverage is another one now, and says what has to be read again
		sum, err = c.pass(ctx, fence)
	}
	sum.Duration = c.settings.Now().Sub(began)
	sum.Status, sum.RetryAt = passStatus(&sum, err)
	span.SetAttributes(attribute.String("result", string(sum.Status)), attribute.Int("repositories", sum.Repositories),
		attribute.Int("changed", sum.Changed), attribute.Int("events", sum.Events))
	if err != nil {
		span.SetStatus(codes.Error, string(sum.Status))
	}
	if err != nil && ctx.Err() == nil {
		c.flush(ctx, fence, sum.Status)
	}
	return sum, err
}

// Flush commits what was counted and not committed yet, without authority.
func (c *Collector) Flush(ctx context.Context) error {
	pending := c.tallies.drain()
	if len(pending) == 0 {
		return nil
	}
	_, err := c.settings.Store.Commit(ctx, 0, ledger.Batch{Org: c.settings.Org, Observed: c.settings.Now(), Tallies: pending})
	if err != nil {
		c.tallies.restore(pending)
		return fmt.Errorf("commit counters: %w", err)
	}
	return nil
}

// flush commits the tallies of a pass that failed, as far as the store takes them.
func (c *Collector) flush(ctx context.Context, fence uint64, result PassStatus) {
	c.tallies.Add(TallyRuns, string(result))
	_, _ = c.commit(ctx, fence, sourceLeader, ledger.Batch{}) // what it does not take stays with the tallies
}

func (c *Collector) pass(ctx context.Context, fence uint64) (PassResult, error) {
	sum := PassResult{Start: c.now()}
	cov, err := c.readCoverage(ctx)
	if err != nil {
		return sum, err
	}
	todo, err := c.discover(ctx, &cov, &sum)
	if err != nil {
		return sum, err
	}
	todo.basis = cov.Basis
	sum.Start, sum.Changed = todo.start, len(todo.readings)
	c.setPending(&todo)
	defer c.setPending(nil)
	if err := c.recordRepositories(ctx, fence, &todo); err != nil {
		return sum, err
	}
	run := newPassRun(c, fence, &todo)
	if err := run.readAll(ctx); err != nil {
		return sum, err
	}
	sum.Changed -= run.unchanged
	sum.Events, sum.Failures, sum.Deferred = run.events, slices.Concat(run.failures, todo.deferred), todo.deferredWindows()
	b := ledger.Batch{
		Basis: todo.basis, Progress: ledger.Progress{Edge: todo.start, Repos: todo.missedProgress(run.read, run.observed)},
	}
	return sum, c.advanceEdge(ctx, fence, &sum, b)
}

// advanceEdge moves the edge. The pass is counted in the same commit.
func (c *Collector) advanceEdge(ctx context.Context, fence uint64, sum *PassResult, b ledger.Batch) error {
	result, _ := passStatus(sum, nil)
	counted := ledger.Tally{TallyKey: ledger.TallyKey{Name: TallyRuns, Labels: [2]string{string(result)}}, Add: 1}
	b.Tallies = []ledger.Tally{counted}
	if _, err := c.commit(ctx, fence, sourceLeader, b); err != nil {
		return fmt.Errorf("commit the pass: %w", err)
	}
	return nil
}

// setPending notes what a pass is about to read; nil for nothing any more.
func (c *Collector) setPending(todo *plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pendingStreams = nil
	if todo == nil {
		return
	}
	c.pendingStreams = make(map[int64]activity.Streams, len(todo.readings))
	for i := range todo.readings {
		request := &todo.readings[i].request
		c.pendingStreams[request.Repo.ID] = request.Streams
	}
}

// clearPending notes that a repository was read.
func (c *Collector) clearPending(repo int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pendingStreams, repo)
}

// PendingStreams are the streams of a repository that a pass is about to read: no job is made of what they miss.
// Nothing can be read of a repository that the last pass did not find, so they are all of them then.
func (c *Collector) PendingStreams(repo int64) activity.Streams {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notFound[repo] {
		return activity.EveryStream
	}
	return c.pendingStreams[repo]
}

// recordRepositories records what changed about the repositories themselves, before any of their events.
func (c *Collector) recordRepositories(ctx context.Context, fence uint64, todo *plan) error {
	if len(todo.changes) == 0 {
		return nil
	}
	_, err := c.commit(ctx, fence, sourceLeader, ledger.Batch{
		Basis: todo.basis, Progress: ledger.Progress{Repos: todo.changes},
	})
	if err != nil {
		return fmt.Errorf("commit the repositories: %w", err)
	}
	return nil
}

// passStatus says how a pass ended.
func passStatus(sum *PassResult, err error) (PassStatus, time.Time) {
	var limit *github.LimitError
	if errors.As(err, &limit) {
		return PassSkippedLimited, limit.RetryAt
	}
	if err != nil {
		return PassFailure, time.Time{}
	}
	var retryAt time.Time
	for _, f := range sum.Failures {
		if errors.As(f.Err, &limit) && limit.RetryAt.After(retryAt) {
			retryAt = limit.RetryAt
		}
	}
	if len(sum.Failures) > 0 || sum.Incomplete != nil {
		return PassPartial, retryAt
	}
	return PassSuccess, retryAt
}
