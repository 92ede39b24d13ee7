// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"maps"
	"sync"
	"time"
)

// Local is the budget of the users of a credential in this process. Its zero value is ready; it is safe for concurrent
// use.
type Local struct {
	mu        sync.Mutex
	quotas    map[Resource]Quota
	primary   map[Resource]Limit
	secondary Limit
	// pacedUntil has, by resource, the time up to which the points of the minute are used.
	pacedUntil map[Resource]time.Time
	// inFlight has, by request, when its slot expires.
	inFlight map[string]time.Time
	// nextBackoff is the backoff after the next limit without an end, 0 for the initial one; backoffUntil is the end of
	// the last backoff.
	nextBackoff  time.Duration
	backoffUntil time.Time
}

var _ Budget = (*Local)(nil)

// Reserve implements Budget.
func (l *Local) Reserve(_ context.Context, r Reservation) (State, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init()
	if !r.UnsyncedClock {
		l.deleteEndedLimits(r.Now)
	}
	if !r.UnsyncedClock || len(l.inFlight) >= r.MaxInFlight {
		maps.DeleteFunc(l.inFlight, func(_ string, expiresAt time.Time) bool { return expiresAt.Before(r.Now) })
	}
	state := State{
		Quotas: maps.Clone(l.quotas), Primary: maps.Clone(l.primary), Secondary: l.secondary, InFlight: len(l.inFlight),
	}
	if end, _ := state.BlockedUntil(r.Resource, r.Now); !end.IsZero() {
		return state, nil
	}
	if state.SlotsFull = state.InFlight >= r.MaxInFlight; state.SlotsFull {
		return state, nil
	}
	if quota := l.quotas[r.Resource]; quota.IsPaced(r.Now) {
		if state.PacedUntil = l.pace(&r); !state.PacedUntil.IsZero() {
			return state, nil
		}
	}
	l.inFlight[r.ID] = r.ExpiresAt
	return state, nil
}

// pace uses up the points of a request, or returns when there are some again. l.mu is held.
func (l *Local) pace(r *Reservation) time.Time {
	next := later(l.pacedUntil[r.Resource], r.Now)
	if next.After(r.Now.Add(r.Burst + r.Interval + time.Minute)) { // a minute for the skew between users
		next = r.Now // the clock was set back
	}
	if at := next.Add(-r.Burst); at.After(r.Now) {
		return at
	}
	l.pacedUntil[r.Resource] = next.Add(r.Interval)
	return time.Time{}
}

// deleteEndedLimits deletes limits that are over, so that they do not block again when the clock is set back. l.mu is
// held.
func (l *Local) deleteEndedLimits(now time.Time) {
	isOver := func(limit Limit) bool { return !limit.EndsAt.After(now) }
	maps.DeleteFunc(l.primary, func(_ Resource, limit Limit) bool { return isOver(limit) })
	if isOver(l.secondary) {
		l.secondary = Limit{}
	}
}

// init makes the maps of a zero value. l.mu is held.
func (l *Local) init() {
	if l.quotas == nil {
		l.quotas, l.primary = make(map[Resource]Quota), make(map[Resource]Limit)
		l.pacedUntil, l.inFlight = make(map[Resource]time.Time), make(map[string]time.Time)
	}
}

// Settle implements Budget.
func (l *Local) Settle(_ context.Context, s Settlement) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init()
	delete(l.inFlight, s.ID)
	l.observeQuota(s.Resource, s.Quota, s.Now)
	if s.Success && !s.Now.Before(l.lastBackoff(s.Now)) {
		l.nextBackoff = 0
	}
	if !s.Limited {
		return time.Time{}, nil
	}
	end := s.LimitEnd
	if end.IsZero() {
		end = l.startBackoff(&s)
	}
	met := Limit{EndsAt: end, MetAt: s.Now}
	if s.Secondary {
		l.secondary = l.secondary.merge(met, s.Now)
	} else {
		l.primary[s.Resource] = l.primary[s.Resource].merge(met, s.Now)
	}
	return end, nil
}

// Refresh implements Budget. It does nothing: all users are in this process.
func (*Local) Refresh(context.Context, time.Time) error { return nil }

// Quotas implements Budget.
func (l *Local) Quotas(now time.Time) map[Resource]Quota {
	l.mu.Lock()
	defer l.mu.Unlock()
	quotas := make(map[Resource]Quota, len(l.quotas))
	for resource, q := range l.quotas {
		if q.Reset.After(now) && !q.Reset.After(now.Add(maxWindow)) {
			quotas[resource] = q
		}
	}
	return quotas
}

// Merge adds the limits and quotas of a state that another budget of the same credential returned.
func (l *Local) Merge(state *State, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init()
	for resource, limit := range state.Primary {
		if limit.isActive(now) {
			l.primary[resource] = l.primary[resource].merge(limit, now)
		}
	}
	if state.Secondary.isActive(now) {
		l.secondary = l.secondary.merge(state.Secondary, now)
	}
	for resource, q := range state.Quotas {
		if !q.Reset.After(now.Add(maxWindow)) {
			l.observeQuota(resource, q.Plausible(now), now)
		}
	}
}

// observeQuota stores a quota unless a newer one is stored: responses to requests that were in flight together arrive
// in any order. l.mu is held.
func (l *Local) observeQuota(resource Resource, q Quota, now time.Time) {
	if q.Reset.IsZero() {
		return
	}
	stored := l.quotas[resource]
	if stored.Reset.After(now.Add(maxWindow)) {
		stored = Quota{} // the clock was set back
	}
	if q.Reset.After(stored.Reset) || (q.Reset.Equal(stored.Reset) && q.Remaining < stored.Remaining) {
		l.quotas[resource] = q
	}
}

// startBackoff returns the end of the backoff after a limit whose end GitHub did not report
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit). A backoff
// that lasts already is not prolonged. l.mu is held.
func (l *Local) startBackoff(s *Settlement) time.Time {
	if end := l.lastBackoff(s.Now); s.Now.Before(end) {
		return end
	}
	backoff := l.nextBackoff
	if backoff == 0 {
		backoff = max(time.Second, s.InitialBackoff)
	}
	l.nextBackoff, l.backoffUntil = min(2*backoff, MaxBackoff), s.Now.Add(backoff)
	return l.backoffUntil
}

// lastBackoff returns the end of the last backoff; zero when it is further away than any backoff, because the clock was
// set back since. l.mu is held.
func (l *Local) lastBackoff(now time.Time) time.Time {
	if l.backoffUntil.After(now.Add(MaxBackoff)) {
		return time.Time{}
	}
	return l.backoffUntil
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
