package collect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// FillRequest asks for what is missing of a window of the past.
type FillRequest struct {
	// RepoID is the repository; 0 for the one that is called Repo now.
	RepoID  int64
	Repo    string
	Streams activity.Streams
	Window  activity.Window
	// Force asks for all of the window that was ever asked for, whether it is missing or not.
	Force bool
}

// FillResult says what came of an order.
type FillResult struct {
	// Streams are those of which something was missing.
	Streams activity.Streams
	// Events is how many were new, Failures what could not be read and is still missing.
	Events   int
	Failures []Failure
	// NotBefore is when the order may be tried again, where GitHub does not answer for the repository; zero for at any
	// time.
	NotBefore time.Time
}

// ErrUnknownRepository refuses an order for a repository that the organization never had.
var ErrUnknownRepository = errors.New("the ledger knows no such repository")

// Fill reads what is missing of a window. Its requests have background priority. It writes as a worker: without
// authority, because recording is a set union. Its
// error is the store's or the context's; what GitHub refused is in Filled.
func (c *Collector) Fill(ctx context.Context, order FillRequest) (FillResult, error) {
	cov, err := c.readCoverage(ctx)
	if err != nil {
		return FillResult{}, err
	}
	repo := findRepository(&cov, &order)
	switch {
	case repo == nil && order.Force:
		return FillResult{}, fmt.Errorf("repository %q: %w", order.Repo, ErrUnknownRepository)
	case repo == nil || repo.IsGone():
		return FillResult{}, nil
	}
	todo := c.planFill(&cov, repo, &order)
	done := FillResult{Streams: todo.request.Streams}
	if done.Streams == 0 {
		return done, nil
	}
	if !order.Force {
		if err := c.loadPullScans(ctx, &todo); err != nil {
			return done, err
		}
	}
	if c.isFillDeferred(&todo, &done) {
		return done, nil
	}
	outcome, events, err := c.readWindow(ctx, &todo, cov.Basis)
	done.Events = events
	for _, s := range activity.AllStreams() {
		if todo.request.Streams.Has(s) && err == nil {
			c.permissions.record(repo.ID, s, outcome.Failed[s])
		}
		if failure := outcome.Failed[s]; failure == nil && todo.request.Streams.Has(s) && err == nil {
			c.backoffs.clear(repo.ID, s)
		} else if failure != nil {
			done.Failures = append(done.Failures, Failure{RepoID: repo.ID, Repo: repo.Name, Stream: s, Err: failure})
		}
	}
	return done, err
}

// isFillDeferred reports whether GitHub does not answer for the repository and passes leave it alone for a while. Until it
// is answered again, orders for it are brief.
func (c *Collector) isFillDeferred(todo *reading, done *FillResult) bool {
	repo := &todo.request.Repo
	todo.request.Minimal = c.backoffs.isUnavailable(repo.ID)
	if !todo.request.Minimal {
		return false
	}
	for _, s := range activity.AllStreams() {
		if !todo.request.Streams.Has(s) {
			continue
		}
		if until, err := c.backoffs.deferredUntil(repo.ID, s, c.now()); isUnavailable(err) {
			done.Failures = append(done.Failures, Failure{RepoID: repo.ID, Repo: repo.Name, Stream: s, Err: err})
			if until.After(done.NotBefore) {
				done.NotBefore = until
			}
		}
	}
	return len(done.Failures) > 0
}

// findRepository finds the repository of an order. A name is looked up among those that are there.
func findRepository(cov *ledger.Coverage, order *FillRequest) *ledger.RepoCoverage {
	if order.RepoID != 0 {
		return cov.Repos[order.RepoID]
	}
	for _, r := range cov.Repos {
		if !r.IsGone() && strings.EqualFold(r.Name, order.Repo) {
			return r
		}
	}
	return nil
}

// planFill is what has to be read for an order.
func (c *Collector) planFill(cov *ledger.Coverage, r *ledger.RepoCoverage, order *FillRequest) reading {
	todo := reading{request: github.ReadRequest{Org: c.settings.Org, Repo: c.repository(r), Priority: budget.Background}}
	for _, s := range activity.AllStreams() {
		if !order.Streams.Has(s) || r.Signals.Disabled.Has(s) {
			continue // there is nothing to read of a stream that is switched off
		}
		missing := r.Missing[s]
		if order.Force {
			missing = activity.Windows{{Start: r.Since, End: cov.RepoEdge(r, s)}}
		}
		if w := boundsWithin(missing, order.Window); !w.IsEmpty() {
			todo.addWindow(s, w)
		}
	}
	if !todo.windows[activity.StreamCommits].End.After(r.Signals.HeadReadAt) {
		// What is from before the head was read is reached by it, and what it reaches is what the pass compares with
		// the next one. When it is not there any more, the stream fails until a pass has read the new one.
		todo.request.AtCommit = r.Signals.Head
	}
	return todo
}

// boundsWithin is the smallest window around what two sets have in common.
func boundsWithin(ws activity.Windows, in activity.Window) activity.Window {
	var all activity.Window
	for _, w := range ws {
		if w.Start.Before(in.Start) {
			w.Start = in.Start
		}
		if w.End.After(in.End) {
			w.End = in.End
		}
		switch {
		case w.IsEmpty():
		case all.IsEmpty():
			all = w
		default:
			all.End = w.End
		}
	}
	return all
}

// addWindow adds a window of a stream to a reading.
func (r *reading) addWindow(s activity.Stream, w activity.Window) {
	r.request.Streams = r.request.Streams.With(s)
	r.request.Since[s], r.request.Until[s] = w.Start, w.End
	r.windows[s] = w
}

// readWindow reads and commits windows of the past. Its error is the store's or the context's. basis is that of the
// coverage that the windows were taken from.
func (c *Collector) readWindow(ctx context.Context, todo *reading, basis string) (github.ReadResult, int, error) {
	pages := &pageCommitter{collector: c, source: sourceWorker, repo: todo.request.Repo.ID, basis: basis}
	outcome := c.readActivity(ctx, pages.withHeads(todo.request), func(events []activity.Event) error {
		return pages.add(ctx, events)
	})
	if ctx.Err() != nil {
		return outcome, pages.recorded, context.Cause(ctx)
	}
	progress := ledger.RepoProgress{ID: todo.request.Repo.ID}
	for _, s := range activity.AllStreams() {
		if w := todo.coveredWindow(s, &outcome); !w.IsEmpty() {
			progress.Read = append(progress.Read, ledger.StreamWindow{Stream: s, Window: w})
		}
	}
	pages.finish(ctx, ledger.Batch{
		Progress: ledger.Progress{Repos: []ledger.RepoProgress{progress}}, Entries: scanEntries(todo, &outcome, c.now()),
	})
	return outcome, pages.recorded, pages.err
}

// coveredWindow is how far a reading of a window of the past has come: all of it, or its newest part.
func (r *reading) coveredWindow(s activity.Stream, outcome *github.ReadResult) activity.Window {
	w := r.windows[s]
	switch {
	case !r.request.Streams.Has(s):
		return activity.Window{}
	case outcome.Failed[s] == nil:
	case outcome.CoveredFrom[s].IsZero():
		return activity.Window{}
	case outcome.CoveredFrom[s].After(w.Start):
		w.Start = outcome.CoveredFrom[s]
	}
	return w
}

// RetryAt is when the limit ends that one of the failures is about; zero when none is.
func (f *FillResult) RetryAt() time.Time {
	_, at := passStatus(&PassResult{Failures: f.Failures}, nil)
	return at
}
