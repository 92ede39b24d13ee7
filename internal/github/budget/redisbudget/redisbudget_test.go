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

// newBudget returns a budget that fails the test when Redis is unavailable.
func newBudget(t *testing.T, client redis.UniversalClient, credential string) *Budget {
	t.Helper()
	return New(client, Settings{
		Prefix: "gx", Credential: credential,
		OnDegraded: func(err error) { t.Errorf("degraded: %v", err) },
	})
}

func TestRedisBudgetConforms(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := atomic.Int64{}
	budgettest.Run(t, func(t *testing.T) (a, b budget.Budget) {
		t.Helper()
		name := fmt.Sprint("credential-", n.Add(1))
		return newBudget(t, server.Client(), name), newBudget(t, server.Client(), name)
	})
}

// newReservation returns a reservation of one of four slots, for a minute.
func newReservation(id string, now time.Time) budget.Reservation {
	return budget.Reservation{
		ID: id, Resource: budget.ResourceREST, Now: now, ExpiresAt: now.Add(time.Minute),
		MaxInFlight: 4,
	}
}

// reserveAndSettle sends a request with a successful response.
func reserveAndSettle(t *testing.T, b *Budget, id string) {
	t.Helper()
	state, err := b.Reserve(t.Context(), newReservation(id, noon))
	require.NoError(t, err)
	require.True(t, state.IsReserved(budget.ResourceREST, noon))
	_, err = b.Settle(t.Context(), budget.Settlement{ID: id, Resource: budget.ResourceREST, Now: noon, Success: true})
	require.NoError(t, err)
}

// TestInvalidFieldsBlockNothing: invalid values in Redis block no request, and later responses replace them.
func TestInvalidFieldsBlockNothing(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	for name, value := range map[string]string{
		"text": "soon", "negative": "-7", "far": "99999999999999999",
		"float": "1e300", "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBudget(t, client, name)
			for _, field := range []string{
				"secondary", "rest:closed", "rest:remaining", "rest:limit", "rest:reset", "rest:paced", "backoff",
				"waiting", "junk", "a:b:c",
				"secondary:met", "rest:closed:met",
			} {
				require.NoError(t, client.HSet(t.Context(), b.keys[0], field, value).Err())
			}
			state, err := b.Reserve(t.Context(), newReservation("one", noon))
			require.NoError(t, err)
			require.True(t, state.IsReserved(budget.ResourceREST, noon))
			quota := budget.Quota{Remaining: 10, Limit: 5000, Reset: noon.Add(time.Hour)}
			until, err := b.Settle(t.Context(), budget.Settlement{
				ID: "one", Resource: budget.ResourceREST, Now: noon, Quota: quota, Limited: true,
				InitialBackoff: time.Minute,
			})
			require.NoError(t, err)
			require.Equal(t, noon.Add(time.Minute), until)
			state, err = newBudget(t, client, name).Reserve(t.Context(), newReservation("two", noon))
			require.NoError(t, err)
			require.Equal(t, quota, state.Quotas[budget.ResourceREST])
			at, _ := state.BlockedUntil(budget.ResourceREST, noon)
			require.Equal(t, until, at)
		})
	}
	wrong := newBudget(t, client, "wrong type")
	wrong.settings.OnDegraded = func(error) {}
	require.NoError(t, client.Set(t.Context(), wrong.keys[0], "x", 0).Err())
	state, err := wrong.Reserve(t.Context(), newReservation("one", noon))
	require.NoError(t, err)
	require.True(t, state.IsReserved(budget.ResourceREST, noon))
}

// TestLocalBudgetWhileRedisIsUnavailable: limits are kept in the process while Redis is unavailable, which is reported
// once, and are shared again afterwards.
func TestLocalBudgetWhileRedisIsUnavailable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	reported := make(chan error, 10)
	b := New(server.Client(), Settings{Prefix: "gx", Credential: "c", OnDegraded: func(err error) { reported <- err }})
	server.Kill()
	until := noon.Add(time.Minute)
	state, err := b.Reserve(t.Context(), newReservation("one", noon))
	require.NoError(t, err)
	require.True(t, state.IsReserved(budget.ResourceREST, noon))
	require.Error(t, <-reported)
	at, err := b.Settle(t.Context(), budget.Settlement{
		ID: "one", Resource: budget.ResourceREST, Now: noon,
		Limited: true, Secondary: true, LimitEnd: until,
	})
	require.NoError(t, err)
	require.Equal(t, until, at)
	state, err = b.Reserve(t.Context(), newReservation("two", noon))
	require.NoError(t, err)
	require.False(t, state.IsReserved(budget.ResourceREST, noon))

	server.Run()
	require.Eventually(t, func() bool {
		_, err := b.Reserve(t.Context(), newReservation("three", until))
		return err == nil && len(reported) == 1
	}, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, <-reported)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Reserve(ctx, newReservation("four", until))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, reported, "a cancelled reservation is no failure of Redis")
}

func TestRequestCostsTwoRoundTrips(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	b := newBudget(t, client, "c")
	reserveAndSettle(t, b, "loads the scripts")
	counter := &roundTrips{}
	client.AddHook(counter)
	for n := range 10 {
		reserveAndSettle(t, b, strconv.Itoa(n))
	}
	require.Equal(t, int64(20), counter.n.Load())
}

// roundTrips is a hook that counts the commands.
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
