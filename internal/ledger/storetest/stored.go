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

// RecordStored commits a ledger with something of everything that a store holds: events of every kind in the log and in
// carried totals, removed and restored ones, progress of every sort, entries and tallies. halfway is called between the
// part that is pruned and the rest. The golden files of the stores hold what this commits.
func RecordStored(t *testing.T, s ledger.Store, halfway func()) {
	t.Helper()
	introduce(t, s, 1, 2, 3)
	commit(t, s, batch(storedEvents(activity.EveryStream, 100, Noon.Add(-48*time.Hour))...))
	week := ledger.WeeklyLines{Week: ledger.LastCompleteWeek(Noon).Start, Complete: true, Users: []ledger.UserLines{
		{Actor: activity.Actor{ID: 7, Login: "ada"}, Added: 30, Removed: 3},
	}}
	b := batch(storedEvents(activity.EveryStream, 200, Noon.Add(-time.Hour))...)
	b.Entries = []ledger.Entry{
		{EntryKey: ledger.WeeklyLinesKey(1), Data: week.Encode(), Observed: Noon},
		{EntryKey: ledger.LoginKey(7), Data: []byte("ada-new"), Observed: Noon},
		{EntryKey: ledger.EntryKey{Name: ledger.EntryCommitsWithoutLines}, Observed: Noon.Add(-time.Hour)},
		{
			EntryKey: ledger.EntryKey{Name: ledger.EntryValidator, Repo: 1, Sub: "commits"}, Data: []byte("W/\"etag\""),
			Observed: Noon,
		},
		{EntryKey: ledger.EntryKey{Name: ledger.EntryLeader}, Data: []byte(`{"id":"a"}`), Observed: Noon},
	}
	b.Tallies = []ledger.Tally{{TallyKey: ledger.TallyKey{Name: "runs", Labels: [2]string{"success", ""}}, Add: 3}}
	commit(t, s, b)
	require.NoError(t, s.Prune(t.Context(), org, Noon.Add(-24*time.Hour)))
	halfway()
	window := activity.Window{Start: Noon, End: Noon.Add(time.Hour)} // after the first contact: the sums stay shown
	more := batch(storedEvents(activity.EveryStream, 300, Noon.Add(-time.Minute))...)
	removed := storedEvents(activity.EveryStream, 200, Noon.Add(-time.Hour))
	more.Removed = []activity.Key{removed[0].Key(), removed[3].Key()}
	more.Progress.Repos = []ledger.RepoProgress{
		{
			ID: 1, Observed: Noon, Missed: []ledger.StreamWindow{{Stream: activity.StreamPulls, Window: window}},
			Signals: &activity.Signals{
				Streams: activity.EveryStream, Head: "0123456789abcdef0123456789abcdef01234567", HeadReadAt: Noon,
				PushedAt: Noon, Branch: "main",
				Pulls:    activity.LatestUpdate{Number: 9, UpdatedAt: Noon},
				Issues:   activity.LatestUpdate{Number: 8, UpdatedAt: Noon},
				Disabled: activity.StreamsOf(activity.StreamComments), DisabledSince: Noon,
			},
			TipChanges: ledger.TipChanges{Tips: []string{"89abcdef0123456789abcdef0123456789abcdef"}},
		},
		{ID: 2, Presence: ledger.PresenceGone, GoneSince: Noon},
		{ID: 3, Streams: activity.EveryStream, Contacts: laterStream},
	}
	more.Tallies = b.Tallies
	commit(t, s, more)
	commit(t, s, batch(removed[3])) // it is there again
}

// laterStream is the contact of a stream a day after that of its repository.
var laterStream = []ledger.StreamContact{{Stream: activity.StreamIssueFlow, At: Noon.AddDate(0, 0, 1)}}

// storedEvents are one event of every kind of some streams by an account, and a commit of each of the actors without
// one.
func storedEvents(streams activity.Streams, first int64, at time.Time) []activity.Event {
	var events []activity.Event
	for i, kind := range activity.AuthorKinds() {
		if !streams.Has(kind.Stream()) {
			continue
		}
		e := Event(kind, first+int64(i), "ada", at)
		e.Actor.ID = 7
		events = append(events, e)
	}
	events[3].Actor = activity.Actor{ID: 8, Login: "renovate[bot]"}
	other := Event(activity.KindCommit, first+20, activity.LoginUnlinkedGitAuthor, at)
	other.Measures = activity.Lines(1<<32-1, 1<<31)
	return append(events, other)
}

// RequireStored checks that a store holds what RecordStored committed: every window, every sum, what was read, and the
// entries; and that it goes on from there.
func RequireStored(t *testing.T, s ledger.Store) {
	t.Helper()
	requireStored(t, s, activity.EveryStream)
}

// RequireStored7 checks the same of a ledger of version 7, which has the first streams only: nothing of others was
// read, and no sum of theirs is shown.
func RequireStored7(t *testing.T, s ledger.Store) {
	t.Helper()
	requireStored(t, s, activity.FirstStreams)
}

func requireStored(t *testing.T, s ledger.Store, streams activity.Streams) {
	t.Helper()
	requireStoredSums(t, s, streams, 3)
	cov, err := s.Coverage(t.Context(), org)
	require.NoError(t, err)
	one := cov.Repos[1]
	if streams == activity.EveryStream {
		require.Equal(t, laterStream, cov.Repos[3].Contacts)
		require.Equal(t, Noon.AddDate(0, 0, -13), cov.Repos[3].WantedSince(activity.StreamIssueFlow))
	}
	require.Equal(t, streams, one.Streams)
	require.Equal(t, streams, streamsWithHistory(cov.Repos[3]))
	require.Equal(t, "0123456789abcdef0123456789abcdef01234567", one.Signals.Head)
	require.Equal(t, Noon, one.Signals.HeadReadAt)
	require.Equal(t, "main", one.Signals.Branch)
	require.Equal(t, activity.StreamsOf(activity.StreamComments), one.Signals.Disabled)
	require.Equal(t, []string{"89abcdef0123456789abcdef0123456789abcdef"}, one.Tips)
	require.Equal(t, []ledger.Gap{{
		Repo: 1, Name: "repo-1", Stream: activity.StreamPulls, Window: activity.Window{
			Start: Noon,
			End:   Noon.Add(time.Hour),
		},
	}}, cov.Gaps())
	require.True(t, cov.Repos[2].IsGone())
	keys := []ledger.EntryKey{
		ledger.WeeklyLinesKey(1), ledger.LoginKey(7),
		{Name: ledger.EntryCommitsWithoutLines},
		{Name: ledger.EntryLeader},
		{Name: ledger.EntryValidator, Repo: 1, Sub: "commits"},
	}
	found, err := s.ReadEntries(t.Context(), org, keys)
	require.NoError(t, err)
	require.Len(t, found, len(keys))
	require.Equal(t, "ada-new", string(found[ledger.LoginKey(7)].Data))
	require.Equal(t, `W/"etag"`, string(found[keys[4]].Data))
	require.Equal(t, Noon.Add(-time.Hour), found[keys[2]].Observed)
	week, err := ledger.DecodeWeeklyLines(found[keys[0]].Data)
	require.NoError(t, err)
	require.Equal(t, uint64(30), week.Users[0].Added)

	n := len(storedEvents(streams, 300, Noon))
	again := batch(storedEvents(streams, 300, Noon.Add(-time.Minute))...)
	require.Equal(t, ledger.Receipt{Duplicates: n}, commit(t, s, again))
	require.Equal(t, ledger.Receipt{Recorded: n}, commit(t, s, batch(storedEvents(streams, 400, Noon)...)))
	require.NoError(t, s.Prune(t.Context(), org, Noon.Add(-30*time.Minute)))
	requireStoredSums(t, s, streams, 4)
}

func streamsWithHistory(r *ledger.RepoCoverage) (set activity.Streams) {
	for _, s := range activity.AllStreams() {
		if r.HasHistory(s) {
			set = set.With(s)
		}
	}
	return set
}

// requireStoredSums checks the windows and sums of three users after a number of rounds of storedEvents.
func requireStoredSums(t *testing.T, s ledger.Store, streams activity.Streams, rounds uint64) {
	t.Helper()
	view := LatestView(t, s, org)
	got := visited(view, Noon)
	require.Len(t, got, 3)
	total := func(user string, kind activity.Kind) uint64 { return total(got, user, kind) }
	lines := func(user string) [2]uint64 {
		values := got[ledgerview.Series{Repo: "repo-1", User: user}]
		return [2]uint64{values.Of[ledgerview.MetricTotalLinesAdded], values.Of[ledgerview.MetricTotalLinesRemoved]}
	}
	const ada, bot, unlinked = "ada-new", "renovate[bot]", activity.LoginUnlinkedGitAuthor
	for _, kind := range activity.AuthorKinds() {
		if !streams.Has(kind.Stream()) {
			require.Zero(t, total(ada, kind), kind)
			shown := got[ledgerview.Series{Repo: "repo-1", User: ada}].Present
			require.False(t, shown.Has(ledgerview.TotalMetric(kind)), kind)
			continue
		}
		user := ada
		if kind == activity.KindReviewSubmitted {
			user = bot
		}
		require.Equal(t, rounds, total(user, kind), kind)
		values := got[ledgerview.Series{Repo: "repo-1", User: user}]
		want := uint64(2) // of the newest two rounds, one removed
		if kind == activity.KindCommit && rounds == 3 {
			want = 1
		}
		require.Equal(t, want, values.Of[ledgerview.MetricCount+ledgerview.Metric(kind.Index())], kind)
	}
	require.Equal(t, rounds, total(unlinked, activity.KindCommit))
	require.Equal(t, [2]uint64{rounds * 10, rounds}, lines(ada))
	require.Equal(t, [2]uint64{rounds * (1<<32 - 1), rounds << 31}, lines(unlinked))
	require.Equal(t, [2]uint64{}, lines(bot))
	require.Equal(t, uint64(6), view.Summary().Tallies[ledger.TallyKey{Name: "runs", Labels: [2]string{"success"}}])
}

// stored runs the scenario of the golden files on the present format.
func stored(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	RecordStored(t, s, func() {})
	if h.Durable {
		s = h.Open(t)
	}
	RequireStored(t, s)
}
