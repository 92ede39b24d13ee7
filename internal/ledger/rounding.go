// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"math"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// roundToSeconds returns the progress in floor seconds, as GitHub has them. Times are rounded when a batch is taken in,
// to the side on which more is read again rather than less: rounding them when they are stored would change at a
// restart what is missing. The result shares no memory with p.
func (p *Progress) roundToSeconds() Progress {
	w := Progress{Edge: FloorSecond(p.Edge), Repos: slices.Clone(p.Repos)}
	for i := range w.Repos {
		w.Repos[i].roundToSeconds()
	}
	return w
}

// roundToSeconds rounds all times: missed windows to larger ones, read windows to smaller ones.
func (p *RepoProgress) roundToSeconds() {
	p.FirstSeen, p.Since, p.Observed, p.GoneSince = FloorSecond(p.FirstSeen), FloorSecond(p.Since),
		FloorSecond(p.Observed), FloorSecond(p.GoneSince)
	p.Missed, p.Read = slices.Clone(p.Missed), slices.Clone(p.Read)
	p.Contacts = slices.Clone(p.Contacts)
	for i := range p.Contacts {
		p.Contacts[i].At = FloorSecond(p.Contacts[i].At)
	}
	p.Tips, p.ResolvedTips = slices.Clone(p.Tips), slices.Clone(p.ResolvedTips)
	for i := range p.Missed {
		p.Missed[i].Window = activity.Window{
			Start: FloorSecond(p.Missed[i].Window.Start),
			End:   ceilSecond(p.Missed[i].Window.End),
		}
	}
	for i := range p.Read {
		p.Read[i].Window = activity.Window{
			Start: ceilSecond(p.Read[i].Window.Start),
			End:   FloorSecond(p.Read[i].Window.End),
		}
	}
	if p.Signals != nil {
		signals := *p.Signals
		signals.HeadReadAt, signals.PushedAt = FloorSecond(signals.HeadReadAt), FloorSecond(signals.PushedAt)
		signals.Pulls.UpdatedAt, signals.Issues.UpdatedAt = FloorSecond(signals.Pulls.UpdatedAt),
			FloorSecond(signals.Issues.UpdatedAt)
		signals.DisabledSince = FloorSecond(signals.DisabledSince)
		p.Signals = &signals
	}
}

// roundEntries returns a copy of entries with their times rounded down.
func roundEntries(list []Entry) []Entry {
	list = slices.Clone(list)
	for i := range list {
		list[i].Observed, list[i].Data = FloorSecond(list[i].Observed), slices.Clone(list[i].Data)
	}
	return list
}

// clipMissed removes the time before a pruning from the missed windows: it is not wanted any more.
func (p *Progress) clipMissed(before time.Time) {
	for i := range p.Repos {
		missed := p.Repos[i].Missed
		for j := range missed {
			if missed[j].Window.Start.Before(before) {
				missed[j].Window.Start = before
			}
		}
		p.Repos[i].Missed = slices.DeleteFunc(missed, func(m StreamWindow) bool { return m.Window.IsEmpty() })
	}
}

// FloorSecond returns a time in UTC, rounded down to a whole second.
func FloorSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// ceilSecond returns a time in UTC, rounded up to a whole second.
func ceilSecond(t time.Time) time.Time {
	if floor := FloorSecond(t); floor.Before(t) {
		return floor.Add(time.Second)
	}
	return FloorSecond(t)
}

// Unix32 returns a time in Unix seconds, limited to the range of 32 bits.
func Unix32(t time.Time) uint32 {
	return uint32(min(math.MaxUint32, max(0, t.Unix())))
}
