// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package budget

import "time"

// Policy is how much of a credential's limits may be used.
type Policy struct {
	// MinRemaining is the number of requests (points with GraphQL) of a primary limit that are never used.
	MinRemaining int
	// ResetBuffer is added to the reset of a primary limit.
	ResetBuffer time.Duration
	// SecondaryBackoff is the first backoff after a secondary limit whose end GitHub does not report; it doubles.
	SecondaryBackoff time.Duration
	// MaxConcurrentRequests is the number of slots of REST and GraphQL together.
	MaxConcurrentRequests int
}

const (
	// slotGrace is how long after its time-out a request that was not settled still holds its slot.
	slotGrace = time.Minute
	// paceBurst is how much of a minute's points may be used at once.
	paceBurst = 10 * time.Second
)

// pointsPerMinute is four fifths of the points of a minute, one for each request
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits).
var pointsPerMinute = map[Resource]int{
	ResourceREST: 900 * 4 / 5, ResourceGraphQL: 2000 * 4 / 5, ResourceApp: 900 * 4 / 5,
}

// NewReservation makes the reservation of a request with the policy's slots and pacing. timeout is that of one attempt.
func (p *Policy) NewReservation(id string, resource Resource, now time.Time, timeout time.Duration) Reservation {
	return Reservation{
		ID: id, Resource: resource, Now: now,
		ExpiresAt: now.Add(timeout + slotGrace), MaxInFlight: p.MaxConcurrentRequests,
		Interval: time.Minute / time.Duration(pointsPerMinute[resource]), Burst: paceBurst,
	}
}

// Denial is why a request must not be sent before RetryAt: a primary or secondary limit that was exceeded, or with
// Deferred the pacing of the remaining quota.
type Denial struct {
	RetryAt             time.Time
	Secondary, Deferred bool
}

// Check returns why a request of a price, in points, must not be sent now; nil when it may.
func (p *Policy) Check(state *State, resource Resource, price int, priority Priority, now time.Time) *Denial {
	if end, secondary := state.BlockedUntil(resource, now); !end.IsZero() {
		return &Denial{RetryAt: end, Secondary: secondary}
	}
	quota := state.Quotas[resource]
	due := state.InFlight*max(1, maxPrice[resource], price) + price
	if at := p.notBefore(&quota, due, priority, now); !at.IsZero() {
		return &Denial{RetryAt: at, Deferred: true}
	}
	return nil
}

// MaxGraphQLPrice is the largest price of a query that the client sends, in points. Every query in flight is counted
// with it.
const MaxGraphQLPrice = 3

// maxPrice is the price, in points, with which a request in flight is counted; 1 for a resource that is not in it.
var maxPrice = map[Resource]int{ResourceGraphQL: MaxGraphQLPrice}

// spending bounds what a priority may use of a primary limit: floor is what it leaves unused, burst what it may use at
// once. The rest is spread over the time to the reset.
type spending struct{ floor, burst int }

// foregroundSpending leaves MinRemaining, or a fifth of a limit that is not larger than it; half of the limit may be
// used at once.
func (p *Policy) foregroundSpending(q *Quota) spending {
	floor := p.MinRemaining
	if q.Limit > 0 && floor >= q.Limit {
		floor = q.Limit / 5
	}
	return spending{floor: floor, burst: q.Limit / 2}
}

// backgroundSpending leaves a quarter to the foreground; a tenth may be used at once.
func backgroundSpending(q *Quota) spending { return spending{floor: q.Limit / 4, burst: q.Limit / 10} }

// notBefore returns when a request may be sent; zero when it may now, and when the quota is not known. due is the price
// of the request and of all requests in flight, in points.
func (p *Policy) notBefore(q *Quota, due int, priority Priority, now time.Time) time.Time {
	if !now.Before(q.Reset) || q.Reset.After(now.Add(maxWindow)) {
		return time.Time{}
	}
	of := p.foregroundSpending(q)
	if priority == Background {
		if b := backgroundSpending(q); b.floor > of.floor {
			of = b
		}
	}
	left := q.Remaining - due
	if left < of.floor {
		return q.Reset.Add(p.ResetBuffer)
	}
	if q.Limit <= of.floor {
		return time.Time{}
	}
	// The permitted remainder falls linearly from the whole limit to the floor; less than it by a burst is allowed.
	untilReset := time.Duration(float64(window) * float64(left-of.floor+of.burst) / float64(q.Limit-of.floor))
	if at := q.Reset.Add(-untilReset); at.After(now) {
		return at
	}
	return time.Time{}
}
