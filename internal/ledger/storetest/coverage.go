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

func window(from, until time.Time) []ledger.StreamWindow {
	return []ledger.StreamWindow{{Stream: activity.StreamPulls, Window: activity.Window{Start: from, End: until}}}
}

func coverage(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1, 2)
	at := Noon.Add
	progress := func(p ledger.Progress) ledger.Coverage {
		commit(t, s, ledger.Batch{Org: org, Observed: Noon, Progress: p})
		cov, err := s.Coverage(t.Context(), org)
		require.NoError(t, err)
		return cov
	}
	missed := ledger.Progress{Edge: at(time.Hour), Repos: []ledger.RepoProgress{{
		ID:     1,
		Missed: window(Noon, at(time.Hour)),
	}}}
	for range 2 {
		cov := progress(missed)
		require.Equal(t, at(time.Hour), cov.Edge)
		require.Equal(t, Noon, cov.RepoEdge(cov.Repos[1], activity.StreamPulls))
		require.Equal(t, at(time.Hour), cov.RepoEdge(cov.Repos[2], activity.StreamPulls))
		require.Equal(t, Noon, cov.OldestUncovered())
		require.Len(t, cov.Gaps(), 1)
	}
	cov := progress(ledger.Progress{Edge: at(30 * time.Minute)})
	require.Equal(t, at(time.Hour), cov.Edge, "the edge never moves back")
	cov = progress(ledger.Progress{Repos: []ledger.RepoProgress{{
		ID: 1, Name: "renamed",
		Read: window(Noon, at(20*time.Minute)),
	}}})
	require.Equal(t, "renamed", cov.Repos[1].Name)
	require.Equal(t, at(20*time.Minute), cov.OldestUncovered())
	cov = progress(ledger.Progress{Repos: []ledger.RepoProgress{
		{ID: 1, Read: window(Noon, at(time.Hour))},
		{ID: 77, Name: "never met"},
	}})
	require.Empty(t, cov.Gaps())
	require.Len(t, cov.Repos, 2)
}

// disabledStream checks that the missing windows of a disabled stream are no gaps, that its windows slide, and that
// they are gaps again when it is enabled.
func disabledStream(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	edge := Noon.Add(48 * time.Hour)
	commit(t, s, batch(Event(activity.KindPullRequestOpened, 1, "ada", Noon.Add(-time.Hour))))
	commitProgress(t, s, edge, ledger.RepoProgress{Missed: window(Noon, edge)})
	signals := func(off activity.Streams, since time.Time) ledger.Coverage {
		commitProgress(t, s, edge, ledger.RepoProgress{Signals: &activity.Signals{
			Streams:  activity.EveryStream,
			Disabled: off, DisabledSince: since,
		}, Observed: Noon})
		cov, err := s.Coverage(t.Context(), org)
		require.NoError(t, err)
		require.Equal(t, off, cov.Repos[1].Signals.Disabled)
		require.True(t, since.Equal(cov.Repos[1].Signals.DisabledSince))
		require.Len(t, cov.Repos[1].Missing[activity.StreamPulls], 1)
		return cov
	}
	day := func() uint64 {
		return shown(t, s, edge)[ledgerview.Series{
			Repo: "repo-1",
			User: "ada",
		}].Of[ledgerview.MetricCount+ledgerview.Metric(activity.KindPullRequestOpened.Index())]
	}
	require.Equal(t, uint64(1), day(), "the window is frozen")
	cov := signals(activity.StreamsOf(activity.StreamPulls), Noon)
	require.Empty(t, cov.Gaps())
	require.Equal(t, edge, cov.OldestUncovered())
	require.Equal(t, edge, cov.RepoEdge(cov.Repos[1], activity.StreamPulls))
	require.Zero(t, day())
	if h.Durable {
		s = h.Open(t)
		require.Zero(t, day())
	}
	cov = signals(0, time.Time{})
	require.Len(t, cov.Gaps(), 1)
	require.Equal(t, Noon, cov.OldestUncovered())
	require.Equal(t, Noon, cov.RepoEdge(cov.Repos[1], activity.StreamPulls))
	require.Equal(t, uint64(1), day())
}

func goneAndBack(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	commit(t, s, batch(Event(activity.KindCommit, 1, "ada", Noon)))
	presence := func(p ledger.RepoProgress) {
		commit(t, s, ledger.Batch{Org: org, Observed: Noon, Progress: ledger.Progress{Repos: []ledger.RepoProgress{p}}})
	}
	presence(ledger.RepoProgress{ID: 1, Presence: ledger.PresenceGone, GoneSince: Noon})
	require.Empty(t, shown(t, s, Noon))
	presence(ledger.RepoProgress{ID: 1, Presence: ledger.PresenceReadable})
	require.Equal(t, uint64(1), total(shown(t, s, Noon), "ada", activity.KindCommit))
}

// purging checks that a repository that left before the retention is deleted, and is introduced again when it comes
// back.
func purging(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	old, limit := Noon.AddDate(0, 0, -10), Noon.AddDate(0, 0, -5)
	introduced := IntroduceRepos(1, 2, 3)
	for i := range introduced.Repos {
		introduced.Repos[i].FirstSeen = introduced.Repos[i].Since
	}
	commit(t, s, ledger.Batch{Org: org, Observed: Noon, Progress: introduced})
	follower := follow(t, s, newView())
	defer func() { follower.stop() }()
	commitPurgeable(t, s, old, limit)
	require.NoError(t, s.Prune(t.Context(), org, limit))
	require.NoError(t, s.Prune(t.Context(), org, limit.Add(time.Second)))
	everywhere(t, h, &s, &follower, 1, func(view *ledgerview.View) {
		var data []string
		for _, entry := range view.Entries("of") {
			data = append(data, string(entry.Data))
		}
		require.ElementsMatch(t, []string{"2", "3", "other"}, data)
		cov, err := s.Coverage(t.Context(), org)
		require.NoError(t, err)
		require.Len(t, cov.Repos, 2)
		require.NotContains(t, cov.Repos, int64(1))
	})
	back := batch(commitInEach(2, Noon)...)
	require.Equal(t, ledger.Receipt{Recorded: 2, Dropped: 1}, commit(t, s, back),
		"events of a purged repository are dropped")
	back.Progress = IntroduceRepos(1, 3)
	back.Progress.Repos[1].Presence = ledger.PresenceReadable
	require.Equal(t, ledger.Receipt{Recorded: 1, Duplicates: 2}, commit(t, s, back))
	everywhere(t, h, &s, &follower, 2, func(view *ledgerview.View) {
		got := visited(view, Noon)
		for repo, want := range map[string]uint64{"repo-1": 1, "repo-2": 2, "repo-3": 2} {
			require.Equal(t, want, got[ledgerview.Series{Repo: repo, User: "ada"}].Of[ledgerview.MetricTotal], repo)
		}
	})
	_, err := s.Commit(t.Context(), 1, ledger.Batch{Org: org, Observed: Noon, Progress: ledger.Progress{
		Repos: []ledger.RepoProgress{{ID: 2, Presence: ledger.PresencePurged}},
	}})
	require.ErrorIs(t, err, ledger.ErrInvalid)
}

// commitPurgeable commits an event and an entry of each of three repositories. The first left so long before a limit
// that pruning purges it, the third not quite.
func commitPurgeable(t *testing.T, s ledger.Store, old, limit time.Time) {
	t.Helper()
	b := batch(commitInEach(1, old)...)
	for data, key := range map[string]ledger.EntryKey{
		"1": {Repo: 1, Sub: "x"}, "2": {Repo: 2, Sub: "x"}, "3": {Repo: 3, Sub: "x"}, "other": {Sub: "other"},
	} {
		key.Name = "of"
		b.Entries = append(b.Entries, ledger.Entry{EntryKey: key, Data: []byte(data), Observed: old})
	}
	b.Progress.Repos = []ledger.RepoProgress{
		{ID: 1, Presence: ledger.PresenceGone, GoneSince: old},
		{ID: 3, Presence: ledger.PresenceGone, GoneSince: limit.Add(-23 * time.Hour)},
	}
	commit(t, s, b)
}

// commitInEach returns a commit of ada in each of the repositories 1 to 3.
func commitInEach(number int64, at time.Time) (list []activity.Event) {
	for repo := range int64(3) {
		e := Event(activity.KindCommit, 10*number+repo, "ada", at)
		e.Repo = repo + 1
		list = append(list, e)
	}
	return list
}

// commitProgress commits progress of repository 1.
func commitProgress(t *testing.T, s ledger.Store, edge time.Time, p ledger.RepoProgress) {
	t.Helper()
	p.ID = 1
	commit(t, s, ledger.Batch{Org: org, Observed: Noon, Progress: ledger.Progress{
		Edge:  edge,
		Repos: []ledger.RepoProgress{p},
	}})
}

// rename checks that followers show the same values under the new name and mark the old series as stale.
func rename(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	commit(t, s, batch(Event(activity.KindCommit, 1, "ada", Noon)))
	follower := follow(t, s, newView())
	defer follower.stop()
	setMark(t, s, 1)
	follower.wait(1)
	before := visited(follower.view, Noon)
	commitProgress(t, s, time.Time{}, ledger.RepoProgress{Name: "moved"})
	setMark(t, s, 2)
	follower.wait(2)
	want := EmittedSeries{{Repo: "moved", User: "ada"}: before[ledgerview.Series{Repo: "repo-1", User: "ada"}]}
	require.Equal(t, want, visited(follower.view, Noon))
	require.Equal(t, want, shown(t, s, Noon))
}

// lagging checks that windows stand still after the grace while a stream is not read, in old and new views, and slide
// again when it was.
func lagging(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	commit(t, s, batch(Event(activity.KindReviewSubmitted, 1, "ada", Noon), Event(activity.KindCommit, 1, "ada", Noon)))
	later := Noon.Add(48 * time.Hour)
	missed := window(Noon, later)
	commitProgress(t, s, later, ledger.RepoProgress{Missed: missed})
	counts := func() (reviews, commits uint64) {
		ada := shown(t, s, later)[ledgerview.Series{Repo: "repo-1", User: "ada"}]
		return ada.Of[ledgerview.MetricCount+ledgerview.Metric(activity.KindReviewSubmitted.Index())],
			ada.Of[ledgerview.MetricCount]
	}
	reviews, commits := counts()
	require.Equal(t, [2]uint64{1, 0}, [2]uint64{reviews, commits}, "pull requests could not be read, commits could")
	commitProgress(t, s, time.Time{}, ledger.RepoProgress{Read: missed})
	reviews, commits = counts()
	require.Equal(t, [2]uint64{0, 0}, [2]uint64{reviews, commits})
}

// readWins checks that Read wins over Missed in one batch, and that repeating a batch changes nothing.
func readWins(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	for range 2 {
		commitProgress(t, s, time.Time{}, ledger.RepoProgress{
			Missed: window(Noon.Add(-3*time.Hour), Noon.Add(-time.Hour)), Read: window(Noon.Add(-2*time.Hour), Noon),
		})
		cov, err := s.Coverage(t.Context(), org)
		require.NoError(t, err)
		require.Equal(t, []ledger.Gap{{
			Repo: 1, Name: "repo-1", Stream: activity.StreamPulls,
			Window: activity.Window{Start: Noon.Add(-3 * time.Hour), End: Noon.Add(-2 * time.Hour)},
		}}, cov.Gaps())
	}
}

// invalidBatch checks that a batch that cannot be stored is refused completely and has no effect.
func invalidBatch(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	b := batch(Event(activity.KindCommit, 1, "ada", Noon))
	b.Progress.Repos = []ledger.RepoProgress{{ID: 1, Missed: []ledger.StreamWindow{{Stream: activity.NumStreams}}}}
	_, err := s.Commit(t.Context(), 1, b)
	require.ErrorIs(t, err, ledger.ErrInvalid)
	require.Empty(t, shown(t, s, Noon))
	require.Equal(t, ledger.Receipt{Recorded: 1}, commit(t, s, batch(b.Events...)))
}

// callersBatch checks that the caller may reuse the memory of a batch after its commit.
func callersBatch(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	follower := follow(t, s, newView())
	defer follower.stop()
	b := batch(Event(activity.KindCommit, 1, "ada", Noon))
	b.Progress = IntroduceRepos(1)
	b.Progress.Repos[0].Missed = window(Noon.Add(-3*time.Hour), Noon.Add(-2*time.Hour))
	b.Entries = []ledger.Entry{{EntryKey: ledger.EntryKey{Name: "kept"}, Data: []byte("data"), Observed: Noon}}
	b.Tallies = []ledger.Tally{{TallyKey: ledger.TallyKey{Name: "kept"}, Add: 1}}
	commit(t, s, b)
	b.Events[0].Actor.Login, b.Progress.Repos[0].Name, b.Entries[0].Name, b.Tallies[0].Name = "eve", "used again",
		"other", "other"
	b.Progress.Repos[0].Missed[0].Window.End = Noon
	copy(b.Entries[0].Data, "eve")
	setMark(t, s, 1)
	follower.wait(1)
	for _, view := range []*ledgerview.View{follower.view, LatestView(t, s, org)} {
		require.Contains(t, visited(view, Noon), ledgerview.Series{Repo: "repo-1", User: "ada"})
		sum := view.Summary()
		require.Equal(t, map[ledger.TallyKey]uint64{{Name: "kept"}: 1}, sum.Tallies)
		require.Len(t, view.Entries("kept"), 1)
		require.Equal(t, "data", string(view.Entries("kept")[0].Data))
		require.Equal(t, 1, sum.Gaps)
	}
}
