// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// evaluationTimes are the times, in Unix seconds, at which a repository's values are computed.
type evaluationTimes struct {
	// until and retained are, of each stream, the time that is shown, and the exclusive start of the retention before.
	until, retained [activity.NumStreams]int64
	// spans are the windows of each stream.
	spans [activity.NumSpans]spanTimes
	// hasOptional says that the optional measures of the week were read.
	hasOptional bool
}

// spanTimes are a window of each stream, from the exclusive start after to the inclusive end until. isRead has the
// streams whose window is complete: of others it has no value.
type spanTimes struct {
	after, until [activity.NumStreams]int64
	isRead       activity.Streams
}

// set sets the window of a stream.
func (t *spanTimes) set(s activity.Stream, after, until int64, isRead bool) {
	t.after[s], t.until[s] = after, until
	if isRead {
		t.isRead = t.isRead.With(s)
	}
}

// weekStreams are the streams with a sum over a week.
var weekStreams = func() (set activity.Streams) {
	for i := range totalSpecs {
		if totalSpecs[i].Sum.Windows[0].Span == activity.SpanWeek {
			set = set.With(totalSpecs[i].Stream)
		}
	}
	return set
}()

// evaluationTimes returns the times at which the values of a repository are computed for an emission at now.
func (v *View) evaluationTimes(r *ledger.RepoCoverage, now time.Time) evaluationTimes {
	times := evaluationTimes{hasOptional: !v.settings.WeeklyLinesFromEntries}
	for _, s := range activity.AllStreams() {
		at, edge := now, v.cov.RepoEdge(r, s)
		if limit := edge.Add(v.settings.Grace); limit.Before(at) {
			at = limit
		}
		times.until[s] = at.Unix()
		times.retained[s] = at.Add(-v.settings.Retention).Unix()
		for _, span := range [...]activity.Span{activity.SpanDay, activity.Span7Days, activity.Span30Days} {
			start := at.Add(-span.Length())
			isRead := span == activity.SpanDay || span.Length() <= v.settings.Retention &&
				v.isRead(r, s, activity.Window{Start: start, End: edge})
			times.spans[span].set(s, start.Unix(), at.Unix(), isRead)
		}
		if !weekStreams.Has(s) {
			continue
		}
		week := ledger.LastCompleteWeek(at)
		isRead := !r.WantedSince(s).After(week.Start) && !r.Missing[s].Overlaps(week)
		times.spans[activity.SpanWeek].set(s, week.Start.Unix()-1, week.End.Unix()-1, isRead)
		times.hasOptional = times.hasOptional && !week.Start.Before(v.linesUnreadUntil)
	}
	return times
}

// isRead reports whether a window of a stream was read completely and its events are still kept. The last 24 h are
// shown without this condition: at first contact they are what is read first.
func (v *View) isRead(r *ledger.RepoCoverage, s activity.Stream, w activity.Window) bool {
	return !r.WantedSince(s).After(w.Start) && !v.prunedBefore.After(w.Start) && r.Streams.Has(s) &&
		!r.Missing[s].Overlaps(w)
}
