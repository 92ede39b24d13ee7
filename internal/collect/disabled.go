package collect

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// planDisabled compares the streams that are switched off with those that were. It plans to record the ones that went off,
// and returns the coverage with what is missing of the ones that came on: everything since they were read last.
//
// The ledger has a stream as off until a reading, or the end of the pass, commits its window together with the new
// signals. So a pass that ends before that leaves all of it to the next one.
func (p *planner) planDisabled(r *activity.Repository, known *ledger.RepoCoverage) *ledger.RepoCoverage {
	was, now := known.Signals.Disabled, r.Signals.Disabled
	r.Signals.DisabledSince = disabledSince(now, &known.Signals, p.cov.PassEdge(known))
	if now&^was != 0 {
		p.plan.changes = append(p.plan.changes, p.disabledChange(known, was|now, r.Signals.DisabledSince))
	}
	on := was &^ now
	if on == 0 {
		return known
	}
	repo := *known
	repo.Signals.Disabled &^= on
	for _, missed := range missedWhileDisabled(on, known.Signals.DisabledSince, p.start) {
		repo.Missing[missed.Stream] = repo.Missing[missed.Stream].Add(missed.Window)
	}
	return &repo
}

// restoreDisabled adds to the change of a repository that is back what is missing of the streams that came on while it was
// away, and returns the streams that are off.
func (p *planner) restoreDisabled(
	r *activity.Repository, known *ledger.RepoCoverage, change *ledger.RepoProgress,
) activity.Streams {
	was, now := known.Signals.Disabled, r.Signals.Disabled
	r.Signals.DisabledSince = disabledSince(now, &known.Signals, known.GoneSince)
	if was != now {
		recorded := p.disabledChange(known, now, r.Signals.DisabledSince)
		change.Signals, change.Observed = recorded.Signals, recorded.Observed
	}
	change.Missed = append(change.Missed, missedWhileDisabled(was&^now, known.Signals.DisabledSince, p.start)...)
	return now
}

// disabledSince is the moment up to which the streams that are off were read: what was known of those that were off before,
// or else the moment up to which passes have looked at the repository. Zero when none is off.
func disabledSince(off activity.Streams, known *activity.Signals, reached time.Time) time.Time {
	switch {
	case off == 0:
		return time.Time{}
	case known.Disabled != 0:
		return known.DisabledSince
	default:
		return reached
	}
}

// disabledChange records which streams are off and changes nothing else of the signals: they are those of the moment at
// which they were observed.
func (p *planner) disabledChange(known *ledger.RepoCoverage, off activity.Streams, since time.Time) ledger.RepoProgress {
	signals, observed := known.Signals, known.Observed
	signals.Disabled, signals.DisabledSince = off, since
	if observed.IsZero() {
		observed = p.start // nothing was observed yet, so that nothing can seem to be older than it is
	}
	return ledger.RepoProgress{ID: known.ID, Signals: &signals, Observed: observed}
}

// missedWhileDisabled are the windows of streams that came on again.
func missedWhileDisabled(on activity.Streams, since, now time.Time) []ledger.StreamWindow {
	var list []ledger.StreamWindow
	for _, s := range activity.AllStreams() {
		if w := (activity.Window{Start: since, End: now}); on.Has(s) && !w.IsEmpty() {
			list = append(list, ledger.StreamWindow{Stream: s, Window: w})
		}
	}
	return list
}
