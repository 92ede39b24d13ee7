// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// restListsPerRepo is the number of REST lists of a repository: commits, pull requests, reviews, comments, releases.
const restListsPerRepo = 5

// BenchmarkPassCost counts the requests and points of a pass over R repositories of which a part has changed since the
// last one: each changed one has a new commit, a merged pull request with a review, and a comment on it.
func BenchmarkPassCost(b *testing.B) {
	for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
		for _, repositories := range []int{100, 1000, 10_000} {
			for _, percent := range []int{0, 1, 5, 20} {
				b.Run(fmt.Sprintf("%s/R=%d/changed=%d%%", api, repositories, percent), func(b *testing.B) {
					benchPassCost(b, api, repositories, repositories*percent/100)
				})
			}
		}
	}
}

// benchPassCost measures one size of BenchmarkPassCost.
func benchPassCost(b *testing.B, api github.API, repositories, changed int) {
	b.Helper()
	clock := newClock(noon)
	data := newBusyOrg(org, repositories, 0, 0, 1)
	for i := range data.Repos { // the first activity of a repository costs more
		addCommit(data, data.Repos[i].Name, noon.Add(-time.Hour))
	}
	server := githubtest.NewServer(githubtest.Settings{
		Datasets: []*githubtest.Dataset{data}, Now: clock.Now, KeepRequests: 1,
		Limits: githubtest.Limits{Core: 10_000_000, GraphQL: 10_000_000},
	})
	defer server.Close()
	requests, points := 0, make(map[budget.Resource]int)
	sender, err := transport.New(transport.Settings{
		HTTP: &http.Client{Transport: handlerTransport(server)}, Endpoint: "https://api.github.com",
		Credential: transport.TokenCredential(githubtest.DefaultToken), Now: clock.Now,
		RateLimit: budget.Policy{MaxConcurrentRequests: 32},
		OnAttempt: func(o transport.Attempt) {
			clock.mu.Lock()
			defer clock.mu.Unlock()
			requests++
			points[o.Resource] += o.Points
		},
	})
	require.NoError(b, err)
	client := github.New(sender, github.Settings{API: api})
	filter, err := NewFilter([]string{"*"}, nil, false, false)
	require.NoError(b, err)
	store := newCountingStore()
	collector := New(Settings{
		Org: org, Source: client, Store: store, Filter: filter, Concurrency: 4, Lookback: 24 * time.Hour,
		Now: clock.Now, ReadsStocks: true,
	}, &Tallies{})
	pass := func() {
		clock.Advance(interval)
		result, err := collector.Pass(b.Context(), 1)
		require.NoError(b, err)
		require.Equal(b, PassSuccess, result.Status)
	}
	pass()
	pass()
	requests, points = 0, make(map[budget.Resource]int)
	b.ResetTimer()
	for n := range b.N {
		server.Update(func(d *githubtest.Dataset) {
			at := clock.Now().Add(time.Minute)
			for i := range changed {
				name := d.Repos[(n+i*repositories/changed)%repositories].Name
				number := 1 + len(d.Pulls)
				addCommit(d, name, at)
				addPull(d, name, number, at, &at)
				addReview(d, name, number, at)
				addComment(d, name, number, at)
			}
		})
		pass()
	}
	b.ReportMetric(float64(requests)/float64(b.N), "requests/pass")
	b.ReportMetric(float64(points[budget.ResourceREST])/float64(b.N), "REST-points/pass")
	b.ReportMetric(float64(points[budget.ResourceGraphQL])/float64(b.N), "GraphQL-points/pass")
	b.ReportMetric(float64(restListsPerRepo*repositories), "REST-lists/pass")
}
