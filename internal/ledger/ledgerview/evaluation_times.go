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
	// until, day and retained are, of each stream, the time that is shown, and the exclusive starts of the 24 h and of
	// the retention before it.
	until, day, retained [activity.NumStreams]int64
	// weekStart and weekEnd are, of each stream with a sum over a week, the last complete week; hasWeek has those whose
	// week has been read.
	weekStart, weekEnd [activity.NumStreams]int64
	hasWeek            activity.Streams
	// hasOptional says that the optional measures of the week were read.
	hasOptional bool
}

// weekStreams are the streams with a sum over a week.
var weekStreams = func() (set activity.Streams) {
	for i := range totalSpecs {
		if totalSpecs[i].Sum.Span == activity.SpanWeek {
			set = set.With(totalSpecs[i].Stream)
		}
	}
	return set
}()

// evaluationTimes returns the times at which the values of a repository are computed for an emission at now.
func (v *View) evaluationTimes(r *ledger.RepoCoverage, now time.Time) evaluationTimes {
	times := evaluationTimes{hasOptional: !v.settings.WeeklyLinesFromEntries}
	for _, s := range activity.AllStreams() {
		at := now
		if limit := v.cov.RepoEdge(r, s).Add(v.settings.Grace); limit.Before(at) {
			at = limit
		}
		times.until[s] = at.Unix()
		times.day[s] = at.Add(-24 * time.Hour).Unix()
		times.retained[s] = at.Add(-v.settings.Retention).Unix()
		if !weekStreams.Has(s) {
			continue
		}
		week := ledger.LastCompleteWeek(time.Unix(times.until[s], 0))
		times.weekStart[s], times.weekEnd[s] = week.Start.Unix(), week.End.Unix()
		if !r.Since.After(week.Start) && !r.Missing[s].Overlaps(week) {
			times.hasWeek = times.hasWeek.With(s)
		}
		times.hasOptional = times.hasOptional && !week.Start.Before(v.linesUnreadUntil)
	}
	return times
}
