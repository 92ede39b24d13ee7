// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisstore_test

import (
	"context"
	"errors"
	"net"
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

// commitOf commits a commit of ada in repository 1, which it introduces.
func commitOf(tb testing.TB, s ledger.Store, number int64) ledger.Receipt {
	tb.Helper()
	receipt, err := s.Commit(tb.Context(), 1, ledger.Batch{
		Org: "acme", Observed: storetest.Noon, Progress: storetest.IntroduceRepos(1),
		Events: []activity.Event{storetest.Event(activity.KindCommit, number, "ada", storetest.Noon)},
	})
	require.NoError(tb, err)
	return receipt
}

func totalOf(view *ledgerview.View) uint64 {
	shown := storetest.EmittedSeries{}
	view.Visit(storetest.Noon, shown)
	return shown[ledgerview.Series{Repo: "repo-1", User: "ada"}].Of[ledgerview.MetricTotal]
}

// trips counts round trips.
type trips struct{ n atomic.Int64 }

func (*trips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmds)
	}
}

// TestRoundTrips: a commit takes one round trip, and concurrent commits share them.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	count := &trips{}
	client.AddHook(count)
	store := redisstore.New(client, redisstore.Settings{Prefix: "gx", Now: time.Now, MaxSeries: 1000})
	commitOf(t, store, 0)
	before := count.n.Load()
	const commits = 200
	for n := range int64(commits / 2) {
		commitOf(t, store, n+1)
	}
	var writers sync.WaitGroup
	for w := range int64(10) {
		writers.Go(func() {
			for n := range int64(commits / 20) {
				commitOf(t, store, 1000*(w+1)+n)
			}
		})
	}
	writers.Wait()
	made := count.n.Load() - before
	t.Logf("%d commits in %d round trips", commits, made)
	require.LessOrEqual(t, made, int64(commits))
}

// TestCorrupt: values that fail to decode are reported and ignored, without a loss of others.
func TestCorrupt(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	var corrupt atomic.Int64
	store := redisstore.New(client, redisstore.Settings{
		Prefix: "gx", Now: time.Now,
		OnCorrupt: func(key string, err error) {
			corrupt.Add(1)
			if !errors.Is(err, ledger.ErrCorrupt) {
				t.Errorf("%s: %v", key, err)
			}
		},
	})
	commitOf(t, store, 1)
	key := func(name string) string { return "gx:1:{acme}:" + name }
	ctx := t.Context()
	last := client.HGet(ctx, key("meta"), "last").Val()
	bad := 0
	for name, fields := range map[string]map[string]string{
		"cov": {
			"c2": "soon", "x": "", "cx": "1 1", "s1": "1 frame", "g1": "gone", "m1:9": "1 2", "m1:1": "2 1",
			"m1:2": "1", "z1": "?", "t1": "no head",
		},
		"samples": {"a": "1 1", "b\x1f\x1f": "x 1"}, "tallies": {"a": "1", "b\x1f\x1f": "-1"},
		"carried": {"\xff": "1", "\x01\x00\x01a": "1 2"},
	} {
		for field, value := range fields {
			require.NoError(t, client.HSet(ctx, key(name), field, value).Err())
			bad++
		}
	}
	require.NoError(t, client.HSet(ctx, key("removed"), "\x01", "").Err())
	bad++
	for _, values := range []map[string]any{
		{"c": "frame"},
		{"n": "\x01"},
		{"r": "\x01"},
		{"b": "\x00\x01\x00"},
		{"e": "\x01"},
		{"e": "\x01\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00"},
	} {
		values["p"] = last
		last = client.XAdd(ctx, &redis.XAddArgs{Stream: key("log"), Values: values}).Val()
		require.NoError(t, client.HSet(ctx, key("meta"), "last", last).Err())
	}
	commitOf(t, store, 2)
	require.Equal(t, uint64(2), totalOf(storetest.LatestView(t, store, "acme")))
	require.Equal(t, int64(bad+3), corrupt.Load(), "frames and keys of entries are not looked at in a snapshot")
	cov, err := store.Coverage(ctx, "acme")
	require.NoError(t, err)
	require.NotEmpty(t, cov.Repos[1].Missing[1], "damaged windows are everything: reading again doubles nothing")
	require.NoError(t, store.Prune(ctx, "acme", storetest.Noon.Add(time.Hour)))
}

// TestLostTail: after the loss of Redis's last writes, as in a failover, a follower applies a new snapshot, and events
// that are read again are counted once.
func TestLostTail(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	store := redisstore.New(client, redisstore.Settings{Prefix: "gx", Now: time.Now})
	view := ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour, Grace: time.Hour})
	snapshots := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		_ = store.Follow(ctx, "acme", func(c ledger.Change) error {
			view.Apply(c)
			if c.CaughtUp {
				snapshots <- struct{}{}
			}
			return nil
		})
	}()
	commitOf(t, store, 1)
	require.NoError(t, client.Save(t.Context()).Err())
	commitOf(t, store, 2)
	require.Eventually(t, func() bool { return totalOf(view) == 2 }, 10*time.Second, 10*time.Millisecond)
	<-snapshots
	server.Kill()
	server.Run()
	require.Eventually(t, func() bool {
		_, err := store.Commit(t.Context(), 1, ledger.Batch{
			Org: "acme", Observed: storetest.Noon, Events: []activity.Event{storetest.Event(activity.KindCommit, 2,
				"ada", storetest.Noon)},
		})
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	<-snapshots
	commitOf(t, store, 3)
	require.Eventually(t, func() bool { return totalOf(view) == 3 }, 10*time.Second, 10*time.Millisecond)
}

// TestEmptiedRedis: after Redis was emptied, a follower keeps its state until the first pass of the new ledger is
// complete.
func TestEmptiedRedis(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	store := redisstore.New(client, redisstore.Settings{Prefix: "gx", Now: time.Now})
	view := ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour, Grace: time.Hour})
	snapshots := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		_ = store.Follow(ctx, "acme", func(c ledger.Change) error {
			view.Apply(c)
			if c.CaughtUp {
				snapshots <- struct{}{}
			}
			return nil
		})
	}()
	<-snapshots
	commitOf(t, store, 1)
	commitOf(t, store, 2)
	require.Eventually(t, func() bool { return totalOf(view) == 2 }, 10*time.Second, 10*time.Millisecond)
	<-time.After(3 * time.Second) // longer than checkInterval
	require.Empty(t, snapshots, "a ledger that begins is followed from its first entry on")
	require.NoError(t, client.FlushAll(t.Context()).Err())
	again := ledger.Batch{
		Org: "acme", Observed: storetest.Noon, Progress: storetest.IntroduceRepos(1),
		Events: []activity.Event{storetest.Event(activity.KindCommit, 1, "ada", storetest.Noon)},
	}
	again.Progress.Edge = time.Time{}
	receipt, err := store.Commit(t.Context(), 1, again)
	require.NoError(t, err)
	require.Equal(t, ledger.Receipt{Recorded: 1}, receipt, "nothing is known any more")
	<-time.After(3 * time.Second)
	require.Empty(t, snapshots)
	require.Equal(t, uint64(2), totalOf(view))
	_, err = store.Commit(t.Context(), 1, ledger.Batch{
		Org: "acme", Observed: storetest.Noon,
		Progress: ledger.Progress{Edge: storetest.Noon},
	})
	require.NoError(t, err)
	<-snapshots
	require.Eventually(t, func() bool { return totalOf(view) == 1 }, 10*time.Second, 10*time.Millisecond)
}

// TestConformanceCluster is the suite on a cluster.
func TestConformanceCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                 []string{nodes[0].Address},
		ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	storetest.Run(t, func(tb testing.TB) storetest.Harness { tb.Helper(); return harness(client, 0) },
		func(tb testing.TB, maxSeries int) storetest.Harness { tb.Helper(); return harness(client, maxSeries) })
}
