// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
)

// liveHeap is what is reachable.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// weighed is a source that weighs what is alive when the last page of a listing has been taken.
type weighed struct {
	Source

	pages int
	heap  int64
}

func (w *weighed) Discover(ctx context.Context, org string, page func([]activity.Repository) error) error {
	taken := 0
	return w.Source.Discover(ctx, org, func(found []activity.Repository) error {
		err := page(found)
		if taken++; taken == w.pages {
			w.heap = liveHeap()
		}
		return err
	})
}

// passMemory is what a collector and its client keep between idle passes, and what a pass holds besides at the end of
// the discovery, the copy of the coverage included.
func passMemory(tb testing.TB, api github.API, repositories int) (kept, during int64) {
	tb.Helper()
	clock := newClock(noon)
	server := githubtest.NewServer(githubtest.Settings{
		Datasets: []*githubtest.Dataset{busyOrg(org, repositories, 0, 0, 1)}, Now: clock.Now, KeepRequests: 1,
		Limits: githubtest.Limits{Core: 10_000_000, GraphQL: 10_000_000},
	})
	defer server.Close()
	store := memstore.New(memstore.Settings{})
	client, err := github.New(github.Settings{
		HTTP: &http.Client{Transport: inProcess(server)}, Endpoint: "https://api.github.com", API: api,
		Credential: github.TokenCredential(githubtest.DefaultToken), Now: clock.Now,
		RateLimit: budget.Policy{MaxConcurrentRequests: 32},
	})
	require.NoError(tb, err)
	filter, err := NewFilter([]string{"*"}, nil, false, false)
	require.NoError(tb, err)
	scale := &weighed{Source: client, pages: repositories / 100}
	collector := New(Settings{
		Org: org, Source: scale, Store: store, Filter: filter, Concurrency: 4, Lookback: 24 * time.Hour, Now: clock.Now,
	}, &Tallies{})
	for range 3 {
		clock.Advance(interval)
		sum, err := collector.Pass(tb.Context(), 1)
		require.NoError(tb, err)
		require.Equal(tb, repositories, sum.Repositories)
	}
	between := liveHeap()
	runtime.KeepAlive(collector)
	collector, scale.Source = nil, nil
	kept = between - liveHeap()
	runtime.KeepAlive(store)
	runtime.KeepAlive(server)
	return kept, scale.heap - between
}

// TestPassMemory: between two passes a repository costs its node id, and during one a copy of its coverage besides, in
// an organization of any size. It must not run beside others.
func TestPassMemory(t *testing.T) { //nolint:paralleltest // it looks at the heap of the process
	for _, repositories := range []int{1000, 4000} {
		kept, during := passMemory(t, github.APIGraphQL, repositories)
		require.LessOrEqual(t, kept, int64(120*repositories))
		require.LessOrEqual(t, during, int64(570*repositories))
	}
}

// BenchmarkPassMemory weighs what a repository in which nothing happens costs beside its coverage in the store.
func BenchmarkPassMemory(b *testing.B) {
	for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
		for _, repositories := range []int{1000, 10_000} {
			b.Run(fmt.Sprintf("%s/R=%d", api, repositories), func(b *testing.B) {
				var kept, during int64
				for range b.N {
					kept, during = passMemory(b, api, repositories)
				}
				b.ReportMetric(float64(kept)/float64(repositories), "kept-bytes/repository")
				b.ReportMetric(float64(during)/float64(repositories), "pass-bytes/repository")
			})
		}
	}
}
