// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package wakeup has the two ways in which goroutines of this module wait: a sleep that a context ends, and a wake-up
// signal that coalesces.
package wakeup

import (
	"context"
	"time"
)

// Sleep waits for d, not at all when d is not positive. It returns the cause when ctx has ended before or meanwhile.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return context.Cause(ctx)
}

// SleepUntil waits until t, by the monotonic clock where t has one. It returns what Sleep returns.
func SleepUntil(ctx context.Context, t time.Time) error { return Sleep(ctx, time.Until(t)) }

// Signal wakes up one goroutine that receives from it. Notifications that come while one is pending are merged with it,
// so that Notify never blocks and none is lost. Make it with NewSignal: the zero value drops notifications and blocks
// receivers for good.
type Signal chan struct{}

// NewSignal returns a signal without a pending notification.
func NewSignal() Signal { return make(Signal, 1) }

// Notify makes the next receive succeed. It is safe for concurrent use.
func (s Signal) Notify() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Clear drops a pending notification.
func (s Signal) Clear() {
	select {
	case <-s:
	default:
	}
}
