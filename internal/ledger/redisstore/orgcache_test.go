// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisstore_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/redisstore"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// delayed holds the reply of the first HMGET back.
type delayed struct {
	started       atomic.Bool
	read, release chan struct{}
}

func (*delayed) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (d *delayed) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == "hmget" && d.started.CompareAndSwap(false, true) {
			close(d.read)
			<-d.release
		}
		return err
	}
}

func (*delayed) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestSlowReadOfTheCache: while one commit reads the facts, others succeed; it uses theirs then.
func TestSlowReadOfTheCache(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	d := &delayed{read: make(chan struct{}), release: make(chan struct{})}
	client.AddHook(d)
	store := redisstore.New(client, redisstore.Settings{Prefix: "gx", Now: time.Now})
	var slow sync.WaitGroup
	slow.Go(func() { commitOf(t, store, 1) })
	<-d.read
	require.Equal(t, 1, commitOf(t, store, 2).Recorded)
	close(d.release)
	slow.Wait()
	require.Equal(t, 1, commitOf(t, store, 3).Recorded)
	require.Equal(t, int64(4), client.SCard(t.Context(), "gx:1:{acme}:seen").Val(), "three events and the marker")
}
