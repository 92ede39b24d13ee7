package ledger

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// The ledger keeps whole seconds, as GitHub does. What a batch says in finer ones is rounded when it is taken, to the
// side on which more is read again rather than less: were it rounded when it is written down, a restart would change
// what is missing.

// whole is the progress in whole seconds. It shares nothing with p, which remains the caller's.
func (p *Progress) whole() Progress {
	w := Progress{Edge: floor(p.Edge), Repos: slices.Clone(p.Repos)}
	for i := range w.Repos {
		w.Repos[i].round()
	}
	return w
}

func (p *RepoProgress) round() {
	p.FirstSeen, p.Since, p.Observed, p.GoneSince = floor(p.FirstSeen), floor(p.Since), floor(p.Observed), floor(p.GoneSince)
	p.Missed, p.Read = slices.Clone(p.Missed), slices.Clone(p.Read)
	p.Tips, p.ResolvedTips = slices.Clone(p.Tips), slices.Clone(p.ResolvedTips)
	for i := range p.Missed {
		p.Missed[i].Window = activity.Window{Start: floor(p.Missed[i].Window.Start), End: ceil(p.Missed[i].Window.End)}
	}
	for i := range p.Read {
		p.Read[i].Window = activity.Window{Start: ceil(p.Read[i].Window.Start), End: floor(p.Read[i].Window.End)}
	}
	if p.Signals != nil {
		signals := *p.Signals
		signals.HeadReadAt, signals.PushedAt = floor(signals.HeadReadAt), floor(signals.PushedAt)
		signals.Pulls.UpdatedAt, signals.Issues.UpdatedAt = floor(signals.Pulls.UpdatedAt), floor(signals.Issues.UpdatedAt)
		signals.DisabledSince = floor(signals.DisabledSince)
		p.Signals = &signals
	}
}

func wholeSamples(list []Entry) []Entry {
	list = slices.Clone(list)
	for i := range list {
		list[i].Observed, list[i].Data = floor(list[i].Observed), slices.Clone(list[i].Data)
	}
	return list
}

// clip takes what is from before a time out of what is missing: nobody wants it any more.
func (p *Progress) clip(before time.Time) {
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

func floor(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func ceil(t time.Time) time.Time {
	if whole := floor(t); whole.Before(t) {
		return whole.Add(time.Second)
	}
	return floor(t)
}
