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

// RequireLegacy checks a store over a ledger that the version before frames of version 7 wrote: it has the events, the
// carried totals, the entries and the progress of then, no total has changed, and commits and prunings continue it.
func RequireLegacy(t *testing.T, s ledger.Store) {
	t.Helper()
	requireShown := func(commits uint64) {
		t.Helper()
		view := LatestView(t, s, org)
		got := visited(view, Noon)
		require.Len(t, got, 3)
		ada := got[ledgerview.Series{Repo: "repo-1", User: "ada-new"}] // the account has two logins in the ledger
		for kind, total := range map[activity.Kind]uint64{
			activity.KindCommit: commits + 1, activity.KindPullRequestOpened: 1, activity.KindPullRequestMerged: 1,
			activity.KindReviewSubmitted: 1,
		} {
			require.Equal(t, total, ada.Of[ledgerview.MetricTotal+ledgerview.Metric(kind.Index())], kind)
		}
		require.Equal(t, commits, ada.Of[ledgerview.MetricCount])
		require.Equal(t, 10*(commits+1), ada.Of[ledgerview.MetricTotalLinesAdded])
		require.Equal(t, commits+1, ada.Of[ledgerview.MetricTotalLinesRemoved])
		require.Contains(t, got, ledgerview.Series{Repo: "repo-1", User: "renovate[bot]"})
		require.Contains(t, got, ledgerview.Series{Repo: "repo-1", User: "bob"})
		require.Equal(t, uint64(3), view.Summary().Tallies[ledger.TallyKey{Name: "runs", Labels: [2]string{"success"}}])
		require.Len(t, view.Entries("kept"), 1)
	}
	requireShown(1)
	cov, err := s.Coverage(t.Context(), org)
	require.NoError(t, err)
	one := cov.Repos[1]
	require.Equal(t, "0123456789abcdef0123456789abcdef01234567", one.Signals.Head)
	require.Equal(t, Noon, one.Signals.HeadReadAt)
	require.Empty(t, one.Tips)
	require.Len(t, cov.Gaps(), 1)
	require.True(t, cov.Repos[2].IsGone())

	had := Event(activity.KindCommit, 5, "ada", Noon.Add(-2*time.Hour))
	had.Actor.ID = 7
	more := Event(activity.KindCommit, 50, "ada-new", Noon)
	more.Actor.ID = 7
	require.Equal(t, ledger.Receipt{Recorded: 1, Duplicates: 1}, commit(t, s, batch(had, more)))
	requireShown(2)
	require.NoError(t, s.Prune(t.Context(), org, Noon.Add(-90*time.Minute)))
	view := LatestView(t, s, org)
	ada := visited(view, Noon)[ledgerview.Series{Repo: "repo-1", User: "ada-new"}]
	require.Equal(t, uint64(3), ada.Of[ledgerview.MetricTotal], "totals without ids and with them add up")
	require.Equal(t, uint64(1), ada.Of[ledgerview.MetricCount])
	require.Equal(t, uint64(30), ada.Of[ledgerview.MetricTotalLinesAdded])
}
