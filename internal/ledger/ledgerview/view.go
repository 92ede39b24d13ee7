// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Settings configures a view.
type Settings struct {
	// Retention is how long a user without events is shown, with zeros.
	Retention time.Duration
	// Grace is how far a repository's coverage may lag before its windows stop sliding: during an outage the values
	// stay as they were last read, and do not fall to zero.
	Grace time.Duration
	// Label returns a user's label value, and false for users who are not shown. It is called with an account's newest
	// login. Users with one label are one series. Nil means the login.
	Label func(activity.Actor) (string, bool)
	// WeeklyLinesFromEntries shows the weekly lines of entries (EntryWeeklyLines), because commits are read without
	// theirs.
	WeeklyLinesFromEntries bool
	// ZeroFor is how long a total that starts is shown with its value before its first event, which is 0 unless the
	// series had become stale. Zero shows it with its value at once.
	ZeroFor time.Duration
}

// View holds the metrics of one organization that one replica emits. It is built from a store's changes alone; its
// values are functions of the changes and of the time. It is safe for concurrent use.
type View struct {
	settings Settings

	mu               sync.Mutex
	caughtUp         bool
	cov              ledger.Coverage
	repos            map[int64]*repoView
	accounts         *accounts
	visits           uint64 // so far
	tallies          map[ledger.TallyKey]uint64
	entries          map[ledger.EntryKey]ledger.Entry
	prunedBefore     time.Time
	linesUnreadUntil time.Time // until when commits were read without their lines
	// open are the streams of each repository whose totals are shown.
	open map[int64]activity.Streams
	// lastVisit is the time of the last Visit or VisitStandby, in Unix nanoseconds; onStandby says that it was a
	// VisitStandby.
	lastVisit int64
	onStandby bool
	// saved is from the view before the snapshot that is being applied.
	saved map[int64]savedTotals
	// stale are series that were shown and have vanished since the last visit.
	stale []staleSeries
}

// repoView has a repository's series by account.
type repoView struct {
	series map[uint32]*series
	// groups are the series of labels that several accounts share.
	groups    map[*userLabel]*group
	week      *weeklyView // the given lines, nil without any
	totals    repoTotals
	shownName string // the name under which the series were last shown
}

// group is the series that accounts with one label share.
type group struct {
	visit  uint64 // of which the values are
	alive  bool   // one of the accounts has an event within the retention
	values Values
	totals ledger.Totals
	shown  Mask
}

type staleSeries struct {
	repo, user string
	shown      Mask
}

// New returns an empty view. It has caught up when a change with CaughtUp was applied.
func New(settings Settings) *View {
	if settings.Label == nil {
		settings.Label = func(a activity.Actor) (string, bool) { return a.Login, true }
	}
	v := &View{settings: settings}
	v.reset()
	return v
}

func (v *View) reset() {
	v.caughtUp = false
	v.cov = ledger.Coverage{Repos: make(map[int64]*ledger.RepoCoverage)}
	v.repos = make(map[int64]*repoView)
	v.accounts = newAccounts(v.settings.Label, v.relabel, v.keepDeparted)
	v.open = make(map[int64]activity.Streams)
	v.tallies = make(map[ledger.TallyKey]uint64)
	v.entries = make(map[ledger.EntryKey]ledger.Entry)
	v.prunedBefore, v.linesUnreadUntil = time.Time{}, time.Time{}
}

// Apply applies a change. Changes must come in the order in which Follow returns them.
func (v *View) Apply(c ledger.Change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.Reset {
		v.restart(c.LedgerStart)
	}
	if !c.LedgerStart.IsZero() {
		v.cov.LedgerStart = c.LedgerStart
	}
	for i := range c.Progress.Repos {
		v.noteReturn(&c.Progress.Repos[i])
	}
	v.cov.Apply(c.Progress)
	for i := range c.Carried {
		v.addCarried(&c.Carried[i])
	}
	for i := range c.Events {
		v.addEvent(&c.Events[i])
	}
	v.moveEvents(c.Restored, (*series).restore)
	v.moveEvents(c.Removed, (*series).remove)
	v.applyEntriesAndTallies(&c)
	if c.PrunedBefore.After(v.prunedBefore) {
		v.prune(c.PrunedBefore)
	}
	if forgotten := c.Progress.PurgedRepos(); len(forgotten) > 0 {
		v.purge(forgotten)
	}
	for i := range c.Progress.Repos { // after the events: those that came with the last of the history are history
		v.openTotals(c.Progress.Repos[i].ID)
	}
	if c.CaughtUp && !v.caughtUp {
		v.restoreTotals()
	}
	v.caughtUp = v.caughtUp || c.CaughtUp
}

// restart empties the view for a new snapshot, and notes what was shown, so that series which are not in the snapshot
// become stale.
func (v *View) restart(began time.Time) {
	v.saveTotals()
	if !began.Equal(v.cov.LedgerStart) && v.caughtUp {
		v.saved = nil // another ledger
	}
	ended := v.stale
	for _, repo := range v.repos {
		ended = repo.markRepoStale(ended, v.accounts)
	}
	v.reset()
	v.stale = ended
}

func (v *View) applyEntriesAndTallies(c *ledger.Change) {
	for _, t := range c.Tallies {
		v.tallies[t.TallyKey] += t.Add
	}
	for _, entry := range c.Entries {
		if have, ok := v.entries[entry.EntryKey]; !ok || !entry.Observed.Before(have.Observed) {
			v.entries[entry.EntryKey] = entry
			v.applyEntry(&entry)
		}
	}
}

func (v *View) applyEntry(entry *ledger.Entry) {
	switch entry.Name {
	case ledger.EntryWeeklyLines:
		if v.settings.WeeklyLinesFromEntries {
			v.applyWeeklyLines(entry)
		}
	case ledger.EntryCommitsWithoutLines:
		v.linesUnreadUntil = entry.Observed
	case ledger.EntryLogin:
		v.applyLogin(entry)
	}
}

// applyLogin applies an account's present login. An invalid one is ignored.
func (v *View) applyLogin(entry *ledger.Entry) {
	id, err := strconv.ParseInt(entry.Sub, 10, 64)
	actor := activity.Actor{ID: id, Login: string(entry.Data)}
	if err == nil && id != 0 && actor.Validate() == nil {
		v.accounts.observeLogin(id, actor.Login, entry.Observed)
	}
}

func (v *View) addCarried(c *ledger.CarriedTotals) {
	v.seriesAt(c.Repo, v.accounts.resolve(c.Actor, 0)).totals.Add(&c.Totals)
}

func (v *View) addEvent(e *activity.Event) {
	account := v.accounts.resolve(e.Actor, ledger.Unix32(e.Time))
	s := v.seriesAt(e.Repo, account)
	v.noteStart(e.Repo, v.repos[e.Repo], account, e.Kind)
	s.add(e)
}

// moveEvents removes or restores events, all of a repository and kind at once.
func (v *View) moveEvents(keys []activity.Key, move func(s *series, kind activity.Kind, ids map[uint64]bool)) {
	type place struct {
		repo int64
		kind activity.Kind
	}
	moved := make(map[place]map[uint64]bool)
	for i := range keys {
		at := place{keys[i].Repo, keys[i].Kind}
		if moved[at] == nil {
			moved[at] = make(map[uint64]bool)
		}
		moved[at][compactID(&keys[i].ID)] = true
	}
	for at, ids := range moved {
		repo := v.repos[at.repo]
		if repo == nil {
			continue
		}
		for _, s := range repo.series {
			move(s, at.kind, ids)
		}
	}
}

// seriesAt returns the series of an account in a repository.
func (v *View) seriesAt(repo int64, account uint32) *series {
	r := v.repoAt(repo)
	s := r.series[account]
	if s == nil {
		s = &series{}
		r.series[account] = s
	}
	return s
}

// relabel marks what is shown of accounts as stale: the next visit shows it under their labels of then.
func (v *View) relabel(members []uint32) {
	for _, repo := range v.repos {
		for _, n := range members {
			if s := repo.series[n]; s != nil {
				v.stale = repo.markSeriesStale(v.stale, v.accounts.list[n].label, s)
			}
		}
	}
}

// ShowsLogin reports whether an account is shown under its login, or would be after its first event, whenever that is:
// in the view the login may belong to an account that had it before.
func (v *View) ShowsLogin(actor activity.Actor) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if actor.ID == 0 {
		return true
	}
	holder, held := v.accounts.holders[actor.Login]
	n, known := v.accounts.byKey[accountKeyOf(actor)]
	if !known {
		return !held
	}
	return held && holder == n
}

func (v *View) repoAt(repo int64) *repoView {
	r := v.repos[repo]
	if r == nil {
		r = &repoView{series: make(map[uint32]*series), groups: make(map[*userLabel]*group)}
		v.repos[repo] = r
	}
	return r
}

func (v *View) prune(before time.Time) {
	v.prunedBefore = before
	v.cov.Prune(before)
	limit := ledger.Unix32(before)
	for _, repo := range v.repos {
		for _, s := range repo.series {
			s.prune(limit)
		}
		repo.totals.dropUnused(v.accounts.labels)
	}
	for id := range v.cov.Repos { // what was missing is not wanted any more
		v.openTotals(id)
	}
}

// purge deletes what the view has of the purged repositories.
func (v *View) purge(forgotten map[int64]bool) {
	for id := range forgotten {
		repo := v.repos[id]
		if repo == nil {
			continue
		}
		v.stale, repo.week = repo.markRepoStale(v.stale, v.accounts), nil
		maps.DeleteFunc(repo.series, func(_ uint32, s *series) bool { return s.numEvents() == 0 })
		if len(repo.series) == 0 {
			delete(v.repos, id)
		}
	}
	maps.DeleteFunc(v.entries, func(key ledger.EntryKey, _ ledger.Entry) bool { return forgotten[key.Repo] })
}

// IsCaughtUp reports whether a snapshot was applied completely: before, the values are too small.
func (v *View) IsCaughtUp() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.caughtUp
}

// Series identifies a series of the activity metrics.
type Series struct {
	// Repo is the repository's present name, User the user's label.
	Repo, User string
}

// Entry returns the newest observation of an entry, and false without one. Its data must not be changed.
func (v *View) Entry(key ledger.EntryKey) (ledger.Entry, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	entry, ok := v.entries[key]
	return entry, ok
}

// Entries returns the newest observations of all entries of a name, in no order. Their data must not be changed.
func (v *View) Entries(name string) []ledger.Entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	var list []ledger.Entry
	for key, entry := range v.entries {
		if key.Name == name {
			list = append(list, entry)
		}
	}
	return list
}

// RepoName returns the present name of a repository, and false for one that is unknown or gone.
func (v *View) RepoName(repo int64) (string, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	cov := v.cov.Repos[repo]
	if cov == nil || cov.IsGone() {
		return "", false
	}
	return cov.Name, true
}

// Edge returns the start of the last pass that the view has.
func (v *View) Edge() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.cov.Edge
}

// Summary is the size and the state of a view.
type Summary struct {
	CaughtUp                     bool
	LedgerStart, OldestUncovered time.Time
	Gaps                         int
	// Series is the number of accounts in repositories that have events, Events the number of their events, both of
	// users who are shown.
	Series, Events int
	// Shown is the number of series of each metric that the last visit showed.
	Shown   [NumMetrics]int
	Tallies map[ledger.TallyKey]uint64
}

// Summary returns the view's size and state.
func (v *View) Summary() Summary {
	v.mu.Lock()
	defer v.mu.Unlock()
	sum := Summary{
		CaughtUp: v.caughtUp, LedgerStart: v.cov.LedgerStart, OldestUncovered: v.cov.OldestUncovered(),
		Gaps:    len(v.cov.Gaps()),
		Tallies: maps.Clone(v.tallies),
	}
	for _, repo := range v.repos {
		for n, s := range repo.series {
			if v.accounts.list[n].label != nil {
				sum.addSeries(s)
			}
		}
		for _, g := range repo.groups {
			sum.countShown(g.shown)
		}
	}
	return sum
}

func (sum *Summary) addSeries(s *series) {
	if n := s.numEvents(); n > 0 {
		sum.Series++
		sum.Events += n
	}
	sum.countShown(s.shown)
}

func (sum *Summary) countShown(shown Mask) {
	for m := range NumMetrics {
		if shown.Has(Metric(m)) {
			sum.Shown[m]++
		}
	}
}
