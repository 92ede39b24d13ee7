// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// TestLastWeekIsTheLastWeek checks that the week starts and ends on Sunday 00:00 UTC, that it is over, and that the
// next one is not.
func TestLastWeekIsTheLastWeek(t *testing.T) {
	t.Parallel()
	const long = 7 * 24 * time.Hour
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("drawn", rapid.IntRange(-12, 14).Draw(t, "zone")*3600)
		at := time.Unix(rapid.Int64Range(0, 1<<32-1).Draw(t, "second"),
			rapid.Int64Range(0, 1e9-1).Draw(t, "nanosecond")).In(zone)
		week := LastCompleteWeek(at)
		require.Equal(t, time.Sunday, week.Start.UTC().Weekday())
		require.Equal(t, week.Start.UTC(), week.Start.UTC().Truncate(24*time.Hour))
		require.Equal(t, long, week.End.Sub(week.Start))
		require.False(t, week.End.After(at), "%v is over", week)
		require.True(t, week.End.Add(long).After(at), "the one after %v is not", week)
	})
}

// TestLastWeekAtTheTurns has the weeks that calendars make difficult, computed by hand.
func TestLastWeekAtTheTurns(t *testing.T) {
	t.Parallel()
	for at, start := range map[string]string{
		"2026-01-03T23:59:59Z":      "2025-12-21T00:00:00Z", // Saturday: the week of the new year is not over
		"2026-01-04T00:00:00Z":      "2025-12-28T00:00:00Z", // the week of both years
		"2028-02-29T12:00:00Z":      "2028-02-20T00:00:00Z", // on the leap day itself, a Tuesday
		"2028-03-05T00:00:00Z":      "2028-02-27T00:00:00Z", // the week with the leap day
		"2100-03-07T00:00:00Z":      "2100-02-28T00:00:00Z", // a century without one
		"1970-01-04T00:00:00Z":      "1969-12-28T00:00:00Z", // before the beginning of Unix time
		"2026-03-29T01:00:00+01:00": "2026-03-22T00:00:00Z", // the hour that summer time takes away elsewhere
		"2026-03-08T04:59:59+05:00": "2026-02-22T00:00:00Z", // already Sunday there, still Saturday in UTC
		"2026-03-07T19:00:00-05:00": "2026-03-01T00:00:00Z", // still Saturday there, already Sunday in UTC
	} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			moment, err := time.Parse(time.RFC3339, at)
			require.NoError(t, err)
			require.Equal(t, start, LastCompleteWeek(moment).Start.Format(time.RFC3339))
		})
	}
}

// TestLinesChangeOnSunday checks that the weekly lines are those of the week before until the last second of Saturday.
func TestLinesChangeOnSunday(t *testing.T) {
	t.Parallel()
	sunday := time.Date(2026, 1, 4, 0, 0, 0, 0, time.UTC) // the week before has the turn of the year
	v := NewView(ViewSettings{Retention: 1000 * time.Hour, Grace: time.Hour})
	v.Apply(Change{Reset: true, CaughtUp: true, Progress: Progress{Edge: sunday, Repos: []RepoProgress{
		{ID: 1, Name: "one", FirstSeen: sunday, Since: sunday.AddDate(0, 0, -28)},
	}}, Events: []activity.Event{
		commitOf(1, "ada", sunday.AddDate(0, 0, -14), 1), commitOf(2, "ada", sunday.AddDate(0, 0, -7).Add(-time.Second),
			10),
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
	week := LastCompleteWeek(noon)
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
			v := NewView(ViewSettings{Retention: 1000 * time.Hour, Grace: time.Hour})
			p := RepoProgress{ID: 1, Name: "one", FirstSeen: noon, Since: test.since}
			if !test.missed.IsEmpty() {
				p.Missed = []StreamWindow{{test.stream, test.missed}}
			}
			v.Apply(Change{
				Reset: true, CaughtUp: true, Progress: Progress{Edge: noon, Repos: []RepoProgress{p}},
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
