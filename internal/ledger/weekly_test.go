// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

func linesOf(user string, added, removed uint64) UserLines {
	return UserLines{Actor: activity.Actor{Login: user}, Added: added, Removed: removed}
}

// drawWeekly draws a document.
func drawWeekly(t *rapid.T) WeeklyLines {
	w := WeeklyLines{
		Week:     LastCompleteWeek(time.Unix(rapid.Int64Range(1e9, 4e9).Draw(t, "week"), 0)).Start,
		Complete: rapid.Bool().Draw(t, "everybody"),
	}
	for i := range rapid.IntRange(0, 20).Draw(t, "users") {
		lines := rapid.Uint64Range(0, 1<<40)
		u := linesOf(fmt.Sprintf("user-%d", i), lines.Draw(t, "added"), lines.Draw(t, "removed"))
		w.Users = append(w.Users, u)
	}
	return w
}

func TestWeeklyCodec(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWeekly(t)
		got, err := DecodeWeeklyLines(w.Encode())
		require.NoError(t, err)
		require.Equal(t, w.Week, got.Week)
		require.Equal(t, w.Complete, got.Complete)
		require.ElementsMatch(t, w.Users, got.Users)
	})
	good := (&WeeklyLines{Week: LastCompleteWeek(noon).Start, Users: []UserLines{linesOf("ada", 5, 300)}}).Encode()
	for name, data := range map[string][]byte{
		"nothing": nil, "another version": append([]byte{2}, good[1:]...),
		"unknown flags": append([]byte{1, 2}, good[2:]...),
		"cut":           good[:len(good)-1], "more": append(good, 'x'), "head only": good[:2], "a Monday": {1, 0, 4},
		"no login": {1, 0, 3, 1, 0, 1, 1}, "a long login": {1, 0, 3, 1, 200, 'a', 1, 1},
	} {
		_, err := DecodeWeeklyLines(data)
		require.ErrorIs(t, err, ErrWeeklyLines, name)
	}
}

// TestWeeklyIsBounded checks that the users with the fewest lines are dropped from an entry that would be too large,
// which is not complete then.
func TestWeeklyIsBounded(t *testing.T) {
	t.Parallel()
	w := WeeklyLines{Week: LastCompleteWeek(noon).Start, Complete: true}
	for i := range 5000 {
		w.Users = append(w.Users, linesOf(fmt.Sprintf("a-rather-long-name-of-somebody-%d", i), uint64(i), 0))
	}
	data := w.Encode()
	require.LessOrEqual(t, len(data), MaxEntry)
	got, err := DecodeWeeklyLines(data)
	require.NoError(t, err)
	require.False(t, got.Complete)
	require.Equal(t, uint64(4999), got.Users[0].Added)
	require.Greater(t, len(got.Users), 1000)
}

func FuzzDecodeWeekly(f *testing.F) {
	f.Add((&WeeklyLines{
		Week: LastCompleteWeek(noon).Start, Complete: true,
		Users: []UserLines{linesOf("ada", 5, 300)},
	}).Encode())
	f.Add([]byte{1, 0, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := DecodeWeeklyLines(data)
		if err != nil {
			return
		}
		again, err := DecodeWeeklyLines(w.Encode())
		require.NoError(t, err)
		require.Equal(t, w.Week, again.Week)
		require.ElementsMatch(t, w.Users, again.Users)
	})
}

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
