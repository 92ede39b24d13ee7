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

func handover(s *Settings) { s.BackfillEnabled = true }

func about(route string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool { return r.Route == route }
}

// TestHandover: the gaps of a pass are left to workers, and the passes continue after them.
func TestHandover(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two")
		for _, r := range data.Repos {
			comment(data, r.Name, 1, noon.Add(-time.Hour))
		}
		b := newBench(t, api, data, handover)
		b.pass()
		b.fill()
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
					comment(d, r.Name, 1, at.Add(-3*time.Minute))
				}
			})
			sum := b.pass()
			require.Equal(t, PassPartial, sum.Status)
			require.Len(t, sum.Failures, 1)
			require.NotZero(t, sum.Failures[0].RepoID)
		}
		until := b.clock.Now()
		b.server.ClearFaults()
		b.server.ResetRequests()
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		if api == github.APIGraphQL { // without signals every pass looks for what is new
			require.Zero(
				t, b.server.CountRequests(about(commentsRoute)),
				"nothing has happened since, and the gap is not the pass's business",
			)
		}

		at := b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) { comment(d, "one", 1, at.Add(-time.Minute)) })
		b.pass()
		require.Equal(
			t, uint64(2), b.metrics().of("one", activity.KindIssueComment),
			"what is new is there before the gap is filled",
		)
		cov := b.coverage()
		require.Len(t, cov.Gaps(), 1)
		require.Equal(t, activity.Window{Start: failed, End: until}, cov.Gaps()[0].Window)
		b.fill()
		cov = b.coverage()
		require.Empty(t, cov.Gaps())
		require.Equal(t, uint64(4), b.metrics().of("one", activity.KindIssueComment))
		require.Equal(t, uint64(3), b.metrics().of("two", activity.KindIssueComment))
	})
}

// TestHandoverOfCommits: a commit of an old date, pushed while commits could not be read, is found by the next pass,
// for no window of dates has it.
func TestHandoverOfCommits(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", noon.Add(-time.Hour))
		b := newBench(t, api, data, handover)
		b.pass()
		b.fill()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			c := commit(d, "one", noon.Add(-3*24*time.Hour))
			c.PushedAt = b.clock.Now().Add(-time.Minute)
		})
		b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Repo: "one"}, Effect: githubtest.Status(502)})
		require.Equal(t, PassPartial, b.pass().Status)
		b.server.ClearFaults()
		b.fill()
		b.clock.Advance(interval)
		b.pass()
		require.Equal(t, uint64(2), b.metrics().of("one", activity.KindCommit))
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
	})
}

// TestHandoverAtFirstContact: a repository of which nothing could be read at first contact is read by orders.
func TestHandoverAtFirstContact(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", noon.Add(-time.Hour))
		commit(data, "one", noon.Add(-5*24*time.Hour))
		pull(data, "one", 1, noon.Add(-4*24*time.Hour), nil)
		comment(data, "one", 2, noon.Add(-2*time.Hour))
		b := newBench(t, api, data, handover)
		b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Repo: "one"}, Effect: githubtest.Status(500)})
		b.pass()
		b.server.ClearFaults()
		for range 3 {
			b.clock.Advance(interval)
			b.pass()
		}
		b.fill()
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
		require.Equal(t, uint64(2), b.metrics().of("one", activity.KindCommit))
		require.Equal(t, uint64(1), b.metrics().of("one", activity.KindPullRequestOpened))
		require.Equal(t, uint64(1), b.metrics().of("one", activity.KindIssueComment))
	})
}

// TestPending: what a pass is about to read is known while it runs.
func TestPending(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	comment(data, "one", 1, noon.Add(-time.Hour))
	b := newBench(t, github.APIGraphQL, data, handover)
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

// TestQuietAtFirstContact: where nothing has happened since the look-back began, nothing is asked for, and nothing that
// happens later is missed.
func TestQuietAtFirstContact(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("quiet", "half")
		long := noon.Add(-40 * 24 * time.Hour)
		for _, r := range data.Repos {
			commit(data, r.Name, long)
			pull(data, r.Name, 1, long, nil)
			comment(data, r.Name, 2, long)
		}
		comment(data, "half", 2, noon.Add(-time.Hour))
		b := newBench(t, api, data, handover)
		require.Equal(t, PassSuccess, b.pass().Status)
		if api == github.APIGraphQL { // REST's listing has the signal of pushes alone
			require.Zero(t, b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Repo == "quiet" }))
			cov := b.coverage()
			for _, gap := range cov.Gaps() {
				require.Equal(t, "half", gap.Name)
				require.Equal(t, activity.StreamComments, gap.Stream)
			}
		}
		b.fill()
		require.Equal(t, uint64(1), b.metrics().of("half", activity.KindIssueComment))
		at := b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			for _, r := range d.Repos {
				c := commit(d, r.Name, noon.Add(-3*24*time.Hour)) // pushed late
				c.PushedAt = at.Add(-time.Minute)
				pull(d, r.Name, 5, at.Add(-time.Minute), nil)
				comment(d, r.Name, 5, at.Add(-time.Minute))
			}
		})
		b.pass()
		for _, name := range []string{"quiet", "half"} {
			require.Equal(t, uint64(1), b.metrics().of(name, activity.KindCommit), name)
			require.Equal(t, uint64(1), b.metrics().of(name, activity.KindPullRequestOpened), name)
		}
		require.Equal(t, uint64(1), b.metrics().of("quiet", activity.KindIssueComment))
		require.Equal(t, uint64(2), b.metrics().of("half", activity.KindIssueComment))
	})
}

// pageOfComments adds so many old ones that the first question of a first contact does not show all.
func pageOfComments(d *githubtest.Dataset) {
	for range 100 {
		comment(d, "one", 1, noon.AddDate(0, 0, -10))
	}
}

// TestFill reads of a window what is missing, and nothing twice.
func TestFill(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	for day := range 10 {
		commit(data, "one", noon.Add(-time.Duration(24*day+2)*time.Hour))
		comment(data, "one", 1, noon.Add(-time.Duration(24*day+2)*time.Hour))
	}
	pageOfComments(data)
	b := newBench(t, github.APIGraphQL, data, handover)
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

// TestFillFails keeps what was read of the streams that could be, and the rest as a gap.
func TestFillFails(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	for day := range 5 {
		commit(data, "one", noon.Add(-time.Duration(24*day+2)*time.Hour))
		comment(data, "one", 1, noon.Add(-time.Duration(24*day+2)*time.Hour))
	}
	pageOfComments(data)
	b := newBench(t, github.APIGraphQL, data, handover)
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
	require.Equal(t, uint64(5), b.metrics().of("one", activity.KindCommit))
	b.server.ClearFaults()
	filled, err = b.collector.Fill(t.Context(), order)
	require.NoError(t, err)
	require.Equal(t, activity.StreamsOf(activity.StreamComments), filled.Streams)
	require.Equal(t, uint64(105), b.metrics().of("one", activity.KindIssueComment))
	require.Positive(t, b.tally(TallyStoreWrites, sourceWorker, "success"))
}
