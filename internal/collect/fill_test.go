// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

const commentsRoute = "/repos/{owner}/{repo}/issues/comments"

// enableBackfill leaves gaps to backfill.
func enableBackfill(s *Settings) { s.BackfillEnabled = true }

// isRoute returns a function that reports whether a request is for a route, on any page.
func isRoute(route string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool { return r.Route == route }
}

// TestGapsAreLeftToBackfill: the gaps of a pass are left to backfill, and the next passes continue after them.
func TestGapsAreLeftToBackfill(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		for _, r := range data.Repos {
			addComment(data, r.Name, 1, noon.Add(-time.Hour))
		}
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.fillGaps()
		failed := b.clock.Now()
		b.server.InjectFault(
			githubtest.Fault{
				Match: githubtest.Match{Repo: "one", Route: commentsRoute}, Effect: githubtest.Status(503),
			},
		)
		for range 2 {
			at := b.clock.Advance(interval)
			b.server.Update(func(d *githubtest.Dataset) {
				for _, r := range d.Repos {
					addComment(d, r.Name, 1, at.Add(-3*time.Minute))
				}
			})
			result := b.pass()
			require.Equal(t, PassPartial, result.Status)
			require.Len(t, result.Failures, 1)
			require.NotZero(t, result.Failures[0].RepoID)
		}
		until := b.clock.Now()
		b.server.ClearFaults()
		b.server.ResetRequests()
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		if api == github.APIGraphQL { // without signals every pass requests new events
			require.Zero(
				t, b.server.CountRequests(isRoute(commentsRoute)),
				"nothing has happened since, and the gap is not the pass's business",
			)
		}

		at := b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) { addComment(d, "one", 1, at.Add(-time.Minute)) })
		b.pass()
		require.Equal(
			t, uint64(2), b.metrics().total("one", activity.KindIssueComment),
			"what is new is there before the gap is filled",
		)
		cov := b.coverage()
		require.Len(t, cov.Gaps(), 1)
		require.Equal(t, activity.Window{Start: failed, End: until}, cov.Gaps()[0].Window)
		b.fillGaps()
		cov = b.coverage()
		require.Empty(t, cov.Gaps())
		require.Equal(t, uint64(4), b.metrics().total("one", activity.KindIssueComment))
		require.Equal(t, uint64(3), b.metrics().total("two", activity.KindIssueComment))
	})
}

// TestOldCommitPushedDuringAFailure: a commit of an old date that is pushed while commits cannot be read is found by
// the next pass, because no window of dates has it.
func TestOldCommitPushedDuringAFailure(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.Add(-time.Hour))
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.fillGaps()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			c := addCommit(d, "one", noon.Add(-3*24*time.Hour))
			c.PushedAt = b.clock.Now().Add(-time.Minute)
		})
		b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Repo: "one"}, Effect: githubtest.Status(502)})
		require.Equal(t, PassPartial, b.pass().Status)
		b.server.ClearFaults()
		b.fillGaps()
		b.clock.Advance(interval)
		b.pass()
		require.Equal(t, uint64(2), b.metrics().total("one", activity.KindCommit))
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
	})
}

// TestFailedFirstContactIsLeftToBackfill: a repository of which nothing could be read at first contact is read by
// fills.
func TestFailedFirstContactIsLeftToBackfill(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.Add(-time.Hour))
		addCommit(data, "one", noon.Add(-5*24*time.Hour))
		addPull(data, "one", 1, noon.Add(-4*24*time.Hour), nil)
		addComment(data, "one", 2, noon.Add(-2*time.Hour))
		b := newBench(t, api, data, enableBackfill)
		b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Repo: "one"}, Effect: githubtest.Status(500)})
		b.pass()
		b.server.ClearFaults()
		for range 3 {
			b.clock.Advance(interval)
			b.pass()
		}
		b.fillGaps()
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
		require.Equal(t, uint64(2), b.metrics().total("one", activity.KindCommit))
		require.Equal(t, uint64(1), b.metrics().total("one", activity.KindPullRequestOpened))
		require.Equal(t, uint64(1), b.metrics().total("one", activity.KindIssueComment))
	})
}

// TestPendingStreams: PendingStreams returns what a pass is about to read, while it runs.
func TestPendingStreams(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	addComment(data, "one", 1, noon.Add(-time.Hour))
	b := newBench(t, github.APIGraphQL, data, enableBackfill)
	var during activity.Streams
	b.server.OnRequest(func(r githubtest.RequestInfo) {
		if r.Route == commentsRoute {
			cov, err := b.store.Coverage(t.Context(), org)
			if err == nil {
				for id := range cov.Repos {
					during = b.collector.PendingStreams(id)
				}
			}
		}
	})
	b.pass()
	require.True(t, during.Has(activity.StreamComments))
	for id := range b.coverage().Repos {
		require.Zero(t, b.collector.PendingStreams(id))
	}
}

// TestQuietAtFirstContact: streams in which nothing has happened since the look-back began are not requested at first
// contact, and later activity in them is found.
func TestQuietAtFirstContact(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("quiet", "half")
		long := noon.Add(-40 * 24 * time.Hour)
		for _, r := range data.Repos {
			addCommit(data, r.Name, long)
			addPull(data, r.Name, 1, long, nil)
			addComment(data, r.Name, 2, long)
		}
		addComment(data, "half", 2, noon.Add(-time.Hour))
		b := newBench(t, api, data, enableBackfill)
		require.Equal(t, PassSuccess, b.pass().Status)
		if api == github.APIGraphQL { // REST's listing has the signal of pushes alone
			require.Zero(t, b.server.CountRequests(func(r githubtest.RequestInfo) bool {
				return r.Repo == "quiet" && r.Operation != "RepositoryCounts"
			}))
			cov := b.coverage()
			for _, gap := range cov.Gaps() {
				require.Equal(t, "half", gap.Name)
				require.Equal(t, activity.StreamComments, gap.Stream)
			}
		}
		b.fillGaps()
		require.Equal(t, uint64(1), b.metrics().total("half", activity.KindIssueComment))
		at := b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			for _, r := range d.Repos {
				c := addCommit(d, r.Name, noon.Add(-3*24*time.Hour)) // pushed late
				c.PushedAt = at.Add(-time.Minute)
				addPull(d, r.Name, 5, at.Add(-time.Minute), nil)
				addComment(d, r.Name, 5, at.Add(-time.Minute))
			}
		})
		b.pass()
		for _, name := range []string{"quiet", "half"} {
			require.Equal(t, uint64(1), b.metrics().total(name, activity.KindCommit), name)
			require.Equal(t, uint64(1), b.metrics().total(name, activity.KindPullRequestOpened), name)
		}
		require.Equal(t, uint64(1), b.metrics().total("quiet", activity.KindIssueComment))
		require.Equal(t, uint64(2), b.metrics().total("half", activity.KindIssueComment))
	})
}

// addPageOfComments adds so many old comments that the first response of a first contact does not have all.
func addPageOfComments(d *githubtest.Dataset) {
	for range 100 {
		addComment(d, "one", 1, noon.AddDate(0, 0, -10))
	}
}

// TestFill: a fill reads the gaps within a window, and nothing twice.
func TestFill(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	for day := range 10 {
		addCommit(data, "one", noon.Add(-time.Duration(24*day+2)*time.Hour))
		addComment(data, "one", 1, noon.Add(-time.Duration(24*day+2)*time.Hour))
	}
	addPageOfComments(data)
	b := newBench(t, github.APIGraphQL, data, enableBackfill)
	b.pass()
	window := activity.Window{Start: noon.AddDate(0, 0, -5), End: noon}
	order := FillRequest{
		Scope: activity.Scope{
			Repo: "ONE", Streams: activity.StreamsOf(activity.StreamCommits, activity.StreamComments), Window: window,
		},
	}
	fill := func(order FillRequest) FillResult {
		t.Helper()
		filled, err := b.collector.Fill(t.Context(), order)
		require.NoError(t, err)
		require.Empty(t, filled.Failures)
		return filled
	}
	filled := fill(order)
	require.Equal(t, order.Streams, filled.Streams)
	require.Equal(t, 8, filled.Events)
	cov := b.coverage()
	for _, gap := range cov.Gaps() {
		require.Equal(t, activity.Window{Start: noon.AddDate(0, 0, -14), End: window.Start}, gap.Window)
	}
	b.server.ResetRequests()
	require.Equal(t, FillResult{}, fill(order), "nothing is missing any more")
	require.Empty(t, b.server.Requests())

	order.Force = true
	filled = fill(order)
	require.Equal(t, order.Streams, filled.Streams)
	require.Zero(t, filled.Events)
	require.NotEmpty(t, b.server.Requests())

	require.Equal(
		t, FillResult{}, fill(FillRequest{Scope: activity.Scope{RepoID: 1, Streams: order.Streams, Window: window}}),
		"an unknown repository misses nothing",
	)
	_, err := b.collector.Fill(
		t.Context(),
		FillRequest{Scope: activity.Scope{Repo: "none", Streams: order.Streams, Window: window}, Force: true},
	)
	require.ErrorIs(t, err, ErrUnknownRepository)
}

// TestFillFails: a fill in which a stream fails records what was read of the others, and leaves the rest as a gap.
func TestFillFails(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	for day := range 5 {
		addCommit(data, "one", noon.Add(-time.Duration(24*day+2)*time.Hour))
		addComment(data, "one", 1, noon.Add(-time.Duration(24*day+2)*time.Hour))
	}
	addPageOfComments(data)
	b := newBench(t, github.APIGraphQL, data, enableBackfill)
	b.pass()
	b.server.InjectFault(
		githubtest.Fault{Match: githubtest.Match{Route: commentsRoute}, Effect: githubtest.Status(503)},
	)
	order := FillRequest{
		Scope: activity.Scope{
			Repo: "one", Streams: activity.EveryStream,
			Window: activity.Window{Start: noon.AddDate(0, 0, -20), End: noon},
		},
	}
	filled, err := b.collector.Fill(t.Context(), order)
	require.NoError(t, err)
	require.Len(t, filled.Failures, 1)
	cov := b.coverage()
	require.Len(t, cov.Gaps(), 1)
	require.Equal(t, activity.StreamComments, cov.Gaps()[0].Stream)
	require.Equal(t, uint64(5), b.metrics().total("one", activity.KindCommit))
	b.server.ClearFaults()
	filled, err = b.collector.Fill(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, activity.StreamsOf(activity.StreamComments), filled.Streams)
	require.Equal(t, uint64(105), b.metrics().total("one", activity.KindIssueComment))
	require.Positive(t, b.tally(TallyStoreWrites, sourceWorker, "success"))
}
