package health

import (
	"fmt"
	"sync"
	"time"
)

// CooldownSettings say when a server counts as unhealthy and when it does no more.
type CooldownSettings struct {
	// Failures is how many questions must fail in a row through one API, where they are about different repositories,
	// at least half as many and two, or all of them about an organization as a whole. Askers is of how many
	// organizations they must be: where there are several, the trouble of one must not stop the others.
	Failures int
	NumOrgs  func() int // nil is one
	// Pause is how long nobody asks anything then.
	Pause time.Duration
	// Probes in a row that are good end it.
	Probes int
}

// Request says what a server was asked for, by one request or several: its repeats and the smaller questions in place
// of it are the same question.
type Request struct {
	// Org is the organization whose credential asked; API is the way.
	Org, API string
	// Repo is the repository that it is about; 0 for the organization as a whole.
	Repo int64
}

// Cooldown pauses requests to a server that leaves questions of several repositories unanswered. Questions begin it
// and only probes end it: a probe that is answered while questions fail says nothing about them. It is safe for
// concurrent use.
type Cooldown struct {
	settings CooldownSettings

	mu         sync.Mutex
	streaks    map[string]*failureStreak // by API
	startedAt  time.Time                 // zero while the server counts as healthy
	cause      CooldownError             // why it began
	goodProbes int                       // probes in a row
}

// failureStreak are the questions of one API that failed since the last good answer.
type failureStreak struct {
	failed int
	// orgWide are those about an organization as a whole, repos the repositories of the others.
	orgWide int
	repos   map[Request]bool
	// orgs are whose questions those were.
	orgs map[string]bool
}

// minRepositories is of how many repositories failures must be, whatever the threshold is: one is its own trouble.
const minRepositories = 2

// NewCooldown makes a cooldown of a server that counts as healthy.
func NewCooldown(settings CooldownSettings) *Cooldown {
	if settings.NumOrgs == nil {
		settings.NumOrgs = func() int { return 1 }
	}
	return &Cooldown{settings: settings, streaks: make(map[string]*failureStreak)}
}

// RecordRequest notes why a question was not answered, nil when it was. It returns the reason of a cooldown that begins
// with it, otherwise nil.
func (c *Cooldown) RecordRequest(q Request, trouble error, now time.Time) (begun *CooldownError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if trouble == nil {
		delete(c.streaks, q.API)
		return nil
	}
	row := c.streaks[q.API]
	if row == nil {
		row = &failureStreak{repos: make(map[Request]bool), orgs: make(map[string]bool)}
		c.streaks[q.API] = row
	}
	row.record(q)
	if !c.startedAt.IsZero() || !c.isServerFailure(row) {
		return nil
	}
	c.startedAt, c.goodProbes = now, 0
	c.cause = CooldownError{
		Until: now.Add(c.settings.Pause), API: q.API, Failures: row.failed, Repositories: len(row.repos), Cause: trouble,
	}
	cause := c.cause
	return &cause
}

func (r *failureStreak) record(q Request) {
	r.failed++
	r.orgs[q.Org] = true
	if q.Repo == 0 {
		r.orgWide++
	} else {
		r.repos[q] = true
	}
}

// isServerFailure reports whether the failures are the server's, and not those of one repository or one organization.
func (c *Cooldown) isServerFailure(row *failureStreak) bool {
	if row.failed < c.settings.Failures || len(row.orgs) < c.settings.NumOrgs() {
		return false
	}
	return row.orgWide >= c.settings.Failures || len(row.repos) >= max(minRepositories, c.settings.Failures/2)
}

// IsProbeDue reports whether it is time for a probe.
func (c *Cooldown) IsProbeDue(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.startedAt.IsZero() && now.Sub(c.startedAt) >= c.settings.Pause
}

// RecordProbe notes why a probe had no good answer, nil when it had one. The trouble is the cooldown's cause from then
// on. It reports whether the cooldown has ended with it.
func (c *Cooldown) RecordProbe(trouble error) (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.startedAt.IsZero():
		return false
	case trouble != nil:
		c.goodProbes, c.cause.Cause = 0, trouble
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

// CooldownError says that requests to a server pause.
type CooldownError struct {
	// Until is when the pause ends and probes begin.
	Until time.Time
	// API is the one whose questions failed, Failures how many in a row, Repositories of how many repositories: 0 when
	// they were about an organization as a whole.
	API                    string
	Failures, Repositories int
	// Cause is the last error: of a question before it began, or of a probe.
	Cause error
}

// Error implements error.
func (e *CooldownError) Error() string {
	return fmt.Sprintf(
		"requests pause until %s after %d questions in a row without a usable answer (%s, %d repositories): %v",
		e.Until.UTC().Format(time.RFC3339), e.Failures, e.API, e.Repositories, e.Cause)
}

// Unwrap gives the last error before the cooldown began.
func (e *CooldownError) Unwrap() error { return e.Cause }

// Err is a CoolingError during a cooldown, otherwise nil.
func (c *Cooldown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.startedAt.IsZero() {
		return nil
	}
	cause := c.cause
	return &cause
}
