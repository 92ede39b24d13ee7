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
	// Teams selects the teams that are shown; nil for none.
	Teams *TeamSettings
}

// View holds the metrics of one organization that one replica emits. It is built from a store's changes alone; its
// values are functions of the changes and of the time. It is safe for concurrent use.
type View struct {
	settings Settings

	mu sync.Mutex
	ledgerState
	repos    map[int64]*repoView
	accounts *accounts
	visits   visits
	// open are the streams of each repository whose totals are shown.
	open map[int64]activity.Streams
	// saved is from the view before the snapshot that is being applied.
	saved map[int64]savedTotals
	// stale are series that were shown and have vanished since the last visit.
	stale []staleSeries
	// copilotChanges counts the changes of the Copilot entries, those by a new snapshot included.
	copilotChanges uint64
	teams          teams
}

// ledgerState is what the changes say apart from events.
type ledgerState struct {
	caughtUp     bool
	cov          ledger.Coverage
	tallies      map[ledger.TallyKey]uint64
	entries      map[ledger.EntryKey]ledger.Entry
	prunedBefore time.Time
	// linesUnreadUntil is the time until which commits were read without their lines.
	linesUnreadUntil time.Time
	// facts are what is known of repositories besides their activity.
	facts repoFacts
	// stocks are what is open, by repository.
	stocks map[int64]*repoStocks
}

// visits is the history of the calls of Visit and VisitStandby.
type visits struct {
	count uint64
	// last is the time of the last call in Unix nanoseconds; onStandby says that it was VisitStandby.
	last      int64
	onStandby bool
}

// repoView has a repository's series by account.
type repoView struct {
	series map[uint32]*series
	// groups are the series of labels that several accounts share.
	groups    map[*userLabel]*group
	weekly    *weeklyView // the given lines, nil without any
	flow      flow
	totals    repoTotals
	shownName string // the name under which the series were last shown
}

// group is the series that accounts with one label share.
type group struct {
	visitCount   uint64 // of which the values are
	alive        bool   // one of the accounts has an event within the retention
	values       Values
	totals       ledger.Totals
	shownMetrics Mask
}

// staleSeries is a series that was shown and is to be marked stale.
type staleSeries struct {
	repo, user   string
	shownMetrics Mask
}

// markRepoStale moves what is shown of a repository to the stale series.
func (r *repoView) markRepoStale(stale []staleSeries, accounts *accounts) []staleSeries {
	for n, s := range r.series {
		stale = r.markSeriesStale(stale, accounts.list[n].label, s)
	}
	return stale
}

// markSeriesStale moves what is shown of a series, or of its group, to the stale series.
func (r *repoView) markSeriesStale(stale []staleSeries, label *userLabel, s *series) []staleSeries {
	if label == nil {
		return stale
	}
	if !s.shownMetrics.IsEmpty() {
		stale = append(stale, staleSeries{r.shownName, label.text, s.shownMetrics})
		s.shownMetrics = Mask{}
	}
	if g := r.groups[label]; g != nil && !g.shownMetrics.IsEmpty() {
		stale = append(stale, staleSeries{r.shownName, label.text, g.shownMetrics})
		g.shownMetrics = Mask{}
	}
	return stale
}

// New returns an empty view. It has caught up when a change with CaughtUp was applied.
func New(settings Settings) *View {
	if settings.Label == nil {
		settings.Label = func(a activity.Actor) (string, bool) { return a.Login, true }
	}
	v := &View{settings: settings, teams: teams{settings: settings.Teams}}
	v.reset()
	return v
}

// reset empties the view; what is saved and stale stays.
func (v *View) reset() {
	v.ledgerState = ledgerState{
		cov:     ledger.Coverage{Repos: make(map[int64]*ledger.RepoCoverage)},
		tallies: make(map[ledger.TallyKey]uint64),
		entries: make(map[ledger.EntryKey]ledger.Entry),
		facts:   newRepoFacts(),
		stocks:  make(map[int64]*repoStocks),
	}
	v.repos = make(map[int64]*repoView)
	v.accounts = newAccounts(v.settings.Label, v.relabel, v.saveDeparted)
	v.open = make(map[int64]activity.Streams)
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
	v.applyToSeries(c.Restored, (*series).restore)
	v.applyToSeries(c.Removed, (*series).remove)
	v.applyEntriesAndTallies(&c)
	if c.PrunedBefore.After(v.prunedBefore) {
		v.prune(c.PrunedBefore)
	}
	if purged := c.Progress.PurgedRepos(); len(purged) > 0 {
		v.purge(purged)
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
	stale := v.stale
	for _, repo := range v.repos {
		stale = repo.markRepoStale(stale, v.accounts)
	}
	v.reset()
	v.stale = stale
	v.copilotChanges++
	v.teams.isStale = true
}

// applyEntriesAndTallies adds tallies, and replaces entries by newer observations.
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

// applyEntry applies the effect of a new observation on the series.
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
	case ledger.EntryCopilot:
		v.copilotChanges++
	case ledger.EntryRepoFacts, ledger.EntryRepoCounts, ledger.EntryRepoTotals:
		v.facts.apply(entry)
	case ledger.EntryVCS:
		v.applyVCS(entry)
	case ledger.EntryTeam, ledger.EntryTeamsState:
		v.teams.isStale = true
	case ledger.EntryOpenPulls, ledger.EntryOpenIssues:
		v.applyStock(entry)
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

// addCarried adds the totals of pruned events.
func (v *View) addCarried(c *ledger.CarriedTotals) {
	if c.Actor == activity.NoActor() {
		v.repoAt(c.Repo).flow.totals.Add(c.Repository)
		return
	}
	v.seriesAt(c.Repo, v.accounts.resolve(c.Actor, 0)).totals.Add(&c.Totals)
}

// addEvent adds an event to the series of its account, or to the histograms of its repository.
func (v *View) addEvent(e *activity.Event) {
	if e.Kind.IsOfRepository() {
		v.addFlow(e)
		return
	}
	account := v.accounts.resolve(e.Actor, ledger.Unix32(e.Time))
	s := v.seriesAt(e.Repo, account)
	v.noteStart(e.Repo, v.repos[e.Repo], account, e.Kind)
	s.add(e)
}

// applyToSeries calls move for each series of the keys' repositories, once for each kind, with the ids of that kind.
// move removes or restores those events.
func (v *View) applyToSeries(keys []activity.Key, move func(s *series, kind activity.Kind, ids map[uint64]bool)) {
	type place struct {
		repo int64
		kind activity.Kind
	}
	moved := make(map[place]map[uint64]bool)
	for i := range keys {
		if keys[i].Kind.IsOfRepository() {
			continue // no window counts it, and totals do not fall
		}
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

// repoAt returns the series of a repository, which it adds when the view does not have it.
func (v *View) repoAt(repo int64) *repoView {
	r := v.repos[repo]
	if r == nil {
		r = &repoView{series: make(map[uint32]*series), groups: make(map[*userLabel]*group)}
		v.repos[repo] = r
	}
	return r
}

// prune drops the events and the missing windows before a time.
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
func (v *View) purge(purged map[int64]bool) {
	for id := range purged {
		repo := v.repos[id]
		if repo == nil {
			continue
		}
		v.stale, repo.weekly = repo.markRepoStale(v.stale, v.accounts), nil
		repo.flow = flow{}
		maps.DeleteFunc(repo.series, func(_ uint32, s *series) bool { return s.numEvents() == 0 })
		if len(repo.series) == 0 {
			delete(v.repos, id)
		}
	}
	v.facts.purge(purged)
	maps.DeleteFunc(v.stocks, func(repo int64, _ *repoStocks) bool { return purged[repo] })
	maps.DeleteFunc(v.entries, func(key ledger.EntryKey, _ ledger.Entry) bool { return purged[key.Repo] })
}
