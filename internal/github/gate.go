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
	closed  map[Resource]*LimitError
	backoff time.Duration // of the next secondary limit that does not say how long it lasts
}

func newGate(settings RateLimitSettings) *gate {
	return &gate{settings: settings, closed: make(map[Resource]*LimitError), backoff: settings.SecondaryBackoff}
}

// pass refuses a request that would be in vain.
func (g *gate) pass(resource Resource, endpoint string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range []Resource{ResourceREST, ResourceGraphQL} {
		limit := g.closed[r]
		if limit == nil || (r != resource && !limit.Secondary) {
			continue
		}
		if !now.Before(limit.RetryAt) {
			delete(g.closed, r)
			continue
		}
		refused := *limit
		refused.Answer = Answer{Endpoint: endpoint}
		return &refused
	}
	return nil
}

// close notes a limit that was met.
func (g *gate) close(limit *LimitError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed[limit.Resource] = limit
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

// note takes what a good answer told: it closes the gate at the floor, and a good answer ends the growth of waits.
func (g *gate) note(resource Resource, q quota) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.backoff = g.settings.SecondaryBackoff
	if q.reset.IsZero() || q.remaining > g.floor(q) {
		return
	}
	g.closed[resource] = &LimitError{Resource: resource, RetryAt: q.reset.Add(g.settings.ResetBuffer)}
}

// floor is what is left untouched: never more than a fifth of a small limit.
func (g *gate) floor(q quota) int {
	if q.limit > 0 {
		return min(g.settings.MinRemaining, q.limit/5)
	}
	return g.settings.MinRemaining
}

// retryAt is when requests are allowed again after a limit was met: retry-after, else the reset when nothing remains,
// else a wait that doubles
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
	wait := max(time.Second, g.backoff)
	g.backoff = min(2*wait, time.Hour)
	return now.Add(wait)
}
