// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

var given = ViewSettings{Grace: 100 * time.Hour, WeeklyLinesFromEntries: true}

func linesOf(user string, added, removed uint64) UserLines {
	return UserLines{Actor: activity.Actor{Login: user}, Added: added, Removed: removed}
}

// applyWeekly applies a repository's weekly lines to a view.
func applyWeekly(v *View, at time.Time, w WeeklyLines) {
	v.Apply(Change{Entries: []Entry{{EntryKey: WeeklyLinesKey(1), Data: w.Encode(), Observed: at}}})
}

// weekly is what a visit shows of a user's weekly lines: added and removed, nil when they are absent.
func weekly(t *testing.T, v *View, now time.Time, user string) []uint64 {
	t.Helper()
	got, there := visit(v, now).values[Series{"one", user}]
	require.Equal(t, got.Present.Has(MetricLinesAdded), got.Present.Has(MetricLinesRemoved))
	require.False(t, got.Present.Has(MetricTotalLinesAdded) || got.Present.Has(MetricTotalLinesRemoved),
		"single commits' lines are not read")
	if !there || !got.Present.Has(MetricLinesAdded) {
		return nil
	}
	return []uint64{got.Of[MetricLinesAdded], got.Of[MetricLinesRemoved]}
}

// TestWeeklyEntries checks that listed users have their lines, and that others have none, or 0 if the week is complete.
func TestWeeklyEntries(t *testing.T) {
	t.Parallel()
	week := LastCompleteWeek(noon).Start
	old := noon.Add(-9 * 24 * time.Hour)
	v := viewOf(given,
		commitOf(1, "ada", old, 7), commitOf(2, "bob", old, 7), commitOf(3, "eve", old, 7),
		event(activity.KindIssueComment, 4, "kim", old))
	for _, user := range []string{"ada", "bob", "eve", "kim"} {
		require.Nil(t, weekly(t, v, noon, user), "nothing is given yet")
	}
	applyWeekly(v, noon, WeeklyLines{Week: week, Users: []UserLines{
		linesOf("ada", 5, 3), linesOf("bob", 0, 0),
		linesOf("new", 1, 0), linesOf("idle", 0, 0),
	}})
	require.Equal(t, []uint64{5, 3}, weekly(t, v, noon, "ada"))
	require.Equal(t, []uint64{0, 0}, weekly(t, v, noon, "bob"), "listed with nothing, and has commits")
	require.Nil(t, weekly(t, v, noon, "eve"), "not listed")
	require.Nil(t, weekly(t, v, noon, "kim"), "has no commits")
	require.Equal(t, []uint64{1, 0}, weekly(t, v, noon, "new"), "his commits have not been read yet")
	require.Nil(t, weekly(t, v, noon, "idle"))

	applyWeekly(v, noon.Add(time.Second), WeeklyLines{
		Week: week, Complete: true,
		Users: []UserLines{linesOf("ada", 5, 3)},
	})
	require.Equal(t, []uint64{0, 0}, weekly(t, v, noon, "eve"))
	require.Nil(t, weekly(t, v, noon, "kim"))
	require.Nil(t, weekly(t, v, noon, "new"))
	require.Equal(t, 3, v.Summary().Shown[MetricLinesAdded])

	applyWeekly(v, noon, WeeklyLines{Week: week, Users: []UserLines{linesOf("ada", 99, 99)}})
	require.Equal(t, []uint64{5, 3}, weekly(t, v, noon, "ada"), "an older observation")
	v.Apply(Change{Entries: []Entry{{
		EntryKey: WeeklyLinesKey(1), Data: []byte("rubbish"),
		Observed: noon.Add(time.Minute),
	}}})
	require.Equal(t, []uint64{5, 3}, weekly(t, v, noon, "ada"), "what is no document changes nothing")
	require.Equal(t, []uint64{5, 3}, weekly(t, v, noon.Add(10*24*time.Hour), "ada"),
		"the last one is shown until it is replaced")
}

// TestWeeklyEntriesAge checks that lines that are not replaced are shown as long as the retention.
func TestWeeklyEntriesAge(t *testing.T) {
	t.Parallel()
	v := viewOf(ViewSettings{Grace: 10_000 * time.Hour, WeeklyLinesFromEntries: true, Retention: 336 * time.Hour})
	week := LastCompleteWeek(noon)
	applyWeekly(v, noon, WeeklyLines{Week: week.Start, Users: []UserLines{linesOf("ada", 5, 3)}})
	end := week.End.Add(336 * time.Hour)
	require.NotNil(t, weekly(t, v, end.Add(-time.Second), "ada"))
	shown := visit(v, end)
	require.Empty(t, shown.values)
	require.Equal(t, MaskOf(MetricLinesAdded, MetricLinesRemoved), shown.ended[ada])
}

// TestWeeklyEntriesByLabel checks that users with one label are summed, that users who are not shown are not, and that
// lines of folded users are those of "_other".
func TestWeeklyEntriesByLabel(t *testing.T) {
	t.Parallel()
	settings := given
	settings.Label = func(a activity.Actor) (string, bool) {
		return strings.TrimRight(a.Login, "0123456789"), !a.IsBot()
	}
	old := noon.Add(-9 * 24 * time.Hour)
	v := viewOf(settings, commitOf(1, "ada1", old, 7), commitOf(2, "renovate[bot]", old, 7))
	users := []UserLines{
		linesOf("ada1", 5, 3), linesOf("ada2", 10, 1), linesOf("renovate[bot]", 100, 100),
		linesOf("eve", 7, 7), linesOf("kim", 1, 1),
	}
	applyWeekly(v, noon, WeeklyLines{Week: LastCompleteWeek(noon).Start, Users: users})
	require.Equal(t, []uint64{15, 4}, weekly(t, v, noon, "ada"))
	require.Equal(t, []uint64{7, 7}, weekly(t, v, noon, "eve"))
	require.Nil(t, weekly(t, v, noon, "renovate[bot]"))

	other := commitOf(3, activity.LoginOther, old, 7)
	v.Apply(Change{Events: []activity.Event{other}})
	require.Equal(t, []uint64{8, 8}, weekly(t, v, noon, activity.LoginOther))
	require.Nil(t, weekly(t, v, noon, "eve"))
	require.Equal(t, []uint64{15, 4}, weekly(t, v, noon, "ada"))
	v.Apply(Change{Events: []activity.Event{commitOf(4, "eve", noon, 1)}})
	require.Equal(t, []uint64{7, 7}, weekly(t, v, noon, "eve"))
	require.Equal(t, []uint64{1, 1}, weekly(t, v, noon, activity.LoginOther))
}

// TestWeeklyEntriesOfARepository checks that weekly lines follow a rename, vanish when the repository leaves, and
// return with a snapshot.
func TestWeeklyEntriesOfARepository(t *testing.T) {
	t.Parallel()
	v := viewOf(given)
	applyWeekly(v, noon, WeeklyLines{Week: LastCompleteWeek(noon).Start, Users: []UserLines{linesOf("ada", 5, 3)}})
	require.Contains(t, visit(v, noon).values, ada)
	v.Apply(Change{Progress: Progress{Repos: []RepoProgress{{ID: 1, Name: "two"}}}})
	renamed := visit(v, noon)
	require.Contains(t, renamed.values, Series{"two", "ada"})
	require.Contains(t, renamed.ended, ada)
	name, there := v.RepoName(1)
	require.True(t, there)
	require.Equal(t, "two", name)
	v.Apply(Change{Progress: Progress{Repos: []RepoProgress{{ID: 1, Presence: PresenceGone, GoneSince: noon}}}})
	gone := visit(v, noon)
	require.Empty(t, gone.values)
	require.Contains(t, gone.ended, Series{"two", "ada"})
	_, there = v.RepoName(1)
	require.False(t, there)

	v.Apply(Change{Reset: true, CaughtUp: true, Progress: Progress{
		Edge:  noon,
		Repos: []RepoProgress{{ID: 1, Name: "one", FirstSeen: noon, Since: noon}},
	}})
	require.Empty(t, visit(v, noon).values)
	applyWeekly(v, noon, WeeklyLines{Week: LastCompleteWeek(noon).Start, Users: []UserLines{linesOf("ada", 5, 3)}})
	require.Contains(t, visit(v, noon).values, ada)
}

// TestWeeklyEntriesUnused checks that the entries have no effect when commits are read with lines, and that weeks of
// which commits were read without lines are omitted.
func TestWeeklyEntriesUnused(t *testing.T) {
	t.Parallel()
	v := viewOf(ViewSettings{Grace: 1000 * time.Hour}, commitOf(1, "ada", noon.Add(-9*24*time.Hour), 7),
		commitOf(2, "ada", noon, 7))
	applyWeekly(v, noon, WeeklyLines{Week: LastCompleteWeek(noon).Start, Users: []UserLines{linesOf("ada", 5, 3)}})
	require.Equal(t, uint64(7), visit(v, noon).values[ada].Of[MetricLinesAdded])
	require.True(t, visit(v, noon).values[ada].Present.Has(MetricTotalLinesAdded))
	v.Apply(Change{Entries: []Entry{{
		EntryKey: EntryKey{Name: EntryCommitsWithoutLines},
		Observed: noon.Add(-48 * time.Hour),
	}}})
	require.False(t, visit(v, noon).values[ada].Present.Has(MetricLinesAdded), "nobody has read them")
	require.False(t, visit(v, noon.Add(7*24*time.Hour)).values[ada].Present.Has(MetricLinesAdded))
	require.True(t, visit(v, noon.Add(14*24*time.Hour)).values[ada].Present.Has(MetricLinesAdded))
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
