// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import "time"

// Timeline maps data times to served times. Up to the pivot times are shifted so that the pivot becomes the start;
// after it they are also compressed by the speed:
//
//	data    ────────────────pivot────────────────────────▶
//	served  ────────────────start──────────▶   (pivot + d becomes start + d/speed)
//
// The zero value serves times as they are.
type Timeline struct {
	// Pivot is the data time that becomes Start.
	Pivot time.Time
	// Start is the served time of the pivot. A restarted server with the same start serves the same times.
	Start time.Time
	// Speed is how much faster than real the data goes on after the pivot; 0 means 1.
	Speed float64
}

// EndingAt returns the timeline that serves the moment `before` before the data's end as start.
func EndingAt(d *Dataset, before time.Duration, start time.Time, speed float64) Timeline {
	return Timeline{Pivot: d.LastEventTime().Add(-before), Start: start, Speed: speed}
}

// ToServed returns the served time of a data time, in whole seconds as GitHub's times are.
func (t Timeline) ToServed(data time.Time) time.Time {
	if t.Pivot.IsZero() {
		return data.UTC().Truncate(time.Second)
	}
	d := data.Sub(t.Pivot)
	if d > 0 && t.Speed > 0 {
		d = time.Duration(float64(d) / t.Speed)
	}
	return t.Start.Add(d).UTC().Truncate(time.Second)
}

// ToData returns a data time that is served as the given time.
func (t Timeline) ToData(served time.Time) time.Time {
	if t.Pivot.IsZero() {
		return served
	}
	d := served.Sub(t.Start)
	if d > 0 && t.Speed > 0 {
		d = time.Duration(float64(d) * t.Speed)
	}
	return t.Pivot.Add(d).UTC()
}
