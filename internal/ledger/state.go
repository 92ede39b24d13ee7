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

// SnapshotChunk is how many events, or series with carried totals, a change of a snapshot has at most.
const SnapshotChunk = 5000

// State is an organization's ledger in memory. It is the state machine of the stores that keep their data in this
// process: Plan says what a batch would change, Apply changes it. It is not safe for concurrent use.
type State struct {
	cov     Coverage
	events  map[activity.Key]record
	actors  actors
	series  map[seriesKey]*seriesState
	live    int
	tallies map[TallyKey]uint64
	samples map[EntryKey]Entry
	pruned  time.Time
	fence   uint64
}

// record is an event without its key. A removed one is kept, so that it is not counted again when it is restored.
type record struct {
	at, actor, additions, deletions uint32
	removed                         bool
}

// seriesKey is a user in a repository.
type seriesKey struct {
	repo  int64
	actor uint32
}

// seriesState counts the events that a series has in the ledger and carries the totals of those it had.
type seriesState struct {
	events  uint32
	carried Totals
}

// actors gives actors small numbers.
type actors struct {
	byActor map[activity.Actor]uint32
	list    []activity.Actor
}

func (a *actors) number(actor activity.Actor) uint32 {
	if n, ok := a.byActor[actor]; ok {
		return n
	}
	n := uint32(len(a.list)) //nolint:gosec // there are not 2³² accounts
	a.byActor[actor] = n
	a.list = append(a.list, actor)
	return n
}

// NewState is an empty ledger.
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
		events:  make(map[activity.Key]record),
		actors:  actors{byActor: make(map[activity.Actor]uint32)},
		series:  make(map[seriesKey]*seriesState),
		tallies: make(map[TallyKey]uint64),
		samples: make(map[EntryKey]Entry),
	}
}

// NumSeries is the number of users in repositories that have events.
func (s *State) NumSeries() int { return s.live }

// NumEvents is the number of events.
func (s *State) NumEvents() int { return len(s.events) }

// Coverage is a copy of what has been read.
func (s *State) Coverage() Coverage { return s.cov.Clone() }

// Plan is the change that a batch would make, without making it. room is how many new series there may be: the users
// of more are folded into "_other". Fences older than one seen before are refused with ErrFenced, what cannot be kept with
// ErrInvalid. The change shares nothing with the batch.
func (s *State) Plan(fence uint64, b *Batch, room int) (Change, Receipt, error) {
	if fence != 0 && fence < s.fence {
		return Change{}, Receipt{}, ErrFenced
	}
	s.fence = max(s.fence, fence)
	c, err := b.Metadata(fence, s.cov.LedgerStart.IsZero(), s.pruned)
	if err != nil {
		return Change{}, Receipt{}, err
	}
	a := admission{state: s, batch: b, room: room, since: s.wanted(&c.Progress), seen: make(map[activity.Key]struct{})}
	c.Events = a.events()
	c.Removed, c.Restored = a.removals(fence), a.restored
	if a.receipt.Folded > 0 {
		overflow := Tally{TallyKey{Name: TallySeriesOverflow}, uint64(a.receipt.Folded)}
		c.Tallies = append(c.Tallies, overflow)
	}
	return c, a.receipt, nil
}

// TallySeriesOverflow counts series folded by the budget. The ledger itself counts it, whoever commits.
const TallySeriesOverflow = "series_overflow"

// wanted is from when on each repository of the batch is wanted.
func (s *State) wanted(p *Progress) func(repo int64) (time.Time, bool) {
	met := make(map[int64]time.Time)
	for i := range p.Repos {
		if r := &p.Repos[i]; !r.Since.IsZero() {
			met[r.ID] = r.Since
		}
	}
	return func(repo int64) (time.Time, bool) {
		if r, ok := s.cov.Repos[repo]; ok {
			return r.Since, true
		}
		since, ok := met[repo]
		return since, ok
	}
}

// admission decides which events of a batch are recorded, and as what.
type admission struct {
	state   *State
	batch   *Batch
	since   func(repo int64) (time.Time, bool)
	room    int
	receipt Receipt
	// seen are the admitted events of the batch, restored those of them that were removed.
	seen     map[activity.Key]struct{}
	restored []activity.Key
}

// removals are the events that the batch removes: of those that it has itself and of those that are recorded.
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
	opened := make(map[seriesOf]bool)
	for _, e := range a.batch.Events {
		if !a.admit(&e) {
			a.receipt.Dropped++
			continue
		}
		key := e.Key()
		had, recorded := a.state.events[key]
		_, twice := seen[key]
		seen[key] = struct{}{}
		if recorded || twice {
			a.receipt.Duplicates++
			if had.removed && !twice {
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

// admit reports whether the event is wanted.
func (a *admission) admit(e *activity.Event) bool {
	since, known := a.since(e.Repo)
	return known && a.batch.Admit(e, since, a.state.pruned)
}

// seriesOf is a user in a repository before the user has a number.
type seriesOf struct {
	repo  int64
	actor activity.Actor
}

// fold gives the event of a new series to "_other" when there is no room for it. opened has the new series of this
// batch, true when they got a place.
func (a *admission) fold(e *activity.Event, opened map[seriesOf]bool) {
	series := seriesOf{e.Repo, e.Actor}
	if a.state.alive(series) || e.Actor.Login == activity.LoginOther {
		return
	}
	placed, met := opened[series]
	if !met {
		placed = a.room > 0
		opened[series] = placed
		if placed {
			a.room--
		} else {
			a.receipt.Folded++
		}
	}
	if !placed {
		e.Actor = activity.Other()
	}
}

func (s *State) alive(series seriesOf) bool {
	n, ok := s.actors.byActor[series.actor]
	if !ok {
		return false
	}
	have := s.series[seriesKey{series.repo, n}]
	return have != nil && have.events > 0
}

// Apply makes a change that Plan or Snapshot gave.
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
		s.seriesAt(carried.Repo, carried.Actor).carried.plus(&carried.Totals)
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
		if have, ok := s.samples[v.EntryKey]; !ok || !v.Observed.Before(have.Observed) {
			s.samples[v.EntryKey] = v
		}
	}
	if c.PrunedBefore.After(s.pruned) {
		s.prune(c.PrunedBefore)
	}
	s.forget(&c.Progress)
}

// forget takes out the totals and samples of the repositories that are forgotten.
func (s *State) forget(p *Progress) {
	forgotten := p.forgotten()
	if len(forgotten) == 0 {
		return
	}
	maps.DeleteFunc(s.series, func(key seriesKey, series *seriesState) bool { return forgotten[key.repo] && series.events == 0 })
	maps.DeleteFunc(s.samples, func(key EntryKey, _ Entry) bool { return forgotten[key.RepoID()] })
}

func (s *State) seriesAt(repo int64, actor activity.Actor) *seriesState {
	key := seriesKey{repo, s.actors.number(actor)}
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
	s.events[key] = record{
		at: unix32(e.Time), actor: s.actors.number(e.Actor), additions: e.Additions, deletions: e.Deletions,
	}
	series := s.seriesAt(e.Repo, e.Actor)
	if series.events == 0 {
		s.live++
	}
	series.events++
}

// setRemoved marks recorded events as removed, or as there.
func (s *State) setRemoved(keys []activity.Key, removed bool) {
	for _, key := range keys {
		if r, recorded := s.events[key]; recorded {
			r.removed = removed
			s.events[key] = r
		}
	}
}

// PlanPrune is the change that pruning before the given time would make. needless says that it was made before.
func (s *State) PlanPrune(before time.Time) (c Change, needless bool) {
	c.PrunedBefore = floor(before)
	if len(s.cov.Purgeable(c.PrunedBefore, nil)) > 0 {
		c.Progress.Repos = s.cov.Purgeable(c.PrunedBefore, s.livesFrom(c.PrunedBefore))
	}
	return c, !c.PrunedBefore.After(s.pruned)
}

// livesFrom are the repositories with events from a time on.
func (s *State) livesFrom(from time.Time) map[int64]bool {
	live, limit := make(map[int64]bool), unix32(from)
	for key, r := range s.events {
		if r.at >= limit {
			live[key.Repo] = true
		}
	}
	return live
}

func (s *State) prune(before time.Time) {
	s.pruned = before
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
			s.live--
		}
		delete(s.events, key)
	}
}

func (s *State) event(key activity.Key, r record) activity.Event {
	return activity.Event{
		Kind: key.Kind, Repo: key.Repo, ID: key.ID, Actor: s.actors.list[r.actor],
		Time: time.Unix(int64(r.at), 0).UTC(), Additions: r.additions, Deletions: r.deletions,
	}
}

// Snapshot is the state as changes: the first resets, the last has Caught.
func (s *State) Snapshot() []Change {
	first := Change{Reset: true, LedgerStart: s.cov.LedgerStart, Progress: s.cov.progress(), PrunedBefore: s.pruned}
	for key, n := range s.tallies {
		first.Tallies = append(first.Tallies, Tally{key, n})
	}
	for _, sample := range s.samples {
		first.Entries = append(first.Entries, sample)
	}
	changes := slices.Concat([]Change{first}, s.carriedChanges(), s.eventChanges())
	changes[len(changes)-1].CaughtUp = true
	return changes
}

// carriedChanges say themselves what was pruned: were the first change of a kept snapshot lost, events that the totals have
// already must not be recorded again.
func (s *State) carriedChanges() []Change {
	var carried []CarriedTotals
	for key, series := range s.series {
		if series.carried != (Totals{}) {
			carried = append(carried, CarriedTotals{Repo: key.repo, Actor: s.actors.list[key.actor], Totals: series.carried})
		}
	}
	var changes []Change
	for chunk := range slices.Chunk(carried, SnapshotChunk) {
		changes = append(changes, Change{Carried: chunk, PrunedBefore: s.pruned})
	}
	return changes
}

// eventChanges have all events, and say in the same change which of them are removed.
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

// unix32 is a time in Unix seconds, cut to what 32 bits hold.
func unix32(t time.Time) uint32 {
	return uint32(min(math.MaxUint32, max(0, t.Unix())))
}

// Invalidate declares everything that is wanted from a time on as missing, after a part of the record was lost. What was
// pruned is not wanted any more. Samples of repositories go: they may promise that what was lost need not be read.
func (s *State) Invalidate(from time.Time) {
	if s.pruned.After(from) {
		from = s.pruned
	}
	s.cov.Invalidate(from)
	maps.DeleteFunc(s.samples, func(key EntryKey, _ Entry) bool { return key.RepoID() != 0 })
}
