// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"cmp"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Series identifies a series of the activity metrics.
type Series struct {
	// Repo is the repository's present name, User the user's label.
	Repo, User string
}

// Sink receives what a visit finds. Its methods are called under the view's lock and must not call the view.
type Sink interface {
	// Emit gets the values of a series.
	Emit(s Series, v *Values)
	// MarkStale gets the metrics of a series that the last visit emitted and that have no value any more.
	MarkStale(s Series, metrics Mask)
}

// Visit emits every series as of now, and marks those as stale that the last visit emitted and that have vanished.
func (v *View) Visit(now time.Time, sink Sink) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.takeOverEmission(now.UnixNano())
	v.emitAll(now, sink)
}

// VisitStandby computes the view as Visit does, on a replica that does not emit it while another one does, at the same
// times. Series that become stale are not marked here.
func (v *View) VisitStandby(now time.Time, sink Sink) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.visits.onStandby = true
	v.emitAll(now, sink)
}

// emitAll emits every series that is shown at a time, and marks those stale that vanished.
func (v *View) emitAll(now time.Time, sink Sink) {
	v.visits.count++
	v.visits.last = now.UnixNano()
	owners := v.nameOwners()
	for id, repo := range v.repos {
		cov := v.cov.Repos[id]
		if cov == nil || cov.IsGone() || owners[cov.Name] != id {
			v.stale = repo.markRepoStale(v.stale, v.accounts)
			repo.shownName = "" // another repository may take the name, or has taken it
			continue
		}
		v.emitRepo(repo, cov, now, sink)
	}
	v.markVanished(sink)
}

// nameOwners returns the id of the repository that is shown under a name. Until the next pass two repositories may have
// one name, when it was taken over while discovery read its pages: the one that was discovered last owns it, and the
// other one is not shown.
func (v *View) nameOwners() map[string]int64 {
	owners := make(map[string]int64, len(v.repos))
	for id := range v.repos {
		v.claimName(owners, id)
	}
	return owners
}

// claimName makes a repository that is not gone the owner of its name, unless one that was discovered later has it.
func (v *View) claimName(owners map[string]int64, id int64) {
	cov := v.cov.Repos[id]
	if cov == nil || cov.IsGone() {
		return
	}
	had := v.cov.Repos[owners[cov.Name]]
	if had == nil || cmp.Or(cov.FirstSeen.Compare(had.FirstSeen), cmp.Compare(cov.ID, had.ID)) > 0 {
		owners[cov.Name] = id
	}
}

// markVanished marks as stale what vanished with a former snapshot or a former name, unless it is shown again.
func (v *View) markVanished(sink Sink) {
	if len(v.stale) == 0 {
		return
	}
	byName := make(map[string]*repoView, len(v.repos))
	for _, repo := range v.repos {
		if repo.shownName != "" {
			byName[repo.shownName] = repo
		}
	}
	for _, e := range v.stale {
		vanished := e.shownMetrics
		if repo := byName[e.repo]; repo != nil {
			vanished = vanished.Without(repo.shownMetrics(v.accounts.labels[e.user]))
		}
		if !vanished.IsEmpty() {
			sink.MarkStale(Series{e.repo, e.user}, vanished)
		}
	}
	v.stale = nil
}

// shownMetrics returns the metrics that are shown of a label.
func (r *repoView) shownMetrics(label *userLabel) Mask {
	switch {
	case label == nil:
		return Mask{}
	case label.isShared():
		if g := r.groups[label]; g != nil {
			return g.shownMetrics
		}
	default:
		if s := r.series[label.members[0]]; s != nil {
			return s.shownMetrics
		}
	}
	return Mask{}
}

// emitRepo emits the series of a repository.
func (v *View) emitRepo(repo *repoView, cov *ledger.RepoCoverage, now time.Time, sink Sink) {
	if repo.shownName != cov.Name {
		v.stale = repo.markRepoStale(v.stale, v.accounts)
		repo.shownName = cov.Name
	}
	at := v.evaluationTimes(cov, now)
	weekly := v.prepareWeekly(repo, &at)
	open, since := v.openTotalMetrics(cov.ID), cov.Since.Unix()
	var values Values
	for n, s := range repo.series {
		label := v.accounts.list[n].label
		if label == nil {
			continue
		}
		alive := s.windowValues(&at, &values)
		if weekly != nil {
			weekly.set(label, n, &values)
		}
		if label.isShared() {
			repo.group(label, v.visits.count).add(s, alive, &values)
			continue
		}
		if alive {
			v.setTotals(repo, label, open, &values, &s.totals)
		}
		values.StartTime = since
		s.shownMetrics = v.emitSeries(sink, cov.Name, label, s.shownMetrics, &values)
	}
	v.emitGroups(repo, cov, open, sink)
}

// emitSeries emits the values of a series, and marks those metrics as stale that were shown before and have vanished.
// It returns the metrics that are shown now.
func (v *View) emitSeries(sink Sink, repo string, label *userLabel, was Mask, values *Values) Mask {
	name := Series{repo, label.text}
	if vanished := was.Without(values.Present); !vanished.IsEmpty() {
		sink.MarkStale(name, vanished)
	}
	if !values.Present.IsEmpty() {
		label.shownIn = v.visits.count
		sink.Emit(name, values)
	}
	return values.Present
}

// setTotals sets the totals of a label that are open.
func (v *View) setTotals(repo *repoView, label *userLabel, open Mask, values *Values, totals *ledger.Totals) {
	if len(repo.totals.departed) > 0 {
		all := *totals
		repo.totals.addDeparted(label, &all)
		totals = &all
	}
	values.setTotals(totals, open)
	if len(repo.totals.starting) > 0 {
		repo.totals.holdStarting(label, values, v.visits.last, v.settings.ZeroFor)
	}
}

// group returns the group of a label, empty at the start of a visit.
func (r *repoView) group(label *userLabel, visit uint64) *group {
	g := r.groups[label]
	if g == nil {
		g = &group{}
		r.groups[label] = g
	}
	if g.visitCount != visit {
		*g = group{visitCount: visit, shownMetrics: g.shownMetrics}
	}
	return g
}

// add adds an account's series. Its totals count for as long as one of the accounts is shown: a total must not fall
// because one of them has been inactive for long.
func (g *group) add(s *series, alive bool, values *Values) {
	g.alive = g.alive || alive
	g.values.merge(values)
	g.totals.Add(&s.totals)
}

// emitGroups emits the series that several accounts share, after emitRepo has added up their values.
func (v *View) emitGroups(repo *repoView, cov *ledger.RepoCoverage, open Mask, sink Sink) {
	for label, g := range repo.groups {
		if g.visitCount != v.visits.count {
			v.stale = append(v.stale, staleSeries{cov.Name, label.text, g.shownMetrics})
			delete(repo.groups, label)
			continue
		}
		if g.alive {
			v.setTotals(repo, label, open, &g.values, &g.totals)
		}
		g.values.StartTime = cov.Since.Unix()
		g.shownMetrics = v.emitSeries(sink, cov.Name, label, g.shownMetrics, &g.values)
	}
}
