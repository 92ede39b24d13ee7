// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// reading is a request for the streams of one repository, with what it covers when it succeeds.
type reading struct {
	request github.ReadRequest
	// windows is what a successful reading covers of each stream, and deferred the window before it that stays a gap:
	// after a long outage a pass reads the last 24 h only.
	windows, deferred [activity.NumStreams]activity.Window
	// observed is when the repository's signals were discovered, and previous are the recorded ones.
	observed time.Time
	previous activity.Signals
	// lagging are the streams with a gap right before windows.
	lagging activity.Streams
	wanted  wantedSince
}

// readFromHead makes the reading walk commits from the present head to the one that was read last, so that no commit is
// missed whatever its dates are. The walk ends at the lookback: a repository that was empty gets all of its history,
// which may be old. A gap that begins before the old head was read stays a gap up to there: a reading that stopped
// early may have recorded the newest commits only.
func (r *reading) readFromHead(repoCov *ledger.RepoCoverage, isLagging bool, from time.Time) {
	const s = activity.StreamCommits
	start := from
	if isLagging {
		missing := repoCov.Missing[s]
		start = missing[len(missing)-1].End
		if at := repoCov.Signals.HeadReadAt; at.Before(start) {
			start = at
		}
		if start.Before(from) {
			start = from
		}
	}
	r.request.ReadHead, r.request.Tips = repoCov.Signals.Head, repoCov.Tips
	r.request.Since[s], r.request.GapStart[s] = repoCov.Since, time.Time{}
	r.windows[s].Start, r.deferred[s] = start, activity.Window{Start: from, End: start}
}

// extendCovered adds the deferred windows to what is covered where GitHub's pages contained them anyway.
func (r *reading) extendCovered(result *github.ReadResult) {
	for _, s := range activity.AllStreams() {
		if !result.GapCoveredFrom[s].IsZero() && !r.deferred[s].IsEmpty() {
			r.windows[s].Start, r.deferred[s] = r.deferred[s].Start, activity.Window{}
		}
	}
}

// unreadSince returns since when a stream was not read before this reading.
func (r *reading) unreadSince(s activity.Stream) time.Time {
	if w := r.deferred[s]; !w.IsEmpty() {
		return w.Start
	}
	return r.windows[s].Start
}

// progress returns what a reading with this result has covered and missed. A stream that failed has a gap and is read
// in every pass until the gap is closed, whatever its signals are: so the signals can be recorded for the other
// streams.
func (r *reading) progress(result *github.ReadResult) ledger.RepoProgress {
	progress := ledger.RepoProgress{
		ID: r.request.Repo.ID, Signals: r.signals(result), Observed: r.observed,
		TipChanges: ledger.TipChanges{ResolvedTips: result.ResolvedTips},
	}
	for _, s := range activity.AllStreams() {
		if !r.request.Streams.Has(s) {
			continue
		}
		window := ledger.StreamWindow{Stream: s, Window: r.windows[s]}
		if result.Failed[s] == nil {
			progress.Read = append(progress.Read, window)
		} else {
			progress.Missed = append(progress.Missed, window)
		}
		if !r.deferred[s].IsEmpty() {
			progress.Missed = append(progress.Missed, ledger.StreamWindow{Stream: s, Window: r.deferred[s]})
		}
	}
	return progress
}

// isNoop reports whether a reading without events changes nothing that the edge of the pass does not cover as well.
func (r *reading) isNoop(result *github.ReadResult) bool {
	for _, w := range r.deferred {
		if !w.IsEmpty() {
			return false
		}
	}
	return len(result.Failed) == 0 && r.lagging == 0 && r.request.Streams&r.request.Repo.Signals.Streams == 0 &&
		!r.request.Streams.Has(activity.StreamCommits) && r.signals(result).Equal(&r.previous)
}

// signals returns the discovered signals, with the head up to which commits were read.
func (r *reading) signals(result *github.ReadResult) *activity.Signals {
	signals := r.request.Repo.Signals
	signals.Head, signals.HeadReadAt = r.previous.Head, r.previous.HeadReadAt
	if r.request.Streams.Has(activity.StreamCommits) && result.Failed[activity.StreamCommits] == nil {
		signals.HeadReadAt = r.observed
		if result.Head != "" {
			signals.Head = result.Head
		}
	}
	return &signals
}
