// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisbudget

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

var resources = []budget.Resource{budget.ResourceREST, budget.ResourceGraphQL, "app"}

// budgetPair has a budget in memory and one in Redis on which the same calls are made.
type budgetPair struct {
	t        *testing.T
	r        *rand.Rand
	local    budget.Local
	shared   *Budget
	now      time.Time
	setsBack bool // the clock is set back at random
	inFlight []string
	log      []string
}

// TestLocalAndRedisBudgetsAgree: the budget in memory and the scripts return the same, whatever is called, also when
// clocks are set back.
func TestLocalAndRedisBudgetsAgree(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	for seed := range uint64(60) {
		w := &budgetPair{
			t: t, r: rand.New(rand.NewPCG(seed, 7)), shared: newBudget(t, client, fmt.Sprint("s", seed)), now: noon,
			setsBack: seed%2 == 1,
		}
		for n := range 150 {
			w.advanceClock()
			if w.r.IntN(2) == 0 || len(w.inFlight) == 0 {
				w.reserve(strconv.Itoa(n))
			} else {
				w.settle()
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// randomResource returns one of the resources.
func (w *budgetPair) randomResource() budget.Resource { return resources[w.r.IntN(len(resources))] }

// randomDuration returns a random number, less than n, of units.
func (w *budgetPair) randomDuration(n int, unit time.Duration) time.Duration {
	return time.Duration(w.r.IntN(n)) * unit
}

// advanceClock moves the clock by a random time, and backwards where clocks are set back.
func (w *budgetPair) advanceClock() {
	switch k := w.r.IntN(20); {
	case k < 12:
		w.now = w.now.Add(w.randomDuration(3000, time.Millisecond))
	case k < 15:
		w.now = w.now.Add(w.randomDuration(40, time.Minute))
	case k == 15 && w.setsBack:
		w.now = w.now.Add(-w.randomDuration(72, time.Hour))
	case k == 16 && w.setsBack:
		w.now = w.now.Add(w.randomDuration(72, time.Hour))
	case k == 17 && w.setsBack:
		w.now = w.now.Add(-w.randomDuration(300, time.Second))
	}
}

// reserve reserves in both budgets and compares the states.
func (w *budgetPair) reserve(id string) {
	q := budget.Reservation{
		ID: id, Resource: w.randomResource(), Now: w.now, ExpiresAt: w.now.Add(90 * time.Second), MaxInFlight: 4,
		Interval: 83 * time.Millisecond,
		Burst:    time.Second, UnsyncedClock: w.r.IntN(8) == 0,
	}
	w.log = append(w.log, fmt.Sprintf("reserve %+v", q))
	a, err := w.local.Reserve(w.t.Context(), q)
	require.NoError(w.t, err)
	b, err := w.shared.reserveShared(w.t.Context(), &q)
	require.NoError(w.t, err)
	require.Equal(w.t, w.observable(&a, q.Resource), w.observable(&b, q.Resource), "%v", w.log)
	if a.IsReserved(q.Resource, w.now) {
		w.inFlight = append(w.inFlight, id)
	}
}

// observable returns the parts of a state on which decisions depend.
func (w *budgetPair) observable(k *budget.State, resource budget.Resource) any {
	until, secondary := k.BlockedUntil(resource, w.now)
	quotas := make([]string, len(resources))
	for i, r := range resources {
		quotas[i] = fmt.Sprint(k.Quotas[r].Remaining, k.Quotas[r].Limit, toMillis(k.Quotas[r].Reset))
	}
	return []any{
		k.IsReserved(resource, w.now), toMillis(until), secondary, k.InFlight, k.SlotsFull,
		toMillis(k.PacedUntil), quotas,
	}
}

// settle settles a random request in both budgets and compares the ends of limits; at random it never settles it.
func (w *budgetPair) settle() {
	i := w.r.IntN(len(w.inFlight))
	id := w.inFlight[i]
	w.inFlight = append(w.inFlight[:i], w.inFlight[i+1:]...)
	if w.r.IntN(15) == 0 {
		return // its replica was killed
	}
	e := w.randomSettlement(id)
	w.log = append(w.log, fmt.Sprintf("settle %+v", e))
	a, err := w.local.Settle(w.t.Context(), e)
	require.NoError(w.t, err)
	b, err := w.shared.settleShared(w.t.Context(), &e)
	require.NoError(w.t, err)
	require.Equal(w.t, toMillis(a), toMillis(b), "%v", w.log)
}

// randomSettlement returns a random settlement of a request.
func (w *budgetPair) randomSettlement(id string) budget.Settlement {
	e := budget.Settlement{
		ID: id, Resource: w.randomResource(), Now: w.now, InitialBackoff: w.randomDuration(90, time.Second),
		Success: w.r.IntN(3) == 0,
	}
	if w.r.IntN(2) == 0 {
		limits := []int{0, 60, 5000, 15_000, 20_000}
		reset := w.now.Add(w.randomDuration(7200, time.Second)).Truncate(time.Second)
		e.Quota = budget.Quota{Remaining: w.r.IntN(5000), Limit: limits[w.r.IntN(len(limits))], Reset: reset}
	}
	if w.r.IntN(4) == 0 {
		e.Limited, e.Secondary, e.Success = true, w.r.IntN(2) == 0, false
		if w.r.IntN(2) == 0 {
			e.LimitEnd = w.now.Add(w.randomDuration(90_000, time.Second))
		}
	}
	return e
}
