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

// replicas are two processes with one credential whose Redis may be away.
func replicas(t *testing.T) (server *redistest.Server, a, b *Budget) {
	t.Helper()
	server = redistest.Start(t)
	settings := Settings{Prefix: "gx", Credential: "c", OnDegraded: func(error) {}}
	return server, New(server.Client(), settings), New(server.Client(), settings)
}

// met is a limit of an hour.
func met(id string, secondary bool) budget.Settlement {
	return budget.Settlement{
		ID: id, Resource: budget.ResourceREST, Now: noon, Limited: true, Secondary: secondary,
		LimitEnd: noon.Add(time.Hour),
	}
}

// TestLimitSurvivesRedis: limits and quotas from Redis are kept while it is unavailable.
func TestLimitSurvivesRedis(t *testing.T) {
	t.Parallel()
	for _, secondary := range []bool{true, false} {
		server, a, b := replicas(t)
		_, err := a.Reserve(t.Context(), question("one", noon))
		require.NoError(t, err)
		e := met("one", secondary)
		e.Quota = budget.Quota{Remaining: 7, Limit: 5000, Reset: noon.Add(time.Hour)}
		_, err = a.Settle(t.Context(), e)
		require.NoError(t, err)
		known, err := b.Reserve(t.Context(), question("two", noon))
		require.NoError(t, err)
		require.False(t, known.IsReserved(budget.ResourceREST, noon))
		server.Kill()
		now := noon.Add(time.Second)
		known, err = b.Reserve(t.Context(), question("three", now))
		require.NoError(t, err)
		until, second := known.BlockedUntil(budget.ResourceREST, now)
		require.Equal(t, e.LimitEnd, until)
		require.Equal(t, secondary, second)
		require.Equal(t, e.Quota, known.Quotas[budget.ResourceREST])
	}
}

// leave has Redis left aside for a minute, as if it had not answered; back ends that.
func (b *Budget) leave() { b.setAlone(time.Now().Add(time.Minute)) }
func (b *Budget) back()  { b.setAlone(time.Now()) }

func (b *Budget) setAlone(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.circuitOpenUntil = until
}

// TestLimitMetWithoutRedis: a limit that is met while Redis is left aside is known to all afterwards, and the places
// are free.
func TestLimitMetWithoutRedis(t *testing.T) {
	t.Parallel()
	_, a, b := replicas(t)
	for n := range 4 {
		_, err := a.Reserve(t.Context(), question(strconv.Itoa(n), noon))
		require.NoError(t, err)
	}
	a.leave()
	for n := range 3 {
		_, err := a.Settle(t.Context(), budget.Settlement{
			ID: strconv.Itoa(n), Resource: budget.ResourceREST, Now: noon,
			Success: true,
		})
		require.NoError(t, err)
	}
	untold := met("3", true)
	untold.LimitEnd, untold.InitialBackoff = time.Time{}, time.Minute
	until, err := a.Settle(t.Context(), untold)
	require.NoError(t, err)
	known, err := b.Reserve(t.Context(), question("b", noon))
	require.NoError(t, err)
	require.True(t, known.SlotsFull, "nothing is known of it")

	a.back()
	now := noon.Add(time.Second)
	_, err = a.Reserve(t.Context(), question("a", now)) // it has the limit, and shares it
	require.NoError(t, err)
	known, err = b.Reserve(t.Context(), question("b2", now))
	require.NoError(t, err)
	at, _ := known.BlockedUntil(budget.ResourceREST, now)
	require.Equal(t, until, at)
	require.Zero(t, known.InFlight)
	require.Empty(t, a.pending)
}

// TestMissedEndings are bounded, and a limit outlives the others.
func TestMissedEndings(t *testing.T) {
	t.Parallel()
	server, a, b := replicas(t)
	server.Kill()
	a.leave()
	_, err := a.Settle(t.Context(), met("first", true))
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
	a.back()
	_, err = a.Reserve(t.Context(), question("unsettled", noon))
	require.NoError(t, err)
	require.Len(t, a.pending, maxPending, "Redis is still away")
	server.Run()
	a.back()
	_, err = a.Settle(t.Context(), budget.Settlement{ID: "last", Resource: budget.ResourceREST, Now: noon})
	require.NoError(t, err)
	require.Empty(t, a.pending)
	known, err := b.Reserve(t.Context(), question("b", noon))
	require.NoError(t, err)
	until, _ := known.BlockedUntil(budget.ResourceREST, noon)
	require.Equal(t, noon.Add(time.Hour), until)
	require.Equal(t, 1001-3*maxPending, known.Quotas[budget.ResourceREST].Remaining)
}
