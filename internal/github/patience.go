// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

const (
	// questionPatience is how many time-outs the attempts of one request may last together.
	questionPatience = 2
	// partPatience and commentsPatience are how many time-outs the failed requests of one reading may last: those for
	// commits and pull requests, and those for comments. With the default settings both are less than a scrape
	// interval.
	partPatience     = 6
	commentsPatience = 2
)

// patience bounds what the failures of a reading of one repository cost. It is safe for concurrent use.
type patience struct {
	mu sync.Mutex
	// remaining is how long failed requests may still last; bounded says that there is a bound.
	remaining time.Duration
	bounded   bool
	// brief says that each request has one attempt, because an earlier one has failed.
	brief bool
	last  error
}

// newPatience returns a patience of a number of time-outs; without a time-out there is no bound.
func (c *Client) newPatience(timeouts int, brief bool) *patience {
	if brief {
		timeouts = max(1, timeouts/2)
	}
	return &patience{
		remaining: time.Duration(timeouts) * c.settings.Timeout, bounded: c.settings.Timeout > 0,
		brief: brief,
	}
}

// maxAttempts returns the number of attempts of the next request, most unless p is brief.
func (p *patience) maxAttempts(most int) int {
	if p == nil {
		return most
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.brief {
		return 1
	}
	return most
}

// check returns the error of a request for which no time remains, nil when some does.
func (p *patience) check(endpoint string) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.bounded || p.remaining > 0 {
		return nil
	}
	err := fmt.Errorf("not requested in this reading because earlier requests failed for too long: %w", p.last)
	return &UnavailableError{Response: Response{Endpoint: endpoint}, Err: err}
}

// recordFailure subtracts the time of a failed request. After one that had no smaller form, later ones have one
// attempt.
func (p *patience) recordFailure(err error, took time.Duration, smallest bool) {
	if p == nil || !errors.As(err, new(*UnavailableError)) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remaining -= took
	p.brief = p.brief || smallest
	p.last = err
}

// scope is what the requests of one reading have in common.
type scope struct {
	// repo is the repository's id; 0 for requests about the organization.
	repo int64
	// patience bounds the failures of the reading; nil for no bound.
	patience *patience
	priority budget.Priority
}

type scopeKey struct{}

// withScope returns a context whose requests have the scope.
func withScope(ctx context.Context, s scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, s)
}

// scopeOf returns the scope of a context's requests; zero where it has none.
func scopeOf(ctx context.Context) scope {
	s, _ := ctx.Value(scopeKey{}).(scope)
	return s
}
