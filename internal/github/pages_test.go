// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// number is a variable of a query.
func number(r githubtest.RequestInfo, name string) float64 {
	n, _ := r.Variables[name].(float64)
	return n
}

// TestActivityPageHalves when a query of activity is too much, and the size that worked is kept for the pages after it.
func TestActivityPageHalves(t *testing.T) {
	t.Parallel()
	for name, effect := range map[string]githubtest.Effect{
		"502": githubtest.GraphQLTimeout(502), "504": githubtest.Status(504),
		"resource limits": githubtest.ResourceLimitsExceeded("byId"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := dataset("one")
			for i := range 200 {
				commit(data, "one", ago(time.Duration(i)*time.Minute))
				pull(data, i+1, ago(time.Duration(i)*time.Minute))
			}
			b := newBench(t, github.APIGraphQL, data)
			repo := b.repo("one")
			fault := b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{
				Operation: "Activity",
				Func: func(r githubtest.RequestInfo) bool {
					return number(r, "commitsFirst") > 25 || number(r, "pullsFirst") > 12
				},
			}, Effect: effect})
			require.Len(t, b.all(since(repo, ago(24*time.Hour), activity.StreamCommits, activity.StreamPulls)), 400)
			require.LessOrEqual(t, fault.Hits(), 4,
				"a time-out costs points of the next hour: it is not run into page after page")
		})
	}
}

// TestAQueryThatIsAlwaysTooMuchEnds: the smallest page is asked for as often as any request.
func TestAQueryThatIsAlwaysTooMuchEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, fullRepository())
	repo := b.repo("one")
	b.server.InjectFault(githubtest.Fault{Effect: githubtest.GraphQLTimeout(504)})
	b.server.ResetRequests()
	_, err := b.discover()
	require.True(t, is[*transport.UnavailableError](err), "%T: %v", err, err)
	require.Equal(t, 4+3, b.requests("Discover"), "100, 50, 25 and 10 once, 5 as often as any")
	_, outcome := b.read(since(repo, ago(24*time.Hour), activity.StreamCommits, activity.StreamPulls))
	require.Len(t, outcome.Failed, 2)
	require.LessOrEqual(t, b.requests("Activity"), 4+3)
}

// TestThePageGrowsAgain after a while in which all went well.
func TestThePageGrowsAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, many(120))
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Operation: "Discover"}, Times: 2,
		Effect: githubtest.GraphQLTimeout(502),
	})
	for range 20 {
		_, err := b.discover()
		require.NoError(t, err)
	}
	b.server.ResetRequests()
	_, err := b.discover()
	require.NoError(t, err)
	require.Equal(t, 2, b.requests("Discover"))
}

// TestWhatIsAskedOfListings: without a direction they would come the wrong way round, and without a size in small
// pages.
func TestWhatIsAskedOfListings(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIREST, fullRepository())
	b.all(everything(b.repo("one")))
	asked := make(map[string]url.Values)
	for _, r := range b.server.Requests() {
		query, err := url.ParseQuery(r.Query)
		require.NoError(t, err)
		asked[r.Route] = query
		require.NotContains(t, strings.ToLower(r.Path), "search")
	}
	for route, want := range map[string]string{
		pullsRoute:    "direction=desc&page=1&per_page=100&sort=updated&state=all",
		commentsRoute: "direction=asc&page=1&per_page=100&since=2026-03-10T12%3A00%3A00Z&sort=updated",
		orgReposRoute: "direction=asc&page=1&per_page=100&sort=created&type=all",
		reviewsRoute:  "page=1&per_page=100",
	} {
		require.Equal(t, want, asked[route].Encode(), route)
	}
}

// TestNothingNewIsOneRequest a stream: the head that was seen, and the top of the listing.
func TestNothingNewIsOneRequest(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, fullRepository())
		repo := b.repo("one")
		request := since(repo, noon, everyStream...)
		request.ReadHead = sha(0)
		b.server.ResetRequests()
		require.Empty(t, b.all(request))
		want := map[github.API]int{github.APIGraphQL: 2, github.APIREST: numListings}
		require.Len(t, b.server.Requests(), want[api])
	})
}

// TestTheTopMovesDuringEveryScan: the scan of the top ends, and what it could not reach is newer than its beginning.
func TestTheTopMovesDuringEveryScan(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for n := 1; n <= 300; n++ {
			pull(data, n, ago(time.Duration(n)*time.Minute))
		}
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(24*time.Hour), activity.StreamPulls)
		last := 300
		b.server.OnRequest(func(r githubtest.RequestInfo) {
			if r.Route != pullsRoute && r.Operation != "Activity" {
				return
			}
			b.server.Update(func(d *githubtest.Dataset) {
				d.Pull("one", last).TouchedAt = []time.Time{noon}
				last--
			})
		})
		require.Len(t, b.all(request), 300)
		require.Less(t, b.requests(pullsQuery(api)), 60)
	})
}

// TestPullsAreOpenedDuringTheScan: they push rows to the next page, which come twice; none is missed.
func TestPullsAreOpenedDuringTheScan(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for n := 1; n <= 260; n++ {
			pull(data, n, ago(time.Duration(n)*time.Minute))
		}
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(24*time.Hour), activity.StreamPulls)
		b.once(pullsQuery(api), 2, func(d *githubtest.Dataset) {
			for n := 1001; n <= 1060; n++ {
				pull(d, n, noon)
			}
		})
		require.Len(t, b.all(request), 320)
	})
}

// TestReviewsAreSubmittedDuringTheScan: the review that came while its pull request's reviews were read moved that pull
// request to the top.
func TestReviewsAreSubmittedDuringTheScan(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for n := 1; n <= 150; n++ {
			pull(data, n, ago(time.Duration(n)*time.Hour))
		}
		for i := range 120 {
			review(data, 150, ago(time.Duration(150+i)*time.Minute))
		}
		route := "Reviews"
		if api == github.APIREST {
			route = reviewsRoute
		}
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(300*time.Hour), activity.StreamPulls)
		b.once(route, 1, func(d *githubtest.Dataset) { review(d, 140, noon) })
		require.Equal(t, 121, users(b.all(request))["review_submitted eve"])
	})
}

// TestForcePush: a branch that was set back and went on from there is read down to the horizon at most, whether GitHub
// still knows the old head or not.
func TestForcePush(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i := range 300 {
			commit(data, "one", ago(time.Duration(400-i)*time.Hour))
		}
		old, kept := sha(299), sha(289)
		data.Repo("one").Resets = []githubtest.Reset{{SHA: kept, At: ago(5 * time.Hour)}}
		parent := kept
		for i := range 3 {
			c := commit(data, "one", ago(time.Duration(4-i)*time.Hour))
			c.ParentSHAs = []string{parent}
			parent = c.SHA
		}
		b := newBench(t, api, data)
		repo := b.repo("one")
		b.server.ResetRequests()
		request := since(repo, ago(120*time.Hour), activity.StreamCommits)
		request.ReadHead = old
		events, outcome := b.read(request)
		require.Empty(t, outcome.Failed)
		require.Equal(t, sha(302), outcome.Head)
		ids := make(map[activity.ID]bool)
		for _, e := range events {
			ids[e.ID] = true
		}
		for n := 300; n < 303; n++ {
			id, err := activity.CommitID(sha(n))
			require.NoError(t, err)
			require.True(t, ids[id])
		}
		require.Less(t, len(b.server.Requests()), 40)
	})
}

// TestARepositoryVanishesWhileItIsRead: what is left of it is not found, and what was read stays.
func TestARepositoryVanishesWhileItIsRead(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for n := 1; n <= 260; n++ {
			pull(data, n, ago(time.Duration(n)*time.Minute))
		}
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(24*time.Hour), activity.StreamPulls)
		b.once(pullsQuery(api), 2, func(d *githubtest.Dataset) { d.RemoveRepo("one") })
		events, outcome := b.read(request)
		require.True(t, is[*transport.NotFoundError](outcome.Failed[activity.StreamPulls]), "%v", outcome.Failed)
		require.NotEmpty(t, events)
	})
}

// TestARepositoryBecomesFullOrEmpty: the first is no error. The second cannot be, so what is said of it is not
// believed: the commits are missing until they are there again.
func TestARepositoryBecomesFullOrEmpty(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := fullRepository()
		data.Repo("one").Empty = true
		b := newBench(t, api, data)
		repo := b.repo("one")
		require.Empty(t, repo.Signals.Head)
		request := since(repo, ago(24*time.Hour), activity.StreamCommits)
		events, outcome := b.read(request)
		require.Empty(t, outcome.Failed)
		require.Empty(t, outcome.Head)
		require.Empty(t, events)
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").Empty = false })
		require.Len(t, b.all(request), 1)
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").Empty = true })
		request.ReadHead = sha(0)
		events, outcome = b.read(request)
		require.Empty(t, events)
		require.True(t, is[*transport.NotFoundError](outcome.Failed[activity.StreamCommits]), "%v", outcome.Failed)
	})
}

// TestWindowOfThePast reads the commits between two dates, both inclusive.
func TestWindowOfThePast(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i := range 300 {
			commit(data, "one", ago(time.Duration(300-i)*time.Hour))
		}
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(250*time.Hour), activity.StreamCommits)
		request.Until[activity.StreamCommits] = ago(100 * time.Hour)
		events := b.all(request)
		require.Len(t, events, 151)
		for _, e := range events {
			require.False(t, e.Time.Before(ago(250*time.Hour)) || e.Time.After(ago(100*time.Hour)), fmt.Sprint(e.Time))
		}
	})
}
