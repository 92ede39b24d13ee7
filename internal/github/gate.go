package github

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// gate knows until when limits forbid requests. It never sleeps.
type gate struct {
	settings RateLimitSettings

	mu      sync.Mutex
	closed  map[barrier]*LimitError
	told    map[Resource]quota // what answers told last
	backoff time.Duration      // of the next limit that does not say how long it lasts
	waiting time.Time          // the end of the last such wait
}

// barrier is a limit that may be closed beside others.
type barrier struct {
	resource  Resource
	secondary bool
}

func newGate(settings RateLimitSettings) *gate {
	return &gate{settings: settings, closed: make(map[barrier]*LimitError), told: make(map[Resource]quota), backoff: settings.SecondaryBackoff}
}

// pass refuses a request that would be in vain, until the last of the limits that forbid it ends, and one in the background
// that would take what the foreground may need.
func (g *gate) pass(resource Resource, endpoint string, background bool, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var last *LimitError
	if q := g.told[resource]; background && now.Before(q.reset) && q.remaining <= reserve(q) {
		last = &LimitError{Resource: resource, RetryAt: q.reset.Add(g.settings.ResetBuffer)}
	}
	for b, limit := range g.closed {
		switch {
		case !now.Before(limit.RetryAt):
			delete(g.closed, b)
		case b.resource != resource && !b.secondary:
		case last == nil || limit.RetryAt.After(last.RetryAt):
			last = limit
		}
	}
	if last == nil {
		return nil
	}
	refused := *last
	refused.Answer = Answer{Endpoint: endpoint}
	return &refused
}

// reserve is what the background leaves to the foreground: a quarter of the limit.
func reserve(q quota) int { return q.limit / 4 }

// close notes a limit that was met.
func (g *gate) close(limit *LimitError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bar(limit)
}

// bar keeps the later end: answers to requests that were on their way together come in any order.
func (g *gate) bar(limit *LimitError) {
	b := barrier{limit.Resource, limit.Secondary}
	if before := g.closed[b]; before == nil || limit.RetryAt.After(before.RetryAt) {
		g.closed[b] = limit
	}
}

// quota is what an answer tells of a primary limit; without a reset it tells nothing, as Enterprise Server by default.
type quota struct {
	remaining, limit int
	reset            time.Time
}

func quotaOf(header http.Header) quota {
	reset, err := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64)
	remaining, err2 := strconv.Atoi(header.Get("X-Ratelimit-Remaining"))
	if err != nil || err2 != nil {
		return quota{}
	}
	limit, _ := strconv.Atoi(header.Get("X-Ratelimit-Limit")) // 0 when it is missing
	return quota{remaining: remaining, limit: limit, reset: time.Unix(reset, 0).UTC()}
}

// note takes what a good answer told: it closes the gate at the floor, and a good answer ends the growth of waits,
// unless it was on its way before the last one.
func (g *gate) note(resource Resource, q quota, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !now.Before(g.waiting) {
		g.backoff = g.settings.SecondaryBackoff
	}
	if q.reset.IsZero() {
		return
	}
	if before := g.told[resource]; q.reset.After(before.reset) || (q.reset.Equal(before.reset) && q.remaining < before.remaining) {
		g.told[resource] = q
	}
	if q.remaining > g.floor(q) {
		return
	}
	g.bar(&LimitError{Resource: resource, RetryAt: q.reset.Add(g.settings.ResetBuffer)})
}

// floor is what is left untouched: never more than a fifth of a small limit.
func (g *gate) floor(q quota) int {
	if q.limit > 0 {
		return min(g.settings.MinRemaining, q.limit/5)
	}
	return g.settings.MinRemaining
}

// retryAt is when requests are allowed again after a limit was met: retry-after, else the reset when nothing remains,
// else a wait that doubles, once for all requests that were on their way together
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit).
func (g *gate) retryAt(header http.Header, q quota, primary bool, now time.Time) time.Time {
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds >= 0 {
		return now.Add(time.Duration(min(seconds, 86400)) * time.Second)
	}
	if primary && q.reset.After(now) {
		return q.reset.Add(g.settings.ResetBuffer)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.waiting) {
		return g.waiting
	}
	wait := max(time.Second, g.backoff)
	g.backoff, g.waiting = min(2*wait, time.Hour), now.Add(wait)
	return g.waiting
}
