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

// repositories are the repositories of a view by name.
func repositories(t *testing.T, v *View, now time.Time) map[string]Repository {
	t.Helper()
	all := make(map[string]Repository)
	require.True(t, v.EachRepository(now, func(r *Repository) {
		require.NotContains(t, all, r.Name)
		require.Equal(t, r.ID, r.Coverage.ID)
		all[r.Name] = *r
	}))
	return all
}

// observe applies entries that were observed at a time.
func observe(v *View, at time.Time, entries ...ledger.Entry) {
	for i := range entries {
		entries[i].Observed = at
	}
	v.Apply(ledger.Change{Entries: entries})
}

func factsEntry(repo int64, language string) ledger.Entry {
	return ledger.Entry{
		EntryKey: ledger.RepoFactsKey(repo), Data: ledger.EncodeRepoFacts(&activity.RepoFacts{Language: language}),
	}
}

// TestRepositoriesOfAView checks that repositories are there without users and without entries, that the newest
// observation counts, and that gone and replaced ones are not there.
func TestRepositoriesOfAView(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{})
	want := map[string]Repository{"one": {ID: 1, Name: "one", Coverage: v.cov.Repos[1]}}
	require.Equal(t, want, repositories(t, v, noon))

	observe(v, noon, factsEntry(1, "Go"), ledger.Entry{
		EntryKey: ledger.RepoCountsKey(1),
		Data:     ledger.EncodeRepoCounts(&activity.RepoCounts{Tags: activity.KnownNumber(3)}),
	}, ledger.Entry{
		EntryKey: ledger.RepoTotalsKey(),
		Data:     ledger.EncodeRepoTotals([]ledger.RepoTotal{{Visibility: "public", Count: 2}}),
	})
	observe(v, noon.Add(-time.Hour), factsEntry(1, "C"))
	observe(v, noon.Add(time.Hour), ledger.Entry{EntryKey: ledger.RepoFactsKey(1), Data: []byte{99}})
	one := repositories(t, v, noon)["one"]
	require.Equal(t, "Go", one.Facts.Language, "neither an older observation nor one of a later version")
	require.Equal(t, activity.KnownNumber(3), one.Counts.Tags)
	require.Equal(t, []ledger.RepoTotal{{Visibility: "public", Count: 2}}, v.RepoTotals())

	applyProgress(v, ledger.RepoProgress{ID: 1, Name: "uno"},
		ledger.RepoProgress{ID: 2, Name: "uno", FirstSeen: noon.Add(time.Hour), Since: noon})
	require.Equal(t, int64(2), repositories(t, v, noon)["uno"].ID, "the one that was discovered last has the name")
	applyProgress(v, ledger.RepoProgress{ID: 2, Presence: ledger.PresenceGone, GoneSince: noon.Add(2 * time.Hour)})
	require.Equal(t, "Go", repositories(t, v, noon)["uno"].Facts.Language)

	applyProgress(v, ledger.RepoProgress{ID: 1, Presence: ledger.PresencePurged})
	require.Empty(t, repositories(t, v, noon))
	require.Empty(t, v.facts.listed)
	require.Empty(t, v.facts.counts)

	v.Apply(ledger.Change{Reset: true, LedgerStart: noon})
	require.Nil(t, New(Settings{}).RepoTotals())
	require.False(t, New(Settings{}).EachRepository(noon, func(*Repository) { t.Error("before the snapshot") }))
}

// TestLastEvent checks that the newest event of anybody counts, that it outlives the pruning, and that events of the
// future do not count before their time.
func TestLastEvent(t *testing.T) {
	t.Parallel()
	hidden := func(activity.Actor) (string, bool) { return "", false }
	last := noon.Add(-time.Hour)
	v := viewOf(Settings{Label: hidden},
		event(activity.KindIssueComment, 1, "ada", noon.AddDate(0, 0, -3)),
		event(activity.KindIssueOpened, 2, "bob", last),
		event(activity.KindCommit, 3, "eve", noon.Add(time.Hour)))
	require.Equal(t, last, repositories(t, v, noon)["one"].LastEvent, "also of users who are not shown")
	require.Equal(t, noon.Add(time.Hour), repositories(t, v, noon.Add(time.Hour))["one"].LastEvent)

	v = viewOf(Settings{})
	observe(v, last, ledger.Entry{EntryKey: ledger.LastEventKey(1)})
	require.Equal(t, last, repositories(t, v, noon)["one"].LastEvent, "the event was pruned before the snapshot")
	observe(v, noon.AddDate(1, 0, 0), ledger.Entry{EntryKey: ledger.LastEventKey(1)})
	require.Zero(t, repositories(t, v, noon)["one"].LastEvent, "a time of the future")
	addEvents(v, event(activity.KindIssueOpened, 4, "bob", noon))
	require.Equal(t, noon, repositories(t, v, noon)["one"].LastEvent)
}
