// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

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

// FillRequest asks to read the gaps within a scope. With RepoID 0 the repository is the readable one of that name.
type FillRequest struct {
	activity.Scope
	// Force reads all of the scope since the start of the coverage, whether it is a gap or not.
	Force bool
	// Priority is that of the requests to GitHub.
	Priority budget.Priority
}

// FillResult describes a fill.
type FillResult struct {
	// Streams are the ones that had a gap within the scope when the fill began.
	Streams activity.Streams
	// Events is how many events were recorded that the ledger did not have, Failures the streams that still have a gap.
	Events   int
	Failures []Failure
	// NotBefore is when the request may be repeated, if the repository is unavailable; zero for at any time.
	NotBefore time.Time
}

// ErrUnknownRepository is the error of a forced request for a repository that the organization never had.
var ErrUnknownRepository = errors.New("the ledger knows no such repository")

// Fill reads the gaps within a scope, with the priority of the request. It writes without a fence, because recording is
// a set union. Its error is that of the store or of the context; errors of GitHub are FillResult.Failures.
func (c *Collector) Fill(ctx context.Context, request FillRequest) (FillResult, error) {
	cov, err := c.Coverage(ctx)
	if err != nil {
		return FillResult{}, err
	}
	repo := findRepository(&cov, &request)
	switch {
	case repo == nil && request.Force:
		return FillResult{}, fmt.Errorf("repository %q: %w", request.Repo, ErrUnknownRepository)
	case repo == nil || repo.IsGone():
		return FillResult{}, nil
	}
	todo := c.planFill(&cov, repo, &request)
	filled := FillResult{Streams: todo.request.Streams}
	if filled.Streams == 0 {
		return filled, nil
	}
	if !request.Force {
		if err := c.loadPullScans(ctx, &todo); err != nil {
			return filled, err
		}
	}
	if c.isFillDeferred(&todo, &filled) {
		return filled, nil
	}
	result, events, err := c.readWindow(ctx, &todo, cov.Basis)
	filled.Events = events
	for _, s := range activity.AllStreams() {
		if todo.request.Streams.Has(s) && err == nil {
			c.permissions.record(repo.ID, s, result.Failed[s])
		}
		if failure := result.Failed[s]; failure == nil && todo.request.Streams.Has(s) && err == nil {
			c.backoffs.clear(repo.ID, s)
		} else if failure != nil {
			filled.Failures = append(
				filled.Failures, Failure{RepoID: repo.ID, Repo: repo.Name, Stream: s, Err: failure},
			)
		}
	}
	return filled, err
}

// isFillDeferred reports whether a stream of the repository backs off because it is unavailable, and adds its failure
// to filled. As long as the repository is unavailable its readings are minimal.
func (c *Collector) isFillDeferred(todo *reading, filled *FillResult) bool {
	repo := &todo.request.Repo
	todo.request.Minimal = c.backoffs.isUnavailable(repo.ID)
	if !todo.request.Minimal {
		return false
	}
	for _, s := range activity.AllStreams() {
		if !todo.request.Streams.Has(s) {
			continue
		}
		if until, err := c.backoffs.deferredUntil(repo.ID, s, c.Now()); isUnavailable(err) {
			filled.Failures = append(filled.Failures, Failure{RepoID: repo.ID, Repo: repo.Name, Stream: s, Err: err})
			if until.After(filled.NotBefore) {
				filled.NotBefore = until
			}
		}
	}
	return len(filled.Failures) > 0
}

// findRepository returns the repository of a request, nil for none. A name is that of a readable repository.
func findRepository(cov *ledger.Coverage, request *FillRequest) *ledger.RepoCoverage {
	if request.RepoID != 0 {
		return cov.Repos[request.RepoID]
	}
	for _, r := range cov.Repos {
		if !r.IsGone() && strings.EqualFold(r.Name, request.Repo) {
			return r
		}
	}
	return nil
}

// planFill returns the reading of the gaps within a request. It has no streams when there is no gap.
func (c *Collector) planFill(cov *ledger.Coverage, r *ledger.RepoCoverage, request *FillRequest) reading {
	todo := reading{request: github.ReadRequest{
		Org: c.settings.Org, Repo: c.Repository(r), Priority: request.Priority, WholeLists: true,
	}, wanted: newWantedSince(r)}
	for _, s := range activity.AllStreams() {
		if !request.Streams.Has(s) || r.Signals.Disabled.Has(s) {
			continue // a disabled stream has nothing to read
		}
		missing := r.Missing[s]
		if request.Force {
			missing = activity.Windows{{Start: r.WantedSince(s), End: cov.RepoEdge(r, s)}}
		}
		if w := boundsWithin(missing, request.Window); !w.IsEmpty() {
			todo.addWindow(s, w)
		}
	}
	if !todo.windows[activity.StreamCommits].End.After(r.Signals.HeadReadAt) {
		// The head that was read reaches all commits from before, and the next pass compares what it reaches with the
		// new head. If it is gone, the stream fails until a pass has read the new head.
		todo.request.AtCommit = r.Signals.Head
	}
	return todo
}

// boundsWithin returns the smallest window that contains every window of ws within limits.
func boundsWithin(ws activity.Windows, limits activity.Window) activity.Window {
	var bounds activity.Window
	for _, w := range ws {
		if w.Start.Before(limits.Start) {
			w.Start = limits.Start
		}
		if w.End.After(limits.End) {
			w.End = limits.End
		}
		switch {
		case w.IsEmpty():
		case bounds.IsEmpty():
			bounds = w
		default:
			bounds.End = w.End
		}
	}
	return bounds
}

// addWindow adds a window of the past of a stream to a reading.
func (r *reading) addWindow(s activity.Stream, w activity.Window) {
	r.request.Streams = r.request.Streams.With(s)
	r.request.Since[s], r.request.Until[s] = w.Start, w.End
	r.windows[s] = w
}

// readWindow reads windows of the past, commits them, and returns how many events were new. Its error is that of the
// store or of the context. basis is that of the coverage that the windows are from.
func (c *Collector) readWindow(ctx context.Context, todo *reading, basis string) (github.ReadResult, int, error) {
	pages := &pageCommitter{collector: c, source: sourceWorker, repo: todo.request.Repo.ID, basis: basis}
	result := c.readActivity(ctx, pages.withHeads(todo.request), todo.wanted, func(events []activity.Event) error {
		return pages.add(ctx, events)
	})
	if ctx.Err() != nil {
		return result, pages.recorded, context.Cause(ctx)
	}
	progress := ledger.RepoProgress{ID: todo.request.Repo.ID}
	for _, s := range activity.AllStreams() {
		if w := todo.coveredWindow(s, &result); !w.IsEmpty() {
			progress.Read = append(progress.Read, ledger.StreamWindow{Stream: s, Window: w})
		}
	}
	pages.finish(ctx, ledger.Batch{
		Progress: ledger.Progress{Repos: []ledger.RepoProgress{progress}}, Entries: scanEntries(todo, &result, c.Now()),
	})
	return result, pages.recorded, pages.err
}

// coveredWindow returns the part of a stream's window that was read: all of it, its newest part after a failure, or an
// empty window when the stream was not requested or nothing of it was read.
func (r *reading) coveredWindow(s activity.Stream, result *github.ReadResult) activity.Window {
	w := r.windows[s]
	switch {
	case !r.request.Streams.Has(s):
		return activity.Window{}
	case result.Failed[s] == nil:
	case result.CoveredFrom[s].IsZero():
		return activity.Window{}
	case result.CoveredFrom[s].After(w.Start):
		w.Start = result.CoveredFrom[s]
	}
	return w
}

// RetryAt returns when the rate limit resets that one of the failures is about; zero for none.
func (f *FillResult) RetryAt() time.Time {
	_, at := passStatus(&PassResult{Failures: f.Failures}, nil)
	return at
}
