// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const contributorsRoute = "/repos/{owner}/{repo}/contributors"

// readChanges returns the results by repository: one for each.
func (b *bench) readChanges(details github.ChangeDetails) map[int64]github.ChangesResult {
	b.t.Helper()
	results := make(map[int64]github.ChangesResult)
	b.client.ReadChanges(b.t.Context(), org, b.repositories(), details, func(r github.ChangesResult) {
		require.NotContains(b.t, results, r.RepoID)
		results[r.RepoID] = r
	})
	return results
}

// changesOf returns the pull requests of a repository that can be read.
func (b *bench) changesOf(name string, details github.ChangeDetails) activity.Changes {
	b.t.Helper()
	result, ok := b.readChanges(details)[b.repo(name).ID]
	require.True(b.t, ok)
	require.NoError(b.t, result.Err)
	return result.Changes
}

// changesData has pull requests in each state.
func changesData() *githubtest.Dataset {
	data := dataset("one", "none")
	pull(data, 1, ago(9*time.Hour))
	draft := pull(data, 2, ago(8*time.Hour))
	draft.Draft, draft.Additions, draft.Deletions = true, 30, 4
	draft.Head, draft.IsFork = "patch-1", true
	ready := pull(data, 3, ago(7*time.Hour))
	ready.Draft, ready.ReadyAt = true, []time.Time{ago(3 * time.Hour)}
	closed, merged, mergedLater := ago(6*time.Hour), ago(5*time.Hour), ago(4*time.Hour)
	pull(data, 4, ago(30*time.Hour)).ClosedAt = &closed
	p := pull(data, 5, ago(20*time.Hour))
	p.MergedAt, p.ClosedAt = &merged, &merged
	p = pull(data, 6, ago(10*time.Hour))
	p.MergedAt, p.ClosedAt = &mergedLater, &mergedLater
	review(data, 6, ago(9*time.Hour))
	review(data, 6, ago(8*time.Hour))
	review(data, 1, ago(8*time.Hour)).State = "COMMENTED"
	return data
}

// TestReadChanges checks the numbers by state and the rows. REST does not tell closed and merged ones apart in numbers,
// and its lists have neither lines nor approvals.
func TestReadChanges(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, changesData())
		details := github.ChangeDetails{MaxRows: 100, States: true, Approvals: true, Lines: true}
		got := b.changesOf("one", details)
		row := func(number int64, state activity.ChangeState, created, since time.Duration) activity.VCSChange {
			return activity.VCSChange{
				Number: number, State: state, Head: "change-" + string(rune('0'+number)), Base: "main",
				Created: ago(created), Since: ago(since),
			}
		}
		want := activity.Changes{List: []activity.VCSChange{
			row(1, activity.ChangeOpen, 9*time.Hour, 9*time.Hour), row(2, activity.ChangeWIP, 8*time.Hour, 8*time.Hour),
			row(3, activity.ChangeOpen, 7*time.Hour, 3*time.Hour),
			row(5, activity.ChangeMerged, 20*time.Hour, 5*time.Hour),
			row(6, activity.ChangeMerged, 10*time.Hour, 4*time.Hour),
		}}
		want.List[1].Head, want.List[1].IsFork = "patch-1", true
		n := activity.KnownNumber
		want.Count[activity.ChangeOpen], want.Count[activity.ChangeWIP] = n(2), n(1)
		if api == github.APIGraphQL {
			want.Count[activity.ChangeClosed], want.Count[activity.ChangeMerged] = n(1), n(2)
			want.List[4].Approved = ago(9 * time.Hour)
			for i := range want.List[:3] {
				want.List[i].Added, want.List[i].Removed = activity.KnownNumber(0), activity.KnownNumber(0)
			}
			want.List[1].Added, want.List[1].Removed = activity.KnownNumber(30), activity.KnownNumber(4)
		} else {
			for i := range want.List[:3] {
				want.List[i].Since = time.Time{}
			}
		}
		require.Equal(t, want, got)
		empty := b.changesOf("none", github.ChangeDetails{})
		require.Equal(t, [2]activity.Number{n(0), n(0)}, [2]activity.Number(empty.Count[:2]))
		require.Empty(t, empty.List)
	})
}

// TestReadManyChanges checks that open pull requests beyond a page are counted, and that the rows are bounded.
func TestReadManyChanges(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i := range 230 {
			pull(data, i+1, ago(time.Duration(500-i)*time.Hour)).Draft = i%10 == 0
		}
		b := newBench(t, api, data)
		got := b.changesOf("one", github.ChangeDetails{MaxRows: 100})
		want := [2]activity.Number{activity.KnownNumber(207), activity.KnownNumber(23)}
		require.Equal(t, want, [2]activity.Number(got.Count[:2]))
		require.Len(t, got.List, 100)
		require.Equal(t, int64(131), got.List[0].Number, "the newest ones")
		require.True(t, got.IsCut)
	})
}

// TestReadChangesCost checks the requests and points of fifty repositories, without and with what is requested of
// single pull requests.
func TestReadChangesCost(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, many(50))
	repos := b.repositories()
	for _, test := range []struct {
		details          github.ChangeDetails
		requests, points int
	}{
		{github.ChangeDetails{}, 1, 2},
		{github.ChangeDetails{MaxRows: 100}, 1, 2},
		{github.ChangeDetails{MaxRows: 100, Lines: true}, 5, 5},
		{github.ChangeDetails{MaxRows: 100, States: true}, 5, 50},
		{github.ChangeDetails{MaxRows: 100, Approvals: true}, 5, 100},
	} {
		b.server.ResetRequests()
		b.client.ReadChanges(t.Context(), org, repos, test.details, func(r github.ChangesResult) {
			require.NoError(t, r.Err)
		})
		require.Equal(t, test.requests, b.requests("Changes"))
		points := 0
		for _, r := range b.server.Requests() {
			points += r.Cost
		}
		require.Equal(t, test.points, points, "%+v", test.details)
	}
}

// TestReadChangesFailures checks that a repository that fails has an error, and no numbers, beside others that can be
// read, and that a limit ends the reading without results.
func TestReadChangesFailures(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, changesData())
	for _, field := range []string{"nodes.0.open", "nodes.0.merged"} {
		b.server.InjectFault(githubtest.Fault{
			Match:  githubtest.Match{Operation: "Changes"},
			Effect: githubtest.FieldError(field, "FORBIDDEN", "no access"),
		})
		results := b.readChanges(github.ChangeDetails{})
		require.Len(t, results, 2)
		failed := 0
		for _, r := range results {
			if r.Err != nil {
				_, forbidden := errorAs[*transport.ForbiddenError](r.Err)
				require.True(t, forbidden, "%v", r.Err)
				require.Equal(t, activity.Changes{}, r.Changes)
				failed++
			}
		}
		require.Equal(t, 1, failed)
		b.server.ClearFaults()
	}
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, changesData())
		repos := b.repositories()
		b.server.InjectFault(githubtest.Fault{
			Effect: githubtest.StatusBody(401, http.Header{"Content-Type": {"application/json"}}, `{"message":"Bad"}`),
		})
		b.client.ReadChanges(t.Context(), org, repos, github.ChangeDetails{}, func(r github.ChangesResult) {
			t.Errorf("a result after a refused credential: %+v", r)
		})
	})
}

// TestCountContributors checks the number of accounts with commits on the default branch, in both APIs one request.
func TestCountContributors(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "none")
		for i, login := range []string{"ada", "bob", "ada", "eve"} {
			commit(data, "one", ago(time.Duration(9-i)*time.Hour)).Login = &login
		}
		commit(data, "one", ago(time.Hour)).Login = nil
		side := commit(data, "one", ago(30*time.Minute))
		side.Branch, side.Login = "side", new("mallory")
		b := newBench(t, api, data)
		for name, want := range map[string]uint64{"one": 3, "none": 0} {
			repo := b.repo(name)
			b.server.ResetRequests()
			got, err := b.client.CountContributors(t.Context(), org, repo)
			require.NoError(t, err)
			require.Equal(t, activity.KnownNumber(want), got, name)
			require.Equal(t, 1, b.requests(contributorsRoute))
		}
		repo := b.repo("one")
		b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Route: contributorsRoute}, Effect: githubtest.
			StatusBody(403, http.Header{"Content-Type": {"application/json"}}, `{"message":"The history or contributor `+
				`list is too large to list contributors for this repository via the API."}`)})
		got, err := b.client.CountContributors(t.Context(), org, repo)
		require.NoError(t, err)
		require.Equal(t, activity.Number{}, got, "unknown, and not worth another request")
		b.server.ClearFaults()
		b.server.InjectFault(githubtest.Fault{
			Match: githubtest.Match{Route: contributorsRoute}, Effect: githubtest.StatusBody(200, http.Header{
				"Content-Type": {"application/json"},
			}, `{}`),
		})
		_, err = b.client.CountContributors(t.Context(), org, repo)
		require.Error(t, err)
	})
}
