// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// planner makes a plan from the coverage and from what is discovered, page by page. It does no I/O. Of the discovered
// repositories it keeps the ids and the readings.
type planner struct {
	passWindows
	// disabled are the streams that the settings disable.
	disabled activity.Streams
	lookback time.Duration
	filter   *Filter
	// deferralOf returns why a stream backs off at present, nil when it may be read.
	deferralOf func(repo int64, s activity.Stream) error
	presence   presence
	// onSelected is called for each discovered repository that the filter selects; nil for no call.
	onSelected func(r *activity.Repository)
	// matched has the patterns of the filter that match a discovered repository.
	matched patternMatches
	plan    plan
	facts   factsPlan
}

// addPage plans the repositories of a page of the listing. One that moved between two pages is planned once.
func (p *planner) addPage(page []activity.Repository) {
	for i := range page {
		r := &page[i]
		if _, found := p.presence.discovered[r.ID]; found {
			continue
		}
		p.matched.record(p.filter, r.Name)
		p.presence.discovered[r.ID] = p.planRepository(r)
		p.facts.add(r, p.presence.discovered[r.ID])
	}
}

// setPresenceUnknown records that it is unknown whether a repository is readable: it is neither gone nor covered.
func (p *planner) setPresenceUnknown(repoCov *ledger.RepoCoverage, err error) {
	p.presence.unknown[repoCov.ID] = true
	p.markUnread(repoCov)
	for _, s := range activity.AllStreams() {
		if !repoCov.Signals.Disabled.Has(s) {
			p.plan.deferred = append(p.plan.deferred, Failure{
				RepoID: repoCov.ID, Repo: repoCov.Name, Stream: s, Err: err, AllFailed: true, PresenceUnknown: true,
			})
		}
	}
}

// markUnread makes the pass cover nothing of a repository.
func (p *planner) markUnread(repoCov *ledger.RepoCoverage) {
	from, _ := p.streamEdges(repoCov)
	for _, s := range activity.AllStreams() {
		if repoCov.Signals.Disabled.Has(s) {
			from[s] = time.Time{}
		}
	}
	p.plan.ifUnread[repoCov.ID] = &ifUnread{coveredUntil: from}
}

// finish plans the repositories that were not discovered and returns the plan.
func (p *planner) finish() plan {
	p.plan.passWindows = p.passWindows
	gone, unseen := p.presence.splitLeaving(p.cov)
	for _, repoCov := range gone {
		p.plan.changes = append(p.plan.changes, ledger.RepoProgress{
			ID: repoCov.ID, Presence: ledger.PresenceGone, GoneSince: p.cov.PassEdge(repoCov),
		})
	}
	for _, repoCov := range unseen {
		p.markUnread(repoCov)
	}
	return p.plan
}

// planRepository plans one repository and reports whether the filter selects it.
func (p *planner) planRepository(r *activity.Repository) bool {
	repoCov := p.cov.Repos[r.ID]
	if r.FlagsUnknown {
		if repoCov == nil || repoCov.IsGone() {
			return false // neither the filter nor the disabled streams can be applied
		}
		r.Fork, r.Archived = false, false
		r.Signals.Archived, r.Signals.Disabled = repoCov.Signals.Archived, knownDisabled(&repoCov.Signals)
	}
	r.Signals.Disabled |= p.disabled
	if repoCov == nil {
		r.Signals.KeepReleaseList(&activity.Signals{})
	} else {
		r.Signals.KeepReleaseList(&repoCov.Signals)
	}
	switch p.filter.decide(r) {
	case filterExcluded:
		return false
	case filterArchived:
		if repoCov == nil || repoCov.IsGone() {
			return false
		}
	case filterSelected:
	}
	var quiet activity.Streams
	if repoCov == nil || repoCov.IsGone() {
		repoCov, quiet = p.planFirstSeen(r, repoCov)
	} else {
		if repoCov.Name != r.Name {
			p.plan.changes = append(p.plan.changes, ledger.RepoProgress{ID: r.ID, Name: r.Name})
		}
		var change *ledger.RepoProgress
		change, repoCov = compareDisabled(r, repoCov, p.cov.PassEdge(repoCov), p.start)
		if change != nil {
			p.plan.changes = append(p.plan.changes, *change)
		}
		repoCov, quiet = p.introduceStreams(r, repoCov)
	}
	p.planReading(r, repoCov, quiet)
	if p.onSelected != nil {
		p.onSelected(r)
	}
	return true
}

// planFirstSeen plans a repository that is discovered for the first time, or that is readable again. All that is wanted
// of it is a gap until it is read, except for the quiet streams, which have had no activity since or are disabled. It
// returns the coverage after the change, and the quiet streams.
func (p *planner) planFirstSeen(
	r *activity.Repository, repoCov *ledger.RepoCoverage,
) (*ledger.RepoCoverage, activity.Streams) {
	change := ledger.RepoProgress{
		ID: r.ID, Name: r.Name, Presence: ledger.PresenceReadable, Streams: activity.EveryStream,
	}
	missing := activity.Window{Start: p.start.Add(-p.lookback), End: p.start}
	var quiet activity.Streams
	if repoCov == nil {
		change.FirstSeen, change.Since = p.start, missing.Start
		r.Signals.DisabledSince, _ = disabledSince(r.Signals.Disabled, &activity.Signals{}, missing.Start)
		quiet = r.Signals.QuietStreams(missing.Start.Add(-recentWindow)) | r.Signals.Disabled
	} else {
		missing.Start = repoCov.GoneSince
		quiet = r.Signals.Disabled
		addReturnedStreams(&change, r, repoCov, p.start)
	}
	for _, s := range activity.AllStreams() {
		if !quiet.Has(s) {
			change.Missed = append(change.Missed, ledger.StreamWindow{Stream: s, Window: missing})
		}
	}
	if repoCov != nil {
		missed := p.missedBeforeStreams(repoCov)
		change.Missed, change.Contacts = append(change.Missed, missed...), p.contacts(repoCov, missed)
	}
	if quiet != 0 && repoCov == nil {
		change.Signals, change.Observed = signalsAsRead(&r.Signals, quiet, p.start), p.start
	}
	p.plan.changes = append(p.plan.changes, change)
	after := ledger.Coverage{Edge: p.cov.Edge, Repos: map[int64]*ledger.RepoCoverage{}}
	if repoCov != nil {
		repo := *repoCov
		after.Repos[r.ID] = &repo
	}
	after.Apply(ledger.Progress{Repos: []ledger.RepoProgress{change}})
	return after.Repos[r.ID], quiet
}

// missedBeforeStreams returns the wanted windows of the streams that the ledger does not have of a repository, because
// an earlier version did not know them.
func (p *planner) missedBeforeStreams(repoCov *ledger.RepoCoverage) []ledger.StreamWindow {
	var missed []ledger.StreamWindow
	for _, s := range activity.AllStreams() {
		if !repoCov.Streams.Has(s) {
			later := ledger.RepoCoverage{
				FirstSeen: repoCov.FirstSeen, Since: repoCov.Since,
				Contacts: []ledger.StreamContact{{Stream: s, At: p.start}},
			}
			missed = append(missed, ledger.StreamWindow{
				Stream: s, Window: activity.Window{Start: later.WantedSince(s), End: p.start},
			})
		}
	}
	return missed
}

// contacts returns the contacts of a repository with those of the streams that are missed because the ledger does not
// have them.
func (p *planner) contacts(repoCov *ledger.RepoCoverage, missed []ledger.StreamWindow) []ledger.StreamContact {
	contacts := slices.Clone(repoCov.Contacts)
	for _, w := range missed {
		contacts = append(contacts, ledger.StreamContact{Stream: w.Stream, At: p.start})
	}
	return contacts
}

// introduceStreams plans the streams that the ledger does not have of a recorded repository, as planFirstSeen does a
// repository: they are gaps until they are read, except for the quiet ones. It returns the coverage after the change,
// and the quiet streams.
func (p *planner) introduceStreams(
	r *activity.Repository, repoCov *ledger.RepoCoverage,
) (*ledger.RepoCoverage, activity.Streams) {
	missing := p.missedBeforeStreams(repoCov)
	if len(missing) == 0 {
		return repoCov, 0
	}
	change := ledger.RepoProgress{ID: r.ID, Streams: activity.EveryStream, Contacts: p.contacts(repoCov, missing)}
	signals, observed := repoCov.Signals, repoCov.Observed
	var quiet activity.Streams
	for _, w := range missing {
		isQuiet := r.Signals.QuietStreams(w.Window.Start.Add(-recentWindow)).Has(w.Stream)
		if isQuiet && !r.Signals.Disabled.Has(w.Stream) {
			quiet, signals.Streams = quiet.With(w.Stream), signals.Streams.With(w.Stream)
			if w.Stream == activity.StreamReleases {
				signals.Releases = r.Signals.Releases
			}
		} else {
			change.Missed = append(change.Missed, w)
		}
	}
	if quiet != 0 && !observed.IsZero() {
		change.Signals, change.Observed = &signals, observed
	}
	p.plan.changes = append(p.plan.changes, change)
	repo := *repoCov
	after := ledger.Coverage{Edge: p.cov.Edge, Repos: map[int64]*ledger.RepoCoverage{r.ID: &repo}}
	after.Apply(ledger.Progress{Repos: []ledger.RepoProgress{change}})
	return after.Repos[r.ID], quiet
}

// signalsAsRead returns the signals to record when the quiet streams count as read and the others do not.
func signalsAsRead(now *activity.Signals, quiet activity.Streams, at time.Time) *activity.Signals {
	signals := *now
	signals.Streams &= quiet
	signals.Archived = signals.Archived && quiet == activity.EveryStream
	if quiet.Has(activity.StreamCommits) {
		signals.HeadReadAt = at
	} else {
		signals.Head = ""
	}
	return &signals
}

// planReading plans the reading of the streams that have changed or lag, except for the quiet ones.
func (p *planner) planReading(r *activity.Repository, repoCov *ledger.RepoCoverage, quiet activity.Streams) {
	_, lags := p.streamEdges(repoCov)
	streams := r.Signals.ChangedStreams(&repoCov.Signals, repoCov.Observed, signalSettleTime)
	for _, s := range activity.AllStreams() {
		if lags.Has(s) && !p.leftToBackfill(repoCov, s) {
			streams = streams.With(s)
		}
	}
	if len(repoCov.Tips) > 0 && readsFromHead(repoCov, lags) {
		streams = streams.With(activity.StreamCommits)
	}
	streams &^= quiet | r.Signals.Disabled
	if streams == 0 {
		return
	}
	planned := newPlannedReading(r, repoCov, streams)
	for _, s := range activity.AllStreams() {
		if !streams.Has(s) {
			continue
		}
		if err := p.deferralOf(r.ID, s); err != nil {
			streams = streams.Without(s)
			p.plan.deferred = append(p.plan.deferred, Failure{RepoID: r.ID, Repo: r.Name, Stream: s, Err: err})
		}
	}
	if planned.streams = streams; streams != 0 {
		p.plan.readings = append(p.plan.readings, planned)
	} else {
		p.plan.ifUnread[r.ID] = p.unread(&planned)
	}
}
