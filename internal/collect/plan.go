package collect

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// plan is what a pass has to do: first say what changed about the repositories themselves, then read.
type plan struct {
	start    time.Time
	basis    string // of the coverage that the plan is made from
	changes  []ledger.RepoProgress
	readings []reading
	// ifUnread are, of each repository that is there, the streams whose newest part is not known to be complete unless
	// it is read.
	ifUnread map[int64]*ifUnread
	// deferred are the streams that are not asked for in this pass: they were refused, or nobody knows whether their
	// repository is there.
	deferred []Failure
}

// ifUnread is what is to be said of a repository if it is not read.
type ifUnread struct {
	// coveredUntil is up to when its streams are complete, zero for those that are in any case.
	coveredUntil [activity.NumStreams]time.Time
	// signals are its signals as they were, with the push that was discovered; nil when none was.
	signals *activity.Signals
}

// planner makes a plan from what is covered and what is discovered, page by page. It is pure, and of what was discovered
// it keeps what has to be read and the ids.
type planner struct {
	org             string
	cov             *ledger.Coverage
	start           time.Time
	lookback        time.Duration
	filter          *Filter
	backfillEnabled bool
	// deferralOf says why a stream that was refused lately is to be put off; nil when it is not.
	deferralOf func(repo int64, s activity.Stream) error
	// wasUnseen reports whether the pass before found a repository to be missing, too.
	wasUnseen func(repo int64) bool
	plan      plan
	// discovered has the repositories that were discovered, with whether they count as there.
	discovered map[int64]bool
	// matched are the patterns of the filter that match what was discovered.
	matched patternMatches
	// presenceUnknown are those of which nobody could tell whether they are there.
	presenceUnknown map[int64]bool
	// transferred are those that have another owner now.
	transferred map[int64]bool
	// unseen are those that are gone if the next pass does not find them either.
	unseen map[int64]bool
	// vanished is how many of the suspects vanished at once; 0 unless they are most of what was there.
	vanished int
}

// addPage takes some of what was discovered.
func (p *planner) addPage(found []activity.Repository) {
	for i := range found {
		r := &found[i]
		if _, seen := p.discovered[r.ID]; seen {
			continue // on two pages: it moved between them
		}
		p.matched.record(p.filter, r.Name)
		p.discovered[r.ID] = p.planRepository(r)
	}
}

// numSelected is how many of the repositories that were discovered count as there: what the filter leaves out does not.
func (p *planner) numSelected() int {
	n := 0
	for _, there := range p.discovered {
		if there {
			n++
		}
	}
	return n
}

// absent are the repositories that were there and were not discovered, those first that the pass before did not find
// either: a look-up may not come to all of them.
func (p *planner) absent() []*ledger.RepoCoverage {
	var list []*ledger.RepoCoverage
	for id, known := range p.cov.Repos {
		if _, seen := p.discovered[id]; !seen && !known.IsGone() {
			list = append(list, known)
		}
	}
	slices.SortFunc(list, func(a, b *ledger.RepoCoverage) int {
		switch one, other := p.wasUnseen(a.ID), p.wasUnseen(b.ID); {
		case one == other:
			return 0
		case one:
			return -1
		default:
			return 1
		}
	})
	return list
}

// setPresenceUnknown takes a repository of which nobody could tell whether it is there: it is neither gone nor covered.
func (p *planner) setPresenceUnknown(known *ledger.RepoCoverage, err error) {
	p.presenceUnknown[known.ID] = true
	p.markUnread(known)
	for _, s := range activity.AllStreams() {
		if !known.Signals.Disabled.Has(s) {
			p.plan.deferred = append(p.plan.deferred, Failure{
				RepoID: known.ID, Repo: known.Name, Stream: s, Err: err, AllFailed: true, PresenceUnknown: true,
			})
		}
	}
}

// markUnread lets the pass claim nothing of a repository.
func (p *planner) markUnread(known *ledger.RepoCoverage) {
	from, _ := p.streamEdges(known)
	for _, s := range activity.AllStreams() {
		if known.Signals.Disabled.Has(s) {
			from[s] = time.Time{}
		}
	}
	p.plan.ifUnread[known.ID] = &ifUnread{coveredUntil: from}
}

// minVanished is how many repositories must vanish at once, half of what was there or more, to be looked for a
// second time whatever the reason is.
const minVanished = 3

// finish takes for gone what two passes in a row have not found, and what has another owner or is not wanted any more,
// and gives the plan. A filter or an owner is believed at once unless most of what was there would go.
func (p *planner) finish() plan {
	p.plan.start = p.start
	present := 0
	var leaving []*ledger.RepoCoverage
	for id, known := range p.cov.Repos {
		if known.IsGone() {
			continue
		}
		present++
		if !p.discovered[id] && !p.presenceUnknown[id] {
			leaving = append(leaving, known)
		}
	}
	most := len(leaving) >= minVanished && 2*len(leaving) >= present
	for _, known := range leaving {
		_, unwanted := p.discovered[known.ID]
		switch {
		case p.wasUnseen(known.ID) || (!most && (unwanted || p.transferred[known.ID])):
			p.plan.changes = append(p.plan.changes, ledger.RepoProgress{
				ID: known.ID, Presence: ledger.PresenceGone, GoneSince: p.cov.PassEdge(known),
			})
		default:
			p.unseen[known.ID] = true
			p.markUnread(known)
		}
	}
	if most {
		p.vanished = len(p.unseen)
	}
	return p.plan
}

// planRepository plans one repository and reports whether it counts as there.
func (p *planner) planRepository(r *activity.Repository) bool {
	known := p.cov.Repos[r.ID]
	if r.FlagsUnknown {
		if known == nil || known.IsGone() {
			return false // neither the filter nor what is switched off can be judged
		}
		r.Fork, r.Archived, r.Signals.Archived, r.Signals.Disabled = false, false, known.Signals.Archived, known.Signals.Disabled
	}
	switch p.filter.decide(r) {
	case filterExcluded:
		return false
	case filterArchived:
		if known == nil || known.IsGone() {
			return false
		}
	case filterSelected:
	}
	var quiet activity.Streams
	if known == nil || known.IsGone() {
		known, quiet = p.planFirstSeen(r, known)
	} else {
		if known.Name != r.Name {
			p.plan.changes = append(p.plan.changes, ledger.RepoProgress{ID: r.ID, Name: r.Name})
		}
		known = p.planDisabled(r, known)
	}
	p.planReading(r, known, quiet)
	return true
}

// planFirstSeen plans the first contact with a repository, or its return: everything that is wanted of it is missing until
// it is read, but for the quiet streams, in which nothing has happened for so long or which are switched off.
func (p *planner) planFirstSeen(r *activity.Repository, known *ledger.RepoCoverage) (*ledger.RepoCoverage, activity.Streams) {
	change := ledger.RepoProgress{ID: r.ID, Name: r.Name, Presence: ledger.PresenceReadable}
	missing := activity.Window{Start: p.start.Add(-p.lookback), End: p.start}
	var quiet activity.Streams
	if known == nil {
		change.FirstSeen, change.Since = p.start, missing.Start
		r.Signals.DisabledSince = disabledSince(r.Signals.Disabled, &activity.Signals{}, missing.Start)
		quiet = r.Signals.QuietStreams(missing.Start.Add(-recentWindow)) | r.Signals.Disabled
	} else {
		missing.Start = known.GoneSince
		quiet = p.restoreDisabled(r, known, &change)
	}
	for _, s := range activity.AllStreams() {
		if !quiet.Has(s) {
			change.Missed = append(change.Missed, ledger.StreamWindow{Stream: s, Window: missing})
		}
	}
	if quiet != 0 && known == nil {
		change.Signals, change.Observed = signalsAsRead(&r.Signals, quiet, p.start), p.start
	}
	p.plan.changes = append(p.plan.changes, change)
	after := ledger.Coverage{Edge: p.cov.Edge, Repos: map[int64]*ledger.RepoCoverage{}}
	if known != nil {
		repo := *known
		after.Repos[r.ID] = &repo
	}
	after.Apply(ledger.Progress{Repos: []ledger.RepoProgress{change}})
	return after.Repos[r.ID], quiet
}

// signalsAsRead are the signals of which the quiet streams are as good as read.
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

// planReading plans the reading of what moved and of what lags, but for the quiet streams.
func (p *planner) planReading(r *activity.Repository, known *ledger.RepoCoverage, quiet activity.Streams) {
	from, lags := p.streamEdges(known)
	streams := r.Signals.ChangedStreams(&known.Signals, known.Observed, signalSettleTime)
	for _, s := range activity.AllStreams() {
		if lags.Has(s) && !p.leftToBackfill(known, s) {
			streams = streams.With(s)
		}
	}
	if len(known.Tips) > 0 && readsFromHead(known, lags) {
		streams = streams.With(activity.StreamCommits)
	}
	streams &^= quiet | r.Signals.Disabled
	if streams == 0 {
		return
	}
	p.plan.ifUnread[r.ID] = unreadProgress(r, known, p.cov.Repos[r.ID], streams, from)
	for _, s := range activity.AllStreams() {
		if !streams.Has(s) {
			continue
		}
		if err := p.deferralOf(r.ID, s); err != nil {
			streams = streams.Without(s)
			p.plan.deferred = append(p.plan.deferred, Failure{RepoID: r.ID, Repo: r.Name, Stream: s, Err: err})
		}
	}
	if streams != 0 {
		p.plan.readings = append(p.plan.readings, p.newReading(r, known, streams, from, lags))
	}
}

// streamEdges are the moments up to which the streams of a repository are covered, or up to which somebody else reads them, and
// the streams of which the newest part is missing.
func (p *planner) streamEdges(known *ledger.RepoCoverage) (from [activity.NumStreams]time.Time, lags activity.Streams) {
	for _, s := range activity.AllStreams() {
		from[s] = p.cov.RepoEdge(known, s)
		if known.Signals.Disabled.Has(s) || !isLagging(known, s, from[s]) {
			continue
		}
		lags = lags.With(s)
		if p.leftToBackfill(known, s) {
			from[s] = p.cov.PassEdge(known)
		}
	}
	return from, lags
}

// leftToBackfill reports whether backfill reads what lags. The first contact, and the pass in which a stream is switched on
// again, read the last 24 h themselves. Commits that were read up to some head are read on from there: that is no
// dearer, and dates may hide some of them.
func (p *planner) leftToBackfill(known *ledger.RepoCoverage, s activity.Stream) bool {
	was := p.cov.Repos[known.ID]
	return p.backfillEnabled && known.FirstSeen.Before(p.start) && was != nil && !was.IsGone() && !was.Signals.Disabled.Has(s) &&
		(s != activity.StreamCommits || known.Signals.HeadReadAt.IsZero())
}

// isLagging reports whether the newest part of the stream is missing.
func isLagging(known *ledger.RepoCoverage, s activity.Stream, edge time.Time) bool {
	n := len(known.Missing[s])
	return n > 0 && known.Missing[s][n-1].Start.Equal(edge)
}

// unreadProgress is what is to be said of a repository if it is not read. was is what the ledger has of it, nil for nothing.
func unreadProgress(
	r *activity.Repository, known, was *ledger.RepoCoverage, streams activity.Streams, from [activity.NumStreams]time.Time,
) *ifUnread {
	for _, s := range activity.AllStreams() {
		if !streams.Has(s) {
			from[s] = time.Time{}
		}
	}
	b := &ifUnread{coveredUntil: from}
	if !r.Signals.PushedAt.Equal(known.Signals.PushedAt) || (was != nil && was.Signals.Disabled&^r.Signals.Disabled != 0) {
		seen := known.Signals
		seen.PushedAt, seen.Disabled, seen.DisabledSince = r.Signals.PushedAt, r.Signals.Disabled, r.Signals.DisabledSince
		b.signals = &seen
	}
	return b
}

func (p *planner) newReading(
	r *activity.Repository, known *ledger.RepoCoverage, streams activity.Streams, from [activity.NumStreams]time.Time,
	lags activity.Streams,
) reading {
	todo := reading{
		observed: p.start,
		previous: known.Signals,
		lagging:  lags,
		request:  github.ReadRequest{Org: p.org, Repo: *r, Streams: streams},
	}
	for _, s := range activity.AllStreams() {
		start := from[s]
		if at := p.start.Add(-recentWindow); at.After(start) {
			start = at
		}
		todo.windows[s] = activity.Window{Start: start, End: p.start}
		todo.deferred[s] = activity.Window{Start: from[s], End: start}
		todo.request.Since[s] = start.Add(-readOverlap)
		if !todo.deferred[s].IsEmpty() {
			todo.request.GapStart[s] = from[s].Add(-readOverlap)
		}
	}
	if readsFromHead(known, lags) {
		todo.readFromHead(known, lags.Has(activity.StreamCommits), from[activity.StreamCommits])
	}
	return todo
}

// readsFromHead reports whether commits are read from the head that was read last, and not by their dates.
func readsFromHead(known *ledger.RepoCoverage, lags activity.Streams) bool {
	return !known.Signals.HeadReadAt.IsZero() || !lags.Has(activity.StreamCommits)
}

// deferredWindows are the streams that were not read as far back as they are missing.
func (p *plan) deferredWindows() []RepoStream {
	var list []RepoStream
	for i := range p.readings {
		r := &p.readings[i]
		for _, s := range activity.AllStreams() {
			if r.request.Streams.Has(s) && !r.deferred[s].IsEmpty() {
				list = append(list, RepoStream{r.request.Repo.ID, s})
			}
		}
	}
	return list
}

// missedProgress is the progress of the streams that should have been read and were not. Of repositories that were not asked for at all,
// it has the push that nobody has read: others may read it, and who asks whether there was one must know.
func (p *plan) missedProgress(read map[int64]activity.Streams, asked map[int64]bool) []ledger.RepoProgress {
	var list []ledger.RepoProgress
	for id, b := range p.ifUnread {
		progress := ledger.RepoProgress{ID: id}
		if b.signals != nil && !asked[id] {
			progress.Signals, progress.Observed = b.signals, p.start
		}
		for _, s := range activity.AllStreams() {
			if b.coveredUntil[s].IsZero() || read[id].Has(s) {
				continue
			}
			window := activity.Window{Start: b.coveredUntil[s], End: p.start}
			progress.Missed = append(progress.Missed, ledger.StreamWindow{Stream: s, Window: window})
		}
		if len(progress.Missed) > 0 {
			list = append(list, progress)
		}
	}
	return list
}
