// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisbudget

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// startReplicas returns a Redis server and the budgets of two processes with one credential.
func startReplicas(t *testing.T) (server *redistest.Server, a, b *Budget) {
	t.Helper()
	server = redistest.Start(t)
	settings := Settings{Prefix: "gx", Credential: "c", OnDegraded: func(error) {}}
	return server, New(server.Client(), settings), New(server.Client(), settings)
}

// limitSettlement returns the settlement of a request that exceeded a limit of an hour.
func limitSettlement(id string, secondary bool) budget.Settlement {
	return budget.Settlement{
		ID: id, Resource: budget.ResourceREST, Now: noon, Limited: true, Secondary: secondary,
		LimitEnd: noon.Add(time.Hour),
	}
}

// TestSharedLimitIsKeptWithoutRedis: limits and quotas from Redis are kept while it is unavailable.
func TestSharedLimitIsKeptWithoutRedis(t *testing.T) {
	t.Parallel()
	for _, secondary := range []bool{true, false} {
		server, a, b := startReplicas(t)
		_, err := a.Reserve(t.Context(), newReservation("one", noon))
		require.NoError(t, err)
		settlement := limitSettlement("one", secondary)
		settlement.Quota = budget.Quota{Remaining: 7, Limit: 5000, Reset: noon.Add(time.Hour)}
		_, err = a.Settle(t.Context(), settlement)
		require.NoError(t, err)
		state, err := b.Reserve(t.Context(), newReservation("two", noon))
		require.NoError(t, err)
		require.False(t, state.IsReserved(budget.ResourceREST, noon))
		server.Kill()
		now := noon.Add(time.Second)
		state, err = b.Reserve(t.Context(), newReservation("three", now))
		require.NoError(t, err)
		until, isSecondary := state.BlockedUntil(budget.ResourceREST, now)
		require.Equal(t, settlement.LimitEnd, until)
		require.Equal(t, secondary, isSecondary)
		require.Equal(t, settlement.Quota, state.Quotas[budget.ResourceREST])
	}
}

// openCircuitForTest stops calling Redis for a minute, as after a failure; closeCircuitForTest ends that.
func (b *Budget) openCircuitForTest() { b.setCircuitOpenUntil(time.Now().Add(time.Minute)) }

// closeCircuitForTest makes the next call reach Redis.
func (b *Budget) closeCircuitForTest() { b.setCircuitOpenUntil(time.Now()) }

// setCircuitOpenUntil sets the time until which Redis is not called.
func (b *Budget) setCircuitOpenUntil(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.circuitOpenUntil = until
}

// TestLimitOfAnOutageIsSharedAfterwards: a limit that is exceeded while the circuit is open is shared afterwards, and
// the slots are released.
func TestLimitOfAnOutageIsSharedAfterwards(t *testing.T) {
	t.Parallel()
	_, a, b := startReplicas(t)
	for n := range 4 {
		_, err := a.Reserve(t.Context(), newReservation(strconv.Itoa(n), noon))
		require.NoError(t, err)
	}
	a.openCircuitForTest()
	for n := range 3 {
		_, err := a.Settle(t.Context(), budget.Settlement{
			ID: strconv.Itoa(n), Resource: budget.ResourceREST, Now: noon,
			Success: true,
		})
		require.NoError(t, err)
	}
	settlement := limitSettlement("3", true)
	settlement.LimitEnd, settlement.InitialBackoff = time.Time{}, time.Minute
	until, err := a.Settle(t.Context(), settlement)
	require.NoError(t, err)
	state, err := b.Reserve(t.Context(), newReservation("b", noon))
	require.NoError(t, err)
	require.True(t, state.SlotsFull, "the limit is not shared yet")

	a.closeCircuitForTest()
	now := noon.Add(time.Second)
	_, err = a.Reserve(t.Context(), newReservation("a", now)) // it has the limit, and shares it
	require.NoError(t, err)
	state, err = b.Reserve(t.Context(), newReservation("b2", now))
	require.NoError(t, err)
	at, _ := state.BlockedUntil(budget.ResourceREST, now)
	require.Equal(t, until, at)
	require.Zero(t, state.InFlight)
	require.Empty(t, a.pending)
}

// TestPendingSettlementsAreBounded: the number of queued settlements is bounded, and one with a limit is kept longer
// than the others.
func TestPendingSettlementsAreBounded(t *testing.T) {
	t.Parallel()
	server, a, b := startReplicas(t)
	server.Kill()
	a.openCircuitForTest()
	_, err := a.Settle(t.Context(), limitSettlement("first", true))
	require.NoError(t, err)
	reset := noon.Add(time.Hour)
	for n := range 3 * maxPending {
		q := budget.Quota{Remaining: 1000 - n, Limit: 5000, Reset: reset}
		_, err := a.Settle(t.Context(), budget.Settlement{
			ID: strconv.Itoa(n), Resource: budget.ResourceREST, Now: noon,
			Quota: q, Success: true,
		})
		require.NoError(t, err)
	}
	require.Len(t, a.pending, maxPending)
	a.closeCircuitForTest()
	_, err = a.Reserve(t.Context(), newReservation("unsettled", noon))
	require.NoError(t, err)
	require.Len(t, a.pending, maxPending, "Redis is still unavailable")
	server.Run()
	a.closeCircuitForTest()
	_, err = a.Settle(t.Context(), budget.Settlement{ID: "last", Resource: budget.ResourceREST, Now: noon})
	require.NoError(t, err)
	require.Empty(t, a.pending)
	state, err := b.Reserve(t.Context(), newReservation("b", noon))
	require.NoError(t, err)
	until, _ := state.BlockedUntil(budget.ResourceREST, noon)
	require.Equal(t, noon.Add(time.Hour), until)
	require.Equal(t, 1001-3*maxPending, state.Quotas[budget.ResourceREST].Remaining)
}
