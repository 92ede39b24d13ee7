// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// changedRepositories is a bench with so many repositories in which something has happened within the last half hour,
// and requests for it.
func changedRepositories(t *testing.T, repositories int) (*bench, []*github.ReadRequest) {
	t.Helper()
	var names []string
	for n := range repositories {
		names = append(names, fmt.Sprintf("repo-%02d", n))
	}
	data := dataset(names...)
	for n, name := range names {
		at := ago(time.Duration(n%20+5) * time.Minute)
		commit(data, name, at)
		data.Pulls = append(data.Pulls, githubtest.Pull{Repo: name, Number: 1, Login: new("bob"), CreatedAt: at})
	}
	b := newBench(t, github.APIGraphQL, data)
	return b, b.changed(names)
}

func (b *bench) changed(names []string) []*github.ReadRequest {
	b.t.Helper()
	found, err := b.discover()
	require.NoError(b.t, err)
	var requests []*github.ReadRequest
	for _, name := range names {
		request := since(found[name], ago(40*time.Minute), activity.StreamCommits, activity.StreamPulls)
		requests = append(requests, &request)
	}
	return requests
}

// again is a request as it was before it was prepared.
func again(r *github.ReadRequest) *github.ReadRequest {
	single := &github.ReadRequest{Org: r.Org, Repo: r.Repo, Streams: r.Streams, Since: r.Since, Until: r.Until}
	single.ReadHead, single.SkipLines = r.ReadHead, r.SkipLines
	return single
}

// readAll prepares and reads, and gives how many queries of each kind that took.
func (b *bench) readAll(requests []*github.ReadRequest) (together, alone int) {
	b.t.Helper()
	b.server.ResetRequests()
	fresh := make([]*github.ReadRequest, len(requests))
	for i, r := range requests {
		fresh[i] = again(r)
	}
	b.client.Prefetch(b.t.Context(), fresh)
	for _, r := range fresh {
		require.Len(b.t, b.all(*r), 2, r.Repo.Name)
	}
	return b.requests("Activities"), b.requests("Activity")
}

// TestSeveralAtOnce: repositories that changed a little are read with a tenth of the queries and a fifth of the points.
func TestSeveralAtOnce(t *testing.T) {
	t.Parallel()
	b, requests := changedRepositories(t, 25)
	together, alone := b.readAll(requests)
	require.Equal(t, []int{3, 0}, []int{together, alone})
	require.Equal(t, 2+2+1, b.server.PointsSpent(githubtest.ResourceGraphQL))
	for _, o := range b.seen {
		require.False(t, o.Mispriced, "%+v", o)
	}
}

// TestWhatNeedsNoCompany: a window of the past, a long time without a head, and one alone.
func TestWhatNeedsNoCompany(t *testing.T) {
	t.Parallel()
	b, requests := changedRepositories(t, 4)
	for name, change := range map[string]func(r *github.ReadRequest){
		"a window of the past": func(r *github.ReadRequest) {
			r.Until[activity.StreamCommits], r.Until[activity.StreamPulls] = noon, noon
		},
		"a long time":     func(r *github.ReadRequest) { r.Since[activity.StreamCommits] = ago(24 * time.Hour) },
		"without a node":  func(r *github.ReadRequest) { r.Repo.NodeID = "" },
		"comments, alone": func(r *github.ReadRequest) { r.Streams = activity.StreamsOf(activity.StreamComments) },
	} {
		b.server.ResetRequests()
		var changed []*github.ReadRequest
		for _, r := range requests {
			r = again(r)
			change(r)
			changed = append(changed, r)
		}
		b.client.Prefetch(t.Context(), changed)
		require.Empty(t, b.server.Requests(), name)
	}
	b.client.Prefetch(t.Context(), requests[:1])
	require.Empty(t, b.server.Requests())
}

// TestOneDoesNotSpoilTheOthers: a repository that fails in a group is requested alone, and the others are not requested
// again.
func TestOneDoesNotSpoilTheOthers(t *testing.T) {
	t.Parallel()
	for name, effect := range map[string]githubtest.Effect{
		"null with a reason": githubtest.FieldError("r3", "SERVICE_UNAVAILABLE", "Something went wrong"),
		"a part of it": githubtest.FieldError("r3.defaultBranchRef.target.history.nodes",
			"SERVICE_UNAVAILABLE", "Something went wrong"),
		"not found, this time": githubtest.FieldError("r3", "NOT_FOUND", "Could not resolve to a node"),
		"lines that take long": githubtest.FieldError("r3.defaultBranchRef.target.history.nodes.0.additions", "",
			"timeout"),
		"one's pull requests": githubtest.FieldError("r3.pullRequests", "SERVICE_UNAVAILABLE",
			"Something went wrong"),
		"null without a reason": githubtest.NullAt("r3.pullRequests.nodes.0.createdAt"), // all of that answer is void
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, requests := changedRepositories(t, 8)
			armed := b.server.InjectFault(githubtest.Fault{
				Match:  githubtest.Match{Operation: "Activities"},
				Effect: effect,
			})
			together, alone := b.readAll(requests)
			require.Equal(t, 1, armed.Hits())
			require.Equal(t, 1, together)
			if effect.Kind == githubtest.KindNull {
				require.Equal(t, 8, alone)
			} else {
				require.LessOrEqual(t, alone, 1)
			}
		})
	}
}

// TestGroupsHalve when they are too much, for all that follows, and grow again; each time the repositories are read all
// the same.
func TestGroupsHalve(t *testing.T) {
	t.Parallel()
	b, requests := changedRepositories(t, 20)
	ofTen := func(r githubtest.RequestInfo) bool { return r.Variables["id9"] != nil }
	tooMuch := githubtest.Fault{
		Match: githubtest.Match{Operation: "Activities", Func: ofTen}, Times: 2, Effect: githubtest.GraphQLTimeout(502),
	}
	b.server.InjectFault(tooMuch)
	together, alone := b.readAll(requests)
	require.Equal(t, []int{6, 0}, []int{together, alone}, "both groups of ten were too much, and their halves were not")
	together, alone = b.readAll(requests)
	require.Equal(t, []int{4, 0}, []int{together, alone})
	for range 4 {
		b.readAll(requests)
	}
	together, _ = b.readAll(requests)
	require.Equal(t, 2, together, "after twenty good groups they are tens again")
}
