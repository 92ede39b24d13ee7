// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// readStocks reads all stocks of repositories, by name.
func (b *bench) readStocks(former map[string]activity.PullStock, names ...string) map[string]github.StockResult {
	b.t.Helper()
	found, err := b.discover()
	require.NoError(b.t, err)
	var requests []github.StockRequest
	nameOf := make(map[int64]string)
	for _, name := range names {
		nameOf[found[name].ID] = name
		requests = append(requests, github.StockRequest{
			Repo: found[name], Pulls: true, Issues: true, Former: former[name],
		})
	}
	results := make(map[string]github.StockResult)
	b.client.ReadStocks(b.t.Context(), org, requests, func(r github.StockResult) {
		require.NotContains(b.t, results, nameOf[r.RepoID])
		results[nameOf[r.RepoID]] = r
	})
	return results
}

// stockTraps has a pull request for each trap: drafts, reviews by the author, pending and dismissed ones, reviews by
// deleted accounts and bots, many reviews of the author before one of another, requests for reviews of users and teams.
func stockTraps() *githubtest.Dataset {
	data := dataset("one", "two", "off")
	at := ago(10 * time.Hour)
	for n := 1; n <= 12; n++ {
		pull(data, n, at.Add(time.Duration(n)*time.Minute))
	}
	data.Pulls[1].Draft = true
	data.Pulls[2].Draft, data.Pulls[2].ReadyAt = true, []time.Time{ago(time.Hour)}
	data.Pulls[3].ClosedAt = new(ago(time.Hour))
	data.Pulls[4].MergedAt, data.Pulls[4].ClosedAt = new(ago(time.Hour)), new(ago(time.Hour))
	review(data, 6, ago(time.Hour)).Login = new("bob")
	pending := review(data, 7, ago(time.Hour))
	pending.SubmittedAt, pending.State = nil, "PENDING"
	review(data, 8, ago(time.Hour)).State = "DISMISSED"
	for i := range 150 {
		review(data, 9, ago(time.Duration(300-i)*time.Minute)).Login = new("bob")
	}
	review(data, 9, ago(time.Minute)).Login = new("gone")
	review(data, 10, ago(time.Hour)).Login = new("copilot[bot]")
	data.Pulls[10].ReviewRequests = []githubtest.ReviewRequest{
		{Login: "eve", At: ago(2 * time.Hour)},
		{Team: "owners", At: ago(2 * time.Hour)},
		{Login: "kim", At: ago(3 * time.Hour), RemovedAt: ago(time.Hour)},
	}
	review(data, 12, ago(3*time.Hour))
	data.Pulls[11].ReviewRequests = []githubtest.ReviewRequest{{Login: "eve", At: ago(2 * time.Hour)}} // again
	data.Pulls[11].Login = new("gone")
	data.DeleteUser("gone")
	for n := 20; n < 24; n++ {
		issue(data, n, ago(time.Duration(n)*time.Hour))
	}
	data.Issues[0].ClosedAt = []time.Time{ago(time.Hour)}
	data.Issues[1].ClosedAt, data.Issues[1].ReopenedAt = []time.Time{ago(3 * time.Hour)}, []time.Time{ago(time.Hour)}
	data.Issues[3].GoneAt = ago(time.Hour)
	period := []githubtest.Period{{Start: ago(time.Hour)}}
	data.Repos[2].PullsOff, data.Repos[2].IssuesOff = period, period
	return data
}

// TestStocks: both APIs find what the data say, for every trap.
func TestStocks(t *testing.T) {
	t.Parallel()
	data := stockTraps()
	want := data.StocksAt("one", noon)
	require.Equal(t, 10, want.Ready+want.Draft)
	results := make(map[github.API]map[string]github.StockResult)
	for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
		b := newBench(t, api, data)
		got := b.readStocks(nil, "one", "two")
		results[api] = got
		one := got["one"]
		require.NoError(t, one.PullsErr)
		require.NoError(t, one.IssuesErr)
		ready, draft, unreviewed, awaited := 0, 0, 0, 0
		for _, p := range one.Pulls.Pulls {
			awaited += p.Awaited
			switch {
			case p.IsDraft:
				draft++
			case !p.IsReviewed:
				unreviewed++
				fallthrough
			default:
				ready++
			}
		}
		require.Equal(t, want.Ready, ready, api)
		require.Equal(t, want.Draft, draft, api)
		require.Equal(t, want.Unreviewed, unreviewed, api)
		require.Equal(t, want.Awaited, awaited, api)
		require.Equal(t, want.OldestPull, one.Pulls.Pulls[0].Created, api)
		require.Equal(t, &activity.IssueStock{Open: want.Issues, Oldest: want.OldestIssue}, one.Issues, api)
		require.Equal(t, &activity.IssueStock{}, got["two"].Issues, "none is zero")
		require.Empty(t, got["two"].Pulls.Pulls)
		for _, seen := range b.seen {
			require.False(t, seen.Mispriced, "%+v", seen)
		}
	}
	require.Equal(t, results[github.APIGraphQL], results[github.APIREST])
}

// TestStocksOfFeaturesSwitchedOff: a list that is empty because the feature is off is no stock of zero.
func TestStocksOfFeaturesSwitchedOff(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		got := newBench(t, api, stockTraps()).readStocks(nil, "off")["off"]
		require.Nil(t, got.Pulls)
		require.ErrorAs(t, got.PullsErr, new(*transport.NotFoundError))
		if api == github.APIGraphQL {
			require.Nil(t, got.Issues)
			require.ErrorAs(t, got.IssuesErr, new(*transport.NotFoundError))
		}
	})
}

// TestKnownStocksAreNotAskedForAgain: what was not updated since costs no request of its own.
func TestKnownStocksAreNotAskedForAgain(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := stockTraps()
		b := newBench(t, api, data)
		former := *b.readStocks(nil, "one")["one"].Pulls
		former.SeenAt = noon
		b.advance(time.Hour)
		b.server.Update(func(d *githubtest.Dataset) { review(d, 1, noon.Add(30*time.Minute)) })
		b.server.ResetRequests()
		again := b.readStocks(map[string]activity.PullStock{"one": former}, "one")["one"]
		require.NoError(t, again.PullsErr)
		require.True(t, again.Pulls.Pulls[0].IsReviewed)
		require.Equal(t, former.Pulls[1:], again.Pulls.Pulls[1:])
		reviews := b.requests("/repos/{owner}/{repo}/pulls/{pull_number}/reviews")
		if api == github.APIGraphQL {
			require.Equal(t, 1, b.requests("PullStates"))
			require.Zero(t, reviews)
		} else {
			require.Equal(t, 1, reviews)
		}
	})
}

// TestStockFaults: what GitHub does not answer is unknown, and the other stocks are read all the same.
func TestStockFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		api          github.API
		fault        githubtest.Fault
		pulls, issue bool // that fail
	}{
		"unavailable": {github.APIGraphQL, githubtest.Fault{
			Match:  githubtest.Match{Operation: "Stocks"},
			Effect: githubtest.Status(http.StatusBadGateway),
		}, true, true},
		"states": {github.APIGraphQL, githubtest.Fault{
			Match:  githubtest.Match{Operation: "PullStates"},
			Effect: githubtest.Status(http.StatusBadGateway),
		}, true, false},
		"rest pulls": {github.APIREST, githubtest.Fault{
			Match:  githubtest.Match{Route: "/repos/{owner}/{repo}/pulls"},
			Effect: githubtest.Status(http.StatusBadGateway),
		}, true, false},
		"rest reviews": {github.APIREST, githubtest.Fault{
			Match:  githubtest.Match{Route: "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"},
			Effect: githubtest.Status(http.StatusBadGateway),
		}, true, false},
		"rest issues": {github.APIREST, githubtest.Fault{
			Match:  githubtest.Match{Route: "/repos/{owner}/{repo}/issues"},
			Effect: githubtest.Status(http.StatusBadGateway),
		}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.api, stockTraps())
			b.server.InjectFault(test.fault)
			got := b.readStocks(nil, "one")["one"]
			require.Equal(t, test.pulls, got.PullsErr != nil)
			require.Equal(t, test.pulls, got.Pulls == nil)
			require.Equal(t, test.issue, got.IssuesErr != nil)
			require.Equal(t, test.issue, got.Issues == nil)
		})
	}
}

// TestStocksBesideABadRepository: a repository for which GitHub has no answer makes its own stock fail, and costs a
// bounded number of requests, of which not many fail in a row.
func TestStocksBesideABadRepository(t *testing.T) {
	t.Parallel()
	var names []string
	for n := range 60 {
		names = append(names, fmt.Sprintf("repo-%02d", n))
	}
	b := newBench(t, github.APIGraphQL, dataset(names...))
	bad := b.repo("repo-23").NodeID
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Operation: "Stocks", Func: func(r githubtest.RequestInfo) bool {
			return strings.Contains(fmt.Sprint(r.Variables["pullsOf"]), bad)
		}},
		Effect: githubtest.Status(http.StatusBadGateway),
	})
	b.server.ResetRequests()
	got := b.readStocks(nil, names...)
	require.Len(t, got, 60)
	for name, result := range got {
		require.Equal(t, name == "repo-23", result.PullsErr != nil, name)
		require.Equal(t, name == "repo-23", result.IssuesErr != nil, name)
	}
	require.LessOrEqual(t, b.requests("Stocks"), 20)
}

// TestStocksWithoutPermission: a credential that may not read issues counts the pull requests.
func TestStocksWithoutPermission(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, stockTraps(), func(s *githubtest.Settings, _ *transport.Settings) {
		s.Credentials = []githubtest.Credential{{
			Name: "default", Token: githubtest.DefaultToken, Forbidden: []string{"issues"},
		}}
	})
	got := b.readStocks(nil, "one")["one"]
	require.Len(t, got.Pulls.Pulls, 10)
	require.ErrorAs(t, got.IssuesErr, new(*transport.ForbiddenError))
}

// TestStocksEndWithALimit: after a limit no request is sent, and every stock that is left has its error.
func TestStocksEndWithALimit(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, stockTraps())
		found, err := b.discover()
		require.NoError(t, err)
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.PrimaryLimit(http.StatusForbidden)})
		b.server.ResetRequests()
		var errs []error
		b.client.ReadStocks(t.Context(), org, []github.StockRequest{
			{Repo: found["one"], Pulls: true}, {Repo: found["two"], Pulls: true, Issues: true},
		}, func(r github.StockResult) { errs = append(errs, r.PullsErr) })
		require.Len(t, errs, 2)
		for _, err := range errs {
			require.ErrorAs(t, err, new(*transport.LimitError))
		}
		require.Len(t, b.server.Requests(), 1)
	})
}

// TestStocksThatAreTooLarge: more than can be read is known to be so, and is no wrong number.
func TestStocksThatAreTooLarge(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		pulls := map[github.API]int{github.APIGraphQL: 3001, github.APIREST: 501}[api]
		for n := range pulls {
			pull(data, n+1, ago(1000*time.Hour))
		}
		b := newBench(t, api, data)
		got := b.readStocks(nil, "one")["one"]
		require.NoError(t, got.PullsErr)
		require.Equal(t, &activity.PullStock{IsTooLarge: true}, got.Pulls)
		require.LessOrEqual(t, len(b.server.Requests()), 20)
	})
}
