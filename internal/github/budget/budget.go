// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package budget accounts for the rate limits of one GitHub credential: it reserves a request before it is sent and
// settles it when it has ended. Policy decides from a State whether a request may be sent, Local is the budget of one
// process, and package redisbudget shares one between replicas. Nothing here sleeps or does I/O.
package budget

import (
	"context"
	"time"
)

const (
	// window is the length of GitHub's primary limits
	// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
	window = time.Hour
	// maxWindow is window and a tolerance for clock skew. A stored reset that is further away was written before the
	// clock was set back, or by a replica whose clock is ahead, and is ignored.
	maxWindow = window + time.Minute
	// maxReset bounds the reset of a primary limit that is accepted from a response, clock skew included.
	maxReset = 2 * window
	// maxLimit bounds the limit that is accepted from a response.
	maxLimit = 1 << 40
	// MaxLimitDuration bounds the end of a limit that is accepted: GitHub sets none that is further away.
	MaxLimitDuration = 25 * time.Hour
	// MaxBackoff bounds the exponential backoff after a limit whose end GitHub does not report.
	MaxBackoff = time.Hour
	// MaxGitHubComLimit is the largest primary limit of github.com. A larger one belongs to an Enterprise Server, whose
	// limits per minute are others, or none.
	MaxGitHubComLimit = 15_000
)

// Resource is a class of primary rate limit.
type Resource string

// The resources. ResourceApp is that of requests with a GitHub App's own token, whose primary limit is not the one of
// the App's installation.
const (
	ResourceREST    Resource = "rest"
	ResourceGraphQL Resource = "graphql"
	ResourceApp     Resource = "app"
)

// Priority orders requests that share a budget.
type Priority int

const (
	// Foreground requests may use a limit down to the floor of the Policy. It is the zero value.
	Foreground Priority = iota
	// Background requests can wait: they leave a quarter of every primary limit to the foreground.
	Background
)

// Quota is the state of a primary limit in a response. A zero Reset means that the response has none, as on an
// Enterprise Server with its default settings.
type Quota struct {
	Remaining, Limit int
	Reset            time.Time
}

// Plausible returns the quota, or a zero one when GitHub cannot have sent it: a reset in years would block the
// resource for good.
func (q Quota) Plausible(now time.Time) Quota {
	if q.Remaining < 0 || q.Limit < 0 || q.Limit > maxLimit ||
		q.Reset.After(now.Add(maxReset)) || q.Reset.Before(now.Add(-window)) {
		return Quota{}
	}
	return q
}

// IsPaced reports whether the points of a minute are limited too: where the quota is one of github.com.
func (q *Quota) IsPaced(now time.Time) bool {
	return now.Before(q.Reset) && q.Limit > 0 && q.Limit <= MaxGitHubComLimit
}

// Limit is an exceeded rate limit. It ends at EndsAt and was observed at MetAt, zero when that is not stored.
type Limit struct{ EndsAt, MetAt time.Time }

// isActive reports whether the limit has not ended. A limit that ends later than MaxLimitDuration, or in much more time
// than it had when it was met, is not active: the clock was set back since.
func (l Limit) isActive(now time.Time) bool {
	left := l.EndsAt.Sub(now)
	if left <= 0 || left >= MaxLimitDuration {
		return false
	}
	return l.MetAt.IsZero() || left <= 2*l.EndsAt.Sub(l.MetAt)+time.Minute
}

// merge returns the later of two limits, or the other one when this one is not active.
func (l Limit) merge(other Limit, now time.Time) Limit {
	if l.isActive(now) && !other.EndsAt.After(l.EndsAt) {
		return l
	}
	return other
}

// State is the state of a credential's limits when a request is reserved.
type State struct {
	// Quotas are the newest quotas that responses had.
	Quotas map[Resource]Quota
	// Primary are the exceeded primary limits; Secondary is the secondary limit, which blocks every resource.
	Primary   map[Resource]Limit
	Secondary Limit
	// InFlight is the number of requests that hold a slot, the reserved one not included.
	InFlight int
	// SlotsFull reports that no slot was free. PacedUntil is when the points of the minute allow the next request; zero
	// when they allow it now.
	SlotsFull  bool
	PacedUntil time.Time
}

// BlockedUntil returns the end of the limit that blocks requests of a resource, zero when none does, and whether it is
// the secondary one.
func (s *State) BlockedUntil(resource Resource, now time.Time) (end time.Time, secondary bool) {
	if limit := s.Primary[resource]; limit.isActive(now) {
		end = limit.EndsAt
	}
	if s.Secondary.isActive(now) && s.Secondary.EndsAt.After(end) {
		return s.Secondary.EndsAt, true
	}
	return end, false
}

// IsReserved reports whether Reserve has reserved a slot.
func (s *State) IsReserved(resource Resource, now time.Time) bool {
	end, _ := s.BlockedUntil(resource, now)
	return end.IsZero() && !s.SlotsFull && s.PacedUntil.IsZero()
}

// Reservation asks for a slot for one request. All times of a budget are by GitHub's clock.
type Reservation struct {
	// ID is unique among the requests in flight.
	ID       string
	Resource Resource
	Now      time.Time
	// UnsyncedClock reports that Now is by the local clock, because no response has had a date yet. Such a reservation
	// does not delete limits that are over by its clock, and deletes expired slots only when none is free.
	UnsyncedClock bool
	// ExpiresAt is when the slot is free again if the request is never settled.
	ExpiresAt time.Time
	// MaxInFlight is the number of slots of the credential.
	MaxInFlight int
	// Interval is the share of a minute that one request uses up, Burst how much of it may be used at once. They apply
	// to a resource whose quota IsPaced.
	Interval, Burst time.Duration
}

// Settlement reports how a reserved request ended.
type Settlement struct {
	ID       string
	Resource Resource
	Now      time.Time
	// Quota is that of the response; zero when it had none.
	Quota Quota
	// Success reports a usable response: the backoff starts again at InitialBackoff.
	Success bool
	// Limited reports that a limit was exceeded, Secondary that it was the secondary one. LimitEnd is its end; when it
	// is zero the budget applies a backoff that doubles from InitialBackoff, once for all requests that were in flight
	// together.
	Limited, Secondary bool
	LimitEnd           time.Time
	InitialBackoff     time.Duration
}

// Budget is the shared state of one credential's limits. Implementations never sleep and are safe for concurrent use.
type Budget interface {
	// Reserve returns the state, and reserves a slot unless a limit blocks the resource, no slot is free or the points
	// of the minute are used up: see State.IsReserved.
	Reserve(ctx context.Context, r Reservation) (State, error)
	// Settle releases the slot of a request and merges what its response reported. It returns the end of the limit that
	// was exceeded; zero when none was.
	Settle(ctx context.Context, s Settlement) (limitEnd time.Time, err error)
	// Refresh reads the state that other users of the credential have reported. It reserves nothing.
	Refresh(ctx context.Context, now time.Time) error
	// Quotas returns the quotas whose reset is after now. It does no I/O.
	Quotas(now time.Time) map[Resource]Quota
}
