// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// SnapshotChunk is the largest number of events, or of series with carried totals, in one change of a snapshot.
const SnapshotChunk = 5000

// State is an organization's ledger in memory, the state machine of the stores that hold their data in this process:
// Plan returns the change that a batch would make, Apply applies it. It is not safe for concurrent use.
type State struct {
	cov          Coverage
	events       map[activity.Key]storedEvent
	actors       actors
	series       map[seriesKey]*seriesState
	liveSeries   int
	tallies      map[TallyKey]uint64
	entries      map[EntryKey]Entry
	prunedBefore time.Time
	fence        uint64
}

// storedEvent is an event without its key. A removed one is kept, so that restoring it does not count it twice.
type storedEvent struct {
	at, actor uint32
	measures  activity.Measures
	removed   bool
}

// seriesKey identifies a user in a repository.
type seriesKey struct {
	repo  int64
	actor uint32
}

// seriesState counts the events that a series has in the ledger, and carries the totals of those that were pruned.
type seriesState struct {
	events  uint32
	carried Totals
}

// actors numbers the actors.
type actors struct {
	byActor map[activity.Actor]uint32
	list    []activity.Actor
}

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

func (s *State) reset() {
	fence := s.fence
	*s = State{
		fence:   fence,
		cov:     Coverage{Repos: make(map[int64]*RepoCoverage)},
		events:  make(map[activity.Key]storedEvent),
		actors:  actors{byActor: make(map[activity.Actor]uint32)},
		series:  make(map[seriesKey]*seriesState),
		tallies: make(map[TallyKey]uint64),
		entries: make(map[EntryKey]Entry),
	}
}

// NumSeries returns the number of users in repositories that have events.
func (s *State) NumSeries() int { return s.liveSeries }

// NumEvents returns the number of events, removed ones included.
func (s *State) NumEvents() int { return len(s.events) }

// Coverage returns a copy of the coverage.
func (s *State) Coverage() Coverage { return s.cov.Clone() }

// Plan returns the change that a batch would make, without applying it. room is how many new series there may be: the
// users of more are folded into "_other". It returns ErrFenced for a fence older than one seen before, and ErrInvalid
// for what cannot be stored. The change shares no memory with the batch.
func (s *State) Plan(fence uint64, b *Batch, room int) (Change, Receipt, error) {
	if fence != 0 && fence < s.fence {
		return Change{}, Receipt{}, ErrFenced
	}
	s.fence = max(s.fence, fence)
	c, err := b.Metadata(fence, s.cov.LedgerStart.IsZero(), s.prunedBefore)
	if err != nil {
		return Change{}, Receipt{}, err
	}
	a := admission{
		state: s, batch: b, room: room, since: s.wantedSince(&c.Progress),
		seen: make(map[activity.Key]struct{}),
	}
	c.Events = a.events()
	c.Removed, c.Restored = a.removals(fence), a.restored
	if a.receipt.Folded > 0 {
		overflow := Tally{TallyKey{Name: TallySeriesOverflow}, uint64(a.receipt.Folded)}
		c.Tallies = append(c.Tallies, overflow)
	}
	return c, a.receipt, nil
}

// TallySeriesOverflow counts the series that were folded because max_series was reached. The ledger itself counts it,
// whatever process commits.
const TallySeriesOverflow = "series_overflow"

// wantedSince returns a function with the time from which each repository of the batch is wanted, and false for an
// unknown one.
func (s *State) wantedSince(p *Progress) func(repo int64) (time.Time, bool) {
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
	batch   *Batch
	since   func(repo int64) (time.Time, bool)
	room    int
	receipt Receipt
	// seen are the admitted events of the batch, restored those of them that had been removed.
	seen     map[activity.Key]struct{}
	restored []activity.Key
}

// removals returns the events that the batch removes, among its own and the recorded ones.
func (a *admission) removals(fence uint64) []activity.Key {
	removals := make(map[activity.Key]bool)
	for _, key := range a.batch.AuthorizedRemovals(fence) {
		r, recorded := a.state.events[key]
		if _, has := a.seen[key]; has || (recorded && !r.removed) {
			removals[key] = true
		}
	}
	if sweeper := a.batch.AuthorizedSweeps(fence); len(sweeper) > 0 {
		for key, r := range a.state.events {
			if !r.removed && sweeper.Removes(key, time.Unix(int64(r.at), 0)) {
				removals[key] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(removals), compareKeys)
}

func compareKeys(a, b activity.Key) int {
	return cmp.Or(cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.ID[:], b.ID[:]))
}

func (a *admission) events() []activity.Event {
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
	if a.state.hasEvents(series) || e.Actor.Login == activity.LoginOther {
		return
	}
	hasRoom, decided := opened[series]
	if !decided {
		hasRoom = a.room > 0
		opened[series] = hasRoom
		if hasRoom {
			a.room--
		} else {
			a.receipt.Folded++
		}
	}
	if !hasRoom {
		e.Actor = activity.Other()
	}
}

func (s *State) hasEvents(series actorSeries) bool {
	n, ok := s.actors.byActor[series.actor]
	if !ok {
		return false
	}
	have := s.series[seriesKey{series.repo, n}]
	return have != nil && have.events > 0
}

// Apply applies a change that Plan or Snapshot returned.
func (s *State) Apply(c *Change) {
	if c.Reset {
		s.reset()
	}
	if !c.LedgerStart.IsZero() {
		s.cov.LedgerStart = c.LedgerStart
	}
	s.cov.Apply(c.Progress)
	for i := range c.Carried {
		carried := &c.Carried[i]
		s.seriesAt(carried.Repo, carried.Actor).carried.add(&carried.Totals)
	}
	for i := range c.Events {
		s.add(&c.Events[i])
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
func (s *State) purge(p *Progress) {
	forgotten := p.purgedRepos()
	if len(forgotten) == 0 {
		return
	}
	maps.DeleteFunc(s.series, func(key seriesKey, series *seriesState) bool {
		return forgotten[key.repo] &&
			series.events == 0
	})
	maps.DeleteFunc(s.entries, func(key EntryKey, _ Entry) bool { return forgotten[key.Repo] })
}

func (s *State) seriesAt(repo int64, actor activity.Actor) *seriesState {
	key := seriesKey{repo, s.actors.index(actor)}
	series := s.series[key]
	if series == nil {
		series = &seriesState{}
		s.series[key] = series
	}
	return series
}

func (s *State) add(e *activity.Event) {
	key := e.Key()
	if _, ok := s.events[key]; ok {
		return
	}
	s.events[key] = storedEvent{
		at: unix32(e.Time), actor: s.actors.index(e.Actor), measures: e.Measures,
	}
	series := s.seriesAt(e.Repo, e.Actor)
	if series.events == 0 {
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

// PlanPrune returns the change that pruning before a time would make. needless reports that it was made before.
func (s *State) PlanPrune(before time.Time) (c Change, needless bool) {
	c.PrunedBefore = floorSecond(before)
	if len(s.cov.Purgeable(c.PrunedBefore, nil)) > 0 {
		c.Progress.Repos = s.cov.Purgeable(c.PrunedBefore, s.reposWithEventsFrom(c.PrunedBefore))
	}
	return c, !c.PrunedBefore.After(s.prunedBefore)
}

// reposWithEventsFrom returns the repositories with events at or after a time.
func (s *State) reposWithEventsFrom(from time.Time) map[int64]bool {
	live, limit := make(map[int64]bool), unix32(from)
	for key, r := range s.events {
		if r.at >= limit {
			live[key.Repo] = true
		}
	}
	return live
}

func (s *State) prune(before time.Time) {
	s.prunedBefore = before
	s.cov.Prune(before)
	limit := unix32(before)
	for key, r := range s.events {
		if r.at >= limit {
			continue
		}
		series := s.series[seriesKey{key.Repo, r.actor}]
		e := s.event(key, r)
		series.carried.AddEvent(&e)
		series.events--
		if series.events == 0 {
			s.liveSeries--
		}
		delete(s.events, key)
	}
}

func (s *State) event(key activity.Key, r storedEvent) activity.Event {
	return activity.Event{
		Kind: key.Kind, Repo: key.Repo, ID: key.ID, Actor: s.actors.list[r.actor],
		Time: time.Unix(int64(r.at), 0).UTC(), Measures: r.measures,
	}
}

// Snapshot returns the state as changes: the first has Reset, the last CaughtUp.
func (s *State) Snapshot() []Change {
	first := Change{
		Reset: true, LedgerStart: s.cov.LedgerStart, Progress: s.cov.asProgress(),
		PrunedBefore: s.prunedBefore,
	}
	for key, n := range s.tallies {
		first.Tallies = append(first.Tallies, Tally{key, n})
	}
	for _, entry := range s.entries {
		first.Entries = append(first.Entries, entry)
	}
	changes := slices.Concat([]Change{first}, s.carriedChanges(), s.eventChanges())
	changes[len(changes)-1].CaughtUp = true
	return changes
}

// carriedChanges returns the carried totals. Each change has the time of the pruning itself: if the first change of a
// stored snapshot is lost, events that the totals count must not be recorded again.
func (s *State) carriedChanges() []Change {
	var carried []CarriedTotals
	for key, series := range s.series {
		if series.carried != (Totals{}) {
			carried = append(carried, CarriedTotals{
				Repo: key.repo, Actor: s.actors.list[key.actor],
				Totals: series.carried,
			})
		}
	}
	var changes []Change
	for chunk := range slices.Chunk(carried, SnapshotChunk) {
		changes = append(changes, Change{Carried: chunk, PrunedBefore: s.prunedBefore})
	}
	return changes
}

// eventChanges returns all events, each change with those of its events that are removed.
func (s *State) eventChanges() []Change {
	var changes []Change
	chunk := Change{}
	for key, r := range s.events {
		chunk.Events = append(chunk.Events, s.event(key, r))
		if r.removed {
			chunk.Removed = append(chunk.Removed, key)
		}
		if len(chunk.Events) == SnapshotChunk {
			changes = append(changes, chunk)
			chunk = Change{}
		}
	}
	if len(chunk.Events) > 0 {
		changes = append(changes, chunk)
	}
	return changes
}

// unix32 returns a time in Unix seconds, limited to the range of 32 bits.
func unix32(t time.Time) uint32 {
	return uint32(min(math.MaxUint32, max(0, t.Unix())))
}

// Invalidate marks everything that is wanted from a time on as missing, after records were lost. What was pruned is not
// wanted any more. Entries of repositories are deleted, because they may say that the lost part need not be read.
func (s *State) Invalidate(from time.Time) {
	if s.prunedBefore.After(from) {
		from = s.prunedBefore
	}
	s.cov.Invalidate(from)
	maps.DeleteFunc(s.entries, func(key EntryKey, _ Entry) bool { return key.Repo != 0 })
}
