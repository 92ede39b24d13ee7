// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// plannedReading is a reading before its turn. It is small and shares what it can with the coverage: with REST alone,
// which has no signals of most streams, every pass reads every repository.
type plannedReading struct {
	// repo is the coverage with the changes of the plan.
	repo *ledger.RepoCoverage
	name string
	// signals are the discovered ones; nil when they are those of the coverage without a head.
	signals *activity.Signals
	// needed are the streams that have changed or lag, streams those of them that do not back off.
	needed, streams activity.Streams
	isMinimal       bool
}

func newPlannedReading(
	r *activity.Repository, repoCov *ledger.RepoCoverage, needed activity.Streams,
) plannedReading {
	planned := plannedReading{repo: repoCov, name: r.Name, needed: needed}
	if planned.name == repoCov.Name {
		planned.name = repoCov.Name // the same text, of which one copy is enough
	}
	if recorded := withoutHead(&repoCov.Signals); !recorded.Equal(&r.Signals) {
		signals := r.Signals
		planned.signals = &signals
	}
	return planned
}

// discovered returns the signals of the discovery.
func (r *plannedReading) discovered() activity.Signals {
	if r.signals != nil {
		return *r.signals
	}
	return withoutHead(&r.repo.Signals)
}

// withoutHead returns signals as a discovery with REST has them.
func withoutHead(s *activity.Signals) activity.Signals {
	signals := *s
	signals.Head, signals.HeadReadAt = "", time.Time{}
	return signals
}

// passWindows are the windows that a pass reads of each stream: from an edge of the coverage to the start of the pass.
type passWindows struct {
	org             string
	cov             *ledger.Coverage
	start           time.Time
	backfillEnabled bool
}

// streamEdges returns from when on this pass must read each stream of a repository: the stream's edge, or the pass's
// where backfill reads what is before. lags are the streams whose newest part is a gap.
func (p *passWindows) streamEdges(
	repoCov *ledger.RepoCoverage,
) (from [activity.NumStreams]time.Time, lags activity.Streams) {
	for _, s := range activity.AllStreams() {
		from[s] = p.cov.RepoEdge(repoCov, s)
		if repoCov.Signals.Disabled.Has(s) || !isLagging(repoCov, s, from[s]) {
			continue
		}
		lags = lags.With(s)
		if p.leftToBackfill(repoCov, s) {
			from[s] = p.cov.PassEdge(repoCov)
		}
	}
	return from, lags
}

// leftToBackfill reports whether backfill reads a lagging stream. The pass that discovers a repository or an enabled
// stream reads the last 24 h itself. Commits are always read on from a head that was read before: that costs no more,
// and their dates may hide some of them.
func (p *passWindows) leftToBackfill(repoCov *ledger.RepoCoverage, s activity.Stream) bool {
	recorded := p.cov.Repos[repoCov.ID]
	return p.backfillEnabled && repoCov.FirstSeen.Before(p.start) &&
		recorded != nil && !recorded.IsGone() && !recorded.Signals.Disabled.Has(s) &&
		recorded.Streams.Has(s) &&
		(s != activity.StreamCommits || repoCov.Signals.HeadReadAt.IsZero())
}

// isLagging reports whether the newest part of the stream is a gap.
func isLagging(repoCov *ledger.RepoCoverage, s activity.Stream, edge time.Time) bool {
	n := len(repoCov.Missing[s])
	return n > 0 && repoCov.Missing[s][n-1].Start.Equal(edge)
}

// unread returns what is recorded of a repository if it is not read.
func (p *passWindows) unread(r *plannedReading) *ifUnread {
	from, _ := p.streamEdges(r.repo)
	for _, s := range activity.AllStreams() {
		if !r.needed.Has(s) {
			from[s] = time.Time{}
		}
	}
	unread := &ifUnread{coveredUntil: from}
	found, recorded := r.discovered(), p.cov.Repos[r.repo.ID]
	hasEnabled := recorded != nil && recorded.Signals.Disabled&^found.Disabled != 0
	if hasEnabled || !found.PushedAt.Equal(r.repo.Signals.PushedAt) {
		signals := r.repo.Signals
		signals.PushedAt = found.PushedAt
		signals.Disabled, signals.DisabledSince = found.Disabled, found.DisabledSince
		unread.signals = &signals
	}
	return unread
}

// newReading makes a reading of streams from their edges on. After a long outage it reads the last 24 h and leaves the
// window before them as deferred.
func (p *passWindows) newReading(r *plannedReading, nodeID string) reading {
	from, lags := p.streamEdges(r.repo)
	todo := reading{
		observed: p.start,
		previous: r.repo.Signals,
		lagging:  lags,
		wanted:   newWantedSince(r.repo),
		request: github.ReadRequest{
			Org: p.org, Streams: r.streams, Minimal: r.isMinimal,
			Repo: activity.Repository{ID: r.repo.ID, NodeID: nodeID, Name: r.name, Signals: r.discovered()},
		},
	}
	for _, s := range activity.AllStreams() {
		start := from[s]
		if at := p.start.Add(-recentWindow); at.After(start) {
			start = at
		}
		todo.windows[s] = activity.Window{Start: start, End: p.start}
		todo.deferred[s] = activity.Window{Start: from[s], End: start}
		todo.request.Since[s] = start.Add(-readOverlap)
		if !todo.deferred[s].IsEmpty() {
			todo.request.GapStart[s] = from[s].Add(-readOverlap)
		}
	}
	if readsFromHead(r.repo, lags) {
		todo.readFromHead(r.repo, lags.Has(activity.StreamCommits), from[activity.StreamCommits])
	}
	return todo
}

// readsFromHead reports whether commits are read from the head that was read last on, and not by their dates.
func readsFromHead(repoCov *ledger.RepoCoverage, lags activity.Streams) bool {
	return !repoCov.Signals.HeadReadAt.IsZero() || !lags.Has(activity.StreamCommits)
}
