// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/redisstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

const (
	benchOrg   = "acme"
	benchBatch = 100
	benchRepos = 1000
	// benchWriters is how many commit at once; the baseline has as many batches in a pipeline.
	benchWriters = 32
)

// benchEvents are events number from and on: of 1,000 repositories and 5,000 users, half of them commits.
func benchEvents(from, n int) []activity.Event {
	events := make([]activity.Event, n)
	for i := range events {
		number := from + i
		repo := number / benchBatch % benchRepos
		e := activity.Event{
			Repo: 100_000_000 + int64(repo), Kind: activity.KindIssueComment,
			ID: activity.NumberID(int64(1_000_000_000 + number)),
			Actor: activity.Actor{
				ID:    int64(1_000_000 + (repo*5+number%20)%5000),
				Login: fmt.Sprintf("some-user-%d", (repo*5+number%20)%5000),
			},
			Time: storetest.Noon.Add(-time.Duration(number%(14*24*3600)) * time.Second),
		}
		if number%2 == 0 {
			e.Kind, e.Measures = activity.KindCommit, activity.Lines(uint32(number%300), uint32(number%90))
			for b := range 19 {
				e.ID[b] = byte(number >> (b % 4 * 8) * (b + 7))
			}
		}
		events[i] = e
	}
	return events
}

// introduced is a store that has met all repositories.
func introduced(b *testing.B, client redis.UniversalClient) *redisstore.Store {
	b.Helper()
	store := redisstore.New(client, redisstore.Settings{Prefix: "bench", Now: time.Now})
	batch := ledger.Batch{Org: benchOrg, Observed: storetest.Noon, Progress: ledger.Progress{Edge: storetest.Noon}}
	for i := range int64(benchRepos) {
		batch.Progress.Repos = append(batch.Progress.Repos, ledger.RepoProgress{
			ID: 100_000_000 + i, Name: fmt.Sprintf("repository-%d", i), FirstSeen: storetest.Noon,
			Since: storetest.Noon.AddDate(0, 0, -14),
		})
	}
	_, err := store.Commit(b.Context(), 1, batch)
	require.NoError(b, err)
	_, err = store.Coverage(b.Context(), benchOrg)
	require.NoError(b, err)
	return store
}

// record commits the events of numbers from to until in batches, several at once, and gives how long that took.
func record(ctx context.Context, tb testing.TB, store ledger.Store, from, until int) time.Duration {
	tb.Helper()
	batches := make([]ledger.Batch, 0, (until-from)/benchBatch)
	for n := from; n < until; n += benchBatch {
		batches = append(batches, ledger.Batch{
			Org: benchOrg, Observed: storetest.Noon,
			Events: benchEvents(n, benchBatch),
		})
	}
	began := time.Now()
	var next atomic.Int64
	var writers sync.WaitGroup
	for range benchWriters {
		writers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(batches); i = int(next.Add(1)) - 1 {
				receipt, err := store.Commit(ctx, 1, batches[i])
				if err != nil || receipt.Recorded != benchBatch {
					tb.Errorf("batch %d: %+v, %v", i, receipt, err)
				}
			}
		})
	}
	writers.Wait()
	return time.Since(began)
}

// bare adds the same events' keys with variadic ZADD NX, as many batches in a pipeline.
func bare(ctx context.Context, tb testing.TB, client *redis.Client, from, until int) time.Duration {
	tb.Helper()
	type zadd []redis.Z
	var batches []zadd
	for n := from; n < until; n += benchBatch {
		var members zadd
		for _, e := range benchEvents(n, benchBatch) {
			members = append(members, redis.Z{
				Score: float64(e.Time.Unix()), Member: fmt.Sprintf("%c%d:%s", byte(e.Kind), e.Repo, e.ID[:]),
			})
		}
		batches = append(batches, members)
	}
	began := time.Now()
	for len(batches) > 0 {
		n := min(len(batches), benchWriters)
		_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, members := range batches[:n] {
				pipe.ZAddNX(ctx, "bare", members...)
			}
			return nil
		})
		require.NoError(tb, err)
		batches = batches[n:]
	}
	return time.Since(began)
}

// BenchmarkRecord records events in Redis beside a bare pipelined ZADD NX of the same ones, when the ledger has as many
// already.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("of %d", size), func(b *testing.B) {
			const more = 50_000
			var ours, base time.Duration
			var bytes int64
			for b.Loop() {
				b.StopTimer()
				server, plain := redistest.Start(b), redistest.Start(b)
				store, client := introduced(b, server.Client()), plain.Client()
				empty := server.UsedMemory(b.Context())
				record(b.Context(), b, store, 0, size)
				bare(b.Context(), b, client, 0, size)
				bytes += server.UsedMemory(b.Context()) - empty
				b.StartTimer()
				ours += record(b.Context(), b, store, size, size+more)
				b.StopTimer()
				base += bare(b.Context(), b, client, size, size+more)
				server.Kill()
				plain.Kill()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)*more/ours.Seconds(), "events/s")
			b.ReportMetric(100*base.Seconds()/ours.Seconds(), "%of-ZADD-NX")
			b.ReportMetric(float64(bytes)/float64(b.N*size), "bytes/event")
		})
	}
}

var errCaught = errors.New("caught up")

// BenchmarkCatchUp brings a new view up to date with 1,000,000 events, beside reading the bare stream.
func BenchmarkCatchUp(b *testing.B) {
	const size = 1_000_000
	server := redistest.Start(b)
	client := server.Client()
	store := introduced(b, client)
	record(b.Context(), b, store, 0, size)
	b.Run("view", func(b *testing.B) {
		for b.Loop() {
			view := ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour, Grace: time.Hour})
			err := store.Follow(b.Context(), benchOrg, func(c ledger.Change) error {
				view.Apply(c)
				if c.CaughtUp {
					return errCaught
				}
				return nil
			})
			require.ErrorIs(b, err, errCaught)
		}
	})
	b.Run("bare stream", func(b *testing.B) {
		for b.Loop() {
			for from := "-"; ; {
				entries, err := client.XRangeN(b.Context(), "bench:1:{acme}:log", from, "+", 500).Result()
				require.NoError(b, err)
				if len(entries) == 0 {
					break
				}
				from = "(" + entries[len(entries)-1].ID
			}
		}
	})
}
