// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"fmt"
	"slices"
	"time"
)

// Window is the half-open interval of time [Start, End).
type Window struct {
	Start, End time.Time
}

// IsEmpty reports whether the window contains no time, because Start is not before End.
func (w Window) IsEmpty() bool { return !w.Start.Before(w.End) }

// Contains reports whether t is in the window.
func (w Window) Contains(t time.Time) bool { return !t.Before(w.Start) && t.Before(w.End) }

// Overlaps reports whether the windows have a time in common.
func (w Window) Overlaps(o Window) bool {
	return !w.IsEmpty() && !o.IsEmpty() && w.Start.Before(o.End) && o.Start.Before(w.End)
}

// String returns the window in RFC 3339.
func (w Window) String() string {
	return fmt.Sprintf("[%s, %s)", w.Start.UTC().Format(time.RFC3339), w.End.UTC().Format(time.RFC3339))
}

// Windows is a set of times as windows in ascending order that neither overlap nor touch. The zero value is the empty
// set. Its methods return new sets and leave the receiver unchanged.
type Windows []Window

// Add returns the set with w added.
func (ws Windows) Add(w Window) Windows {
	if w.IsEmpty() {
		return ws
	}
	first, last := ws.touchingRange(w)
	if first < last {
		w.Start = earlier(w.Start, ws[first].Start)
		w.End = later(w.End, ws[last-1].End)
	}
	return slices.Concat(ws[:first], Windows{w}, ws[last:])
}

// Remove returns the set with w removed.
func (ws Windows) Remove(w Window) Windows {
	if w.IsEmpty() || !ws.Overlaps(w) {
		return ws
	}
	var remaining Windows
	for _, have := range ws {
		if !have.Overlaps(w) {
			remaining = append(remaining, have)
			continue
		}
		if before := (Window{have.Start, w.Start}); !before.IsEmpty() {
			remaining = append(remaining, before)
		}
		if after := (Window{w.End, have.End}); !after.IsEmpty() {
			remaining = append(remaining, after)
		}
	}
	return remaining
}

// Overlaps reports whether the set and w have a time in common.
func (ws Windows) Overlaps(w Window) bool {
	return slices.ContainsFunc(ws, w.Overlaps)
}

// Covers reports whether all of w is in the set.
func (ws Windows) Covers(w Window) bool {
	return w.IsEmpty() || slices.ContainsFunc(ws, func(have Window) bool {
		return !w.Start.Before(have.Start) && !w.End.After(have.End)
	})
}

// touchingRange returns the index range of the windows that overlap w or touch it.
func (ws Windows) touchingRange(w Window) (first, last int) {
	first, _ = slices.BinarySearchFunc(ws, w.Start, func(have Window, start time.Time) int {
		return have.End.Compare(start)
	})
	last = first
	for last < len(ws) && !ws[last].Start.After(w.End) {
		last++
	}
	return first, last
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
