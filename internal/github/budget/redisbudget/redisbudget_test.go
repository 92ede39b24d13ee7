// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisbudget

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget/budgettest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

func budgetOf(t *testing.T, client redis.UniversalClient, credential string) *Budget {
	t.Helper()
	return New(client, Settings{
		Prefix: "gx", Credential: credential,
		OnDegraded: func(err error) { t.Errorf("trouble: %v", err) },
	})
}

func TestBudget(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := atomic.Int64{}
	budgettest.Run(t, func(t *testing.T) (a, b budget.Budget) {
		t.Helper()
		name := fmt.Sprint("credential-", n.Add(1))
		return budgetOf(t, server.Client(), name), budgetOf(t, server.Client(), name)
	})
}

func question(id string, now time.Time) budget.Reservation {
	return budget.Reservation{
		ID: id, Resource: budget.ResourceREST, Now: now, ExpiresAt: now.Add(time.Minute),
		MaxInFlight: 4,
	}
}

// ask sends a request that is answered.
func ask(t *testing.T, b *Budget, id string) {
	t.Helper()
	known, err := b.Reserve(t.Context(), question(id, noon))
	require.NoError(t, err)
	require.True(t, known.IsReserved(budget.ResourceREST, noon))
	_, err = b.Settle(t.Context(), budget.Settlement{ID: id, Resource: budget.ResourceREST, Now: noon, Success: true})
	require.NoError(t, err)
}

// TestCorruptBudget: invalid values block no request, and later responses replace them.
func TestCorruptBudget(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	for name, value := range map[string]string{
		"text": "soon", "negative": "-7", "far": "99999999999999999",
		"float": "1e300", "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			b := budgetOf(t, client, name)
			for _, field := range []string{
				"secondary", "rest:closed", "rest:remaining", "rest:limit", "rest:reset", "rest:paced", "backoff",
				"waiting", "junk", "a:b:c",
				"secondary:met", "rest:closed:met",
			} {
				require.NoError(t, client.HSet(t.Context(), b.keys[0], field, value).Err())
			}
			known, err := b.Reserve(t.Context(), question("one", noon))
			require.NoError(t, err)
			require.True(t, known.IsReserved(budget.ResourceREST, noon))
			quota := budget.Quota{Remaining: 10, Limit: 5000, Reset: noon.Add(time.Hour)}
			until, err := b.Settle(t.Context(), budget.Settlement{
				ID: "one", Resource: budget.ResourceREST, Now: noon, Quota: quota, Limited: true,
				InitialBackoff: time.Minute,
			})
			require.NoError(t, err)
			require.Equal(t, noon.Add(time.Minute), until)
			known, err = budgetOf(t, client, name).Reserve(t.Context(), question("two", noon))
			require.NoError(t, err)
			require.Equal(t, quota, known.Quotas[budget.ResourceREST])
			at, _ := known.BlockedUntil(budget.ResourceREST, noon)
			require.Equal(t, until, at)
		})
	}
	wrong := budgetOf(t, client, "wrong type")
	wrong.settings.OnDegraded = func(error) {}
	require.NoError(t, client.Set(t.Context(), wrong.keys[0], "x", 0).Err())
	known, err := wrong.Reserve(t.Context(), question("one", noon))
	require.NoError(t, err)
	require.True(t, known.IsReserved(budget.ResourceREST, noon))
}

// TestWithoutRedis: limits are kept in the process while Redis is away, said once, and shared again afterwards.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	said := make(chan error, 10)
	b := New(server.Client(), Settings{Prefix: "gx", Credential: "c", OnDegraded: func(err error) { said <- err }})
	server.Kill()
	until := noon.Add(time.Minute)
	known, err := b.Reserve(t.Context(), question("one", noon))
	require.NoError(t, err)
	require.True(t, known.IsReserved(budget.ResourceREST, noon))
	require.Error(t, <-said)
	at, err := b.Settle(t.Context(), budget.Settlement{
		ID: "one", Resource: budget.ResourceREST, Now: noon,
		Limited: true, Secondary: true, LimitEnd: until,
	})
	require.NoError(t, err)
	require.Equal(t, until, at)
	known, err = b.Reserve(t.Context(), question("two", noon))
	require.NoError(t, err)
	require.False(t, known.IsReserved(budget.ResourceREST, noon))

	server.Run()
	require.Eventually(t, func() bool {
		_, err := b.Reserve(t.Context(), question("three", until))
		return err == nil && len(said) == 1
	}, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, <-said)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Reserve(ctx, question("four", until))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, said, "who gives up is no trouble")
}

// TestRoundTrips: a request costs two.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	b := budgetOf(t, client, "c")
	ask(t, b, "loads the scripts")
	counter := &roundTrips{}
	client.AddHook(counter)
	for n := range 10 {
		ask(t, b, strconv.Itoa(n))
	}
	require.Equal(t, int64(20), counter.n.Load())
}

type roundTrips struct{ n atomic.Int64 }

func (r *roundTrips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *roundTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.n.Add(1)
		return next(ctx, cmd)
	}
}

func (r *roundTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
