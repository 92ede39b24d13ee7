// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// refreshClaims refreshes the claims of a repository's jobs, as a worker does.
func (b *bench) refreshClaims(repo int64) {
	b.t.Helper()
	claims, err := b.claims.List(b.t.Context(), "acme")
	require.NoError(b.t, err)
	for i := range claims {
		if claims[i].RepoID == repo {
			claims[i].RefreshedAt, claims[i].LostBefore = b.now, 0
			require.NoError(b.t, b.claims.Put(b.t.Context(), "acme", claims[i:i+1]))
		}
	}
}

// TestRepeatedlyLostJobs: jobs that the queue confirms and does not deliver are counted, until they are delivered;
// delivered jobs of other windows do not hide them.
func TestRepeatedlyLostJobs(t *testing.T) {
	b := newBench(t)
	for repo := range int64(3) {
		b.addGap(repo+1, parseTime("0311T11:00:00"), parseTime("0311T12:00:00"), commits, comments)
	}
	var vanishing []int
	for range 6 {
		vanishing = append(vanishing, b.dispatch().RepeatedlyLost)
		b.refreshClaims(3)
		b.now = b.now.Add(5 * time.Minute)
	}
	require.Equal(t, []int{0, 0, 0, 2, 2, 2}, vanishing)
	b.dispatch()
	b.refreshClaims(1)
	b.refreshClaims(2)
	require.Zero(t, b.dispatch().RepeatedlyLost, "they are delivered")
}

// TestRepeatedlyLostEndsWithGap: the count of a window ends when its gap is closed.
func TestRepeatedlyLostEndsWithGap(t *testing.T) {
	b := newBench(t)
	b.addGap(1, parseTime("0311T11:00:00"), parseTime("0311T12:00:00"), commits)
	for range 4 {
		b.dispatch()
		b.now = b.now.Add(5 * time.Minute)
	}
	b.busy[1] = activity.StreamsOf(commits) // a pass is about to read it: there is no further job
	require.Equal(t, 1, b.dispatch().RepeatedlyLost)
	require.Equal(t, 1, b.dispatch().RepeatedlyLost, "the count outlives the claim")
	delete(b.cov.Repos, 1)
	require.Zero(t, b.dispatch().RepeatedlyLost)
}

// TestRepeatedlyLostSurvivesLeaderChange: the claims carry the count to the next leader.
func TestRepeatedlyLostSurvivesLeaderChange(t *testing.T) {
	b := newBench(t)
	b.addGap(1, parseTime("0311T11:00:00"), parseTime("0311T12:00:00"), commits)
	for range 3 {
		b.dispatch()
		b.now = b.now.Add(5 * time.Minute)
	}
	require.Equal(t, 2, newClaim(t, b).LostBefore)
	ids := 0
	next := backfill.NewDispatcher(backfill.DispatchSettings{
		Org: "acme", Queue: &b.queue, Claims: &b.claims, Now: func() time.Time { return b.now },
		NewID: func() string { ids++; return fmt.Sprintf("next-%d", ids) },
		Counters: backfill.Counters{
			Enqueued: func(backfill.Reason, int) {},
			Deduped:  func(backfill.Reason, int) {},
			Deferred: func(string, int) {},
		},
		Coalesce: 15 * time.Minute, MaxPerMinute: 100, StaleAfter: 5 * time.Minute, ExpireAfter: 12 * time.Hour,
	})
	done, err := next.Dispatch(context.Background(), &b.cov, func(int64) activity.Streams { return 0 })
	require.NoError(t, err)
	require.Equal(t, 1, done.RepeatedlyLost)
}

// TestDispatchRepublishesSurplusClaims: a queue that is not empty but shorter than the undelivered claims has lost the
// oldest jobs.
func TestDispatchRepublishesSurplusClaims(t *testing.T) {
	b := newBench(t)
	for repo := range int64(10) {
		b.addGap(repo+1, parseTime("0311T11:00:00"), parseTime("0311T12:00:00"), commits)
		b.dispatch()
		b.now = b.now.Add(time.Second)
	}
	require.Len(t, b.takePublished(), 10)
	b.queue.depth.Ready, b.queue.depth.MaxUnacked = 2, 4
	b.now = b.now.Add(4 * time.Minute)
	b.dispatch()
	require.Empty(t, b.takePublished(), "they are not silent for long enough")
	b.now = b.now.Add(time.Minute)
	b.dispatch()
	var lost []string
	for _, j := range b.queue.jobs {
		lost = append(lost, j.Repo)
	}
	require.Equal(t, []string{"repo-1", "repo-2", "repo-3", "repo-4"}, lost)
	b.takePublished()
	b.queue.depth.Ready = 10
	b.now = b.now.Add(time.Hour)
	b.dispatch()
	require.Empty(t, b.takePublished(), "all may wait")
}

// TestRetriesDoNotHideLostJobs: a job in a retry queue does not hide that jobs which never failed are lost.
func TestRetriesDoNotHideLostJobs(t *testing.T) {
	b := newBench(t)
	b.addGap(1, parseTime("0311T11:00:00"), parseTime("0311T12:00:00"), commits)
	b.dispatch()
	failing := newClaim(t, b)
	failing.Retrying = true
	require.NoError(t, b.claims.Put(t.Context(), "acme", []backfill.Claim{failing}))
	b.addGap(2, parseTime("0311T11:00:00"), parseTime("0311T12:00:00"), commits)
	b.dispatch()
	b.takePublished()
	b.queue.depth.Retries = 1
	b.now = b.now.Add(time.Hour)
	b.dispatch()
	require.Equal(t, []string{"repo-2 commits 0311T11:00-0311T12:00 sweep"}, b.takePublished())
}

// TestUnackedJobsAreNotRepeatedlyLost: while workers are busy, stale jobs may be unacked: they are published again, but
// not counted as lost.
func TestUnackedJobsAreNotRepeatedlyLost(t *testing.T) {
	b := newBench(t)
	b.queue.depth.MaxUnacked = 8
	for repo := range int64(3) {
		b.addGap(repo+1, parseTime("0311T11:00:00"), parseTime("0311T12:00:00"), commits)
	}
	for range 10 {
		done := b.dispatch()
		require.Zero(t, done.RepeatedlyLost)
		b.now = b.now.Add(5 * time.Minute)
		b.refreshClaims(3) // it takes long
	}
}
