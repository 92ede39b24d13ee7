// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

const metricCommits = ledgerview.MetricCount

// counted returns a user's commits in the last 24 h and the total.
func counted(view *ledgerview.View, user string) [2]uint64 {
	values := visited(view, Noon)[ledgerview.Series{Repo: "repo-1", User: user}]
	return [2]uint64{values.Of[metricCommits], values.Of[ledgerview.MetricTotal]}
}

// removedAndRestored checks that removed events are in no window, that they are again when they are read again, and
// that totals count each event once.
func removedAndRestored(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	follower := follow(t, s, newView())
	defer func() { follower.stop() }()
	mark := 0
	requireCounted := func(window, total uint64, message string) {
		t.Helper()
		mark++
		everywhere(t, h, &s, &follower, mark, func(view *ledgerview.View) {
			t.Helper()
			require.Equal(t, [2]uint64{window, total}, counted(view, "ada"), message)
		})
	}
	events := []activity.Event{
		Event(activity.KindCommit, 1, "ada", Noon), Event(activity.KindCommit, 2, "ada", Noon),
		Event(activity.KindCommit, 3, "ada", Noon),
	}
	commit(t, s, batch(events...))
	removal := batch()
	never := Event(activity.KindCommit, 99, "ada", Noon)
	removal.Removed = []activity.Key{events[1].Key(), never.Key()}
	_, err := s.Commit(t.Context(), 0, removal)
	require.NoError(t, err)
	requireCounted(3, 3, "without authority nothing is removed")
	for range 2 {
		commit(t, s, removal)
		requireCounted(2, 3, "removed")
	}
	require.Equal(t, ledger.Receipt{Duplicates: 1}, commit(t, s, batch(events[1])))
	requireCounted(3, 3, "read again")
	both := batch(events[1], Event(activity.KindCommit, 4, "ada", Noon))
	both.Removed = []activity.Key{events[1].Key(), both.Events[1].Key()}
	require.Equal(t, ledger.Receipt{Recorded: 1, Duplicates: 1}, commit(t, s, both))
	requireCounted(2, 4, "what is in both lists is removed")
	_, err = s.Commit(t.Context(), 2, batch())
	require.NoError(t, err)
	old := batch()
	old.Removed = []activity.Key{events[0].Key()}
	_, err = s.Commit(t.Context(), 1, old)
	require.ErrorIs(t, err, ledger.ErrFenced)
	_, err = s.Commit(t.Context(), 2, batch())
	require.NoError(t, err)
	require.NoError(t, s.Prune(t.Context(), org, Noon.Add(time.Second)))
	later := batch(Event(activity.KindCommit, 5, "ada", Noon.Add(time.Hour)))
	later.Observed = Noon.Add(time.Hour)
	_, err = s.Commit(t.Context(), 2, later)
	require.NoError(t, err)
	require.Equal(t, uint64(5), visited(LatestView(t, s, org), Noon.Add(time.Hour))[ledgerview.Series{
		Repo: "repo-1",
		User: "ada",
	}].Of[ledgerview.MetricTotal],
		"a removed event has been counted, also when it is pruned")
}

// sweeps checks that of the recorded events of a repository and kind in a window only the listed ones remain.
func sweeps(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1, 2)
	other := Event(activity.KindCommit, 4, "ada", Noon)
	other.Repo = 2
	kept := Event(activity.KindCommit, 2, "ada", Noon)
	commit(t, s, batch(Event(activity.KindCommit, 1, "ada", Noon), kept,
		Event(activity.KindCommit, 3, "ada", Noon.Add(-2*time.Hour)),
		Event(activity.KindIssueComment, 1, "ada", Noon), other))
	b := batch()
	b.Sweeps = []ledger.Sweep{{
		Repo: 1, Kind: activity.KindCommit, Window: activity.Window{
			Start: Noon.Add(-time.Hour),
			End:   Noon.Add(time.Second),
		},
		Present: map[activity.ID]struct{}{kept.ID: {}},
	}}
	_, err := s.Commit(t.Context(), 0, b)
	require.NoError(t, err)
	require.Equal(t, [2]uint64{3, 3}, counted(LatestView(t, s, org), "ada"), "without authority")
	for range 2 {
		commit(t, s, b)
		view := LatestView(t, s, org)
		require.Equal(t, [2]uint64{2, 3}, counted(view, "ada"))
		got := visited(view, Noon)
		require.Equal(t, uint64(1), got[ledgerview.Series{Repo: "repo-2", User: "ada"}].Of[metricCommits])
		comments := ledgerview.MetricCount + ledgerview.Metric(activity.KindIssueComment.Index())
		require.Equal(t, uint64(1), got[ledgerview.Series{Repo: "repo-1", User: "ada"}].Of[comments])
	}
}

// tips checks that heads from which commits were recorded are tips until a leader resolves them.
func tips(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	follower := follow(t, s, newView())
	defer func() { follower.stop() }()
	commitProgress := func(fence uint64, observed time.Duration, p ledger.RepoProgress) {
		t.Helper()
		p.ID, p.Observed = 1, Noon.Add(observed)
		_, err := s.Commit(t.Context(), fence, ledger.Batch{
			Org: org, Observed: Noon,
			Progress: ledger.Progress{Repos: []ledger.RepoProgress{p}},
		})
		require.NoError(t, err)
	}
	requireTips := func(head string, tips ...string) {
		t.Helper()
		if len(tips) == 0 {
			tips = nil
		}
		for range 2 {
			cov, err := s.Coverage(t.Context(), org)
			require.NoError(t, err)
			require.Equal(t, head, cov.Repos[1].Signals.Head)
			require.Equal(t, tips, cov.Repos[1].Tips)
			if h.Durable {
				s = h.Open(t)
			}
		}
	}
	head := func(name string) *activity.Signals { return &activity.Signals{Head: name} }
	resolved := func(tips ...string) ledger.TipChanges { return ledger.TipChanges{ResolvedTips: tips} }
	commitProgress(1, 0, ledger.RepoProgress{TipChanges: ledger.TipChanges{Tips: []string{"aa"}}})
	requireTips("", "aa")
	commitProgress(1, 1, ledger.RepoProgress{Signals: head("aa")})
	requireTips("aa")
	commitProgress(0, 2, ledger.RepoProgress{TipChanges: ledger.TipChanges{Tips: []string{"cc", "bb"}}})
	both := ledger.TipChanges{Tips: []string{"bb"}, ResolvedTips: []string{"cc"}}
	commitProgress(0, 3, ledger.RepoProgress{TipChanges: both})
	requireTips("aa", "bb", "cc")
	commitProgress(1, 4, ledger.RepoProgress{Signals: head("dd"), TipChanges: resolved("aa", "cc")})
	requireTips("dd", "bb")
	commitProgress(0, 5, ledger.RepoProgress{Signals: head("ee"), TipChanges: resolved("dd")})
	requireTips("ee", "bb", "dd")
	commitProgress(1, 6, ledger.RepoProgress{TipChanges: resolved("bb", "dd")})
	requireTips("ee")
	many := ledger.RepoProgress{}
	for n := range 36 {
		many.Tips = append(many.Tips, string([]byte{'a' + byte(n%6), 'a' + byte(n/6)}))
	}
	commitProgress(1, 7, many)
	requireTips("ee", ledger.UnknownTip)
	commitProgress(1, 8, ledger.RepoProgress{TipChanges: resolved(ledger.UnknownTip)})
	requireTips("ee")
}

// oneAccount checks that an account is one user, shown under its newest login, also for events recorded under a former
// one.
func oneAccount(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	follower := follow(t, s, newView())
	defer func() { follower.stop() }()
	by := func(number, id int64, login string, at time.Duration) activity.Event {
		e := Event(activity.KindCommit, number, login, Noon.Add(at))
		e.Actor.ID = id
		return e
	}
	mark := 0
	requireUsers := func(want map[string]uint64) {
		t.Helper()
		mark++
		everywhere(t, h, &s, &follower, mark, func(view *ledgerview.View) {
			t.Helper()
			got := make(map[string]uint64)
			for series, values := range visited(view, Noon) {
				got[series.User] = values.Of[ledgerview.MetricTotal]
			}
			require.Equal(t, want, got)
		})
	}
	commit(t, s, batch(by(1, 7, "old", -3*time.Hour), by(2, 0, "name", -time.Hour), by(3, 8, "eve", -time.Hour)))
	requireUsers(map[string]uint64{"old": 1, "name": 1, "eve": 1})
	commit(t, s, batch(by(4, 7, "new", -time.Hour), by(5, 7, "old", -2*time.Hour)))
	requireUsers(map[string]uint64{"new": 3, "name": 1, "eve": 1})
	commit(t, s, batch(by(6, 9, "old", -time.Minute)))
	requireUsers(map[string]uint64{"new": 3, "old": 1, "name": 1, "eve": 1})

	renamed := batch()
	renamed.Entries = []ledger.Entry{{EntryKey: ledger.LoginKey(8), Data: []byte("name"), Observed: Noon}}
	commit(t, s, renamed)
	requireUsers(map[string]uint64{"new": 3, "old": 1, "name": 2})
	commit(t, s, batch(by(7, 10, "new", -time.Minute)))
	requireUsers(map[string]uint64{"7": 3, "new": 1, "old": 1, "name": 2})
	renamed.Entries = []ledger.Entry{{EntryKey: ledger.LoginKey(7), Data: []byte("newer"), Observed: Noon}}
	commit(t, s, renamed)
	requireUsers(map[string]uint64{"newer": 3, "new": 1, "old": 1, "name": 2})
	require.NoError(t, s.Prune(t.Context(), org, Noon.Add(-90*time.Minute)))
	requireUsers(map[string]uint64{"newer": 3, "new": 1, "old": 1, "name": 2})
}
