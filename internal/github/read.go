// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// ReadRequest selects the activity of a repository.
type ReadRequest struct {
	Org string
	// Repo is the repository as discovery returned it.
	Repo activity.Repository
	// Streams are the streams to be read.
	Streams activity.Streams
	// Since is the start of the window of each stream, in whole seconds and inclusive.
	Since [activity.NumStreams]time.Time
	// GapStart is the start of a gap that ends at Since; zero for none. A first page that has all of the gap saves a
	// request for it.
	GapStart [activity.NumStreams]time.Time
	// Until is the end of a window of the past, exclusive; zero for the present. Commits are bounded by committer
	// date and comments by update time; pull requests are listed from the newest on and have no such bound.
	Until [activity.NumStreams]time.Time
	// CommitSelection is about the commits alone.
	CommitSelection
	// PullScans are what former readings of pull requests have emitted. That is not requested again.
	PullScans PullScans
	// Validators are those of the last complete reading of each stream, if everything before Since was recorded.
	Validators [activity.NumStreams]Validator
	// Minimal sends each request once, with the smallest page size, one stream after the other. It is for
	// repositories of which an earlier reading failed.
	Minimal bool
	// Priority is that of the requests.
	Priority budget.Priority
	// prefetched is the first page, if Prefetch has got it.
	prefetched *prefetchedPage
}

// CommitSelection says from where to where commits are read, and how.
type CommitSelection struct {
	// ReadHead is the head up to which commits were read before. Commits are then walked from the present head back
	// to it, whatever their dates are, and Since only ends the walk when the history was rewritten. Empty: commits
	// are listed by committer date.
	ReadHead string
	// Tips are heads, other than ReadHead, from which commits may have been recorded: those that the present head
	// does not reach are in ReadResult.Removed. Since of the commits must then be the horizon: older commits are
	// ignored.
	Tips []string
	// AtCommit is the commit from which a window of the past is listed (Until is set, ReadHead is empty); empty for
	// the present head of the default branch. The stream fails with a *transport.NotFoundError when there is no such commit.
	AtCommit string
	// OnHead receives the object name of the head before the first commits that are listed from it are emitted; nil
	// for no call. It may be called again.
	OnHead func(head string)
	// SkipLines reads commits without their lines, which costs far less with REST.
	SkipLines bool
}

// ReadResult is the result of a reading.
type ReadResult struct {
	// Head is the head up to which the commits were read; empty in an empty repository.
	Head string
	// Failed has the streams that were not read completely, with their errors. Of those, everything from CoveredFrom
	// to the end of the window was emitted; zero when nothing is certain, as with pull requests, of which the last
	// row may be one that was touched meanwhile.
	Failed      map[activity.Stream]error
	CoveredFrom [activity.NumStreams]time.Time
	// GapCoveredFrom is the time from which everything of a stream was emitted, if that is before Since; otherwise
	// zero.
	GapCoveredFrom [activity.NumStreams]time.Time
	// PullScans are what this reading of pull requests and the former ones have emitted.
	PullScans PullScans
	// Removed are the commits that ReadHead or one of Tips reaches and Head does not: after a force-push, a rebase,
	// or a change of the default branch. Commits older than the horizon may be among them. Empty when the commits
	// failed.
	Removed []activity.ID
	// ResolvedTips are those of ReadHead and Tips that Removed and Sweep describe completely, except Head. Empty when
	// the commits failed.
	ResolvedTips []string
	// Sweep, when not nil, has the commits of the branch: GitHub could not compare Head with one of the other heads,
	// which is not there any more, or has no commit in common with Head.
	Sweep *Sweep
	// Validators show in the next reading whether a stream has changed; zero where nothing does.
	Validators [activity.NumStreams]Validator
}

// Sweep lists commits of a branch: of those dated Since or later the branch has exactly Present. Present may have
// older commits, too, and has all that the same reading has emitted.
type Sweep struct {
	Since   time.Time
	Present []activity.ID
}

func (o *ReadResult) setFailed(s activity.Stream, err error) {
	if err == nil {
		return
	}
	if o.Failed == nil {
		o.Failed = make(map[activity.Stream]error, activity.NumStreams)
	}
	o.Failed[s], o.Validators[s], o.GapCoveredFrom[s] = err, Validator{}, time.Time{}
}

const (
	// partPatience and commentsPatience are how many time-outs the failed requests of one reading may last: those for
	// commits and pull requests, and those for comments. With the default settings both are less than a scrape
	// interval.
	partPatience     = 6
	commentsPatience = 2
)

// Read emits the events of a repository page by page. Events may be repeated, and may be older than the window; of a
// stream that did not fail, none in the window is missing. An error of emit ends the streams that are not complete.
func (c *Client) Read(ctx context.Context, req ReadRequest, emit func([]activity.Event) error) ReadResult {
	r := &reader{client: c, request: &req, emit: emit, former: newFormerTips(&req)}
	r.linesApart = c.state.repos.areLinesApart(req.Repo.ID, c.transport.Now())
	inPart := transport.WithScope(ctx, transport.Scope{
		RepoID: req.Repo.ID, Patience: c.transport.NewPatience(partPatience, req.Minimal), Priority: req.Priority,
	})
	if sources := r.activitySources(); c.settings.API == APIREST {
		r.readREST(inPart, sources)
	} else if len(sources) > 0 {
		r.readActivity(inPart, sources)
	}
	r.recordMissedLines()
	for _, s := range streamSources {
		if s.activity == nil && r.wants(s.stream) {
			alone := transport.WithScope(ctx, transport.Scope{
				RepoID: req.Repo.ID, Patience: c.transport.NewPatience(commentsPatience, req.Minimal), Priority: req.Priority,
			})
			r.readREST(alone, []*streamSource{s})
		}
	}
	return r.result
}

// readREST reads streams with REST.
func (r *reader) readREST(ctx context.Context, sources []*streamSource) {
	for _, s := range sources {
		r.result.setFailed(s.stream, s.readREST(ctx, r))
	}
}

// readerState is what a client's readers remember between requests. It is safe for concurrent use.
type readerState struct {
	// pageSize and cursors are those of listings and lookups.
	pageSize *pageSize
	cursors  cursorCache
	// groupSize is the number of repositories in a query of Prefetch.
	groupSize *pageSize
	repos     repoMemory
}

func newReaderState() readerState {
	return readerState{pageSize: newListingPageSize(), groupSize: newGroupSize()}
}

// maxPages bounds the pages of a listing with either API, so that a next page that never ends does end.
const maxPages = 5000

// errEndless is the error of a listing whose next page never ends.
func errEndless(endpoint string) error {
	return malformed(endpoint, fmt.Sprintf("the listing has more than %d pages, or repeats itself", maxPages))
}

// reader reads one repository.
type reader struct {
	client  *Client
	request *ReadRequest
	emit    func([]activity.Event) error
	result  ReadResult
	former  formerTips
	// headReported says that ReadRequest.OnHead was called.
	headReported bool
	// linesApart says that commits are requested without their lines, which follow in requests of their own: GitHub
	// may not be able to compute them in time.
	linesApart bool
	// forWeeklyLines says that the lines of a week are read, which is repeated when it fails.
	forWeeklyLines bool
	lines          linesTracker
}

// emitValid emits the valid events of a page.
func (r *reader) emitValid(events []activity.Event) error {
	good := events[:0]
	for i := range events {
		e := &events[i]
		e.Time = e.Time.UTC().Truncate(time.Second)
		if err := e.Validate(); err != nil {
			r.client.transport.ReportInvalidValue(err)
			continue
		}
		good = append(good, *e)
	}
	if len(good) == 0 {
		return nil
	}
	return r.emit(good)
}

func (r *reader) newEvent(kind activity.Kind, id activity.ID, actor activity.Actor, at time.Time) activity.Event {
	return activity.Event{Kind: kind, Repo: r.request.Repo.ID, ID: id, Actor: actor, Time: at}
}

// wants reports whether a stream is to be read.
func (r *reader) wants(s activity.Stream) bool { return r.request.Streams.Has(s) }

// clampLines limits a number of lines to what an event holds.
func clampLines(n int) uint32 {
	return uint32(min(max(0, n), 1<<31))
}
