// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Plan returns the change that a batch would make, without applying it. It calls reserve before each new series: when
// that returns false, the user is folded into "_other". It returns ErrFenced for a fence older than one seen before,
// and ErrInvalid for what cannot be stored. The change shares no memory with the batch.
func (s *State) Plan(fence uint64, b *ledger.Batch, reserve func() bool) (ledger.Change, ledger.Receipt, error) {
	if fence != 0 && fence < s.fence {
		return ledger.Change{}, ledger.Receipt{}, ledger.ErrFenced
	}
	s.fence = max(s.fence, fence)
	c, err := b.Metadata(fence, s.cov.LedgerStart.IsZero(), s.prunedBefore)
	if err != nil {
		return ledger.Change{}, ledger.Receipt{}, err
	}
	a := admission{
		state: s, batch: b, reserve: reserve, since: s.wantedSince(&c.Progress),
		seen: make(map[activity.Key]struct{}),
	}
	c.Events = a.admitEvents()
	c.Removed, c.Restored = a.planRemovals(fence), a.restored
	if a.receipt.Folded > 0 {
		overflow := ledger.TallyKey{Name: ledger.TallySeriesOverflow}
		c.Tallies = append(c.Tallies, ledger.Tally{TallyKey: overflow, Add: uint64(a.receipt.Folded)})
	}
	return c, a.receipt, nil
}

// wantedSince returns a function with the time from which each repository of the batch is wanted, and false for an
// unknown one.
func (s *State) wantedSince(p *ledger.Progress) func(repo int64) (time.Time, bool) {
	introduced := make(map[int64]time.Time)
	for i := range p.Repos {
		if r := &p.Repos[i]; !r.Since.IsZero() {
			introduced[r.ID] = r.Since
		}
	}
	return func(repo int64) (time.Time, bool) {
		if r, ok := s.cov.Repos[repo]; ok {
			return r.Since, true
		}
		since, ok := introduced[repo]
		return since, ok
	}
}

// admission decides which events of a batch are recorded, and under which user.
type admission struct {
	state   *State
	batch   *ledger.Batch
	since   func(repo int64) (time.Time, bool)
	reserve func() bool
	receipt ledger.Receipt
	// seen are the admitted events of the batch, restored those of them that had been removed.
	seen     map[activity.Key]struct{}
	restored []activity.Key
}

// planRemovals returns the events that the batch removes, among its own and the recorded ones.
func (a *admission) planRemovals(fence uint64) []activity.Key {
	removals := make(map[activity.Key]bool)
	for _, key := range a.batch.AuthorizedRemovals(fence) {
		r, recorded := a.state.events[key]
		if _, has := a.seen[key]; has || (recorded && !r.removed) {
			removals[key] = true
		}
	}
	if sweeper := a.batch.AuthorizedSweeps(fence); len(sweeper) > 0 {
		for key, r := range a.state.events {
			if !r.removed && sweeper.Removes(key, time.Unix(int64(r.time), 0)) {
				removals[key] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(removals), compareKeys)
}

// compareKeys orders keys by repository, kind and id.
func compareKeys(a, b activity.Key) int {
	return cmp.Or(cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.ID[:], b.ID[:]))
}

// admitEvents returns the events of the batch that are new to the ledger, and fills the receipt.
func (a *admission) admitEvents() []activity.Event {
	fresh := make([]activity.Event, 0, len(a.batch.Events))
	seen := a.seen
	opened := make(map[actorSeries]bool)
	for _, e := range a.batch.Events {
		if !a.admit(&e) {
			a.receipt.Dropped++
			continue
		}
		key := e.Key()
		recordedEvent, recorded := a.state.events[key]
		_, twice := seen[key]
		seen[key] = struct{}{}
		if recorded || twice {
			a.receipt.Duplicates++
			if recordedEvent.removed && !twice {
				a.restored = append(a.restored, key)
			}
			continue
		}
		a.fold(&e, opened)
		fresh = append(fresh, e)
	}
	a.receipt.Recorded = len(fresh)
	return fresh
}

// admit reports whether the event is recorded.
func (a *admission) admit(e *activity.Event) bool {
	since, ok := a.since(e.Repo)
	return ok && a.batch.Admit(e, since, a.state.prunedBefore)
}

// actorSeries is a user in a repository whose actor may have no number yet.
type actorSeries struct {
	repo  int64
	actor activity.Actor
}

// fold attributes the event of a new series to "_other" if there is no room for the series. opened has the new series
// of this batch, true for those that got room.
func (a *admission) fold(e *activity.Event, opened map[actorSeries]bool) {
	series := actorSeries{e.Repo, e.Actor}
	if a.state.hasEvents(series) || e.Actor.Login == activity.LoginOther || e.Kind.IsOfRepository() {
		return
	}
	hasRoom, decided := opened[series]
	if !decided {
		hasRoom = a.reserve()
		opened[series] = hasRoom
		if !hasRoom {
			a.receipt.Folded++
		}
	}
	if !hasRoom {
		e.Actor = activity.Other()
	}
}

// hasEvents reports whether a series has events, removed ones included.
func (s *State) hasEvents(series actorSeries) bool {
	n, ok := s.actors.byActor[series.actor]
	if !ok {
		return false
	}
	have := s.series[seriesKey{series.repo, n}]
	return have != nil && have.events > 0
}

// PlanPrune returns the change that pruning before a time would make. needless reports that it was made before.
func (s *State) PlanPrune(before time.Time) (c ledger.Change, needless bool) {
	c.PrunedBefore = ledger.FloorSecond(before)
	if len(s.cov.Purgeable(c.PrunedBefore, nil)) > 0 {
		c.Progress.Repos = s.cov.Purgeable(c.PrunedBefore, s.reposWithEventsFrom(c.PrunedBefore))
	}
	return c, !c.PrunedBefore.After(s.prunedBefore)
}

// reposWithEventsFrom returns the repositories with events at or after a time.
func (s *State) reposWithEventsFrom(from time.Time) map[int64]bool {
	live, limit := make(map[int64]bool), ledger.Unix32(from)
	for key, r := range s.events {
		if r.time >= limit {
			live[key.Repo] = true
		}
	}
	return live
}
