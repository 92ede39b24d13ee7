// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package budgettest is the conformance suite of every budget.Budget.
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

// initialBackoff is the first backoff of every settlement of the suite.
const initialBackoff = time.Minute

// user is a user of the credential. Its budget may be in another process than those of others.
type user struct {
	t      *testing.T
	budget budget.Budget
	name   string
	n      int
}

// newReservation returns a reservation of one of four slots, for a minute.
func newReservation(id string, resource budget.Resource, now time.Time) budget.Reservation {
	return budget.Reservation{
		ID: id, Resource: resource, Now: now, ExpiresAt: now.Add(time.Minute), MaxInFlight: 4,
		Interval: 100 * time.Millisecond, Burst: time.Second,
	}
}

// reserve reserves a slot and returns the id of the request and the state.
func (u *user) reserve(resource budget.Resource, now time.Time) (id string, state budget.State) {
	u.t.Helper()
	u.n++
	id = fmt.Sprintf("%s-%d", u.name, u.n)
	state, err := u.budget.Reserve(u.t.Context(), newReservation(id, resource, now))
	require.NoError(u.t, err)
	return id, state
}

// settle settles a request and returns the end of the limit that was exceeded.
func (u *user) settle(e budget.Settlement) time.Time {
	u.t.Helper()
	until, err := u.budget.Settle(u.t.Context(), e)
	require.NoError(u.t, err)
	return until
}

// reportQuota sends a request whose response has a quota.
func (u *user) reportQuota(resource budget.Resource, now time.Time, q budget.Quota) {
	u.t.Helper()
	id, state := u.reserve(resource, now)
	require.True(u.t, state.IsReserved(resource, now))
	u.settle(budget.Settlement{ID: id, Resource: resource, Now: now, Quota: q, Success: true})
}

// exceedLimit sends a request that exceeds a limit, and returns its end. until is zero when the response does not have
// the end.
func (u *user) exceedLimit(resource budget.Resource, now, until time.Time, secondary bool) time.Time {
	u.t.Helper()
	id, state := u.reserve(resource, now)
	require.True(u.t, state.IsReserved(resource, now))
	return u.settle(budget.Settlement{
		ID: id, Resource: resource, Now: now, Limited: true, Secondary: secondary,
		LimitEnd: until, InitialBackoff: initialBackoff,
	})
}

// Run runs the suite. open returns two users of one budget.
func Run(t *testing.T, open func(t *testing.T) (a, b budget.Budget)) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, a, b *user){
		"slots are shared": testSlotsAreShared, "slots expire": testSlotsExpire,
		"newest quota is stored": testNewestQuotaIsStored, "primary limit": testPrimaryLimit,
		"secondary limit": testSecondaryLimit,
		"backoffs":        testBackoffs, "pacing": testPacing, "implausible limit": testImplausibleLimit,
		"concurrency":             testConcurrency,
		"clock set back":          testClockSetBack,
		"clock set back by hours": testClockSetBackByHours, "unsynced clocks": testUnsyncedClocks, "quotas": testQuotas,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			test(t, &user{t: t, budget: a, name: "a"}, &user{t: t, budget: b, name: "b"})
		})
	}
}

// testQuotas: Quotas returns the quotas of responses to any user, until their reset.
func testQuotas(t *testing.T, a, b *user) {
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

// testSlotsAreShared: the slots are those of all users and both resources together.
func testSlotsAreShared(t *testing.T, a, b *user) {
	var ids []string
	for range 2 {
		id, state := a.reserve(budget.ResourceREST, noon)
		require.True(t, state.IsReserved(budget.ResourceREST, noon))
		ids = append(ids, id)
		_, state = b.reserve(budget.ResourceGraphQL, noon)
		require.True(t, state.IsReserved(budget.ResourceGraphQL, noon))
	}
	_, state := b.reserve(budget.ResourceREST, noon)
	require.Equal(t, 4, state.InFlight)
	require.True(t, state.SlotsFull)
	require.False(t, state.IsReserved(budget.ResourceREST, noon))
	a.settle(budget.Settlement{ID: ids[0], Resource: budget.ResourceREST, Now: noon})
	_, state = b.reserve(budget.ResourceREST, noon)
	require.True(t, state.IsReserved(budget.ResourceREST, noon))
}

// testSlotsExpire: a slot whose request was not settled is free again after its time.
func testSlotsExpire(t *testing.T, a, b *user) {
	for range 4 {
		a.reserve(budget.ResourceREST, noon)
	}
	_, state := b.reserve(budget.ResourceREST, noon.Add(time.Minute))
	require.True(t, state.SlotsFull)
	_, state = b.reserve(budget.ResourceREST, noon.Add(time.Minute+time.Second))
	require.True(t, state.IsReserved(budget.ResourceREST, noon))
	require.Zero(t, state.InFlight)
}

// testNewestQuotaIsStored: the newest quota is stored, whatever the order of the responses is.
func testNewestQuotaIsStored(t *testing.T, a, b *user) {
	reset := noon.Add(30 * time.Minute)
	a.reportQuota(budget.ResourceREST, noon, budget.Quota{Remaining: 900, Limit: 5000, Reset: reset})
	// an older response that arrives later
	b.reportQuota(budget.ResourceREST, noon, budget.Quota{Remaining: 901, Limit: 5000, Reset: reset})
	// a response without a quota
	b.reportQuota(budget.ResourceREST, noon, budget.Quota{})
	_, state := b.reserve(budget.ResourceREST, noon)
	require.Equal(t, budget.Quota{Remaining: 900, Limit: 5000, Reset: reset}, state.Quotas[budget.ResourceREST])
	require.Zero(t, state.Quotas[budget.ResourceGraphQL])
	later := noon.Add(time.Hour)
	a.reportQuota(budget.ResourceREST, later, budget.Quota{Remaining: 5000, Limit: 5000, Reset: later.Add(time.Hour)})
	b.reportQuota(budget.ResourceREST, later, budget.Quota{Remaining: 880, Limit: 5000, Reset: reset})
	_, state = b.reserve(budget.ResourceREST, later)
	require.Equal(t, 5000, state.Quotas[budget.ResourceREST].Remaining)
	valid := budget.Quota{Remaining: 10, Limit: 5000, Reset: noon.Add(time.Hour)}
	a.reportQuota(budget.ResourceGraphQL, noon, budget.Quota{Remaining: 0, Limit: 5000, Reset: noon.AddDate(1, 0, 0)})
	b.reportQuota(budget.ResourceGraphQL, noon, valid)
	_, state = a.reserve(budget.ResourceGraphQL, noon)
	require.Equal(t, valid, state.Quotas[budget.ResourceGraphQL], "a valid reset replaces an implausible one")
}

// testPrimaryLimit: a primary limit blocks its own resource for all users; the later end counts.
func testPrimaryLimit(t *testing.T, a, b *user) {
	until := noon.Add(20 * time.Minute)
	one, _ := a.reserve(budget.ResourceREST, noon)
	require.Equal(t, until, a.exceedLimit(budget.ResourceREST, noon, until, false))
	a.settle(budget.Settlement{
		ID: one, Resource: budget.ResourceREST, Now: noon, Limited: true,
		LimitEnd: until.Add(-time.Minute), InitialBackoff: initialBackoff,
	})
	_, state := b.reserve(budget.ResourceREST, noon)
	require.False(t, state.IsReserved(budget.ResourceREST, noon))
	at, isSecondary := state.BlockedUntil(budget.ResourceREST, noon)
	require.Equal(t, until, at)
	require.False(t, isSecondary)
	_, state = b.reserve(budget.ResourceGraphQL, noon)
	require.True(t, state.IsReserved(budget.ResourceGraphQL, noon))
	_, state = b.reserve(budget.ResourceREST, until)
	require.True(t, state.IsReserved(budget.ResourceREST, until))
}

// testSecondaryLimit: a secondary limit blocks both resources, and a successful response that was in flight does not
// end it.
func testSecondaryLimit(t *testing.T, a, b *user) {
	until := noon.Add(2 * time.Minute)
	one, _ := b.reserve(budget.ResourceGraphQL, noon)
	a.exceedLimit(budget.ResourceREST, noon, until, true)
	b.settle(budget.Settlement{ID: one, Resource: budget.ResourceGraphQL, Now: noon, Success: true})
	for _, resource := range []budget.Resource{budget.ResourceREST, budget.ResourceGraphQL} {
		_, state := b.reserve(resource, noon)
		at, isSecondary := state.BlockedUntil(resource, noon)
		require.Equal(t, until, at)
		require.True(t, isSecondary)
		require.False(t, state.IsReserved(resource, noon))
	}
	_, state := b.reserve(budget.ResourceREST, until)
	require.True(t, state.IsReserved(budget.ResourceREST, until))
}

// testBackoffs: backoffs double, once for all requests in flight, and start again after a success.
func testBackoffs(t *testing.T, a, b *user) {
	one, _ := b.reserve(budget.ResourceREST, noon)
	now := noon
	require.Equal(t, now.Add(initialBackoff), a.exceedLimit(budget.ResourceREST, now, time.Time{}, true))
	settlement := budget.Settlement{
		ID: one, Resource: budget.ResourceREST, Now: now.Add(time.Second), Limited: true,
		Secondary: true, InitialBackoff: initialBackoff,
	}
	require.Equal(t, now.Add(initialBackoff), b.settle(settlement))
	for _, wait := range []time.Duration{
		2 * initialBackoff, 4 * initialBackoff, 8 * initialBackoff, 16 * initialBackoff, 32 * initialBackoff, time.Hour,
		time.Hour,
	} {
		now = now.Add(2 * time.Hour)
		require.Equal(t, now.Add(wait), b.exceedLimit(budget.ResourceREST, now, time.Time{}, true))
	}
	now = now.Add(2 * time.Hour)
	a.reportQuota(budget.ResourceREST, now, budget.Quota{})
	require.Equal(t, now.Add(initialBackoff), b.exceedLimit(budget.ResourceREST, now, time.Time{}, true))
}

// testPacing: the points of a minute are spread over all users, once a quota of github.com was reported.
func testPacing(t *testing.T, a, b *user) {
	send := func(u *user, resource budget.Resource, now time.Time) time.Time {
		id, state := u.reserve(resource, now)
		u.settle(budget.Settlement{ID: id, Resource: resource, Now: now})
		return state.PacedUntil
	}
	for range 100 {
		require.Zero(t, send(a, budget.ResourceREST, noon), "no quota was reported")
	}
	a.reportQuota(budget.ResourceGraphQL, noon, budget.Quota{
		Remaining: 90_000, Limit: 100_000,
		Reset: noon.Add(time.Hour),
	})
	for range 100 {
		require.Zero(t, send(b, budget.ResourceGraphQL, noon), "a limit that is not one of github.com")
	}
	a.reportQuota(budget.ResourceREST, noon, budget.Quota{Remaining: 4000, Limit: 5000, Reset: noon.Add(time.Hour)})
	sent := 0
	for n := range 40 {
		if u := []*user{a, b}[n%2]; send(u, budget.ResourceREST, noon).IsZero() {
			sent++
		}
	}
	require.InDelta(t, 11, sent, 1, "the burst of ten requests, and one")
	require.Equal(t, noon.Add(100*time.Millisecond), send(b, budget.ResourceREST, noon))
	require.Zero(t, send(b, budget.ResourceREST, noon.Add(100*time.Millisecond)))
	require.NotZero(t, send(b, budget.ResourceREST, noon.Add(100*time.Millisecond)))
	require.Zero(t, send(a, budget.ResourceREST, noon.Add(time.Hour)),
		"after the reset the quota does not count any more")
}

// testImplausibleLimit: a limit that ends in years is ignored.
func testImplausibleLimit(t *testing.T, a, b *user) {
	a.exceedLimit(budget.ResourceREST, noon, noon.AddDate(30, 0, 0), true)
	_, state := b.reserve(budget.ResourceREST, noon)
	require.True(t, state.IsReserved(budget.ResourceREST, noon))
	until := noon.Add(time.Minute)
	a.exceedLimit(budget.ResourceGraphQL, noon, until, true)
	_, state = b.reserve(budget.ResourceREST, noon)
	at, _ := state.BlockedUntil(budget.ResourceREST, noon)
	require.Equal(t, until, at, "it does not hide a valid one")
}

// testConcurrency: never more requests are in flight than there are slots.
func testConcurrency(t *testing.T, a, b *user) {
	var mu sync.Mutex
	inFlight, maxInFlight, sent := 0, 0, 0
	var all sync.WaitGroup
	for _, u := range []*user{a, b} {
		for w := range 4 {
			own := &user{t: t, budget: u.budget, name: fmt.Sprint(u.name, w)}
			all.Go(func() {
				for range 50 {
					id, state := own.reserve(budget.ResourceREST, noon)
					if !state.IsReserved(budget.ResourceREST, noon) {
						continue
					}
					mu.Lock()
					inFlight++
					sent++
					maxInFlight = max(maxInFlight, inFlight)
					mu.Unlock()
					mu.Lock()
					inFlight--
					mu.Unlock()
					own.settle(budget.Settlement{ID: id, Resource: budget.ResourceREST, Now: noon, Success: true})
				}
			})
		}
	}
	all.Wait()
	require.LessOrEqual(t, maxInFlight, 4)
	require.GreaterOrEqual(t, sent, 50)
	_, state := a.reserve(budget.ResourceREST, noon)
	require.Zero(t, state.InFlight)
}

// testClockSetBack: after GitHub's clock was set back, a limit that has ended does not block again, no request waits
// for points that were used in the future, and a reset from the future does not replace those of present responses.
func testClockSetBack(t *testing.T, a, b *user) {
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
	id, state := a.reserve(budget.ResourceREST, noon)
	require.True(t, state.IsReserved(budget.ResourceREST, noon))
	require.True(t, valid.Reset.Equal(state.Quotas[budget.ResourceREST].Reset))
	require.Equal(t, valid.Remaining, state.Quotas[budget.ResourceREST].Remaining)
	a.settle(budget.Settlement{ID: id, Resource: budget.ResourceREST, Now: noon})

	for _, secondary := range []bool{false, true} {
		end := noon.Add(time.Minute)
		a.exceedLimit(budget.ResourceGraphQL, noon, end, secondary)
		for _, u := range []*user{a, b} {
			id, state = u.reserve(budget.ResourceGraphQL, end)
			require.True(t, state.IsReserved(budget.ResourceGraphQL, end))
			u.settle(budget.Settlement{ID: id, Resource: budget.ResourceGraphQL, Now: end})
		}
		id, state = b.reserve(budget.ResourceGraphQL, noon)
		require.True(t, state.IsReserved(budget.ResourceGraphQL, noon), "the limit had ended")
		b.settle(budget.Settlement{ID: id, Resource: budget.ResourceGraphQL, Now: noon})
	}
}

// testClockSetBackByHours: a backoff from the future is ignored, and a limit that has ended for one resource has ended
// when a request for another one is reserved.
func testClockSetBackByHours(t *testing.T, a, b *user) {
	future := noon.Add(5 * time.Hour)
	require.Equal(t, future.Add(initialBackoff), a.exceedLimit(budget.ResourceREST, future, time.Time{}, false))
	b.reportQuota(budget.ResourceGraphQL, future.Add(initialBackoff),
		budget.Quota{}) // deletes the ended limits of every resource
	a.reportQuota(budget.ResourceGraphQL, future.Add(initialBackoff), budget.Quota{})
	b.reportQuota(budget.ResourceREST, future, budget.Quota{})
	require.Equal(t, noon.Add(initialBackoff), a.exceedLimit(budget.ResourceREST, noon, time.Time{}, false))

	for _, secondary := range []bool{false, true} {
		a.exceedLimit(budget.ResourceGraphQL, future, future.Add(10*time.Minute), secondary)
		for _, u := range []*user{a, b} {
			for _, ago := range []time.Duration{10 * time.Minute, 11 * time.Minute} {
				_, state := u.reserve(budget.ResourceGraphQL, future.Add(-ago))
				until, _ := state.BlockedUntil(budget.ResourceGraphQL, future.Add(-ago))
				require.Equal(t, future.Add(10*time.Minute), until, "clocks differ a little")
			}
			// the limit would last more than twice its time
			u.reportQuota(budget.ResourceGraphQL, future.Add(-12*time.Minute), budget.Quota{})
		}
		b.exceedLimit(budget.ResourceGraphQL, noon, noon.Add(time.Minute), secondary)
		_, state := a.reserve(budget.ResourceGraphQL, noon)
		until, _ := state.BlockedUntil(budget.ResourceGraphQL, noon)
		require.Equal(t, noon.Add(time.Minute), until, "it does not hide a valid one")
		a.reportQuota(budget.ResourceGraphQL, future.Add(time.Hour), budget.Quota{})
	}
}

// testUnsyncedClocks: a reservation whose clock is ahead, and not GitHub's, deletes no limit and no slot of users whose
// clock is synchronized.
func testUnsyncedClocks(t *testing.T, a, b *user) {
	reserveUnsynced := func(u *user, now time.Time) budget.State {
		u.n++
		q := newReservation(fmt.Sprintf("%s-%d", u.name, u.n), budget.ResourceREST, now)
		q.UnsyncedClock = true
		state, err := u.budget.Reserve(t.Context(), q)
		require.NoError(t, err)
		if state.IsReserved(q.Resource, now) {
			u.settle(budget.Settlement{ID: q.ID, Resource: q.Resource, Now: now})
		}
		return state
	}
	ahead := noon.Add(time.Hour)
	reserveAhead := func() {
		for _, u := range []*user{a, b} {
			state := reserveUnsynced(u, ahead)
			require.True(t, state.IsReserved(budget.ResourceREST, ahead), "it cannot know that its clock is ahead")
		}
	}
	for range 3 {
		a.reserve(budget.ResourceGraphQL, noon)
	}
	reserveAhead()
	id, state := b.reserve(budget.ResourceREST, noon)
	require.Equal(t, 3, state.InFlight)
	b.settle(budget.Settlement{ID: id, Resource: budget.ResourceREST, Now: noon})
	for range 3 {
		b.reserve(budget.ResourceGraphQL, noon)
	}
	reserveAhead() // expired slots are deleted when none is free
	_, state = b.reserve(budget.ResourceREST, noon)
	require.Less(t, state.InFlight, 4)

	a.exceedLimit(budget.ResourceREST, noon, noon.Add(time.Minute), false)
	end := noon.Add(2 * time.Minute)
	a.settle(budget.Settlement{
		Resource: budget.ResourceREST, Now: noon, Limited: true, Secondary: true, LimitEnd: end,
		InitialBackoff: initialBackoff,
	})
	reserveAhead()
	for _, u := range []*user{b, a} {
		state := reserveUnsynced(u, noon)
		at, isSecondary := state.BlockedUntil(budget.ResourceREST, noon)
		require.Equal(t, end, at)
		require.True(t, isSecondary)
		_, state = u.reserve(budget.ResourceREST, noon)
		require.False(t, state.IsReserved(budget.ResourceREST, noon))
	}
}
