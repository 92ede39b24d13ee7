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

// twins are a budget in memory and one in Redis to which the same happens.
type twins struct {
	t      *testing.T
	r      *rand.Rand
	local  budget.Local
	shared *Budget
	now    time.Time
	back   bool // the clock is set back, too
	flying []string
	log    []string
}

// TestSame: the budget in memory and the scripts do the same, whatever happens, also when clocks are set back.
func TestSame(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	for seed := range uint64(60) {
		w := &twins{
			t: t, r: rand.New(rand.NewPCG(seed, 7)), shared: budgetOf(t, client, fmt.Sprint("s", seed)), now: noon,
			back: seed%2 == 1,
		}
		for n := range 150 {
			w.tick()
			if w.r.IntN(2) == 0 || len(w.flying) == 0 {
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

func (w *twins) resource() budget.Resource { return resources[w.r.IntN(len(resources))] }

// upTo is a time of some units, fewer than n.
func (w *twins) upTo(n int, unit time.Duration) time.Duration {
	return time.Duration(w.r.IntN(n)) * unit
}

func (w *twins) tick() {
	switch k := w.r.IntN(20); {
	case k < 12:
		w.now = w.now.Add(w.upTo(3000, time.Millisecond))
	case k < 15:
		w.now = w.now.Add(w.upTo(40, time.Minute))
	case k == 15 && w.back:
		w.now = w.now.Add(-w.upTo(72, time.Hour))
	case k == 16 && w.back:
		w.now = w.now.Add(w.upTo(72, time.Hour))
	case k == 17 && w.back:
		w.now = w.now.Add(-w.upTo(300, time.Second))
	}
}

func (w *twins) reserve(id string) {
	q := budget.Reservation{
		ID: id, Resource: w.resource(), Now: w.now, ExpiresAt: w.now.Add(90 * time.Second), MaxInFlight: 4,
		Interval: 83 * time.Millisecond,
		Burst:    time.Second, UnsyncedClock: w.r.IntN(8) == 0,
	}
	w.log = append(w.log, fmt.Sprintf("begin %+v", q))
	a, err := w.local.Reserve(w.t.Context(), q)
	require.NoError(w.t, err)
	b, err := w.shared.reserveShared(w.t.Context(), &q)
	require.NoError(w.t, err)
	require.Equal(w.t, w.observable(&a, q.Resource), w.observable(&b, q.Resource), "%v", w.log)
	if a.IsReserved(q.Resource, w.now) {
		w.flying = append(w.flying, id)
	}
}

// observable returns the parts of a state that decide something.
func (w *twins) observable(k *budget.State, resource budget.Resource) any {
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

func (w *twins) settle() {
	i := w.r.IntN(len(w.flying))
	id := w.flying[i]
	w.flying = append(w.flying[:i], w.flying[i+1:]...)
	if w.r.IntN(15) == 0 {
		return // its replica has died
	}
	e := w.ending(id)
	w.log = append(w.log, fmt.Sprintf("end %+v", e))
	a, err := w.local.Settle(w.t.Context(), e)
	require.NoError(w.t, err)
	b, err := w.shared.settleShared(w.t.Context(), &e)
	require.NoError(w.t, err)
	require.Equal(w.t, toMillis(a), toMillis(b), "%v", w.log)
}

func (w *twins) ending(id string) budget.Settlement {
	e := budget.Settlement{
		ID: id, Resource: w.resource(), Now: w.now, InitialBackoff: w.upTo(90, time.Second),
		Success: w.r.IntN(3) == 0,
	}
	if w.r.IntN(2) == 0 {
		limits := []int{0, 60, 5000, 15_000, 20_000}
		reset := w.now.Add(w.upTo(7200, time.Second)).Truncate(time.Second)
		e.Quota = budget.Quota{Remaining: w.r.IntN(5000), Limit: limits[w.r.IntN(len(limits))], Reset: reset}
	}
	if w.r.IntN(4) == 0 {
		e.Limited, e.Secondary, e.Success = true, w.r.IntN(2) == 0, false
		if w.r.IntN(2) == 0 {
			e.LimitEnd = w.now.Add(w.upTo(90_000, time.Second))
		}
	}
	return e
}
