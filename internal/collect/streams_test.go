// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// TestNewStreamOfRecordedRepository checks that a stream which the ledger of an earlier version lacks begins as a gap:
// a pass reads the last 24 h, the rest stays missing until it is filled, and the next pass reads nothing again.
func TestNewStreamOfRecordedRepository(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, thousandRepos())
	found := make(map[int64]bool)
	require.NoError(t, b.collector.settings.Source.Discover(t.Context(), org, func(page []activity.Repository) error {
		var progress ledger.Progress
		for i := range page {
			r := &page[i]
			found[r.ID] = true
			signals := r.Signals
			signals.Streams, signals.HeadReadAt = activity.FirstStreams, noon.Add(-time.Hour)
			progress.Repos = append(progress.Repos, ledger.RepoProgress{
				ID: r.ID, Name: r.Name, FirstSeen: noon.AddDate(0, 0, -3), Since: noon.AddDate(0, 0, -17),
				Signals: &signals, Observed: noon.Add(-time.Hour),
			})
		}
		progress.Edge = noon.Add(-time.Hour)
		_, err := b.store.Commit(t.Context(), 0, ledger.Batch{Org: org, Observed: noon, Progress: progress})
		return err
	}))
	before, err := b.store.Coverage(t.Context(), org)
	require.NoError(t, err)
	for _, r := range before.Repos {
		require.False(t, r.HasHistory(activity.StreamIssues))
		require.True(t, r.HasHistory(activity.StreamPulls))
	}
	b.server.ResetRequests()
	require.Equal(t, PassSuccess, b.pass().Status)
	t.Logf("first pass: %d requests, %d GraphQL points", len(b.server.Requests()), b.server.PointsSpent("graphql"))
	after, err := b.store.Coverage(t.Context(), org)
	require.NoError(t, err)
	require.Len(t, after.Repos, len(found))
	for _, r := range after.Repos {
		require.Equal(t, activity.EveryStream, r.Streams)
		for _, s := range activity.AllStreams() {
			require.True(t, s == activity.StreamIssues || len(r.Missing[s]) == 0, s)
		}
		for _, w := range r.Missing[activity.StreamIssues] {
			require.False(t, w.End.After(noon.AddDate(0, 0, -1)), w)
		}
	}
	b.clock.Advance(interval)
	require.Zero(t, b.pass().Changed)
}
