// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The resources: GitHub's names of the primary rate limits.
const (
	ResourceCore    = "core"
	ResourceGraphQL = "graphql"
)

// limiter counts points of each bucket and resource, and requests in flight of each bucket. It is safe for concurrent
// use.
type limiter struct {
	limits   Limits
	mu       sync.Mutex
	buckets  map[bucketKey]*bucket
	inFlight map[string]int
}

// bucketKey is a rate limit: a bucket of credentials and a resource.
type bucketKey struct{ bucket, resource string }

// bucket has the points of a primary limit, and those of the present minute for the secondary limit.
type bucket struct {
	limit, used  int
	reset        time.Time
	minute       time.Time
	minutePoints int
}

// quota is the state of a primary limit, as the x-ratelimit headers have it.
type quota struct {
	resource               string
	limit, used, remaining int
	reset                  time.Time
}

func (l *limiter) init(limits Limits) {
	l.limits, l.buckets, l.inFlight = limits, map[bucketKey]*bucket{}, map[string]int{}
}

// bucketAt returns a bucket with its windows at a time. The caller holds the lock.
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

// quota returns the state of a primary limit.
func (l *limiter) quota(key bucketKey, now time.Time) quota {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucketAt(key, now)
	return quota{
		resource: key.resource, limit: b.limit, used: min(b.used, b.limit), remaining: max(0, b.limit-b.used),
		reset: b.reset,
	}
}

// limitResult says which limit refuses a request.
type limitResult int

const (
	limitOK limitResult = iota
	limitPrimary
	limitSecondary
)

// charge charges points. With enforce, points over a limit are refused and not charged; a secondary limit has a time to
// wait.
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

// refund undoes a charge on the primary limit: a 304 costs nothing.
func (l *limiter) refund(key bucketKey, cost int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucketAt(key, now)
	b.used = max(0, b.used-cost)
}

// acquireSlot counts a request in flight. With enforce, it reports false when there are too many.
func (l *limiter) acquireSlot(bucket string, enforce bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if enforce && l.inFlight[bucket] >= l.limits.Concurrent {
		return false
	}
	l.inFlight[bucket]++
	return true
}

// releaseSlot ends a request of acquireSlot.
func (l *limiter) releaseSlot(bucket string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight[bucket]--
}

// header sets the x-ratelimit headers.
func (q quota) header(h http.Header) {
	h.Set("X-Ratelimit-Limit", strconv.Itoa(q.limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(q.remaining))
	h.Set("X-Ratelimit-Used", strconv.Itoa(q.used))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(q.reset.Unix(), 10))
	h.Set("X-Ratelimit-Resource", q.resource)
}

// json returns the quota as /rate_limit has it.
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
