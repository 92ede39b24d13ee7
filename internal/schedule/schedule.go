// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package schedule runs a function at intervals.
package schedule

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// Loop configures the intervals.
type Loop struct {
	// Interval is the time between the starts of two turns. A turn that takes longer is followed by the next one at
	// once; turns never overlap.
	Interval time.Duration
	// Jitter is the part of the interval, 0 to 1, by which the first turn is delayed at most and every other one
	// shifted, so that many loops do not run at once.
	Jitter float64
}

// firstJitter bounds the delay of the first turn, which a start may depend on.
const firstJitter = 2 * time.Second

// Run calls turn until ctx ends, waits for a turn that is running, and returns the cause. turn returns the earliest
// start of the next turn, zero for none.
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

// random returns a random part of the jitter times share.
func (l Loop) random(share float64) time.Duration {
	return time.Duration(rand.Float64() * share * l.Jitter * float64(l.Interval)) //nolint:gosec // no secret
}
