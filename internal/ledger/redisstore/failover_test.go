// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisstore_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/redisstore"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// pair is a master with a replica that replaces it without its last writes: replication is asynchronous.
type pair struct {
	t       *testing.T
	servers [2]*redistest.Server
	master  atomic.Int32
	client  *redis.Client
}

func startPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t}
	p.servers[0] = redistest.Start(t, "repl-diskless-sync-delay 0")
	p.servers[1] = redistest.Start(t, "replicaof 127.0.0.1 "+strconv.Itoa(p.servers[0].Port()))
	p.client = redis.NewClient(&redis.Options{
		Addr: p.servers[0].Address, ContextTimeoutEnabled: true,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, p.servers[p.master.Load()].Address)
		},
	})
	t.Cleanup(func() { _ = p.client.Close() })
	return p
}

// detach ends the replication when the replica has all that was written so far.
func (p *pair) detach() {
	p.t.Helper()
	replica := p.servers[1].Client()
	require.Eventually(p.t, func() bool {
		const meta = "gx:1:{acme}:meta"
		written := p.client.HGetAll(p.t.Context(), meta).Val()
		return len(written) > 0 && maps.Equal(written, replica.HGetAll(p.t.Context(), meta).Val())
	}, 20*time.Second, 10*time.Millisecond)
	require.NoError(p.t, replica.Do(p.t.Context(), "REPLICAOF", "NO", "ONE").Err())
}

// promote replaces the master.
func (p *pair) promote() {
	p.t.Helper()
	p.master.Store(1)
	p.servers[0].Kill()
}

// TestLostWrites: the next commit detects a failover that loses the last commits of a pass, at any moment of it, and
// the pass reads them again. One script writes all keys, so that the new master has each commit completely or not at
// all.
func TestLostWrites(t *testing.T) {
	t.Parallel()
	const commits = 4 // of a pass
	for kept := range commits {
		for lost := 1; kept+lost <= commits; lost++ {
			t.Run(fmt.Sprintf("%d kept, %d lost", kept, lost), func(t *testing.T) {
				t.Parallel()
				loseWrites(t, kept, lost)
			})
		}
	}
}

func loseWrites(t *testing.T, kept, lost int) {
	t.Helper()
	p, reported := startPair(t), atomic.Int32{}
	store := redisstore.New(p.client, redisstore.Settings{
		Prefix: "gx", Now: time.Now, OnLost: func(string) { reported.Add(1) },
	})
	_, err := store.Commit(t.Context(), 1, ledger.Batch{Org: "acme"})
	require.NoError(t, err)
	l := &loss{client: p.client, prefix: "gx"}
	live := l.watch(t.Context(), true)
	n := 0
	step := func() error {
		if n == kept {
			p.detach()
		}
		if n == kept+lost {
			p.promote()
		}
		n++
		return nil
	}
	err = readOnce(t.Context(), store, 1, step)
	if kept+lost == 4 { // after the pass
		require.NoError(t, err)
		p.promote()
	} else {
		require.ErrorIs(t, err, ledger.ErrReplaced)
	}
	require.Eventually(t, func() bool {
		err := pass(t.Context(), store, 1)
		require.NotErrorIs(t, err, ledger.ErrReplaced)
		return err == nil
	}, 30*time.Second, 50*time.Millisecond)
	require.Equal(t, int32(1), reported.Load())
	require.NoError(t, live.await(t.Context(), 3))
	require.NoError(t, l.watch(t.Context(), false).await(t.Context(), 3))
}
