// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"maps"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// State is an organization's ledger in memory, the state machine of the stores that hold their data in this process:
// Plan returns the change that a batch would make, Apply applies it. It is not safe for concurrent use.
type State struct {
	cov          ledger.Coverage
	events       map[activity.Key]storedEvent
	actors       actors
	series       map[seriesKey]*seriesState
	liveSeries   int
	tallies      map[ledger.TallyKey]uint64
	entries      map[ledger.EntryKey]ledger.Entry
	prunedBefore time.Time
	fence        uint64
}

// storedEvent is an event without its key. A removed one is kept, so that restoring it does not count it twice.
type storedEvent struct {
	time, actor uint32
	measures    activity.Measures
	removed     bool
}

// seriesKey identifies a user in a repository.
type seriesKey struct {
	repo  int64
	actor uint32
}

// seriesState counts the events that a series has in the ledger, and carries the totals of those that were pruned.
type seriesState struct {
	events     uint32
	carried    ledger.Totals
	repository ledger.RepositoryTotals // of the pruned events that are attributed to the repository
}

// carry adds a pruned event to the carried totals.
func (s *seriesState) carry(e *activity.Event) {
	if e.Kind.IsOfRepository() {
		s.repository.AddEvent(e)
	} else {
		s.carried.AddEvent(e)
	}
}

// actors numbers the actors.
type actors struct {
	byActor map[activity.Actor]uint32
	list    []activity.Actor
}

// index returns the number of an actor, which gets one when it has none.
func (a *actors) index(actor activity.Actor) uint32 {
	if n, ok := a.byActor[actor]; ok {
		return n
	}
	n := uint32(len(a.list)) //nolint:gosec // there are not 2³² accounts
	a.byActor[actor] = n
	a.list = append(a.list, actor)
	return n
}

// NewState returns an empty ledger.
func NewState() *State {
	s := &State{}
	s.reset()
	return s
}

// reset empties the ledger; the fence stays.
func (s *State) reset() {
	fence := s.fence
	*s = State{
		fence:   fence,
		cov:     ledger.Coverage{Repos: make(map[int64]*ledger.RepoCoverage)},
		events:  make(map[activity.Key]storedEvent),
		actors:  actors{byActor: make(map[activity.Actor]uint32)},
		series:  make(map[seriesKey]*seriesState),
		tallies: make(map[ledger.TallyKey]uint64),
		entries: make(map[ledger.EntryKey]ledger.Entry),
	}
}

// NumSeries returns the number of users in repositories that have events.
func (s *State) NumSeries() int { return s.liveSeries }

// NumEvents returns the number of events, removed ones included.
func (s *State) NumEvents() int { return len(s.events) }

// Coverage returns a copy of the coverage.
func (s *State) Coverage() ledger.Coverage { return s.cov.Clone() }

// Apply applies a change that Plan or Snapshot returned.
func (s *State) Apply(c *ledger.Change) {
	if c.Reset {
		s.reset()
	}
	if !c.LedgerStart.IsZero() {
		s.cov.LedgerStart = c.LedgerStart
	}
	s.cov.Apply(c.Progress)
	for i := range c.Carried {
		carried := &c.Carried[i]
		series := s.seriesAt(carried.Repo, carried.Actor)
		series.carried.Add(&carried.Totals)
		series.repository.Add(carried.Repository)
	}
	for i := range c.Events {
		s.addEvent(&c.Events[i])
	}
	s.setRemoved(c.Restored, false)
	s.setRemoved(c.Removed, true)
	for _, t := range c.Tallies {
		s.tallies[t.TallyKey] += t.Add
	}
	for _, v := range c.Entries {
		if have, ok := s.entries[v.EntryKey]; !ok || !v.Observed.Before(have.Observed) {
			s.entries[v.EntryKey] = v
		}
	}
	if c.PrunedBefore.After(s.prunedBefore) {
		s.prune(c.PrunedBefore)
	}
	s.purge(&c.Progress)
}

// purge deletes the totals and entries of the purged repositories.
func (s *State) purge(p *ledger.Progress) {
	purged := p.PurgedRepos()
	if len(purged) == 0 {
		return
	}
	maps.DeleteFunc(s.series, func(key seriesKey, series *seriesState) bool {
		return purged[key.repo] &&
			series.events == 0
	})
	maps.DeleteFunc(s.entries, func(key ledger.EntryKey, _ ledger.Entry) bool { return purged[key.Repo] })
}

// seriesAt returns a series, which it adds when the ledger does not have it.
func (s *State) seriesAt(repo int64, actor activity.Actor) *seriesState {
	key := seriesKey{repo, s.actors.index(actor)}
	series := s.series[key]
	if series == nil {
		series = &seriesState{}
		s.series[key] = series
	}
	return series
}

// addEvent records an event unless it is recorded.
func (s *State) addEvent(e *activity.Event) {
	key := e.Key()
	if _, ok := s.events[key]; ok {
		return
	}
	s.events[key] = storedEvent{
		time: ledger.Unix32(e.Time), actor: s.actors.index(e.Actor), measures: e.Measures,
	}
	series := s.seriesAt(e.Repo, e.Actor)
	if series.events == 0 && !e.Kind.IsOfRepository() {
		s.liveSeries++
	}
	series.events++
}

// setRemoved marks recorded events as removed or as existing.
func (s *State) setRemoved(keys []activity.Key, removed bool) {
	for _, key := range keys {
		if r, recorded := s.events[key]; recorded {
			r.removed = removed
			s.events[key] = r
		}
	}
}

// prune moves the events before a time into the carried totals.
func (s *State) prune(before time.Time) {
	s.prunedBefore = before
	s.cov.Prune(before)
	limit := ledger.Unix32(before)
	for key, r := range s.events {
		if r.time >= limit {
			continue
		}
		series := s.series[seriesKey{key.Repo, r.actor}]
		e := s.event(key, r)
		series.carry(&e)
		series.events--
		if series.events == 0 && !e.Kind.IsOfRepository() {
			s.liveSeries--
		}
		delete(s.events, key)
	}
}

// event returns a recorded event.
func (s *State) event(key activity.Key, r storedEvent) activity.Event {
	return activity.Event{
		Kind: key.Kind, Repo: key.Repo, ID: key.ID, Actor: s.actors.list[r.actor],
		Time: time.Unix(int64(r.time), 0).UTC(), Measures: r.measures,
	}
}

// Invalidate marks everything that is wanted from a time on as missing, after records were lost. What was pruned is not
// wanted any more. Entries of repositories are deleted, because they may say that the lost part need not be read.
func (s *State) Invalidate(from time.Time) {
	if s.prunedBefore.After(from) {
		from = s.prunedBefore
	}
	s.cov.Invalidate(from)
	maps.DeleteFunc(s.entries, func(key ledger.EntryKey, _ ledger.Entry) bool { return key.Repo != 0 })
}
