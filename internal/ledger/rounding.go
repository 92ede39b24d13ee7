// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// roundToSeconds returns the progress in floor seconds, as GitHub has them. Times are rounded when a batch is taken in,
// to the side on which more is read again rather than less: rounding them when they are stored would change at a
// restart what is missing. The result shares no memory with p.
func (p *Progress) roundToSeconds() Progress {
	w := Progress{Edge: floorSecond(p.Edge), Repos: slices.Clone(p.Repos)}
	for i := range w.Repos {
		w.Repos[i].roundToSeconds()
	}
	return w
}

func (p *RepoProgress) roundToSeconds() {
	p.FirstSeen, p.Since, p.Observed, p.GoneSince = floorSecond(p.FirstSeen), floorSecond(p.Since),
		floorSecond(p.Observed), floorSecond(p.GoneSince)
	p.Missed, p.Read = slices.Clone(p.Missed), slices.Clone(p.Read)
	p.Tips, p.ResolvedTips = slices.Clone(p.Tips), slices.Clone(p.ResolvedTips)
	for i := range p.Missed {
		p.Missed[i].Window = activity.Window{
			Start: floorSecond(p.Missed[i].Window.Start),
			End:   ceilSecond(p.Missed[i].Window.End),
		}
	}
	for i := range p.Read {
		p.Read[i].Window = activity.Window{
			Start: ceilSecond(p.Read[i].Window.Start),
			End:   floorSecond(p.Read[i].Window.End),
		}
	}
	if p.Signals != nil {
		signals := *p.Signals
		signals.HeadReadAt, signals.PushedAt = floorSecond(signals.HeadReadAt), floorSecond(signals.PushedAt)
		signals.Pulls.UpdatedAt, signals.Issues.UpdatedAt = floorSecond(signals.Pulls.UpdatedAt),
			floorSecond(signals.Issues.UpdatedAt)
		signals.DisabledSince = floorSecond(signals.DisabledSince)
		p.Signals = &signals
	}
}

func roundEntries(list []Entry) []Entry {
	list = slices.Clone(list)
	for i := range list {
		list[i].Observed, list[i].Data = floorSecond(list[i].Observed), slices.Clone(list[i].Data)
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

func floorSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func ceilSecond(t time.Time) time.Time {
	if floor := floorSecond(t); floor.Before(t) {
		return floor.Add(time.Second)
	}
	return floorSecond(t)
}
