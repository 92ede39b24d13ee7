package collect

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// reading is what has to be read of one repository, and what is known when it has been.
type reading struct {
	request github.ReadRequest
	// windows is, of each stream of the request, the window that is read when it succeeds, and later the window before
	// it that is left for afterwards: after a long outage a pass reads the last 24 h.
	windows, deferred [activity.NumStreams]activity.Window
	// observed is when the repository's signals were taken, known what they were before.
	observed time.Time
	previous activity.Signals
	// lagging are the streams of which more is missing than this interval.
	lagging activity.Streams
}

// readFromHead reads commits from head to head: nothing is missed, whatever the commits' dates are; the horizon is where
// nobody wants more. A repository that was empty gets all its history at once, and that may be old. What is missing
// from before the old head was read is not behind it: when a pass ends before its end, others may have read the newest
// part only.
func (r *reading) readFromHead(known *ledger.RepoCoverage, lags bool, from time.Time) {
	const s = activity.StreamCommits
	start := from
	if lags {
		missing := known.Missing[s]
		start = missing[len(missing)-1].End
		if at := known.Signals.HeadReadAt; at.Before(start) {
			start = at
		}
		if start.Before(from) {
			start = from
		}
	}
	r.request.ReadHead, r.request.Tips = known.Signals.Head, known.Tips
	r.request.Since[s], r.request.GapStart[s] = known.Since, time.Time{}
	r.windows[s].Start, r.deferred[s] = start, activity.Window{Start: from, End: start}
}

// extendCovered takes what was read that is older than what was asked for: nothing of that stream is left for later.
func (r *reading) extendCovered(outcome *github.ReadResult) {
	for _, s := range activity.AllStreams() {
		if !outcome.GapCoveredFrom[s].IsZero() && !r.deferred[s].IsEmpty() {
			r.windows[s].Start, r.deferred[s] = r.deferred[s].Start, activity.Window{}
		}
	}
}

// progress is the progress of a reading that ended with the given outcome. What failed lags from now on and is read in
// every pass, whatever the signals say, so that the signals can be kept for the rest.
func (r *reading) progress(outcome *github.ReadResult) ledger.RepoProgress {
	progress := ledger.RepoProgress{
		ID: r.request.Repo.ID, Signals: r.signals(outcome), Observed: r.observed, ResolvedTips: outcome.ResolvedTips,
	}
	for _, s := range activity.AllStreams() {
		if !r.request.Streams.Has(s) {
			continue
		}
		window := ledger.StreamWindow{Stream: s, Window: r.windows[s]}
		if outcome.Failed[s] == nil {
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

// isNoop reports whether a reading that brought no event says nothing that the edge of the pass does not say as well.
func (r *reading) isNoop(outcome *github.ReadResult) bool {
	for _, w := range r.deferred {
		if !w.IsEmpty() {
			return false
		}
	}
	return len(outcome.Failed) == 0 && r.lagging == 0 && r.request.Streams&r.request.Repo.Signals.Streams == 0 &&
		!r.request.Streams.Has(activity.StreamCommits) && r.signals(outcome).Equal(&r.previous)
}

// signals are the discovered ones, with the head up to which commits were really read.
func (r *reading) signals(outcome *github.ReadResult) *activity.Signals {
	signals := r.request.Repo.Signals
	signals.Head, signals.HeadReadAt = r.previous.Head, r.previous.HeadReadAt
	if r.request.Streams.Has(activity.StreamCommits) && outcome.Failed[activity.StreamCommits] == nil {
		signals.HeadReadAt = r.observed
		if outcome.Head != "" {
			signals.Head = outcome.Head
		}
	}
	return &signals
}
