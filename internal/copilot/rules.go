// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilot

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// Target is what is read: the newest report of 28 days, that of a day, or the seats.
type Target struct {
	Type report.Type
	// Day is that of a report of a day, and no day otherwise.
	Day report.Day
	// Seats stands for the seats; of Type only the scope counts.
	Seats bool
}

// String returns the target's name in documents and logs, such as org_users_28d, org_1d_2026-11-26 or
// org_seats.
func (t Target) String() string {
	switch {
	case t.Seats:
		return t.Type.Label() + "_seats"
	case t.Day == 0:
		return t.Type.String()
	}
	return t.Type.String() + "_" + t.Day.String()
}

const (
	day = 24 * time.Hour
	// finalAfter is how many full days after its end a day no longer changes: GitHub documents three.
	finalAfter = 3
	// giveUpAfter is how many full days after its end a day without a report is no longer requested.
	giveUpAfter = 7
	// historyDays is how far back GitHub has reports, in days.
	historyDays = 365
	// rereadAfter is the age at which a report is read again although its window is the same: its last days may have
	// changed.
	rereadAfter = day
	// firstAfter is the time after its end at which a day is requested first: GitHub makes reports at about four in
	// the morning.
	firstAfter = 4 * time.Hour
	// expectedAfter is the time after its end at which a day should be in the reports of 28 days.
	expectedAfter = firstAfter + day
	// maxMissedDays is how many days back a missed day may be: a report of 28 days could have no older one.
	maxMissedDays = 30
	// maxBackfill bounds the days that are read one by one after a report of 28 days failed.
	maxBackfill = 3
)

// Rules are the configuration of when reports are read. They have no clock.
type Rules struct {
	// Interval is the time between two requests of a report of 28 days. A day is requested again once a day, until it
	// is final.
	Interval time.Duration
	// Reports are the reports that are read.
	Reports []report.Type
	// Seats reads the seats of an owner of this scope, nil of none.
	Seats *report.Scope
	// RefreshUnchanged reads a report at each interval, although it is the one that was read before.
	RefreshUnchanged bool
}

// Progress is what is known of a target. Its zero value was never requested.
type Progress struct {
	// CheckedAt is the last response that said which report there is; ReadAt is when the rows were read.
	CheckedAt time.Time `json:"checked_at,omitzero"`
	ReadAt    time.Time `json:"read_at,omitzero"`
	// Span and CreatedAt identify the report that was read; CreatedAt is zero for others than aggregates.
	Span      report.Span `json:"span,omitzero"`
	CreatedAt time.Time   `json:"created_at,omitzero"`
	// Layout identifies the settings that decide which samples are stored.
	Layout string `json:"layout,omitempty"`
	// State is that of the last response, Failure the last error that was no state, "" for none.
	State   report.State `json:"state,omitempty"`
	Failure string       `json:"failure,omitempty"`
	// RetryAt is the time of the next request after something else than a report, and Wait the delay that led to it.
	RetryAt time.Time     `json:"retry_at,omitzero"`
	Wait    time.Duration `json:"wait,omitempty"`
	// Backfill says that the day is read because a report of 28 days failed, and Missed is the failure.
	Backfill bool   `json:"backfill,omitempty"`
	Missed   string `json:"missed,omitempty"`
	// Abandoned says that there is no report of the day, and that it is no longer requested.
	Abandoned bool `json:"abandoned,omitempty"`
}

// The delays before a target is requested again double from the first to the last.
var (
	pendingDelays = delays{15 * time.Minute, 4 * time.Hour}
	refusedDelays = delays{15 * time.Minute, 6 * time.Hour}
	failureDelays = delays{time.Minute, time.Hour}
)

type delays struct{ first, last time.Duration }

// after returns the delay that follows another one, at most the interval.
func (d delays) after(wait, interval time.Duration) time.Duration {
	return min(max(d.first, 2*wait), d.last, max(d.first, interval))
}

// Targets returns the targets at a time, each once: the configured reports, and the days that are backfilled. The
// present day is never among them, nor a day before GitHub's history.
func (r *Rules) Targets(now time.Time, known map[Target]Progress) []Target {
	var targets []Target
	added := make(map[Target]bool)
	add := func(t Target) {
		if !added[t] {
			added[t] = true
			targets = append(targets, t)
		}
	}
	for _, of := range r.Reports {
		if of.Window == report.Window28Days {
			add(Target{Type: of})
			continue
		}
		for back := report.Day(1); back <= finalAfter+1; back++ {
			if d := report.DayOf(now) - back; isInHistory(d, now) && now.Sub(closedAt(d)) >= firstAfter {
				add(Target{Type: of, Day: d})
			}
		}
	}
	if r.Seats != nil {
		add(Target{Type: report.Type{Scope: *r.Seats}, Seats: true})
	}
	for _, t := range sortedTargets(known) {
		if known[t].Backfill && !known[t].Abandoned && r.wantsMissed(t, now) {
			add(t)
		}
	}
	return targets
}

// wantsMissed reports whether a day that was missed is still wanted: by a report of 28 days that is configured, and
// that could have it.
func (r *Rules) wantsMissed(t Target, now time.Time) bool {
	of := t.Type
	of.Window = report.Window28Days
	return slices.Contains(r.Reports, of) && isInHistory(t.Day, now) && t.Day >= report.DayOf(now)-maxMissedDays
}

// isInHistory reports whether GitHub may have a report of a day.
func isInHistory(d report.Day, now time.Time) bool {
	today := report.DayOf(now)
	return d >= report.FirstDay && d < today && d >= today-historyDays
}

// NextAt returns when a target is requested next; ok is false for never.
func (r *Rules) NextAt(t Target, p *Progress) (at time.Time, ok bool) {
	switch {
	case p.Abandoned:
		return time.Time{}, false
	case !p.RetryAt.IsZero():
		return p.RetryAt, true
	case p.CheckedAt.IsZero():
		return time.Time{}, true
	case t.Day == 0:
		return p.CheckedAt.Add(r.Interval), true
	case !p.ReadAt.Before(closedAt(t.Day).Add(finalAfter * day)):
		return time.Time{}, false // final
	default:
		return p.ReadAt.Add(max(r.Interval, day)), true
	}
}

// closedAt returns the end of a day.
func closedAt(d report.Day) time.Time { return (d + 1).Time() }

// needsFiles reports whether the rows of a report have to be read. An aggregate is small, and says in its file whether
// it was made again.
func (r *Rules) needsFiles(t Target, p *Progress, span report.Span, now time.Time) bool {
	return t.Day != 0 || p.ReadAt.IsZero() || p.Span != span || r.RefreshUnchanged ||
		t.Type.Content == report.ContentAggregate || now.Sub(p.ReadAt) >= rereadAfter
}

// isUnchanged reports whether an aggregate that was read has the numbers of the one before.
func (r *Rules) isUnchanged(p *Progress, span report.Span, createdAt time.Time) bool {
	return !r.RefreshUnchanged && !p.ReadAt.IsZero() && p.Span == span && !createdAt.IsZero() &&
		p.CreatedAt.Equal(createdAt)
}

// withReport returns the progress after rows were read.
func (p Progress) withReport(now time.Time, span report.Span, createdAt time.Time) Progress {
	return Progress{
		CheckedAt: now, ReadAt: now, Span: span, CreatedAt: createdAt, Backfill: p.Backfill, Missed: p.Missed,
	}
}

// withUnchanged returns the progress after a response with the report that was read before.
func (p Progress) withUnchanged(now time.Time) Progress {
	p.CheckedAt, p.State, p.Failure, p.RetryAt, p.Wait = now, report.StateReady, "", time.Time{}, 0
	return p
}

// withState returns the progress after a response without a report.
func (p Progress) withState(now time.Time, t Target, state report.State, interval time.Duration) Progress {
	d := failureDelays
	switch {
	case state.IsPending():
		d = pendingDelays
	case state.IsRefused():
		d = refusedDelays
	}
	p.State, p.Failure = state, ""
	p.Wait = d.after(p.Wait, interval)
	p.RetryAt = now.Add(p.Wait)
	p.Abandoned = isGivenUp(t, now)
	return p
}

// isGivenUp reports whether a day without a report is no longer requested.
func isGivenUp(t Target, now time.Time) bool {
	return t.Day != 0 && !now.Before(closedAt(t.Day).Add(giveUpAfter*day))
}

// withFailure returns the progress after an error.
func (p Progress) withFailure(now time.Time, t Target, failure string, interval time.Duration) Progress {
	p = p.withState(now, t, report.StateFailed, interval)
	p.Failure = failure
	return p
}

// withoutFuture returns the progress without times that only a clock that was ahead can have given.
func (p Progress) withoutFuture(now time.Time) Progress {
	if p.CheckedAt.After(now) {
		p.CheckedAt = now
	}
	if p.ReadAt.After(now) {
		p.ReadAt = now
	}
	if latest := now.Add(refusedDelays.last); p.RetryAt.After(latest) {
		p.RetryAt = latest
	}
	return p
}

// withWait returns the progress while requests are not allowed.
func (p Progress) withWait(until time.Time) Progress {
	p.RetryAt = until
	return p
}

// missedDays returns the days that a failed report of 28 days would have added.
func missedDays(p *Progress, now time.Time) []report.Day {
	newest := report.DayOf(now.Add(-expectedAfter)) - 1
	var days []report.Day
	for d := max(p.Span.Last+1, newest-maxBackfill+1); d <= newest; d++ {
		if isInHistory(d, now) {
			days = append(days, d)
		}
	}
	return days
}
