// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// ReadRequest selects the activity of a repository.
type ReadRequest struct {
	Org string
	// Repo is the repository as discovery returned it.
	Repo activity.Repository
	// Streams are the streams to be read. One that is read in the listing of another stream may be without that one,
	// whose events are emitted all the same.
	Streams activity.Streams
	// Since is the start of the window of each stream, in whole seconds and inclusive.
	Since [activity.NumStreams]time.Time
	// GapStart is the start of a gap that ends at Since; zero for none. A first page that has all of the gap saves a
	// request for it.
	GapStart [activity.NumStreams]time.Time
	// Until is the exclusive end of a window of the past; zero for the present. Commits are bounded by committer
	// date and comments by update time; pull requests are listed from the newest on and have no such bound.
	Until [activity.NumStreams]time.Time
	// CommitSelection is about the commits alone.
	CommitSelection
	// PullScans are what former readings of pull requests have emitted. That is not requested again.
	PullScans PullScans
	// Validators are those of the last complete reading of each stream, if everything before Since was recorded.
	Validators [activity.NumStreams]Validator
	// WholeLists reads lists to their end whose order does not show what is new.
	WholeLists bool
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
	// the present head of the default branch. The stream fails with a *transport.NotFoundError when there is no such
	// commit.
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
	// row may be one that was updated meanwhile.
	Failed      map[activity.Stream]error
	CoveredFrom [activity.NumStreams]time.Time
	// GapCoveredFrom is the time from which everything of a stream was emitted, if that is before Since; otherwise
	// zero.
	GapCoveredFrom [activity.NumStreams]time.Time
	// Newest is the update time of the newest pull request and of the newest issue in what was read; zero for none.
	Newest [activity.NumStreams]time.Time
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

// noteUpdate notes the update time of a row of a stream.
func (o *ReadResult) noteUpdate(s activity.Stream, at time.Time) {
	if at.After(o.Newest[s]) {
		o.Newest[s] = at
	}
}

// setFailed records the error of a stream; nil for none.
func (o *ReadResult) setFailed(s activity.Stream, err error) {
	if err == nil {
		return
	}
	if o.Failed == nil {
		o.Failed = make(map[activity.Stream]error, activity.NumStreams)
	}
	o.Failed[s], o.Validators[s], o.GapCoveredFrom[s] = err, Validator{}, time.Time{}
}

// drop removes what the result says of a stream.
func (o *ReadResult) drop(s activity.Stream) {
	delete(o.Failed, s)
	o.CoveredFrom[s], o.GapCoveredFrom[s], o.Validators[s] = time.Time{}, time.Time{}, Validator{}
}

// Sweep lists commits of a branch: of those dated Since or later the branch has exactly Present. Present may have
// older commits, too, and has all that the same reading has emitted.
type Sweep struct {
	Since   time.Time
	Present []activity.ID
}

// Validator makes the next request of a listing conditional. A response that has not changed costs nothing of the
// primary limit
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate).
// ETags depend on the token: after an App's hourly token was replaced, each response has changed once.
type Validator struct {
	ETag string
	// Since is the start of the listing that the ETag is of; zero when the listing has no start.
	Since time.Time
}

// commitsSince returns the time from which commits are listed; nil for a walk from head to head, which has no bound.
func (r *ReadRequest) commitsSince() *string {
	if r.ReadHead != "" {
		return nil
	}
	since := formatTime(r.Since[activity.StreamCommits])
	return &since
}

// commitsUntil returns the time up to which commits are listed; nil for no bound.
func (r *ReadRequest) commitsUntil() *string {
	end := r.Until[activity.StreamCommits]
	if r.ReadHead != "" || end.IsZero() {
		return nil
	}
	until := formatTime(end)
	return &until
}

// issuesSince returns the update time from which the first page of issues is listed: that of the gap before the window,
// if there is one, since the page may have all of it.
func (r *ReadRequest) issuesSince() *string {
	start := r.Since[activity.StreamIssues]
	if gap := r.GapStart[activity.StreamIssues]; !gap.IsZero() {
		start = gap
	}
	return new(formatTime(start))
}

// hadCommits reports whether commits of the repository were read before.
func (r *ReadRequest) hadCommits() bool { return r.ReadHead != "" || len(r.Tips) > 0 }
