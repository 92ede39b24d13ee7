package githubexporter

import (
	"fmt"
	"sync"
	"time"
)

// progress knows whether an organization's loop moves. A loop moves when a pass begins or ends, and during one whenever
// GitHub or the store answered, whatever the answer was.
type progress struct {
	mu      sync.Mutex
	running bool
	moved   time.Time
	due     time.Time // of the next pass; zero while this replica follows
}

// stuckAfter is how long a loop may not move before something is wrong with it: longer than a request may take.
func stuckAfter(interval time.Duration) time.Duration { return max(3*interval, 30*time.Second) }

func (p *progress) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.moved, p.due = true, now, now
}

func (p *progress) end(now time.Time, interval time.Duration, notBefore time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.moved, p.due = false, now, now.Add(interval)
	if notBefore.After(p.due) {
		p.due = notBefore.Add(interval)
	}
}

// move notes an answer.
func (p *progress) move(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved = now
}

func (p *progress) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.due = false, time.Time{}
}

// stuck says why the loop does not move, nil when it does.
func (p *progress) stuck(now time.Time, interval time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := stuckAfter(interval)
	switch {
	case p.due.IsZero():
		return nil
	case p.running && now.Sub(p.moved) > limit:
		return fmt.Errorf("a pass has not moved since %s", p.moved.UTC().Format(time.RFC3339))
	case !p.running && now.Sub(p.due) > limit:
		return fmt.Errorf("a pass is due since %s", p.due.UTC().Format(time.RFC3339))
	default:
		return nil
	}
}
