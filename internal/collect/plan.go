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
	began    time.Time
	basis    string // of the coverage that the plan is made from
	changes  []ledger.RepoProgress
	readings []reading
	// behind are, of each repository that is there, the streams whose newest part is not known to be complete unless
	// it is read.
	behind map[int64]*behind
	// putOff are the streams that are not asked for in this pass: they were refused, or nobody knows whether their
	// repository is there.
	putOff []Failure
}

// behind is what is to be said of a repository if it is not read.
type behind struct {
	// from is up to when its streams are complete, zero for those that are in any case.
	from [activity.NumStreams]time.Time
	// seen are its signals as they were, with the push that was discovered; nil when none was.
	seen *activity.Signals
}

// planner makes a plan from what is covered and what is discovered, page by page. It is pure, and of what was discovered
// it keeps what has to be read and the ids.
type planner struct {
	org      string
	cov      *ledger.Coverage
	began    time.Time
	lookback time.Duration
	filter   *Filter
	handover bool
	// putOff says why a stream that was refused lately is to be put off; nil when it is not.
	putOff func(repo int64, s activity.Stream) error
	// suspected reports whether the pass before found a repository to be missing, too.
	suspected func(repo int64) bool
	plan      plan
	// there has the repositories that were discovered, with whether they count as there.
	there map[int64]bool
	// matched are the patterns of the filter that match what was discovered.
	matched matching
	// unknown are those of which nobody could tell whether they are there.
	unknown map[int64]bool
	// moved are those that have another owner now.
	moved map[int64]bool
	// suspects are those that are gone if the next pass does not find them either.
	suspects map[int64]bool
	// vanishing is how many of the suspects vanished at once; 0 unless they are most of what was there.
	vanishing int
}

// page takes some of what was discovered.
func (p *planner) page(found []activity.Repository) {
	for i := range found {
		r := &found[i]
		if _, seen := p.there[r.ID]; seen {
			continue // on two pages: it moved between them
		}
		p.matched.add(p.filter, r.Name)
		p.there[r.ID] = p.repository(r)
	}
}

// selected is how many of the repositories that were discovered count as there: what the filter leaves out does not.
func (p *planner) selected() int {
	n := 0
	for _, there := range p.there {
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
		if _, seen := p.there[id]; !seen && !known.IsGone() {
			list = append(list, known)
		}
	}
	slices.SortFunc(list, func(a, b *ledger.RepoCoverage) int {
		switch one, other := p.suspected(a.ID), p.suspected(b.ID); {
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

// unsure takes a repository of which nobody could tell whether it is there: it is neither gone nor covered.
func (p *planner) unsure(known *ledger.RepoCoverage, err error) {
	p.unknown[known.ID] = true
	p.leaveUnread(known)
	for _, s := range activity.AllStreams() {
		if !known.Signals.Disabled.Has(s) {
			p.plan.putOff = append(p.plan.putOff, Failure{
				RepoID: known.ID, Repo: known.Name, Stream: s, Err: err, AllFailed: true, PresenceUnknown: true,
			})
		}
	}
}

// leaveUnread lets the pass claim nothing of a repository.
func (p *planner) leaveUnread(known *ledger.RepoCoverage) {
	from, _ := p.edges(known)
	for _, s := range activity.AllStreams() {
		if known.Signals.Disabled.Has(s) {
			from[s] = time.Time{}
		}
	}
	p.plan.behind[known.ID] = &behind{from: from}
}

// vanishingLeast is how many repositories must vanish at once, half of what was there or more, to be looked for a
// second time whatever the reason is.
const vanishingLeast = 3

// finish takes for gone what two passes in a row have not found, and what has another owner or is not wanted any more,
// and gives the plan. A filter or an owner is believed at once unless most of what was there would go.
func (p *planner) finish() plan {
	p.plan.began = p.began
	present := 0
	var leaving []*ledger.RepoCoverage
	for id, known := range p.cov.Repos {
		if known.IsGone() {
			continue
		}
		present++
		if !p.there[id] && !p.unknown[id] {
			leaving = append(leaving, known)
		}
	}
	most := len(leaving) >= vanishingLeast && 2*len(leaving) >= present
	for _, known := range leaving {
		_, unwanted := p.there[known.ID]
		switch {
		case p.suspected(known.ID) || (!most && (unwanted || p.moved[known.ID])):
			p.plan.changes = append(p.plan.changes, ledger.RepoProgress{
				ID: known.ID, Presence: ledger.PresenceGone, GoneSince: p.cov.PassEdge(known),
			})
		default:
			p.suspects[known.ID] = true
			p.leaveUnread(known)
		}
	}
	if most {
		p.vanishing = len(p.suspects)
	}
	return p.plan
}

// repository plans one repository and reports whether it counts as there.
func (p *planner) repository(r *activity.Repository) bool {
	known := p.cov.Repos[r.ID]
	if r.FlagsUnknown {
		if known == nil || known.IsGone() {
			return false // neither the filter nor what is switched off can be judged
		}
		r.Fork, r.Archived, r.Signals.Archived, r.Signals.Disabled = false, false, known.Signals.Archived, known.Signals.Disabled
	}
	switch p.filter.judge(r) {
	case unwanted:
		return false
	case resting:
		if known == nil || known.IsGone() {
			return false
		}
	case wanted:
	}
	var quiet activity.Streams
	if known == nil || known.IsGone() {
		known, quiet = p.introduce(r, known)
	} else {
		if known.Name != r.Name {
			p.plan.changes = append(p.plan.changes, ledger.RepoProgress{ID: r.ID, Name: r.Name})
		}
		known = p.planOff(r, known)
	}
	p.read(r, known, quiet)
	return true
}

// introduce plans the first contact with a repository, or its return: everything that is wanted of it is missing until
// it is read, but for the quiet streams, in which nothing has happened for so long or which are switched off.
func (p *planner) introduce(r *activity.Repository, known *ledger.RepoCoverage) (*ledger.RepoCoverage, activity.Streams) {
	change := ledger.RepoProgress{ID: r.ID, Name: r.Name, Presence: ledger.PresenceReadable}
	missing := activity.Window{Start: p.began.Add(-p.lookback), End: p.began}
	var quiet activity.Streams
	if known == nil {
		change.FirstSeen, change.Since = p.began, missing.Start
		r.Signals.DisabledSince = offSince(r.Signals.Disabled, &activity.Signals{}, missing.Start)
		quiet = r.Signals.QuietStreams(missing.Start.Add(-recent)) | r.Signals.Disabled
	} else {
		missing.Start = known.GoneSince
		quiet = p.returnOff(r, known, &change)
	}
	for _, s := range activity.AllStreams() {
		if !quiet.Has(s) {
			change.Missed = append(change.Missed, ledger.StreamWindow{Stream: s, Window: missing})
		}
	}
	if quiet != 0 && known == nil {
		change.Signals, change.Observed = asRead(&r.Signals, quiet, p.began), p.began
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

// asRead are the signals of which the quiet streams are as good as read.
func asRead(now *activity.Signals, quiet activity.Streams, at time.Time) *activity.Signals {
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

// read plans the reading of what moved and of what lags, but for the quiet streams.
func (p *planner) read(r *activity.Repository, known *ledger.RepoCoverage, quiet activity.Streams) {
	from, lags := p.edges(known)
	streams := r.Signals.ChangedStreams(&known.Signals, known.Observed, settle)
	for _, s := range activity.AllStreams() {
		if lags.Has(s) && !p.handedOver(known, s) {
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
	p.plan.behind[r.ID] = behindOf(r, known, p.cov.Repos[r.ID], streams, from)
	for _, s := range activity.AllStreams() {
		if !streams.Has(s) {
			continue
		}
		if err := p.putOff(r.ID, s); err != nil {
			streams = streams.Without(s)
			p.plan.putOff = append(p.plan.putOff, Failure{RepoID: r.ID, Repo: r.Name, Stream: s, Err: err})
		}
	}
	if streams != 0 {
		p.plan.readings = append(p.plan.readings, p.reading(r, known, streams, from, lags))
	}
}

// edges are the moments up to which the streams of a repository are covered, or up to which somebody else reads them, and
// the streams of which the newest part is missing.
func (p *planner) edges(known *ledger.RepoCoverage) (from [activity.NumStreams]time.Time, lags activity.Streams) {
	for _, s := range activity.AllStreams() {
		from[s] = p.cov.RepoEdge(known, s)
		if known.Signals.Disabled.Has(s) || !lagging(known, s, from[s]) {
			continue
		}
		lags = lags.With(s)
		if p.handedOver(known, s) {
			from[s] = p.cov.PassEdge(known)
		}
	}
	return from, lags
}

// handedOver reports whether backfill reads what lags. The first contact, and the pass in which a stream is switched on
// again, read the last 24 h themselves. Commits that were read up to some head are read on from there: that is no
// dearer, and dates may hide some of them.
func (p *planner) handedOver(known *ledger.RepoCoverage, s activity.Stream) bool {
	was := p.cov.Repos[known.ID]
	return p.handover && known.FirstSeen.Before(p.began) && was != nil && !was.IsGone() && !was.Signals.Disabled.Has(s) &&
		(s != activity.StreamCommits || known.Signals.HeadReadAt.IsZero())
}

// lagging reports whether the newest part of the stream is missing.
func lagging(known *ledger.RepoCoverage, s activity.Stream, edge time.Time) bool {
	n := len(known.Missing[s])
	return n > 0 && known.Missing[s][n-1].Start.Equal(edge)
}

// behindOf is what is to be said of a repository if it is not read. was is what the ledger has of it, nil for nothing.
func behindOf(
	r *activity.Repository, known, was *ledger.RepoCoverage, streams activity.Streams, from [activity.NumStreams]time.Time,
) *behind {
	for _, s := range activity.AllStreams() {
		if !streams.Has(s) {
			from[s] = time.Time{}
		}
	}
	b := &behind{from: from}
	if !r.Signals.PushedAt.Equal(known.Signals.PushedAt) || (was != nil && was.Signals.Disabled&^r.Signals.Disabled != 0) {
		seen := known.Signals
		seen.PushedAt, seen.Disabled, seen.DisabledSince = r.Signals.PushedAt, r.Signals.Disabled, r.Signals.DisabledSince
		b.seen = &seen
	}
	return b
}

func (p *planner) reading(
	r *activity.Repository, known *ledger.RepoCoverage, streams activity.Streams, from [activity.NumStreams]time.Time,
	lags activity.Streams,
) reading {
	todo := reading{
		observed: p.began,
		known:    known.Signals,
		lags:     lags,
		request:  github.ReadRequest{Org: p.org, Repo: *r, Streams: streams},
	}
	for _, s := range activity.AllStreams() {
		start := from[s]
		if at := p.began.Add(-recent); at.After(start) {
			start = at
		}
		todo.covers[s] = activity.Window{Start: start, End: p.began}
		todo.later[s] = activity.Window{Start: from[s], End: start}
		todo.request.Since[s] = start.Add(-overlap)
		if !todo.later[s].IsEmpty() {
			todo.request.GapStart[s] = from[s].Add(-overlap)
		}
	}
	if readsFromHead(known, lags) {
		todo.fromHead(known, lags.Has(activity.StreamCommits), from[activity.StreamCommits])
	}
	return todo
}

// readsFromHead reports whether commits are read from the head that was read last, and not by their dates.
func readsFromHead(known *ledger.RepoCoverage, lags activity.Streams) bool {
	return !known.Signals.HeadReadAt.IsZero() || !lags.Has(activity.StreamCommits)
}

// later are the streams that were not read as far back as they are missing.
func (p *plan) later() []RepoStream {
	var list []RepoStream
	for i := range p.readings {
		r := &p.readings[i]
		for _, s := range activity.AllStreams() {
			if r.request.Streams.Has(s) && !r.later[s].IsEmpty() {
				list = append(list, RepoStream{r.request.Repo.ID, s})
			}
		}
	}
	return list
}

// missed is the progress of the streams that should have been read and were not. Of repositories that were not asked for at all,
// it has the push that nobody has read: others may read it, and who asks whether there was one must know.
func (p *plan) missed(read map[int64]activity.Streams, asked map[int64]bool) []ledger.RepoProgress {
	var list []ledger.RepoProgress
	for id, b := range p.behind {
		progress := ledger.RepoProgress{ID: id}
		if b.seen != nil && !asked[id] {
			progress.Signals, progress.Observed = b.seen, p.began
		}
		for _, s := range activity.AllStreams() {
			if b.from[s].IsZero() || read[id].Has(s) {
				continue
			}
			window := activity.Window{Start: b.from[s], End: p.began}
			progress.Missed = append(progress.Missed, ledger.StreamWindow{Stream: s, Window: window})
		}
		if len(progress.Missed) > 0 {
			list = append(list, progress)
		}
	}
	return list
}
