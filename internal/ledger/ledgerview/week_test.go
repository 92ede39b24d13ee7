// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// TestLinesChangeOnSunday checks that the weekly lines are those of the week before until the last second of Saturday.
func TestLinesChangeOnSunday(t *testing.T) {
	t.Parallel()
	sunday := time.Date(2026, 1, 4, 0, 0, 0, 0, time.UTC) // the week before has the turn of the year
	v := New(Settings{Retention: 1000 * time.Hour, Grace: time.Hour})
	progress := ledger.Progress{Edge: sunday, Repos: []ledger.RepoProgress{
		{ID: 1, Name: "one", FirstSeen: sunday, Since: sunday.AddDate(0, 0, -28)},
	}}
	v.Apply(ledger.Change{Reset: true, CaughtUp: true, Progress: progress, Events: []activity.Event{
		commitOf(1, "ada", sunday.AddDate(0, 0, -14), 1),
		commitOf(2, "ada", sunday.AddDate(0, 0, -7).Add(-time.Second), 10),
		commitOf(3, "ada", sunday.AddDate(0, 0, -7), 100), commitOf(4, "ada", sunday.Add(-time.Second), 1000),
		commitOf(5, "ada", sunday, 10000),
	}})
	lines := func(at time.Time) uint64 { return visit(v, at).values[ada].Of[MetricLinesAdded] }
	require.Equal(t, uint64(11), lines(sunday.Add(-time.Second)))
	require.Equal(t, uint64(11), lines(sunday.Add(-time.Nanosecond)))
	require.Equal(t, uint64(1100), lines(sunday))
	require.Equal(t, uint64(11), lines(sunday.Add(-time.Second)), "only the time decides")
}

// TestLinesAreAbsentWhileTheWeekIsNotRead checks that one missing or unwanted second of the week is enough to omit its
// lines, that other metrics are shown, and that users without commits have no lines.
func TestLinesAreAbsentWhileTheWeekIsNotRead(t *testing.T) {
	t.Parallel()
	week := ledger.LastCompleteWeek(noon)
	for name, test := range map[string]struct {
		since  time.Time
		missed activity.Window
		stream activity.Stream
		there  bool
	}{
		"all read":                   {week.Start, activity.Window{}, 0, true},
		"wanted from a second later": {week.Start.Add(time.Second), activity.Window{}, 0, false},
		"its first second is missing": {week.Start, activity.Window{
			Start: week.Start,
			End:   week.Start.Add(time.Second),
		}, 0, false},
		"its last second is missing": {
			week.Start,
			activity.Window{Start: week.End.Add(-time.Second), End: week.End},
			0, false,
		},
		"the second before is missing": {
			week.Start.Add(-time.Hour),
			activity.Window{Start: week.Start.Add(-time.Second), End: week.Start},
			0, true,
		},
		"the second after is missing": {
			week.Start,
			activity.Window{Start: week.End, End: week.End.Add(time.Second)},
			0, true,
		},
		"another stream is missing": {week.Start, week, activity.StreamPulls, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := New(Settings{Retention: 1000 * time.Hour, Grace: time.Hour})
			p := ledger.RepoProgress{ID: 1, Name: "one", FirstSeen: noon, Since: test.since}
			if !test.missed.IsEmpty() {
				p.Missed = []ledger.StreamWindow{{Stream: test.stream, Window: test.missed}}
			}
			v.Apply(ledger.Change{
				Reset: true, CaughtUp: true, Progress: ledger.Progress{Edge: noon, Repos: []ledger.RepoProgress{p}},
				Events: []activity.Event{
					commitOf(1, "ada", noon.Add(-time.Hour), 5), event(activity.KindIssueComment, 1, "bob", noon),
				},
			})
			got := visit(v, noon).values
			for _, m := range []Metric{MetricLinesAdded, MetricLinesRemoved} {
				require.Equal(t, test.there, got[ada].Present.Has(m))
				require.False(t, got[Series{"one", "bob"}].Present.Has(m))
			}
			require.True(t, got[ada].Present.Has(count(activity.KindCommit)))
			require.Equal(t, uint64(5), got[ada].Of[MetricTotalLinesAdded])
		})
	}
}
