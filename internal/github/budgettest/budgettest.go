// Package budgettest is what every github.Budget does.
package budgettest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

const first = time.Minute

// user is somebody who asks with the credential, maybe in another process than the others.
type user struct {
	t      *testing.T
	budget github.Budget
	name   string
	n      int
}

func question(id string, resource github.Resource, now time.Time) github.Reservation {
	return github.Reservation{
		ID: id, Resource: resource, Now: now, ExpiresAt: now.Add(time.Minute), MaxInFlight: 4, Interval: 100 * time.Millisecond, Burst: time.Second,
	}
}

func (u *user) begin(resource github.Resource, now time.Time) (id string, known github.BudgetState) {
	u.t.Helper()
	u.n++
	id = fmt.Sprintf("%s-%d", u.name, u.n)
	known, err := u.budget.Reserve(u.t.Context(), question(id, resource, now))
	require.NoError(u.t, err)
	return id, known
}

func (u *user) end(e github.Settlement) time.Time {
	u.t.Helper()
	until, err := u.budget.Settle(u.t.Context(), e)
	require.NoError(u.t, err)
	return until
}

// told sends a request and lets its answer tell a quota.
func (u *user) told(resource github.Resource, now time.Time, q github.Quota) {
	u.t.Helper()
	id, known := u.begin(resource, now)
	require.True(u.t, known.IsReserved(resource, now))
	u.end(github.Settlement{ID: id, Resource: resource, Now: now, Quota: q, Success: true})
}

// limited sends a request that meets a limit; until is zero where the answer does not tell its end.
func (u *user) limited(resource github.Resource, now, until time.Time, secondary bool) time.Time {
	u.t.Helper()
	id, known := u.begin(resource, now)
	require.True(u.t, known.IsReserved(resource, now))
	return u.end(github.Settlement{ID: id, Resource: resource, Now: now, Limited: true, Secondary: secondary, LimitEnd: until, InitialBackoff: first})
}

// Run runs the suite. open gives two users of one budget.
func Run(t *testing.T, open func(t *testing.T) (a, b github.Budget)) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, a, b *user){
		"places": places, "places of the dead": placesOfTheDead, "quotas": quotas, "primary": primary, "secondary": secondary,
		"untold waits": untoldWaits, "pace": pace, "believed": believed, "together": together, "clock set back": clockSetBack,
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
	rest := github.Quota{Remaining: 40, Limit: 5000, Reset: noon.Add(time.Minute)}
	graphql := github.Quota{Remaining: 7, Limit: 100, Reset: noon.Add(time.Hour)}
	a.told(github.ResourceREST, noon, rest)
	a.told(github.ResourceGraphQL, noon, graphql)
	both := map[github.Resource]github.Quota{github.ResourceREST: rest, github.ResourceGraphQL: graphql}
	for _, u := range []*user{a, b} {
		require.NoError(t, u.budget.Refresh(t.Context(), noon))
		require.Equal(t, both, u.budget.Quotas(noon))
		require.Equal(t, both, u.budget.Quotas(rest.Reset.Add(-time.Second)))
		require.Equal(t, map[github.Resource]github.Quota{github.ResourceGraphQL: graphql}, u.budget.Quotas(rest.Reset))
		require.Empty(t, u.budget.Quotas(noon.Add(-2*time.Hour)), "the clock was set back")
	}
	next := github.Quota{Remaining: 4990, Limit: 5000, Reset: noon.Add(time.Hour)}
	b.told(github.ResourceREST, rest.Reset, next)
	require.NoError(t, a.budget.Refresh(t.Context(), rest.Reset))
	require.Equal(t, next, a.budget.Quotas(rest.Reset)[github.ResourceREST])
}

// places are of all users and both resources together.
func places(t *testing.T, a, b *user) {
	var ids []string
	for range 2 {
		id, known := a.begin(github.ResourceREST, noon)
		require.True(t, known.IsReserved(github.ResourceREST, noon))
		ids = append(ids, id)
		_, known = b.begin(github.ResourceGraphQL, noon)
		require.True(t, known.IsReserved(github.ResourceGraphQL, noon))
	}
	_, known := b.begin(github.ResourceREST, noon)
	require.Equal(t, 4, known.InFlight)
	require.True(t, known.SlotsFull)
	require.False(t, known.IsReserved(github.ResourceREST, noon))
	a.end(github.Settlement{ID: ids[0], Resource: github.ResourceREST, Now: noon})
	_, known = b.begin(github.ResourceREST, noon)
	require.True(t, known.IsReserved(github.ResourceREST, noon))
}

// placesOfTheDead are free again when their time is over.
func placesOfTheDead(t *testing.T, a, b *user) {
	for range 4 {
		a.begin(github.ResourceREST, noon)
	}
	_, known := b.begin(github.ResourceREST, noon.Add(time.Minute))
	require.True(t, known.SlotsFull)
	_, known = b.begin(github.ResourceREST, noon.Add(time.Minute+time.Second))
	require.True(t, known.IsReserved(github.ResourceREST, noon))
	require.Zero(t, known.InFlight)
}

// quotas keep the newest, whatever the order of the answers is.
func quotas(t *testing.T, a, b *user) {
	reset := noon.Add(30 * time.Minute)
	a.told(github.ResourceREST, noon, github.Quota{Remaining: 900, Limit: 5000, Reset: reset})
	b.told(github.ResourceREST, noon, github.Quota{Remaining: 901, Limit: 5000, Reset: reset}) // it was on its way before
	b.told(github.ResourceREST, noon, github.Quota{})                                          // and this one tells nothing
	_, known := b.begin(github.ResourceREST, noon)
	require.Equal(t, github.Quota{Remaining: 900, Limit: 5000, Reset: reset}, known.Quotas[github.ResourceREST])
	require.Zero(t, known.Quotas[github.ResourceGraphQL])
	later := noon.Add(time.Hour)
	a.told(github.ResourceREST, later, github.Quota{Remaining: 5000, Limit: 5000, Reset: later.Add(time.Hour)})
	b.told(github.ResourceREST, later, github.Quota{Remaining: 880, Limit: 5000, Reset: reset})
	_, known = b.begin(github.ResourceREST, later)
	require.Equal(t, 5000, known.Quotas[github.ResourceREST].Remaining)
	honest := github.Quota{Remaining: 10, Limit: 5000, Reset: noon.Add(time.Hour)}
	a.told(github.ResourceGraphQL, noon, github.Quota{Remaining: 0, Limit: 5000, Reset: noon.AddDate(1, 0, 0)})
	b.told(github.ResourceGraphQL, noon, honest)
	_, known = a.begin(github.ResourceGraphQL, noon)
	require.Equal(t, honest, known.Quotas[github.ResourceGraphQL], "a reset that cannot be gives way to an honest one")
}

// primary limits close their own resource for everybody; the later end counts.
func primary(t *testing.T, a, b *user) {
	until := noon.Add(20 * time.Minute)
	one, _ := a.begin(github.ResourceREST, noon)
	require.Equal(t, until, a.limited(github.ResourceREST, noon, until, false))
	a.end(github.Settlement{ID: one, Resource: github.ResourceREST, Now: noon, Limited: true, LimitEnd: until.Add(-time.Minute), InitialBackoff: first})
	_, known := b.begin(github.ResourceREST, noon)
	require.False(t, known.IsReserved(github.ResourceREST, noon))
	at, second := known.BlockedUntil(github.ResourceREST, noon)
	require.Equal(t, until, at)
	require.False(t, second)
	_, known = b.begin(github.ResourceGraphQL, noon)
	require.True(t, known.IsReserved(github.ResourceGraphQL, noon))
	_, known = b.begin(github.ResourceREST, until)
	require.True(t, known.IsReserved(github.ResourceREST, until))
}

// secondary limits close both, and a good answer that was on its way ends nothing.
func secondary(t *testing.T, a, b *user) {
	until := noon.Add(2 * time.Minute)
	one, _ := b.begin(github.ResourceGraphQL, noon)
	a.limited(github.ResourceREST, noon, until, true)
	b.end(github.Settlement{ID: one, Resource: github.ResourceGraphQL, Now: noon, Success: true})
	for _, resource := range []github.Resource{github.ResourceREST, github.ResourceGraphQL} {
		_, known := b.begin(resource, noon)
		at, second := known.BlockedUntil(resource, noon)
		require.Equal(t, until, at)
		require.True(t, second)
		require.False(t, known.IsReserved(resource, noon))
	}
	_, known := b.begin(github.ResourceREST, until)
	require.True(t, known.IsReserved(github.ResourceREST, until))
}

// untoldWaits double, once for all that were on their way, and begin anew after a good answer.
func untoldWaits(t *testing.T, a, b *user) {
	one, _ := b.begin(github.ResourceREST, noon)
	now := noon
	require.Equal(t, now.Add(first), a.limited(github.ResourceREST, now, time.Time{}, true))
	ending := github.Settlement{ID: one, Resource: github.ResourceREST, Now: now.Add(time.Second), Limited: true, Secondary: true, InitialBackoff: first}
	require.Equal(t, now.Add(first), b.end(ending))
	for _, wait := range []time.Duration{2 * first, 4 * first, 8 * first, 16 * first, 32 * first, time.Hour, time.Hour} {
		now = now.Add(2 * time.Hour)
		require.Equal(t, now.Add(wait), b.limited(github.ResourceREST, now, time.Time{}, true))
	}
	now = now.Add(2 * time.Hour)
	a.told(github.ResourceREST, now, github.Quota{})
	require.Equal(t, now.Add(first), b.limited(github.ResourceREST, now, time.Time{}, true))
}

// pace spreads the points of a minute over all users, once a limit of github.com is known.
func pace(t *testing.T, a, b *user) {
	send := func(u *user, resource github.Resource, now time.Time) time.Time {
		id, known := u.begin(resource, now)
		u.end(github.Settlement{ID: id, Resource: resource, Now: now})
		return known.PacedUntil
	}
	for range 100 {
		require.Zero(t, send(a, github.ResourceREST, noon), "nothing is known of limits")
	}
	a.told(github.ResourceGraphQL, noon, github.Quota{Remaining: 90_000, Limit: 100_000, Reset: noon.Add(time.Hour)})
	for range 100 {
		require.Zero(t, send(b, github.ResourceGraphQL, noon), "a limit that github.com has not")
	}
	a.told(github.ResourceREST, noon, github.Quota{Remaining: 4000, Limit: 5000, Reset: noon.Add(time.Hour)})
	sent := 0
	for n := range 40 {
		if u := []*user{a, b}[n%2]; send(u, github.ResourceREST, noon).IsZero() {
			sent++
		}
	}
	require.InDelta(t, 11, sent, 1, "the burst, ten requests, and one")
	require.Equal(t, noon.Add(100*time.Millisecond), send(b, github.ResourceREST, noon))
	require.Zero(t, send(b, github.ResourceREST, noon.Add(100*time.Millisecond)))
	require.NotZero(t, send(b, github.ResourceREST, noon.Add(100*time.Millisecond)))
	require.Zero(t, send(a, github.ResourceREST, noon.Add(time.Hour)), "after the reset it is not known any more")
}

// believed is no limit that ends in years.
func believed(t *testing.T, a, b *user) {
	a.limited(github.ResourceREST, noon, noon.AddDate(30, 0, 0), true)
	_, known := b.begin(github.ResourceREST, noon)
	require.True(t, known.IsReserved(github.ResourceREST, noon))
	until := noon.Add(time.Minute)
	a.limited(github.ResourceGraphQL, noon, until, true)
	_, known = b.begin(github.ResourceREST, noon)
	at, _ := known.BlockedUntil(github.ResourceREST, noon)
	require.Equal(t, until, at, "and it does not hide an honest one")
}

// together never has more on their way than there are places.
func together(t *testing.T, a, b *user) {
	var mu sync.Mutex
	flight, most, sent := 0, 0, 0
	var all sync.WaitGroup
	for _, u := range []*user{a, b} {
		for w := range 4 {
			own := &user{t: t, budget: u.budget, name: fmt.Sprint(u.name, w)}
			all.Go(func() {
				for range 50 {
					id, known := own.begin(github.ResourceREST, noon)
					if !known.IsReserved(github.ResourceREST, noon) {
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
					own.end(github.Settlement{ID: id, Resource: github.ResourceREST, Now: noon, Success: true})
				}
			})
		}
	}
	all.Wait()
	require.LessOrEqual(t, most, 4)
	require.GreaterOrEqual(t, sent, 50)
	_, known := a.begin(github.ResourceREST, noon)
	require.Zero(t, known.InFlight)
}

// clockSetBack: GitHub's clock, or what is known of it, goes back. What was over stays over, nobody waits for points that were used
// in a future that is none, and a reset of that future does not stand against those that are told now.
func clockSetBack(t *testing.T, a, b *user) {
	t.Helper()
	future := noon.Add(time.Hour)
	a.told(github.ResourceREST, future, github.Quota{Remaining: 10, Limit: 5000, Reset: future.Add(50 * time.Minute)})
	for range 5 {
		id, _ := a.begin(github.ResourceREST, future)
		a.end(github.Settlement{ID: id, Resource: github.ResourceREST, Now: future})
	}
	honest := github.Quota{Remaining: 4000, Limit: 5000, Reset: noon.Add(40 * time.Minute)}
	b.told(github.ResourceREST, noon, honest)
	id, known := a.begin(github.ResourceREST, noon)
	require.True(t, known.IsReserved(github.ResourceREST, noon))
	require.True(t, honest.Reset.Equal(known.Quotas[github.ResourceREST].Reset))
	require.Equal(t, honest.Remaining, known.Quotas[github.ResourceREST].Remaining)
	a.end(github.Settlement{ID: id, Resource: github.ResourceREST, Now: noon})

	for _, secondary := range []bool{false, true} {
		end := noon.Add(time.Minute)
		a.limited(github.ResourceGraphQL, noon, end, secondary)
		for _, u := range []*user{a, b} {
			id, known = u.begin(github.ResourceGraphQL, end)
			require.True(t, known.IsReserved(github.ResourceGraphQL, end))
			u.end(github.Settlement{ID: id, Resource: github.ResourceGraphQL, Now: end})
		}
		id, known = b.begin(github.ResourceGraphQL, noon)
		require.True(t, known.IsReserved(github.ResourceGraphQL, noon), "it was over")
		b.end(github.Settlement{ID: id, Resource: github.ResourceGraphQL, Now: noon})
	}
}

// clockSetBackByHours: an untold wait of that future is none, and what was over for one resource is over when another is asked for.
func clockSetBackByHours(t *testing.T, a, b *user) {
	future := noon.Add(5 * time.Hour)
	require.Equal(t, future.Add(first), a.limited(github.ResourceREST, future, time.Time{}, false))
	b.told(github.ResourceGraphQL, future.Add(first), github.Quota{}) // forgets the other's, too
	a.told(github.ResourceGraphQL, future.Add(first), github.Quota{})
	b.told(github.ResourceREST, future, github.Quota{})
	require.Equal(t, noon.Add(first), a.limited(github.ResourceREST, noon, time.Time{}, false))

	for _, secondary := range []bool{false, true} {
		a.limited(github.ResourceGraphQL, future, future.Add(10*time.Minute), secondary)
		for _, u := range []*user{a, b} {
			for _, ago := range []time.Duration{10 * time.Minute, 11 * time.Minute} {
				_, known := u.begin(github.ResourceGraphQL, future.Add(-ago))
				until, _ := known.BlockedUntil(github.ResourceGraphQL, future.Add(-ago))
				require.Equal(t, future.Add(10*time.Minute), until, "clocks differ a little")
			}
			u.told(github.ResourceGraphQL, future.Add(-12*time.Minute), github.Quota{}) // more than twice its time
		}
		b.limited(github.ResourceGraphQL, noon, noon.Add(time.Minute), secondary)
		_, known := a.begin(github.ResourceGraphQL, noon)
		until, _ := known.BlockedUntil(github.ResourceGraphQL, noon)
		require.Equal(t, noon.Add(time.Minute), until, "and hides no honest one")
		a.told(github.ResourceGraphQL, future.Add(time.Hour), github.Quota{})
	}
}

// guessedClocks go before GitHub's and forget nothing: a limit is not over, and no place is free, for those who know better.
func guessedClocks(t *testing.T, a, b *user) {
	guess := func(u *user, now time.Time) github.BudgetState {
		u.n++
		q := question(fmt.Sprintf("%s-%d", u.name, u.n), github.ResourceREST, now)
		q.UnsyncedClock = true
		known, err := u.budget.Reserve(t.Context(), q)
		require.NoError(t, err)
		if known.IsReserved(q.Resource, now) {
			u.end(github.Settlement{ID: q.ID, Resource: q.Resource, Now: now})
		}
		return known
	}
	ahead := noon.Add(time.Hour)
	inVain := func() {
		for _, u := range []*user{a, b} {
			known := guess(u, ahead)
			require.True(t, known.IsReserved(github.ResourceREST, ahead), "he cannot know better")
		}
	}
	for range 3 {
		a.begin(github.ResourceGraphQL, noon)
	}
	inVain()
	id, known := b.begin(github.ResourceREST, noon)
	require.Equal(t, 3, known.InFlight)
	b.end(github.Settlement{ID: id, Resource: github.ResourceREST, Now: noon})
	for range 3 {
		b.begin(github.ResourceGraphQL, noon)
	}
	inVain() // places of the dead hold nobody up for good
	_, known = b.begin(github.ResourceREST, noon)
	require.Less(t, known.InFlight, 4)

	a.limited(github.ResourceREST, noon, noon.Add(time.Minute), false)
	end := noon.Add(2 * time.Minute)
	a.end(github.Settlement{Resource: github.ResourceREST, Now: noon, Limited: true, Secondary: true, LimitEnd: end, InitialBackoff: first})
	inVain()
	for _, u := range []*user{b, a} {
		known := guess(u, noon)
		at, second := known.BlockedUntil(github.ResourceREST, noon)
		require.Equal(t, end, at)
		require.True(t, second)
		_, known = u.begin(github.ResourceREST, noon)
		require.False(t, known.IsReserved(github.ResourceREST, noon))
	}
}
