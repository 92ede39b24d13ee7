// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

var given = Settings{Grace: 100 * time.Hour, WeeklyLinesFromEntries: true}

func linesOf(user string, added, removed uint64) ledger.UserLines {
	return ledger.UserLines{Actor: activity.Actor{Login: user}, Added: added, Removed: removed}
}

// linesOfAda are weekly lines of the last complete week.
var linesOfAda = ledger.WeeklyLines{
	Week: ledger.LastCompleteWeek(noon).Start, Users: []ledger.UserLines{linesOf("ada", 5, 3)},
}

// applyWeekly applies a repository's weekly lines to a view.
func applyWeekly(v *View, at time.Time, w ledger.WeeklyLines) {
	entry := ledger.Entry{EntryKey: ledger.WeeklyLinesKey(1), Data: w.Encode(), Observed: at}
	v.Apply(ledger.Change{Entries: []ledger.Entry{entry}})
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
	week := ledger.LastCompleteWeek(noon).Start
	old := noon.Add(-9 * 24 * time.Hour)
	v := viewOf(given,
		commitOf(1, "ada", old, 7), commitOf(2, "bob", old, 7), commitOf(3, "eve", old, 7),
		event(activity.KindIssueComment, 4, "kim", old))
	for _, user := range []string{"ada", "bob", "eve", "kim"} {
		require.Nil(t, weekly(t, v, noon, user), "nothing is given yet")
	}
	applyWeekly(v, noon, ledger.WeeklyLines{Week: week, Users: []ledger.UserLines{
		linesOf("ada", 5, 3), linesOf("bob", 0, 0),
		linesOf("new", 1, 0), linesOf("idle", 0, 0),
	}})
	require.Equal(t, []uint64{5, 3}, weekly(t, v, noon, "ada"))
	require.Equal(t, []uint64{0, 0}, weekly(t, v, noon, "bob"), "listed with nothing, and has commits")
	require.Nil(t, weekly(t, v, noon, "eve"), "not listed")
	require.Nil(t, weekly(t, v, noon, "kim"), "has no commits")
	require.Equal(t, []uint64{1, 0}, weekly(t, v, noon, "new"), "his commits have not been read yet")
	require.Nil(t, weekly(t, v, noon, "idle"))

	applyWeekly(v, noon.Add(time.Second), ledger.WeeklyLines{
		Week: week, Complete: true,
		Users: []ledger.UserLines{linesOf("ada", 5, 3)},
	})
	require.Equal(t, []uint64{0, 0}, weekly(t, v, noon, "eve"))
	require.Nil(t, weekly(t, v, noon, "kim"))
	require.Nil(t, weekly(t, v, noon, "new"))
	require.Equal(t, 3, v.Summary().Shown[MetricLinesAdded])

	applyWeekly(v, noon, ledger.WeeklyLines{Week: week, Users: []ledger.UserLines{linesOf("ada", 99, 99)}})
	require.Equal(t, []uint64{5, 3}, weekly(t, v, noon, "ada"), "an older observation")
	v.Apply(ledger.Change{Entries: []ledger.Entry{{
		EntryKey: ledger.WeeklyLinesKey(1), Data: []byte("rubbish"),
		Observed: noon.Add(time.Minute),
	}}})
	require.Equal(t, []uint64{5, 3}, weekly(t, v, noon, "ada"), "what is no document changes nothing")
	require.Equal(t, []uint64{5, 3}, weekly(t, v, noon.Add(10*24*time.Hour), "ada"),
		"the last one is shown until it is replaced")
}

// TestWeeklyEntriesAge checks that lines that are not replaced are shown as long as the retention.
func TestWeeklyEntriesAge(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Grace: 10_000 * time.Hour, WeeklyLinesFromEntries: true, Retention: 336 * time.Hour})
	week := ledger.LastCompleteWeek(noon)
	applyWeekly(v, noon, ledger.WeeklyLines{Week: week.Start, Users: []ledger.UserLines{linesOf("ada", 5, 3)}})
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
	users := []ledger.UserLines{
		linesOf("ada1", 5, 3), linesOf("ada2", 10, 1), linesOf("renovate[bot]", 100, 100),
		linesOf("eve", 7, 7), linesOf("kim", 1, 1),
	}
	applyWeekly(v, noon, ledger.WeeklyLines{Week: ledger.LastCompleteWeek(noon).Start, Users: users})
	require.Equal(t, []uint64{15, 4}, weekly(t, v, noon, "ada"))
	require.Equal(t, []uint64{7, 7}, weekly(t, v, noon, "eve"))
	require.Nil(t, weekly(t, v, noon, "renovate[bot]"))

	other := commitOf(3, activity.LoginOther, old, 7)
	addEvents(v, other)
	require.Equal(t, []uint64{8, 8}, weekly(t, v, noon, activity.LoginOther))
	require.Nil(t, weekly(t, v, noon, "eve"))
	require.Equal(t, []uint64{15, 4}, weekly(t, v, noon, "ada"))
	addEvents(v, commitOf(4, "eve", noon, 1))
	require.Equal(t, []uint64{7, 7}, weekly(t, v, noon, "eve"))
	require.Equal(t, []uint64{1, 1}, weekly(t, v, noon, activity.LoginOther))
}

// TestWeeklyEntriesOfARepository checks that weekly lines follow a rename, vanish when the repository leaves, and
// return with a snapshot.
func TestWeeklyEntriesOfARepository(t *testing.T) {
	t.Parallel()
	v := viewOf(given)
	applyWeekly(v, noon, linesOfAda)
	require.Contains(t, visit(v, noon).values, ada)
	applyProgress(v, ledger.RepoProgress{ID: 1, Name: "two"})
	renamed := visit(v, noon)
	require.Contains(t, renamed.values, Series{"two", "ada"})
	require.Contains(t, renamed.ended, ada)
	name, there := v.RepoName(1)
	require.True(t, there)
	require.Equal(t, "two", name)
	applyProgress(v, ledger.RepoProgress{ID: 1, Presence: ledger.PresenceGone, GoneSince: noon})
	gone := visit(v, noon)
	require.Empty(t, gone.values)
	require.Contains(t, gone.ended, Series{"two", "ada"})
	_, there = v.RepoName(1)
	require.False(t, there)

	v.Apply(ledger.Change{Reset: true, CaughtUp: true, Progress: ledger.Progress{
		Edge:  noon,
		Repos: []ledger.RepoProgress{{ID: 1, Name: "one", FirstSeen: noon, Since: noon}},
	}})
	require.Empty(t, visit(v, noon).values)
	applyWeekly(v, noon, linesOfAda)
	require.Contains(t, visit(v, noon).values, ada)
}

// TestWeeklyEntriesUnused checks that the entries have no effect when commits are read with lines, and that weeks of
// which commits were read without lines are omitted.
func TestWeeklyEntriesUnused(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Grace: 1000 * time.Hour}, commitOf(1, "ada", noon.Add(-9*24*time.Hour), 7),
		commitOf(2, "ada", noon, 7))
	applyWeekly(v, noon, linesOfAda)
	require.Equal(t, uint64(7), visit(v, noon).values[ada].Of[MetricLinesAdded])
	require.True(t, visit(v, noon).values[ada].Present.Has(MetricTotalLinesAdded))
	v.Apply(ledger.Change{Entries: []ledger.Entry{{
		EntryKey: ledger.EntryKey{Name: ledger.EntryCommitsWithoutLines},
		Observed: noon.Add(-48 * time.Hour),
	}}})
	require.False(t, visit(v, noon).values[ada].Present.Has(MetricLinesAdded), "nobody has read them")
	require.False(t, visit(v, noon.Add(7*24*time.Hour)).values[ada].Present.Has(MetricLinesAdded))
	require.True(t, visit(v, noon.Add(14*24*time.Hour)).values[ada].Present.Has(MetricLinesAdded))
}
