// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Resources are GitHub's classes of rate limits.
const (
	ResourceCore    = "core"
	ResourceGraphQL = "graphql"
)

// limiter counts points for each bucket and resource.
type limiter struct {
	limits   Limits
	mu       sync.Mutex
	buckets  map[bucketKey]*bucket
	inFlight map[string]int
}

type bucketKey struct{ bucket, resource string }

type bucket struct {
	limit, used  int
	reset        time.Time
	minute       time.Time
	minutePoints int
}

// quota is what the x-ratelimit headers say.
type quota struct {
	resource               string
	limit, used, remaining int
	reset                  time.Time
}

func (l *limiter) init(limits Limits) {
	l.limits, l.buckets, l.inFlight = limits, map[bucketKey]*bucket{}, map[string]int{}
}

// bucketAt returns the bucket, with windows that have ended replaced by new ones. The lock is held.
func (l *limiter) bucketAt(key bucketKey, now time.Time) *bucket {
	b := l.buckets[key]
	if b == nil {
		b = &bucket{limit: l.limits.Core}
		if key.resource == ResourceGraphQL {
			b.limit = l.limits.GraphQL
		}
		l.buckets[key] = b
	}
	if !now.Before(b.reset) {
		b.used, b.reset = 0, now.Add(l.limits.Window).UTC().Truncate(time.Second)
	}
	if !now.Before(b.minute.Add(time.Minute)) {
		b.minute, b.minutePoints = now, 0
	}
	return b
}

func (l *limiter) quota(key bucketKey, now time.Time) quota {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucketAt(key, now)
	return quota{
		resource: key.resource, limit: b.limit, used: min(b.used, b.limit), remaining: max(0, b.limit-b.used),
		reset: b.reset,
	}
}

// limitResult is what a limit says to a request.
type limitResult int

const (
	limitOK limitResult = iota
	limitPrimary
	limitSecondary
)

// charge charges points. When enforcing, points over a limit are refused and not charged.
func (l *limiter) charge(key bucketKey, cost int, now time.Time, enforce bool) (limitResult, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucketAt(key, now)
	perMinute := l.limits.CoreMinute
	if key.resource == ResourceGraphQL {
		perMinute = l.limits.GraphQLMinute
	}
	if enforce && b.used+cost > b.limit {
		return limitPrimary, 0
	}
	if enforce && b.minutePoints >= perMinute {
		return limitSecondary, b.minute.Add(time.Minute).Sub(now)
	}
	b.used += cost
	b.minutePoints++ // a read is one point, whatever it costs on the primary limit
	return limitOK, 0
}

// refund gives back what a 304 does not cost.
func (l *limiter) refund(key bucketKey, cost int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucketAt(key, now)
	b.used = max(0, b.used-cost)
}

func (l *limiter) acquireSlot(bucket string, enforce bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if enforce && l.inFlight[bucket] >= l.limits.Concurrent {
		return false
	}
	l.inFlight[bucket]++
	return true
}

func (l *limiter) releaseSlot(bucket string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight[bucket]--
}

func (q quota) header(h http.Header) {
	h.Set("X-Ratelimit-Limit", strconv.Itoa(q.limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(q.remaining))
	h.Set("X-Ratelimit-Used", strconv.Itoa(q.used))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(q.reset.Unix(), 10))
	h.Set("X-Ratelimit-Resource", q.resource)
}

func (q quota) json() obj {
	return obj{
		"limit": q.limit, "used": q.used, "remaining": q.remaining, "reset": q.reset.Unix(), "resource": q.resource,
	}
}

// setUsed sets the used points of a bucket.
func (l *limiter) setUsed(key bucketKey, used int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bucketAt(key, now).used = used
}
