package ledger

import (
	"cmp"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Sink takes what a visit finds. Its methods are called under the view's lock and must not call the view.
type Sink interface {
	// Emit gets the values of a series that is there.
	Emit(s Series, v *Values)
	// MarkStale gets the metrics that the last visit showed of a series and that are not there any more.
	MarkStale(s Series, metrics Mask)
}

// Visit shows every series as of now, and ends those that the visit before showed and that are gone.
func (v *View) Visit(now time.Time, sink Sink) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.takeOver(now.UnixNano())
	v.visit(now, sink)
}

func (v *View) visit(now time.Time, sink Sink) {
	v.visits++
	v.noted = now.UnixNano()
	owners := v.owners()
	for id, repo := range v.repos {
		cov := v.cov.Repos[id]
		if cov == nil || cov.IsGone() || owners[cov.Name] != id {
			v.ended = repo.end(v.ended, v.accounts)
			repo.shown = "" // another repository may take the name, or has taken it
			continue
		}
		v.visitRepo(repo, cov, now, sink)
	}
	v.endGone(sink)
}

// owners says which repository is shown under a name. Two have one name when it was taken over while discovery read its
// pages, until the next pass: the one that was met last has it then, and the other one is not shown.
func (v *View) owners() map[string]int64 {
	owners := make(map[string]int64, len(v.repos))
	for id := range v.repos {
		cov := v.cov.Repos[id]
		if cov == nil || cov.IsGone() {
			continue
		}
		had := v.cov.Repos[owners[cov.Name]]
		if had == nil || cmp.Or(cov.FirstSeen.Compare(had.FirstSeen), cmp.Compare(cov.ID, had.ID)) > 0 {
			owners[cov.Name] = id
		}
	}
	return owners
}

// endGone ends what vanished with a former snapshot or a former name, unless it is shown again.
func (v *View) endGone(sink Sink) {
	if len(v.ended) == 0 {
		return
	}
	byName := make(map[string]*repoView, len(v.repos))
	for _, repo := range v.repos {
		if repo.shown != "" {
			byName[repo.shown] = repo
		}
	}
	for _, e := range v.ended {
		gone := e.shown
		if repo := byName[e.repo]; repo != nil {
			gone &^= repo.shownOf(v.accounts.labels[e.user])
		}
		if gone != 0 {
			sink.MarkStale(Series{e.repo, e.user}, gone)
		}
	}
	v.ended = nil
}

// shownOf is what is shown of a label.
func (r *repoView) shownOf(label *userLabel) Mask {
	switch {
	case label == nil:
		return 0
	case label.shared():
		if g := r.groups[label]; g != nil {
			return g.shown
		}
	default:
		if s := r.series[label.members[0]]; s != nil {
			return s.shown
		}
	}
	return 0
}

func (v *View) visitRepo(repo *repoView, cov *RepoCoverage, now time.Time, sink Sink) {
	if repo.shown != cov.Name {
		v.ended = repo.end(v.ended, v.accounts)
		repo.shown = cov.Name
	}
	at := v.moments(cov, now)
	given := v.given(repo, &at)
	open, since := v.openTotals(cov.ID), cov.Since.Unix()
	var values Values
	for n, s := range repo.series {
		label := v.accounts.list[n].label
		if label == nil {
			continue
		}
		alive := s.windowValues(&at, &values)
		if given != nil {
			given.set(label, n, &values)
		}
		if label.shared() {
			repo.group(label, v.visits).add(s, alive, &values)
			continue
		}
		if alive {
			v.setTotals(repo, label, open, &values, &s.totals)
		}
		values.StartTime = since
		s.shown = show(sink, Series{cov.Name, label.text}, s.shown, &values)
	}
	v.visitGroups(repo, cov, open, sink)
}

// show shows the values of a series and ends those that were shown before and are gone. It gives what is shown now.
func show(sink Sink, name Series, was Mask, values *Values) Mask {
	if gone := was &^ values.Present; gone != 0 {
		sink.MarkStale(name, gone)
	}
	if values.Present != 0 {
		sink.Emit(name, values)
	}
	return values.Present
}

// setTotals sets the sums of a label that are open.
func (v *View) setTotals(repo *repoView, label *userLabel, open Mask, values *Values, totals *Totals) {
	if len(repo.sums.left) > 0 {
		all := *totals
		repo.sums.addLeft(label, &all)
		totals = &all
	}
	values.setTotals(totals, open)
	if len(repo.sums.born) > 0 {
		repo.sums.holdBorn(label, values, v.noted, v.settings.ZeroFor)
	}
}

// group is the group of a label, empty at the beginning of a visit.
func (r *repoView) group(label *userLabel, visit uint64) *group {
	g := r.groups[label]
	if g == nil {
		g = &group{}
		r.groups[label] = g
	}
	if g.visit != visit {
		*g = group{visit: visit, shown: g.shown}
	}
	return g
}

// add adds an account's series. Its totals count for as long as one of the accounts is shown: a sum must not fall
// because one of them has done nothing for long.
func (g *group) add(s *series, alive bool, values *Values) {
	g.alive = g.alive || alive
	g.values.merge(values)
	g.totals.plus(&s.totals)
}

func (v *View) visitGroups(repo *repoView, cov *RepoCoverage, open Mask, sink Sink) {
	for label, g := range repo.groups {
		if g.visit != v.visits {
			v.ended = append(v.ended, endedSeries{cov.Name, label.text, g.shown})
			delete(repo.groups, label)
			continue
		}
		if g.alive {
			v.setTotals(repo, label, open, &g.values, &g.totals)
		}
		g.values.StartTime = cov.Since.Unix()
		g.shown = show(sink, Series{cov.Name, label.text}, g.shown, &g.values)
	}
}

// end moves what is shown of a repository to the ended series.
func (r *repoView) end(ended []endedSeries, accounts *accounts) []endedSeries {
	for n, s := range r.series {
		ended = r.endSeries(ended, accounts.list[n].label, s)
	}
	return ended
}

// endSeries moves what is shown of a series, or of the group that it is in, to the ended series.
func (r *repoView) endSeries(ended []endedSeries, label *userLabel, s *series) []endedSeries {
	if label == nil {
		return ended
	}
	if s.shown != 0 {
		ended = append(ended, endedSeries{r.shown, label.text, s.shown})
		s.shown = 0
	}
	if g := r.groups[label]; g != nil && g.shown != 0 {
		ended = append(ended, endedSeries{r.shown, label.text, g.shown})
		g.shown = 0
	}
	return ended
}

// moments are the times, in Unix seconds, for which a repository's values are computed.
type moments struct {
	// until, day and retained are, of each stream, the moment that is shown and the exclusive beginnings of the 24 h
	// and of the retention before it.
	until, day, retained [activity.NumStreams]int64
	// week is the last complete week, and hasWeek says that it has been read.
	weekStart, weekEnd int64
	hasWeek            bool
}

func (v *View) moments(r *RepoCoverage, now time.Time) moments {
	var m moments
	for _, s := range activity.AllStreams() {
		at := now
		if limit := v.cov.RepoEdge(r, s).Add(v.settings.Grace); limit.Before(at) {
			at = limit
		}
		m.until[s] = at.Unix()
		m.day[s] = at.Add(-24 * time.Hour).Unix()
		m.retained[s] = at.Add(-v.settings.Retention).Unix()
	}
	week := LastCompleteWeek(time.Unix(m.until[activity.StreamCommits], 0))
	m.weekStart, m.weekEnd = week.Start.Unix(), week.End.Unix()
	m.hasWeek = !v.settings.WeeklyLinesFromEntries && !week.Start.Before(v.unread) &&
		!r.Since.After(week.Start) && !r.Missing[activity.StreamCommits].Overlaps(week)
	return m
}
