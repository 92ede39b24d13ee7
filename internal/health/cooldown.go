package health

import (
	"fmt"
	"sync"
	"time"
)

// CooldownSettings say when a server counts as unhealthy and when it does no more.
type CooldownSettings struct {
	// Failures in a row begin a cooldown, when they are of at least so many Askers: where there are several, the trouble of one
	// must not stop the others.
	Failures int
	Askers   func() int // nil is one
	// Pause is how long nobody asks anything then.
	Pause time.Duration
	// Probes in a row that are good end it.
	Probes int
}

// Cooldown keeps away from a server that answers nothing but errors. Readings begin it and only probes end it: a probe that is
// answered while readings fail says nothing about them. It is safe for concurrent use.
type Cooldown struct {
	settings CooldownSettings

	mu     sync.Mutex
	failed int             // readings in a row
	askers map[string]bool // whose readings those were
	began  time.Time       // zero while the server counts as healthy
	cause  error           // the last failure before it began
	good   int             // probes in a row
}

// NewCooldown makes a cooldown of a server that counts as healthy.
func NewCooldown(settings CooldownSettings) *Cooldown {
	if settings.Askers == nil {
		settings.Askers = func() int { return 1 }
	}
	return &Cooldown{settings: settings, askers: make(map[string]bool)}
}

// Read notes why an asker's reading was not answered, nil when it was. It reports whether a cooldown has begun with it.
func (c *Cooldown) Read(asker string, trouble error, now time.Time) (begun bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if trouble == nil {
		c.failed = 0
		clear(c.askers)
		return false
	}
	c.failed++
	c.askers[asker] = true
	if c.failed < c.settings.Failures || len(c.askers) < c.settings.Askers() || !c.began.IsZero() {
		return false
	}
	c.began, c.cause, c.good = now, trouble, 0
	return true
}

// Due reports whether it is time for a probe.
func (c *Cooldown) Due(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.began.IsZero() && now.Sub(c.began) >= c.settings.Pause
}

// Probe notes whether a probe was good. It reports whether the cooldown has ended with it.
func (c *Cooldown) Probe(good bool) (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.began.IsZero():
		return false
	case !good:
		c.good = 0
		return false
	}
	c.good++
	if c.good < c.settings.Probes {
		return false
	}
	c.began, c.failed = time.Time{}, 0
	clear(c.askers)
	return true
}

// CoolingError says that nobody asks a server now.
type CoolingError struct {
	// Until is when the pause ends and probes begin.
	Until time.Time
	// Cause is the last error before it began.
	Cause error
}

// Error implements error.
func (e *CoolingError) Error() string {
	return fmt.Sprintf("not asked before %s, for it answers nothing but errors: %v", e.Until.UTC().Format(time.RFC3339), e.Cause)
}

// Err is a CoolingError during a cooldown, otherwise nil.
func (c *Cooldown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() {
		return nil
	}
	return &CoolingError{Until: c.began.Add(c.settings.Pause), Cause: c.cause}
}
