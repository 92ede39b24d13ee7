// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redislease_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/election/electiontest"
	"github.com/seed-358c4d9d/githubexporter/internal/election/redislease"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var replicaCount atomic.Int64

// newLeaser returns the Leaser of a further replica.
func newLeaser(client *redis.Client, prefix string) *redislease.Leaser {
	return redislease.New(client, redislease.Settings{
		Prefix:   prefix,
		Identity: fmt.Sprintf("replica-%d", replicaCount.Add(1)),
		Duration: electiontest.Timing.LeaseDuration,
	})
}

func TestConformance(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	electiontest.Run(t, func(testing.TB) electiontest.Harness {
		prefix := fmt.Sprintf("test-%d", replicaCount.Add(1))
		client := server.Client()
		return electiontest.Harness{NewElector: func(testing.TB) electiontest.Elector {
			one := newLeaser(client, prefix)
			return election.New(one, electiontest.Timing, one, election.Hooks{})
		}}
	})
}

// acquireTerm acquires the lease, which must be free.
func acquireTerm(t *testing.T, l election.Leaser) election.Term {
	t.Helper()
	var got election.Term
	require.Eventually(t, func() bool {
		var err error
		got, err = l.Acquire(t.Context(), "")
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	return got
}

// TestLeaseOfADeadHolderExpires: a lease that is not renewed can be acquired when it expires, not before; its former
// holder can neither renew nor release it then.
func TestLeaseOfADeadHolderExpires(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	dead, next := newLeaser(client, "gx"), newLeaser(client, "gx")
	old := acquireTerm(t, dead)
	began := time.Now()
	_, err := next.Acquire(t.Context(), "")
	require.ErrorIs(t, err, election.ErrHeld)
	now := acquireTerm(t, next)
	require.InDelta(t, electiontest.Timing.LeaseDuration.Seconds(), time.Since(began).Seconds(), 1)
	require.Greater(t, now.Fence, old.Fence)
	require.ErrorIs(t, dead.Renew(t.Context(), old), election.ErrLost)
	require.NoError(t, dead.Release(t.Context(), old))
	require.NoError(t, next.Renew(t.Context(), now), "releasing a term that is over takes nothing from the next one")
}

// TestFenceGrowsAfterRedisRestart: fences keep growing when Redis was restarted without its data.
func TestFenceGrowsAfterRedisRestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := newLeaser(server.Client(), "gx")
	first := acquireTerm(t, one)
	for range 1000 {
		require.NoError(t, one.Release(t.Context(), first))
		first = acquireTerm(t, one)
	}
	server.Kill()
	require.Eventually(
		t,
		func() bool { return election.FenceAt(time.Now()) > first.Fence },
		10*time.Second,
		50*time.Millisecond,
	)
	server.Run()
	require.ErrorIs(t, one.Renew(t.Context(), first), election.ErrLost)
	require.Greater(t, acquireTerm(t, one).Fence, first.Fence)
}

// TestFenceGrowsAfterLostKeys: whichever keys of a lease are lost, the next term has a higher fence, and the term
// before cannot be renewed.
func TestFenceGrowsAfterLostKeys(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	for i, lost := range [][]string{{"holder"}, {"fence"}, {"holder", "fence"}} {
		prefix := fmt.Sprintf("lost-%d", i)
		old, next := newLeaser(client, prefix), newLeaser(client, prefix)
		first := acquireTerm(t, old)
		for _, name := range lost {
			require.Equal(t, int64(1), client.Del(t.Context(), prefix+":1:{lease/leader}:"+name).Val())
		}
		second := acquireTerm(t, next)
		require.Greater(t, second.Fence, first.Fence, "%v", lost)
		require.ErrorIs(t, old.Renew(t.Context(), first), election.ErrLost)
		require.NoError(t, next.Renew(t.Context(), second))
	}
}

// TestLeaderStopsWithoutResponse: a leader to which Redis does not respond stops by its own clock before another one
// may lead.
func TestLeaderStopsWithoutResponse(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := newLeaser(server.Client(), "gx")
	ended := make(chan error, 10)
	elector := election.New(
		one,
		electiontest.Timing,
		nil,
		election.Hooks{OnTermEnd: func(_ election.Term, why error) { ended <- why }},
	)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	began := make(chan uint64, 10)
	go func() {
		done <- elector.Lead(ctx, "", func(ctx context.Context, fence uint64) error {
			began <- fence
			<-ctx.Done()
			return nil
		})
	}()
	first := <-began
	server.Pause()
	paused := time.Now()
	require.ErrorIs(t, <-ended, election.ErrExpired)
	require.Less(t, time.Since(paused), electiontest.Timing.LeaseDuration)
	server.Resume()
	require.Greater(t, <-began, first)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

// TestLeasesAreBalanced: leases are balanced over the replicas, also when a replica joins later.
func TestLeasesAreBalanced(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	const leases = 6
	var held [3]atomic.Int32
	join := func(i int) {
		one := newLeaser(client, "gx")
		timing := election.Timing{
			LeaseDuration: time.Second,
			RenewDeadline: 800 * time.Millisecond,
			RetryPeriod:   100 * time.Millisecond,
		}
		elector := election.New(one, timing, one, election.Hooks{})
		for n := range leases {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = elector.Lead(t.Context(), fmt.Sprintf("org-%d", n), func(ctx context.Context, _ uint64) error {
					held[i].Add(1)
					defer held[i].Add(-1)
					<-ctx.Done()
					return nil
				})
			}()
			t.Cleanup(func() { <-done })
		}
	}
	even := func(share ...int32) func() bool {
		return func() bool {
			for i, n := range share {
				if held[i].Load() != n {
					return false
				}
			}
			return true
		}
	}
	join(0)
	require.Eventually(t, even(6), 30*time.Second, 20*time.Millisecond)
	join(1)
	require.Eventually(t, even(3, 3), 30*time.Second, 20*time.Millisecond)
	join(2)
	require.Eventually(t, even(2, 2, 2), 30*time.Second, 20*time.Millisecond)
}
