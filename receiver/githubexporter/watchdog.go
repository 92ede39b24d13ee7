// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"fmt"
	"sync"
	"time"
)

// watchdog finds out whether the pass loop of an organization is stuck. The loop moves when a pass begins or ends and,
// during a pass, with each attempt of a request that ended, with a response or without one. It is safe for concurrent
// use.
type watchdog struct {
	interval time.Duration // from the start of one pass to the next

	mu          sync.Mutex
	running     bool // whether a pass runs
	heartbeatAt time.Time
	nextDue     time.Time // of the next pass; zero while this replica follows
}

// stuckAfter returns for how long a loop may not move: longer than a request may take.
func stuckAfter(interval time.Duration) time.Duration { return max(3*interval, 30*time.Second) }

// startPass records the start of a pass.
func (p *watchdog) startPass(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.heartbeatAt, p.nextDue = true, now, now
}

// endPass records the end of a pass. notBefore is the earliest start of the next one; zero for any time.
func (p *watchdog) endPass(now, notBefore time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.heartbeatAt, p.nextDue = false, now, now.Add(p.interval)
	if notBefore.After(p.nextDue) {
		p.nextDue = notBefore.Add(p.interval)
	}
}

// heartbeat records that an attempt of a request ended, with a response or without one.
func (p *watchdog) heartbeat(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heartbeatAt = now
}

// stop records that the loop does not run: it is not stuck.
func (p *watchdog) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.nextDue = false, time.Time{}
}

// stuckError returns why the loop is stuck; nil when it moves, or does not run.
func (p *watchdog) stuckError(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := stuckAfter(p.interval)
	switch {
	case p.nextDue.IsZero():
		return nil
	case p.running && now.Sub(p.heartbeatAt) > limit:
		return fmt.Errorf("the pass has made no progress since %s", p.heartbeatAt.UTC().Format(time.RFC3339))
	case !p.running && now.Sub(p.nextDue) > limit:
		return fmt.Errorf("the next pass is overdue since %s", p.nextDue.UTC().Format(time.RFC3339))
	default:
		return nil
	}
}
