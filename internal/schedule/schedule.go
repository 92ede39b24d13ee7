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

// Loop configures when Run calls a function. One call is a turn.
type Loop struct {
	// Interval is the time between the starts of two turns. A turn that takes longer is followed by the next one at
	// once; turns never overlap.
	Interval time.Duration
	// Jitter is the part of the interval, 0 to 1, by which the first turn is delayed at most and every other one
	// shifted, so that many loops do not run at once.
	Jitter float64
}

// maxFirstDelay bounds the delay of the first turn, so that a start is soon followed by data.
const maxFirstDelay = 2 * time.Second

// Run calls turn until ctx ends, waits for a turn that is running, and returns the cause. turn returns the earliest
// start of the next turn, zero for none.
func (l Loop) Run(ctx context.Context, turn func(ctx context.Context) (notBefore time.Time)) error {
	next := time.Now().Add(min(maxFirstDelay, l.randomJitter(1)))
	for {
		if err := wakeup.SleepUntil(ctx, next); err != nil {
			return err
		}
		began := time.Now()
		notBefore := turn(ctx)
		next = began.Add(l.Interval + l.randomJitter(0.5) - l.randomJitter(0.5))
		if notBefore.After(next) {
			next = notBefore.Add(l.randomJitter(0.5))
		}
	}
}

// randomJitter returns a random duration from 0 to share times the jitter.
func (l Loop) randomJitter(share float64) time.Duration {
	return time.Duration(rand.Float64() * share * l.Jitter * float64(l.Interval)) //nolint:gosec // no secret
}
