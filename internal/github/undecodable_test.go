// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// undecodable are values that cannot be decoded, where the second row has its value.
var undecodable = map[github.API]map[string]struct {
	path, value string
	// stream is what loses a row, from where the row is read.
	stream activity.Stream
	// lost is how many events are left out, kept that the event is there without its lines.
	lost int
}{
	github.APIGraphQL: {
		"a year of five digits": {
			"byId.*.target.history.nodes.1.committedDate", `"12200-05-05T00:00:00Z"`,
			activity.StreamCommits, 1,
		},
		"a number for a time": {"byId.*.target.history.nodes.1.committedDate", `7`, activity.StreamCommits, 1},
		"a login that is a number": {
			"byId.*.target.history.nodes.1.author.user.login", `7`, activity.StreamCommits,
			1,
		},
		"an account beyond 64 bits": {
			"byId.*.target.history.nodes.1.author.user.databaseId", `18446744073709551616`,
			activity.StreamCommits, 1,
		},
		"lines that are a text": {"byId.*.target.history.nodes.1.additions", `"many"`, activity.StreamCommits, 0},
		"a pull request's creation": {
			"byId.pullRequests.nodes.1.createdAt", `"12200-05-05T00:00:00Z"`,
			activity.StreamPulls, 1,
		},
		"a pull request's update": {
			"byId.pullRequests.nodes.0.updatedAt", `"12200-05-05T00:00:00Z"`,
			activity.StreamPulls, 2,
		},
		"a pull request's number": {"byId.pullRequests.nodes.1.number", `1e400`, activity.StreamPulls, 1},
		"a review's submission": {
			"byId.pullRequests.nodes.0.reviews.nodes.0.submittedAt",
			`"12200-05-05T00:00:00Z"`, activity.StreamPulls, 1,
		},
		"a review's author": {
			"byId.pullRequests.nodes.0.reviews.nodes.0.author.login", `[]`,
			activity.StreamPulls, 1,
		},
		"the rate limit":             {"rateLimit.remaining", `"much"`, activity.StreamCommits, 0},
		"the reset of the limit":     {"rateLimit.resetAt", `"12200-05-05T00:00:00Z"`, activity.StreamCommits, 0},
		"a comment's creation":       {"1.created_at", `"12200-05-05T00:00:00Z"`, activity.StreamComments, 1},
		"the update of the last one": {"2.updated_at", `"12200-05-05T00:00:00Z"`, activity.StreamComments, 1},
	},
	github.APIREST: {
		"a year of five digits":      {"1.commit.committer.date", `"12200-05-05T00:00:00Z"`, activity.StreamCommits, 1},
		"a number for a time":        {"1.commit.committer.date", `[7]`, activity.StreamCommits, 1},
		"a login that is a number":   {"1.author.login", `7`, activity.StreamCommits, 1},
		"an account beyond 64 bits":  {"1.author.id", `18446744073709551616`, activity.StreamCommits, 1},
		"lines that are a text":      {"stats.additions", `"many"`, activity.StreamCommits, 0},
		"a field that is not used":   {"1.node_id", `7`, activity.StreamCommits, 0},
		"a pull request's creation":  {"1.created_at", `"12200-05-05T00:00:00Z"`, activity.StreamPulls, 1},
		"a pull request's update":    {"0.updated_at", `"12200-05-05T00:00:00Z"`, activity.StreamPulls, 2},
		"a pull request's number":    {"1.number", `1e400`, activity.StreamPulls, 1},
		"a review's submission":      {"0.submitted_at", `"12200-05-05T00:00:00Z"`, activity.StreamPulls, 1},
		"a comment's id":             {"1.id", `18446744073709551616`, activity.StreamComments, 1},
		"a comment's creation":       {"1.created_at", `"12200-05-05T00:00:00Z"`, activity.StreamComments, 1},
		"the update of the last one": {"2.updated_at", `"12200-05-05T00:00:00Z"`, activity.StreamComments, 1},
	},
}

// undecodableData has three of everything, and one review.
func undecodableData() *githubtest.Dataset {
	data := dataset("one")
	for n := range 3 {
		at := ago(time.Duration(n+1) * time.Hour)
		login := "ada"
		commit(data, "one", at).Login = &login
		pull(data, n+1, at)
		comment(data, 1, at)
	}
	review(data, 1, ago(time.Minute))
	return data
}

// TestUndecodable: a value that cannot be decoded loses its row, which is counted; those beside it are used, and no
// request is repeated.
func TestUndecodable(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for name, test := range undecodable[api] {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var invalid atomic.Int64
				b := newBench(t, api, undecodableData(), func(_ *githubtest.Settings, g *transport.Settings) {
					g.OnInvalidValue = func(error) { invalid.Add(1) }
				})
				repo := b.repo("one")
				request := since(repo, ago(24*time.Hour), test.stream)
				b.server.ResetRequests()
				truth, outcome := b.read(request)
				require.Empty(t, outcome.Failed)
				before := len(b.server.Requests())
				invalid.Store(0)
				b.server.ResetRequests()
				b.server.InjectFault(githubtest.Fault{
					Match:  githubtest.Match{Func: reads(test.stream, test.path)},
					Effect: githubtest.ValueAt(test.path, test.value),
				})
				got, outcome := b.read(request)
				require.Empty(t, outcome.Failed)
				require.LessOrEqual(t, len(b.server.Requests()), before)
				require.Len(t, got, len(truth)-test.lost, fmt.Sprint(got))
				if name != "a field that is not used" {
					require.Positive(t, invalid.Load(), "it is counted")
				}
			})
		}
	})
}

// reads chooses the requests whose answers have the path.
func reads(s activity.Stream, path string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool {
		switch {
		case r.Resource == githubtest.ResourceGraphQL:
			return true
		case s == activity.StreamPulls:
			return (r.Route == reviewsRoute) == (path == "0.submitted_at")
		case path == "stats.additions":
			return r.Route != "/repos/{owner}/{repo}/commits"
		}
		return true
	}
}

// TestUndecodableRepository: a repository whose push time cannot be decoded is there, and is read whether it moved or
// not.
func TestUndecodableRepository(t *testing.T) {
	t.Parallel()
	for api, path := range map[github.API]string{
		github.APIGraphQL: "organization.repositories.nodes.0.pushedAt",
		github.APIREST:    "0.pushed_at",
	} {
		var invalid atomic.Int64
		b := newBench(t, api, dataset("one", "two"), func(_ *githubtest.Settings, g *transport.Settings) {
			g.OnInvalidValue = func(error) { invalid.Add(1) }
		})
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.ValueAt(path, `"12200-05-05T00:00:00Z"`)})
		repos, err := b.discover()
		require.NoError(t, err)
		require.Len(t, repos, 2)
		require.Equal(t, int64(1), invalid.Load())
		known := make(map[bool]int)
		for _, r := range repos {
			known[r.Signals.Streams.Has(activity.StreamCommits)]++
		}
		require.Equal(t, map[bool]int{true: 1, false: 1}, known)
	}
}

// TestUndecodableInAWalk: a commit that is left out counts in a walk from head to head, with both APIs.
func TestUndecodableInAWalk(t *testing.T) {
	t.Parallel()
	for api, path := range map[github.API]string{
		github.APIGraphQL: "byId.*.target.history.nodes.1.committedDate",
		github.APIREST:    "commits.1.commit.committer.date",
	} {
		data := dataset("one")
		for n := range 6 {
			commit(data, "one", ago(time.Duration(6-n)*time.Hour))
		}
		b := newBench(t, api, data)
		repo := b.repo("one")
		_, outcome := b.read(since(repo, ago(24*time.Hour), activity.StreamCommits))
		head := outcome.Head
		b.server.Update(func(d *githubtest.Dataset) {
			for n := range 3 {
				commit(d, "one", ago(time.Duration(30-n)*time.Minute))
			}
		})
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.ValueAt(path, `"12200-05-05T00:00:00Z"`)})
		request := since(repo, ago(24*time.Hour), activity.StreamCommits)
		request.ReadHead = head
		events, outcome := b.read(request)
		require.Empty(t, outcome.Failed)
		require.Len(t, events, 2)
		require.NotEqual(t, head, outcome.Head)
	}
}
