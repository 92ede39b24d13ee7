// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package budgettest is what every budget.Budget does.
package budgettest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

const first = time.Minute

// user is a client of the credential, which may be in another process than the others.
type user struct {
	t      *testing.T
	budget budget.Budget
	name   string
	n      int
}

func question(id string, resource budget.Resource, now time.Time) budget.Reservation {
	return budget.Reservation{
		ID: id, Resource: resource, Now: now, ExpiresAt: now.Add(time.Minute), MaxInFlight: 4,
		Interval: 100 * time.Millisecond, Burst: time.Second,
	}
}

func (u *user) reserve(resource budget.Resource, now time.Time) (id string, known budget.State) {
	u.t.Helper()
	u.n++
	id = fmt.Sprintf("%s-%d", u.name, u.n)
	known, err := u.budget.Reserve(u.t.Context(), question(id, resource, now))
	require.NoError(u.t, err)
	return id, known
}

func (u *user) settle(e budget.Settlement) time.Time {
	u.t.Helper()
	until, err := u.budget.Settle(u.t.Context(), e)
	require.NoError(u.t, err)
	return until
}

// reportQuota sends a request whose response has a quota.
func (u *user) reportQuota(resource budget.Resource, now time.Time, q budget.Quota) {
	u.t.Helper()
	id, known := u.reserve(resource, now)
	require.True(u.t, known.IsReserved(resource, now))
	u.settle(budget.Settlement{ID: id, Resource: resource, Now: now, Quota: q, Success: true})
}

// limited sends a request that meets a limit; until is zero where the answer does not tell its end.
func (u *user) limited(resource budget.Resource, now, until time.Time, secondary bool) time.Time {
	u.t.Helper()
	id, known := u.reserve(resource, now)
	require.True(u.t, known.IsReserved(resource, now))
	return u.settle(budget.Settlement{
		ID: id, Resource: resource, Now: now, Limited: true, Secondary: secondary,
		LimitEnd: until, InitialBackoff: first,
	})
}

// Run runs the suite. open gives two users of one budget.
func Run(t *testing.T, open func(t *testing.T) (a, b budget.Budget)) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, a, b *user){
		"places": places, "places of the dead": placesOfTheDead, "quotas": quotas, "primary": primary,
		"secondary": secondary,
		"backoffs":  backoffs, "pace": pace, "believed": believed, "concurrency": boundConcurrency,
		"clock set back":          clockSetBack,
		"clock set back by hours": clockSetBackByHours, "guessed clocks": guessedClocks, "shown quotas": shownQuotas,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			test(t, &user{t: t, budget: a, name: "a"}, &user{t: t, budget: b, name: "b"})
		})
	}
}

// shownQuotas are those that an answer to any user had, until their reset: also for a user who has asked nothing.
func shownQuotas(t *testing.T, a, b *user) {
	require.Empty(t, b.budget.Quotas(noon))
	rest := budget.Quota{Remaining: 40, Limit: 5000, Reset: noon.Add(time.Minute)}
	graphql := budget.Quota{Remaining: 7, Limit: 100, Reset: noon.Add(time.Hour)}
	a.reportQuota(budget.ResourceREST, noon, rest)
	a.reportQuota(budget.ResourceGraphQL, noon, graphql)
	both := map[budget.Resource]budget.Quota{budget.ResourceREST: rest, budget.ResourceGraphQL: graphql}
	for _, u := range []*user{a, b} {
		require.NoError(t, u.budget.Refresh(t.Context(), noon))
		require.Equal(t, both, u.budget.Quotas(noon))
		require.Equal(t, both, u.budget.Quotas(rest.Reset.Add(-time.Second)))
		require.Equal(t, map[budget.Resource]budget.Quota{budget.ResourceGraphQL: graphql}, u.budget.Quotas(rest.Reset))
		require.Empty(t, u.budget.Quotas(noon.Add(-2*time.Hour)), "the clock was set back")
	}
	next := budget.Quota{Remaining: 4990, Limit: 5000, Reset: noon.Add(time.Hour)}
	b.reportQuota(budget.ResourceREST, rest.Reset, next)
	require.NoError(t, a.budget.Refresh(t.Context(), rest.Reset))
	require.Equal(t, next, a.budget.Quotas(rest.Reset)[budget.ResourceREST])
}

// places are of all users and both resources together.
func places(t *testing.T, a, b *user) {
	var ids []string
	for range 2 {
		id, known := a.reserve(budget.ResourceREST, noon)
		require.True(t, known.IsReserved(budget.ResourceREST, noon))
		ids = append(ids, id)
		_, known = b.reserve(budget.ResourceGraphQL, noon)
		require.True(t, known.IsReserved(budget.ResourceGraphQL, noon))
	}
	_, known := b.reserve(budget.ResourceREST, noon)
	require.Equal(t, 4, known.InFlight)
	require.True(t, known.SlotsFull)
	require.False(t, known.IsReserved(budget.ResourceREST, noon))
	a.settle(budget.Settlement{ID: ids[0], Resource: budget.ResourceREST, Now: noon})
	_, known = b.reserve(budget.ResourceREST, noon)
	require.True(t, known.IsReserved(budget.ResourceREST, noon))
}

// placesOfTheDead are free again when their time is over.
func placesOfTheDead(t *testing.T, a, b *user) {
	for range 4 {
		a.reserve(budget.ResourceREST, noon)
	}
	_, known := b.reserve(budget.ResourceREST, noon.Add(time.Minute))
	require.True(t, known.SlotsFull)
	_, known = b.reserve(budget.ResourceREST, noon.Add(time.Minute+time.Second))
	require.True(t, known.IsReserved(budget.ResourceREST, noon))
	require.Zero(t, known.InFlight)
}

// quotas keep the newest, whatever the order of the answers is.
func quotas(t *testing.T, a, b *user) {
	reset := noon.Add(30 * time.Minute)
	a.reportQuota(budget.ResourceREST, noon, budget.Quota{Remaining: 900, Limit: 5000, Reset: reset})
	// it was on its way before
	b.reportQuota(budget.ResourceREST, noon, budget.Quota{Remaining: 901, Limit: 5000, Reset: reset})
	// this one has none
	b.reportQuota(budget.ResourceREST, noon, budget.Quota{})
	_, known := b.reserve(budget.ResourceREST, noon)
	require.Equal(t, budget.Quota{Remaining: 900, Limit: 5000, Reset: reset}, known.Quotas[budget.ResourceREST])
	require.Zero(t, known.Quotas[budget.ResourceGraphQL])
	later := noon.Add(time.Hour)
	a.reportQuota(budget.ResourceREST, later, budget.Quota{Remaining: 5000, Limit: 5000, Reset: later.Add(time.Hour)})
	b.reportQuota(budget.ResourceREST, later, budget.Quota{Remaining: 880, Limit: 5000, Reset: reset})
	_, known = b.reserve(budget.ResourceREST, later)
	require.Equal(t, 5000, known.Quotas[budget.ResourceREST].Remaining)
	valid := budget.Quota{Remaining: 10, Limit: 5000, Reset: noon.Add(time.Hour)}
	a.reportQuota(budget.ResourceGraphQL, noon, budget.Quota{Remaining: 0, Limit: 5000, Reset: noon.AddDate(1, 0, 0)})
	b.reportQuota(budget.ResourceGraphQL, noon, valid)
	_, known = a.reserve(budget.ResourceGraphQL, noon)
	require.Equal(t, valid, known.Quotas[budget.ResourceGraphQL], "a reset that cannot be gives way to an valid one")
}

// primary limits close their own resource for all users; the later end counts.
func primary(t *testing.T, a, b *user) {
	until := noon.Add(20 * time.Minute)
	one, _ := a.reserve(budget.ResourceREST, noon)
	require.Equal(t, until, a.limited(budget.ResourceREST, noon, until, false))
	a.settle(budget.Settlement{
		ID: one, Resource: budget.ResourceREST, Now: noon, Limited: true,
		LimitEnd: until.Add(-time.Minute), InitialBackoff: first,
	})
	_, known := b.reserve(budget.ResourceREST, noon)
	require.False(t, known.IsReserved(budget.ResourceREST, noon))
	at, second := known.BlockedUntil(budget.ResourceREST, noon)
	require.Equal(t, until, at)
	require.False(t, second)
	_, known = b.reserve(budget.ResourceGraphQL, noon)
	require.True(t, known.IsReserved(budget.ResourceGraphQL, noon))
	_, known = b.reserve(budget.ResourceREST, until)
	require.True(t, known.IsReserved(budget.ResourceREST, until))
}

// secondary limits close both, and a good answer that was on its way ends nothing.
func secondary(t *testing.T, a, b *user) {
	until := noon.Add(2 * time.Minute)
	one, _ := b.reserve(budget.ResourceGraphQL, noon)
	a.limited(budget.ResourceREST, noon, until, true)
	b.settle(budget.Settlement{ID: one, Resource: budget.ResourceGraphQL, Now: noon, Success: true})
	for _, resource := range []budget.Resource{budget.ResourceREST, budget.ResourceGraphQL} {
		_, known := b.reserve(resource, noon)
		at, second := known.BlockedUntil(resource, noon)
		require.Equal(t, until, at)
		require.True(t, second)
		require.False(t, known.IsReserved(resource, noon))
	}
	_, known := b.reserve(budget.ResourceREST, until)
	require.True(t, known.IsReserved(budget.ResourceREST, until))
}

// backoffs double, once for all requests in flight, and start again after a success.
func backoffs(t *testing.T, a, b *user) {
	one, _ := b.reserve(budget.ResourceREST, noon)
	now := noon
	require.Equal(t, now.Add(first), a.limited(budget.ResourceREST, now, time.Time{}, true))
	ending := budget.Settlement{
		ID: one, Resource: budget.ResourceREST, Now: now.Add(time.Second), Limited: true,
		Secondary: true, InitialBackoff: first,
	}
	require.Equal(t, now.Add(first), b.settle(ending))
	for _, wait := range []time.Duration{
		2 * first, 4 * first, 8 * first, 16 * first, 32 * first, time.Hour,
		time.Hour,
	} {
		now = now.Add(2 * time.Hour)
		require.Equal(t, now.Add(wait), b.limited(budget.ResourceREST, now, time.Time{}, true))
	}
	now = now.Add(2 * time.Hour)
	a.reportQuota(budget.ResourceREST, now, budget.Quota{})
	require.Equal(t, now.Add(first), b.limited(budget.ResourceREST, now, time.Time{}, true))
}

// pace spreads the points of a minute over all users, once a limit of github.com is known.
func pace(t *testing.T, a, b *user) {
	send := func(u *user, resource budget.Resource, now time.Time) time.Time {
		id, known := u.reserve(resource, now)
		u.settle(budget.Settlement{ID: id, Resource: resource, Now: now})
		return known.PacedUntil
	}
	for range 100 {
		require.Zero(t, send(a, budget.ResourceREST, noon), "nothing is known of limits")
	}
	a.reportQuota(budget.ResourceGraphQL, noon, budget.Quota{
		Remaining: 90_000, Limit: 100_000,
		Reset: noon.Add(time.Hour),
	})
	for range 100 {
		require.Zero(t, send(b, budget.ResourceGraphQL, noon), "a limit that github.com has not")
	}
	a.reportQuota(budget.ResourceREST, noon, budget.Quota{Remaining: 4000, Limit: 5000, Reset: noon.Add(time.Hour)})
	sent := 0
	for n := range 40 {
		if u := []*user{a, b}[n%2]; send(u, budget.ResourceREST, noon).IsZero() {
			sent++
		}
	}
	require.InDelta(t, 11, sent, 1, "the burst, ten requests, and one")
	require.Equal(t, noon.Add(100*time.Millisecond), send(b, budget.ResourceREST, noon))
	require.Zero(t, send(b, budget.ResourceREST, noon.Add(100*time.Millisecond)))
	require.NotZero(t, send(b, budget.ResourceREST, noon.Add(100*time.Millisecond)))
	require.Zero(t, send(a, budget.ResourceREST, noon.Add(time.Hour)), "after the reset it is not known any more")
}

// believed is no limit that ends in years.
func believed(t *testing.T, a, b *user) {
	a.limited(budget.ResourceREST, noon, noon.AddDate(30, 0, 0), true)
	_, known := b.reserve(budget.ResourceREST, noon)
	require.True(t, known.IsReserved(budget.ResourceREST, noon))
	until := noon.Add(time.Minute)
	a.limited(budget.ResourceGraphQL, noon, until, true)
	_, known = b.reserve(budget.ResourceREST, noon)
	at, _ := known.BlockedUntil(budget.ResourceREST, noon)
	require.Equal(t, until, at, "and it does not hide an valid one")
}

// boundConcurrency never has more on their way than there are places.
func boundConcurrency(t *testing.T, a, b *user) {
	var mu sync.Mutex
	flight, most, sent := 0, 0, 0
	var all sync.WaitGroup
	for _, u := range []*user{a, b} {
		for w := range 4 {
			own := &user{t: t, budget: u.budget, name: fmt.Sprint(u.name, w)}
			all.Go(func() {
				for range 50 {
					id, known := own.reserve(budget.ResourceREST, noon)
					if !known.IsReserved(budget.ResourceREST, noon) {
						continue
					}
					mu.Lock()
					flight++
					sent++
					most = max(most, flight)
					mu.Unlock()
					mu.Lock()
					flight--
					mu.Unlock()
					own.settle(budget.Settlement{ID: id, Resource: budget.ResourceREST, Now: noon, Success: true})
				}
			})
		}
	}
	all.Wait()
	require.LessOrEqual(t, most, 4)
	require.GreaterOrEqual(t, sent, 50)
	_, known := a.reserve(budget.ResourceREST, noon)
	require.Zero(t, known.InFlight)
}

// clockSetBack: GitHub's clock, or what is known of it, goes back. What has ended stays ended, no request waits for
// points that were used in a future that is none, and a reset of that future does not outweigh those of present
// responses.
func clockSetBack(t *testing.T, a, b *user) {
	t.Helper()
	future := noon.Add(time.Hour)
	a.reportQuota(budget.ResourceREST, future, budget.Quota{
		Remaining: 10, Limit: 5000,
		Reset: future.Add(50 * time.Minute),
	})
	for range 5 {
		id, _ := a.reserve(budget.ResourceREST, future)
		a.settle(budget.Settlement{ID: id, Resource: budget.ResourceREST, Now: future})
	}
	valid := budget.Quota{Remaining: 4000, Limit: 5000, Reset: noon.Add(40 * time.Minute)}
	b.reportQuota(budget.ResourceREST, noon, valid)
	id, known := a.reserve(budget.ResourceREST, noon)
	require.True(t, known.IsReserved(budget.ResourceREST, noon))
	require.True(t, valid.Reset.Equal(known.Quotas[budget.ResourceREST].Reset))
	require.Equal(t, valid.Remaining, known.Quotas[budget.ResourceREST].Remaining)
	a.settle(budget.Settlement{ID: id, Resource: budget.ResourceREST, Now: noon})

	for _, secondary := range []bool{false, true} {
		end := noon.Add(time.Minute)
		a.limited(budget.ResourceGraphQL, noon, end, secondary)
		for _, u := range []*user{a, b} {
			id, known = u.reserve(budget.ResourceGraphQL, end)
			require.True(t, known.IsReserved(budget.ResourceGraphQL, end))
			u.settle(budget.Settlement{ID: id, Resource: budget.ResourceGraphQL, Now: end})
		}
		id, known = b.reserve(budget.ResourceGraphQL, noon)
		require.True(t, known.IsReserved(budget.ResourceGraphQL, noon), "it was over")
		b.settle(budget.Settlement{ID: id, Resource: budget.ResourceGraphQL, Now: noon})
	}
}

// clockSetBackByHours: an untold wait of that future is none, and what was over for one resource is over when another
// is asked for.
func clockSetBackByHours(t *testing.T, a, b *user) {
	future := noon.Add(5 * time.Hour)
	require.Equal(t, future.Add(first), a.limited(budget.ResourceREST, future, time.Time{}, false))
	b.reportQuota(budget.ResourceGraphQL, future.Add(first), budget.Quota{}) // forgets the other's, too
	a.reportQuota(budget.ResourceGraphQL, future.Add(first), budget.Quota{})
	b.reportQuota(budget.ResourceREST, future, budget.Quota{})
	require.Equal(t, noon.Add(first), a.limited(budget.ResourceREST, noon, time.Time{}, false))

	for _, secondary := range []bool{false, true} {
		a.limited(budget.ResourceGraphQL, future, future.Add(10*time.Minute), secondary)
		for _, u := range []*user{a, b} {
			for _, ago := range []time.Duration{10 * time.Minute, 11 * time.Minute} {
				_, known := u.reserve(budget.ResourceGraphQL, future.Add(-ago))
				until, _ := known.BlockedUntil(budget.ResourceGraphQL, future.Add(-ago))
				require.Equal(t, future.Add(10*time.Minute), until, "clocks differ a little")
			}
			// more than twice its time
			u.reportQuota(budget.ResourceGraphQL, future.Add(-12*time.Minute), budget.Quota{})
		}
		b.limited(budget.ResourceGraphQL, noon, noon.Add(time.Minute), secondary)
		_, known := a.reserve(budget.ResourceGraphQL, noon)
		until, _ := known.BlockedUntil(budget.ResourceGraphQL, noon)
		require.Equal(t, noon.Add(time.Minute), until, "and hides no valid one")
		a.reportQuota(budget.ResourceGraphQL, future.Add(time.Hour), budget.Quota{})
	}
}

// guessedClocks go before GitHub's and forget nothing: a limit is not over, and no place is free, for those who know
// better.
func guessedClocks(t *testing.T, a, b *user) {
	guess := func(u *user, now time.Time) budget.State {
		u.n++
		q := question(fmt.Sprintf("%s-%d", u.name, u.n), budget.ResourceREST, now)
		q.UnsyncedClock = true
		known, err := u.budget.Reserve(t.Context(), q)
		require.NoError(t, err)
		if known.IsReserved(q.Resource, now) {
			u.settle(budget.Settlement{ID: q.ID, Resource: q.Resource, Now: now})
		}
		return known
	}
	ahead := noon.Add(time.Hour)
	inVain := func() {
		for _, u := range []*user{a, b} {
			known := guess(u, ahead)
			require.True(t, known.IsReserved(budget.ResourceREST, ahead), "he cannot know better")
		}
	}
	for range 3 {
		a.reserve(budget.ResourceGraphQL, noon)
	}
	inVain()
	id, known := b.reserve(budget.ResourceREST, noon)
	require.Equal(t, 3, known.InFlight)
	b.settle(budget.Settlement{ID: id, Resource: budget.ResourceREST, Now: noon})
	for range 3 {
		b.reserve(budget.ResourceGraphQL, noon)
	}
	inVain() // slots of dead processes block no request for good
	_, known = b.reserve(budget.ResourceREST, noon)
	require.Less(t, known.InFlight, 4)

	a.limited(budget.ResourceREST, noon, noon.Add(time.Minute), false)
	end := noon.Add(2 * time.Minute)
	a.settle(budget.Settlement{
		Resource: budget.ResourceREST, Now: noon, Limited: true, Secondary: true, LimitEnd: end,
		InitialBackoff: first,
	})
	inVain()
	for _, u := range []*user{b, a} {
		known := guess(u, noon)
		at, second := known.BlockedUntil(budget.ResourceREST, noon)
		require.Equal(t, end, at)
		require.True(t, second)
		_, known = u.reserve(budget.ResourceREST, noon)
		require.False(t, known.IsReserved(budget.ResourceREST, noon))
	}
}
