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
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
)

// liveHeap returns the size of the reachable heap, in bytes.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// heapMeasuringSource is a source that measures the live heap after the last page of a listing.
type heapMeasuringSource struct {
	Source

	pages int
	heap  int64
}

func (w *heapMeasuringSource) Discover(ctx context.Context, org string, page func([]activity.Repository) error) error {
	taken := 0
	return w.Source.Discover(ctx, org, func(found []activity.Repository) error {
		err := page(found)
		if taken++; taken == w.pages {
			w.heap = liveHeap()
		}
		return err
	})
}

// passMemory returns how many bytes a collector and its client keep between idle passes, and how many a pass holds in
// addition at the end of the discovery, the copy of the coverage included.
func passMemory(tb testing.TB, api github.API, repositories int) (kept, during int64) {
	tb.Helper()
	clock := newClock(noon)
	server := githubtest.NewServer(githubtest.Settings{
		Datasets: []*githubtest.Dataset{newBusyOrg(org, repositories, 0, 0, 1)}, Now: clock.Now, KeepRequests: 1,
		Limits: githubtest.Limits{Core: 10_000_000, GraphQL: 10_000_000},
	})
	defer server.Close()
	store := memstore.New(memstore.Settings{})
	requests, err := transport.New(transport.Settings{
		HTTP: &http.Client{Transport: handlerTransport(server)}, Endpoint: "https://api.github.com",
		Credential: transport.TokenCredential(githubtest.DefaultToken), Now: clock.Now,
		RateLimit: budget.Policy{MaxConcurrentRequests: 32},
	})
	require.NoError(tb, err)
	client := github.New(requests, github.Settings{API: api})
	filter, err := NewFilter([]string{"*"}, nil, false, false)
	require.NoError(tb, err)
	scale := &heapMeasuringSource{Source: client, pages: repositories / 100}
	collector := New(Settings{
		Org: org, Source: scale, Store: store, Filter: filter, Concurrency: 4, Lookback: 24 * time.Hour, Now: clock.Now,
	}, &Tallies{})
	for range 3 {
		clock.Advance(interval)
		result, err := collector.Pass(tb.Context(), 1)
		require.NoError(tb, err)
		require.Equal(tb, repositories, result.Repositories)
	}
	between := liveHeap()
	runtime.KeepAlive(collector)
	collector, scale.Source = nil, nil
	kept = between - liveHeap()
	runtime.KeepAlive(store)
	runtime.KeepAlive(server)
	return kept, scale.heap - between
}

// TestPassMemory: between two passes a repository costs its node id, the digests of its facts and the states of its
// stocks, and during a pass a copy of its coverage in addition, in an organization of any size, also with REST alone,
// which reads every repository in every pass. It must not run in parallel with others.
func TestPassMemory(t *testing.T) { //nolint:paralleltest // it looks at the heap of the process
	for _, size := range []struct {
		api          github.API
		repositories int
	}{{github.APIGraphQL, 1000}, {github.APIGraphQL, 2500}, {github.APIREST, 1000}} {
		kept, during := passMemory(t, size.api, size.repositories)
		require.LessOrEqual(t, kept, int64(380*size.repositories), size.api)
		require.LessOrEqual(t, during, int64(720*size.repositories), size.api)
	}
}

// BenchmarkPassMemory measures the memory of a repository without activity beside its coverage in the store.
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
