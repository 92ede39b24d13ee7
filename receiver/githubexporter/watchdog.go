// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"fmt"
	"sync"
	"time"
)

// watchdog knows whether an organization's loop moves. A loop moves when a pass begins or ends, and during one whenever
// GitHub or the store answered, whatever the answer was.
type watchdog struct {
	mu          sync.Mutex
	running     bool
	heartbeatAt time.Time
	nextDue     time.Time // of the next pass; zero while this replica follows
}

// stuckAfter is how long a loop may not move before something is wrong with it: longer than a request may take.
func stuckAfter(interval time.Duration) time.Duration { return max(3*interval, 30*time.Second) }

func (p *watchdog) startPass(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.heartbeatAt, p.nextDue = true, now, now
}

func (p *watchdog) endPass(now time.Time, interval time.Duration, notBefore time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.heartbeatAt, p.nextDue = false, now, now.Add(interval)
	if notBefore.After(p.nextDue) {
		p.nextDue = notBefore.Add(interval)
	}
}

// heartbeat notes an answer.
func (p *watchdog) heartbeat(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heartbeatAt = now
}

func (p *watchdog) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.nextDue = false, time.Time{}
}

// stuckError says why the loop does not move, nil when it does.
func (p *watchdog) stuckError(now time.Time, interval time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := stuckAfter(interval)
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
