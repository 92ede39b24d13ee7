// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// comparisons returns how many branches were compared since the requests were reset.
func (b *bench) comparisons() int {
	n := b.requests("/repos/{owner}/{repo}/compare/{basehead...}")
	for _, r := range b.server.Requests() {
		if r.Operation == "Comparisons" {
			n += len(r.Variables) / 3
		}
	}
	return n
}

// readBranches returns the results by repository: one for each.
func (b *bench) readBranches(maxRefs int, former map[int64]activity.Branches) map[int64]github.BranchesResult {
	b.t.Helper()
	var requests []github.BranchesRequest
	for _, repo := range b.repositories() {
		requests = append(requests, github.BranchesRequest{Repo: repo, Former: former[repo.ID]})
	}
	b.server.ResetRequests()
	results := make(map[int64]github.BranchesResult)
	b.client.ReadBranches(b.t.Context(), org, requests, maxRefs, func(r github.BranchesResult) {
		require.NotContains(b.t, results, r.RepoID)
		results[r.RepoID] = r
	})
	return results
}

// branchesOf returns the branches of a repository that can be read completely.
func (b *bench) branchesOf(name string, former map[int64]activity.Branches) activity.Branches {
	b.t.Helper()
	id := b.repo(name).ID
	result := b.readBranches(100, former)[id]
	require.NoError(b.t, result.Err)
	require.True(b.t, result.IsListed && result.IsComplete, "%+v", result)
	return result.Branches
}

// onBranch adds a commit to a branch.
func onBranch(d *githubtest.Dataset, branch string, at time.Time, parents ...string) *githubtest.Commit {
	c := commit(d, "one", at)
	c.Branch, c.ParentSHAs = branch, parents
	return c
}

// branchData has a branch in each relation to the default one: of three commits on main, the branches begin at the
// second.
func branchData() *githubtest.Dataset {
	data := dataset("one", "none")
	for i := range 3 {
		commit(data, "one", ago(time.Duration(100-10*i)*time.Hour)) // 0, 1, 2
	}
	at := sha(1)
	data.Repos[0].Resets = []githubtest.Reset{
		{Branch: "merged", SHA: at, At: ago(79 * time.Hour)},
		{Branch: "equal", SHA: sha(2), At: ago(79 * time.Hour)},
		{Branch: "gone", SHA: at, At: ago(79 * time.Hour)},
		{Branch: "gone", At: ago(70 * time.Hour)},
	}
	onBranch(data, "feat/a b#1", ago(60*time.Hour), at)     // 3
	onBranch(data, "feat/a b#1", ago(50*time.Hour), sha(3)) // 4
	onBranch(data, "ahead", ago(40*time.Hour), sha(2))      // 5
	data.Commits = append(data.Commits, githubtest.Commit{
		Repo: "one", SHA: sha(6), Login: new("ada"), AuthoredAt: ago(30 * time.Hour), CommittedAt: ago(30 * time.Hour),
		Branch: "orphan", ParentSHAs: []string{},
	})
	return data
}

// TestReadBranches checks the numbers of each branch with both APIs. One that is equal to the default branch or merged
// in it has no commit of its own, and a history of its own cannot be compared.
func TestReadBranches(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, branchData())
		n := activity.KnownNumber
		want := activity.Branches{Trunk: "main", Head: sha(2), List: []activity.VCSBranch{
			{Name: "ahead", Head: sha(5), IsCurrent: true, Ahead: n(1), Behind: n(0), First: ago(40 * time.Hour)},
			{Name: "equal", Head: sha(2), IsCurrent: true, Ahead: n(0), Behind: n(0)},
			{Name: "feat/a b#1", Head: sha(4), IsCurrent: true, Ahead: n(2), Behind: n(1), First: ago(60 * time.Hour)},
			{Name: "merged", Head: sha(1), IsCurrent: true, Ahead: n(0), Behind: n(1)},
			{Name: "orphan", Head: sha(6), IsCurrent: true},
		}}
		got := b.branchesOf("one", nil)
		require.Equal(t, want, got)
		require.Equal(t, 4, b.comparisons(), "all but the equal one")
		require.Equal(t, activity.Branches{}, b.branchesOf("none", nil))

		former := map[int64]activity.Branches{b.repo("one").ID: got}
		require.Equal(t, want, b.branchesOf("one", former))
		require.Zero(t, b.comparisons(), "nothing has moved")
		b.server.Update(func(d *githubtest.Dataset) { onBranch(d, "ahead", ago(time.Hour), sha(5)) })
		want.List[0].Head, want.List[0].Ahead = sha(7), n(2)
		require.Equal(t, want, b.branchesOf("one", former))
		require.Equal(t, 1, b.comparisons(), "the branch that has moved")
		b.server.Update(func(d *githubtest.Dataset) { commit(d, "one", ago(time.Minute)) })
		got = b.branchesOf("one", former)
		require.Equal(t, sha(8), got.Head)
		require.Equal(t, n(1), got.List[1].Behind)
		require.Equal(t, n(2), got.List[2].Behind)
		require.Equal(t, 5, b.comparisons(), "the default branch has moved")
	})
}

// TestReadManyBranches checks the bounds of a repository, and that a default branch that is not on the page is found.
func TestReadManyBranches(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		data.Repos[0].DefaultBranch = "trunk"
		commit(data, "one", ago(100*time.Hour))
		for i := range 120 {
			data.Repos[0].Resets = append(data.Repos[0].Resets, githubtest.Reset{
				Branch: fmt.Sprintf("b%03d", i), SHA: sha(0), At: ago(99 * time.Hour),
			})
		}
		b := newBench(t, api, data)
		got := b.branchesOf("one", nil)
		require.Len(t, got.List, 100)
		require.Equal(t, "b000", got.List[0].Name)
		require.True(t, got.IsCut)
		require.Equal(t, [2]string{"trunk", sha(0)}, [2]string{got.Trunk, got.Head})
		result := b.readBranches(7, nil)[b.repo("one").ID]
		require.Len(t, result.Branches.List, 7)
		require.True(t, result.Branches.IsCut)
	})
}

// TestReadBranchesBound checks that the comparisons of a call are bounded, and that the next call goes on.
func TestReadBranchesBound(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		bound, repos := 500, 6
		if api == github.APIREST {
			bound, repos = 100, 2
		}
		data := many(repos)
		for i := range data.Repos {
			c := commit(data, data.Repos[i].Name, ago(100*time.Hour))
			base, on := c.SHA, commit(data, data.Repos[i].Name, ago(99*time.Hour))
			on.Branch, on.ParentSHAs = "b000", []string{base}
			for k := range 98 {
				data.Repos[i].Resets = append(data.Repos[i].Resets, githubtest.Reset{
					Branch: fmt.Sprintf("b%03d", k+1), SHA: on.SHA, At: ago(98 * time.Hour),
				})
			}
		}
		b := newBench(t, api, data)
		results := b.readBranches(100, nil)
		require.Equal(t, bound, b.comparisons())
		former := make(map[int64]activity.Branches)
		complete := 0
		for id, r := range results {
			former[id] = r.Branches
			if r.IsComplete {
				complete++
			}
		}
		require.Equal(t, repos-1, complete)
		for id, r := range b.readBranches(100, former) {
			require.True(t, r.IsComplete, id)
		}
		require.Equal(t, repos*99-bound, b.comparisons())
	})
}

// TestReadBranchesCost checks what fifty repositories with two branches each cost.
func TestReadBranchesCost(t *testing.T) {
	t.Parallel()
	data := many(50)
	for i := range data.Repos {
		name := data.Repos[i].Name
		base := commit(data, name, ago(100*time.Hour)).SHA
		for _, branch := range []string{"a", "b"} {
			c := commit(data, name, ago(99*time.Hour))
			c.Branch, c.ParentSHAs = branch, []string{base}
		}
	}
	for api, want := range map[github.API]map[string]int{
		github.APIGraphQL: {"Branches": 1, "Comparisons": 4},
		github.APIREST: {
			"/repos/{owner}/{repo}/branches": 50, "/repos/{owner}/{repo}/compare/{basehead...}": 100,
		},
	} {
		b := newBench(t, api, data)
		require.Len(t, b.readBranches(100, nil), 50)
		sent, points := make(map[string]int), 0
		for _, r := range b.server.Requests() {
			if r.Operation != "" {
				sent[r.Operation]++
				points += r.Cost
			} else {
				sent[r.Route]++
			}
		}
		require.Equal(t, want, sent)
		if api == github.APIGraphQL {
			require.Equal(t, 5, points)
		}
	}
}

// TestReadBranchesFailures checks that a repository whose list fails has an error beside others that can be read, that
// a comparison that fails leaves what was known, and that a refused credential is no failure of a repository.
func TestReadBranchesFailures(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, branchData())
	b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Operation: "Branches"},
		Effect: githubtest.FieldError("nodes.0.refs", "FORBIDDEN", "no"),
	})
	failed := 0
	for _, r := range b.readBranches(100, nil) {
		if r.Err != nil {
			_, forbidden := errorAs[*transport.ForbiddenError](r.Err)
			require.True(t, forbidden, "%v", r.Err)
			require.False(t, r.IsListed)
			failed++
		}
	}
	require.Equal(t, 1, failed)
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, branchData())
		id := b.repo("one").ID
		known := b.branchesOf("one", nil)
		b.server.Update(func(d *githubtest.Dataset) { onBranch(d, "ahead", ago(time.Hour), sha(5)) })
		match, effect := githubtest.Match{Operation: "Comparisons"}, githubtest.FieldError(
			"c0.ref.compare.aheadBy", "FORBIDDEN", "no")
		if api == github.APIREST {
			match = githubtest.Match{Route: "/repos/{owner}/{repo}/compare/{basehead...}"}
			effect = githubtest.StatusBody(403, http.Header{"Content-Type": {"application/json"}}, `{"message":"no"}`)
		}
		b.server.InjectFault(githubtest.Fault{Match: match, Effect: effect})
		result := b.readBranches(100, map[int64]activity.Branches{id: known})[id]
		require.Error(t, result.Err)
		require.True(t, result.IsListed)
		require.False(t, result.IsComplete)
		want := known.List[0]
		want.Head, want.IsCurrent = sha(7), false
		require.Equal(t, want, result.Branches.List[0])
		b.server.ClearFaults()
		b.server.InjectFault(githubtest.Fault{
			Match:  match,
			Effect: githubtest.StatusBody(401, http.Header{"Content-Type": {"application/json"}}, `{"message":"Bad"}`),
		})
		result = b.readBranches(100, map[int64]activity.Branches{id: known})[id]
		require.NoError(t, result.Err)
		require.False(t, result.IsComplete)
	})
}

// TestBranchesMoveMeanwhile checks that a comparison with another head of the default branch than the listed one does
// not count as current.
func TestBranchesMoveMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, branchData())
	b.once("Comparisons", 1, func(d *githubtest.Dataset) { commit(d, "one", ago(time.Minute)) })
	result := b.readBranches(100, nil)[b.repo("one").ID]
	require.NoError(t, result.Err)
	require.False(t, result.IsComplete)
	former := map[int64]activity.Branches{result.RepoID: result.Branches}
	require.Equal(t, activity.KnownNumber(2), b.branchesOf("one", former).List[2].Behind)
}
