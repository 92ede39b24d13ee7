// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Patience bounds what the failures of a reading of one repository cost. It is safe for concurrent use.
type Patience struct {
	mu sync.Mutex
	// remaining is how long failed requests may still last; it counts only when bounded is set.
	remaining time.Duration
	bounded   bool
	// brief says that each request has one attempt, because an earlier one has failed.
	brief bool
	// last is the error of the last failed request.
	last error
}

// NewPatience returns the patience of a reading: its failed requests may last as long as a number of time-outs, or half
// as many when brief says that each request has one attempt. Without Settings.Timeout there is no bound.
func (c *Client) NewPatience(timeouts int, brief bool) *Patience {
	if brief {
		timeouts = max(1, timeouts/2)
	}
	return &Patience{
		remaining: time.Duration(timeouts) * c.settings.Timeout, bounded: c.settings.Timeout > 0,
		brief: brief,
	}
}

// maxAttempts returns the number of attempts of the next request, most unless p is brief.
func (p *Patience) maxAttempts(most int) int {
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
func (p *Patience) check(endpoint string) error {
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

// recordFailure subtracts the time of a request that failed with an *UnavailableError. After one without a smaller or
// another request in its place, as isSmallest says, later ones have one attempt.
func (p *Patience) recordFailure(err error, took time.Duration, isSmallest bool) {
	if p == nil || !errors.As(err, new(*UnavailableError)) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remaining -= took
	p.brief = p.brief || isSmallest
	p.last = err
}
