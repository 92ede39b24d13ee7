// Package schedule runs something again and again. It knows nothing of what it runs.
package schedule

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// Loop says how often.
type Loop struct {
	// Interval is from one beginning to the next. A turn that takes longer is followed by the next one at once, never
	// overlapped by it.
	Interval time.Duration
	// Jitter is how much of the interval the first turn is delayed at most and every other one moved, 0 to 1, so that
	// many loops do not act at once.
	Jitter float64
}

// firstJitter bounds what the first turn waits: an operator may be waiting for it.
const firstJitter = 2 * time.Second

// Run calls turn until ctx ends, and returns why it ended. turn says when the next turn may begin at the earliest,
// zero for no wish. A turn that is running when ctx ends is waited for.
func (l Loop) Run(ctx context.Context, turn func(ctx context.Context) (notBefore time.Time)) error {
	next := time.Now().Add(min(firstJitter, l.random(1)))
	for {
		if err := wakeup.SleepUntil(ctx, next); err != nil {
			return err
		}
		began := time.Now()
		notBefore := turn(ctx)
		next = began.Add(l.Interval + l.random(0.5) - l.random(0.5))
		if notBefore.After(next) {
			next = notBefore.Add(l.random(0.5))
		}
	}
}

// random is a random part of the jitter times share.
func (l Loop) random(share float64) time.Duration {
	return time.Duration(rand.Float64() * share * l.Jitter * float64(l.Interval)) //nolint:gosec // no secret
}
