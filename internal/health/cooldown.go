// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"fmt"
	"sync"
	"time"
)

// CooldownSettings configure when a server counts as unhealthy, and as healthy again.
type CooldownSettings struct {
	// Failures is how many requests must fail in a row through one API. They must be about at least two and at least
	// half as many different repositories, or about an organization as a whole.
	Failures int
	// MinOrgs returns how many different organizations the failed requests must at least be about: where there are
	// several, the failures of one must not stop the others. It is called with each failed request, without a lock.
	// Without it, one is enough.
	MinOrgs func() int
	// Pause is the time for which no request is sent after that.
	Pause time.Duration
	// Probes is the number of good probes in a row that end the cooldown.
	Probes int
}

// Request identifies a request to a server. Its retries, and smaller requests in its place, are the same request.
type Request struct {
	// Org is the organization whose credential is used; API is graphql or rest.
	Org, API string
	// Repo is the repository that it is about; 0 for the organization as a whole.
	Repo int64
}

// Cooldown is a circuit breaker for requests to a server. Failed requests open it, and only probes close it: a probe
// that succeeds while requests fail proves nothing about requests. It is safe for concurrent use.
type Cooldown struct {
	settings CooldownSettings

	mu         sync.Mutex
	streaks    map[string]*failureStreak // by API
	startedAt  time.Time                 // zero while the server counts as healthy
	cause      CooldownError             // of the present cooldown
	goodProbes int                       // probes in a row
}

// failureStreak are the requests of one API that failed since the last success.
type failureStreak struct {
	failed int
	// orgWide are those about an organization as a whole, repos the repositories of the others.
	orgWide int
	repos   map[Request]bool
	// orgs are the organizations of all of them.
	orgs map[string]bool
}

// minRepositories is the number of repositories that failures must concern, whatever the threshold is: those of one
// repository are its own.
const minRepositories = 2

// NewCooldown returns the closed cooldown of a server that counts as healthy.
func NewCooldown(settings CooldownSettings) *Cooldown {
	if settings.MinOrgs == nil {
		settings.MinOrgs = func() int { return 1 }
	}
	return &Cooldown{settings: settings, streaks: make(map[string]*failureStreak)}
}

// RecordRequest records the result of a request: nil is success. It returns the reason when the cooldown starts with
// this request, otherwise nil.
func (c *Cooldown) RecordRequest(r Request, failure error, now time.Time) (started *CooldownError) {
	minOrgs := 1
	if failure != nil {
		minOrgs = c.settings.MinOrgs() // without the lock: it belongs to the caller
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if failure == nil {
		delete(c.streaks, r.API)
		return nil
	}
	streak := c.streaks[r.API]
	if streak == nil {
		streak = &failureStreak{repos: make(map[Request]bool), orgs: make(map[string]bool)}
		c.streaks[r.API] = streak
	}
	streak.record(r)
	if !c.startedAt.IsZero() || !c.isServerFailure(streak, minOrgs) {
		return nil
	}
	c.startedAt, c.goodProbes = now, 0
	c.cause = CooldownError{
		Until: now.Add(c.settings.Pause), API: r.API, Failures: streak.failed,
		Repositories: len(streak.repos), Cause: failure,
	}
	cause := c.cause
	return &cause
}

// record adds a failed request.
func (s *failureStreak) record(r Request) {
	s.failed++
	s.orgs[r.Org] = true
	if r.Repo == 0 {
		s.orgWide++
	} else {
		s.repos[r] = true
	}
}

// isServerFailure reports whether the failures are the server's, and not those of one repository, or of fewer than
// minOrgs organizations.
func (c *Cooldown) isServerFailure(streak *failureStreak, minOrgs int) bool {
	if streak.failed < c.settings.Failures || len(streak.orgs) < minOrgs {
		return false
	}
	return streak.orgWide >= c.settings.Failures || len(streak.repos) >= max(minRepositories, c.settings.Failures/2)
}

// IsProbeDue reports whether the pause of a cooldown is over, so that a probe may be sent.
func (c *Cooldown) IsProbeDue(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.startedAt.IsZero() && now.Sub(c.startedAt) >= c.settings.Pause
}

// RecordProbe records the result of a probe: nil is success, an error becomes the cause of the cooldown. It reports
// whether the cooldown ended with this probe.
func (c *Cooldown) RecordProbe(failure error) (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.startedAt.IsZero():
		return false
	case failure != nil:
		c.goodProbes, c.cause.Cause = 0, failure
		return false
	}
	c.goodProbes++
	if c.goodProbes < c.settings.Probes {
		return false
	}
	c.startedAt = time.Time{}
	clear(c.streaks)
	return true
}

// CooldownError is the error of requests that are not sent during a cooldown.
type CooldownError struct {
	// Until is the time at which the pause ends and probes start.
	Until time.Time
	// API is that of the failed requests, Failures their number, Repositories the number of their repositories: 0 when
	// they were about an organization as a whole.
	API                    string
	Failures, Repositories int
	// Cause is the last error, of a request or of a probe.
	Cause error
}

// Error implements error.
func (e *CooldownError) Error() string {
	return fmt.Sprintf(
		"requests pause until %s after %d requests in a row without a usable response (%s, %d repositories): %v",
		e.Until.UTC().Format(time.RFC3339), e.Failures, e.API, e.Repositories, e.Cause,
	)
}

// Unwrap returns the cause.
func (e *CooldownError) Unwrap() error { return e.Cause }

// Err returns a CooldownError during a cooldown, otherwise nil.
func (c *Cooldown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.startedAt.IsZero() {
		return nil
	}
	cause := c.cause
	return &cause
}
