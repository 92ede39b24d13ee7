package ledger

import (
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// ViewSettings is what a view needs to know of the organization that it shows.
type ViewSettings struct {
	// Retention is how long a user who does nothing any more is shown, with zeros.
	Retention time.Duration
	// Grace is how far a repository's coverage may lag before its windows stop sliding: an outage freezes the numbers
	// as they were last known, it does not count them down to zero.
	Grace time.Duration
	// Label is a user's label value, and false for users who are not shown. It is called with an account's newest
	// login. Users with one label are one series. Nil shows logins.
	Label func(activity.Actor) (string, bool)
	// WeeklyLinesFromEntries shows the weekly lines that samples give (SampleWeekly), because commits are read without theirs.
	WeeklyLinesFromEntries bool
	// ZeroFor is how long a sum that begins is shown as it was before its first event, which is 0 unless the series had
	// ended. Zero: it is shown with its value at once.
	ZeroFor time.Duration
}

// View is the state of one organization as one replica shows it. It is built from a store's changes alone; its metrics
// are functions of what was applied and of the time. It is safe for concurrent use.
type View struct {
	settings ViewSettings

	mu       sync.Mutex
	caught   bool
	cov      Coverage
	repos    map[int64]*repoView
	accounts *accounts
	visits   uint64 // so far
	tallies  map[TallyKey]uint64
	samples  map[EntryKey]Entry
	pruned   time.Time
	unread   time.Time // until when commits were read without their lines
	// open are the streams of each repository of which the sums are shown.
	open map[int64]activity.Streams
	// noted is the moment of the last Visit or Pass, in Unix nanoseconds; elsewhere says that it was a Pass.
	noted     int64
	elsewhere bool
	// held is of the view before a snapshot that is being applied.
	held map[int64]heldSums
	// ended are series that were shown and are gone since the last visit.
	ended []endedSeries
}

// repoView has a repository's series by account.
type repoView struct {
	series map[uint32]*series
	// groups are what accounts with one label show together.
	groups map[*userLabel]*group
	week   *weekView // the given lines, nil without any
	sums   repoSums
	shown  string // the name under which the series were last shown
}

// group is the series that accounts with one label show together.
type group struct {
	visit  uint64 // of which the values are
	alive  bool   // one of the accounts has an event within the retention
	values Values
	totals Totals
	shown  Mask
}

type endedSeries struct {
	repo, user string
	shown      Mask
}

// NewView is an empty view. It has caught up when a change with Caught was applied.
func NewView(settings ViewSettings) *View {
	if settings.Label == nil {
		settings.Label = func(a activity.Actor) (string, bool) { return a.Login, true }
	}
	v := &View{settings: settings}
	v.reset()
	return v
}

func (v *View) reset() {
	v.caught = false
	v.cov = Coverage{Repos: make(map[int64]*RepoCoverage)}
	v.repos = make(map[int64]*repoView)
	v.accounts = newAccounts(v.settings.Label, v.relabel, v.keepSums)
	v.open = make(map[int64]activity.Streams)
	v.tallies = make(map[TallyKey]uint64)
	v.samples = make(map[EntryKey]Entry)
	v.pruned, v.unread = time.Time{}, time.Time{}
}

// Apply adds a change. Changes must come in the order in which Follow gives them.
func (v *View) Apply(c Change) {
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
		v.carry(&c.Carried[i])
	}
	for i := range c.Events {
		v.add(&c.Events[i])
	}
	v.move(c.Restored, (*series).restore)
	v.move(c.Removed, (*series).remove)
	v.applyOperations(&c)
	if c.PrunedBefore.After(v.pruned) {
		v.prune(c.PrunedBefore)
	}
	if forgotten := c.Progress.forgotten(); len(forgotten) > 0 {
		v.forget(forgotten)
	}
	for i := range c.Progress.Repos { // after the events: those that came with the last of the history are history
		v.openSums(c.Progress.Repos[i].ID)
	}
	if c.CaughtUp && !v.caught {
		v.restoreSums()
	}
	v.caught = v.caught || c.CaughtUp
}

// restart empties the view for a new snapshot and remembers what was shown, so that series which are not in the
// snapshot end.
func (v *View) restart(began time.Time) {
	v.holdSums()
	if !began.Equal(v.cov.LedgerStart) && v.caught {
		v.held = nil // another ledger
	}
	ended := v.ended
	for _, repo := range v.repos {
		ended = repo.end(ended, v.accounts)
	}
	v.reset()
	v.ended = ended
}

func (v *View) applyOperations(c *Change) {
	for _, t := range c.Tallies {
		v.tallies[t.TallyKey] += t.Add
	}
	for _, sample := range c.Entries {
		if have, ok := v.samples[sample.EntryKey]; !ok || !sample.Observed.Before(have.Observed) {
			v.samples[sample.EntryKey] = sample
			v.takeSample(&sample)
		}
	}
}

func (v *View) takeSample(sample *Entry) {
	switch sample.Name {
	case EntryWeeklyLines:
		if v.settings.WeeklyLinesFromEntries {
			v.takeWeekly(sample)
		}
	case EntryCommitsWithoutLines:
		v.unread = sample.Observed
	case EntryLogin:
		v.takeLogin(sample)
	}
}

// takeLogin takes an account's present login. What is none is left out.
func (v *View) takeLogin(sample *Entry) {
	id, err := strconv.ParseInt(sample.Labels[1], 10, 64)
	actor := activity.Actor{ID: id, Login: string(sample.Data)}
	if err == nil && id != 0 && actor.Validate() == nil {
		v.accounts.observe(id, actor.Login, sample.Observed)
	}
}

func (v *View) carry(c *CarriedTotals) {
	v.seriesOf(c.Repo, v.accounts.see(c.Actor, 0)).totals.plus(&c.Totals)
}

func (v *View) add(e *activity.Event) {
	account := v.accounts.see(e.Actor, unix32(e.Time))
	s := v.seriesOf(e.Repo, account)
	v.noteBirth(e.Repo, v.repos[e.Repo], account, e.Kind)
	s.add(e)
}

// move removes or restores events, all of a repository and kind at once.
func (v *View) move(keys []activity.Key, move func(s *series, kind activity.Kind, ids map[uint64]bool)) {
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
		moved[at][entryID(&keys[i].ID)] = true
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

// seriesOf is the series of an account in a repository.
func (v *View) seriesOf(repo int64, account uint32) *series {
	r := v.repoOf(repo)
	s := r.series[account]
	if s == nil {
		s = &series{}
		r.series[account] = s
	}
	return s
}

// relabel ends what is shown of accounts: the next visit shows it under their labels of then.
func (v *View) relabel(members []uint32) {
	for _, repo := range v.repos {
		for _, n := range members {
			if s := repo.series[n]; s != nil {
				v.ended = repo.endSeries(v.ended, v.accounts.list[n].label, s)
			}
		}
	}
}

// ShowsLogin reports whether an account is shown under its login, or would be after its first event, whenever that was:
// the login may be that of another account for the view, which had it before.
func (v *View) ShowsLogin(actor activity.Actor) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if actor.ID == 0 {
		return true
	}
	holder, held := v.accounts.holders[actor.Login]
	n, known := v.accounts.byKey[keyOf(actor)]
	if !known {
		return !held
	}
	return held && holder == n
}

func (v *View) repoOf(repo int64) *repoView {
	r := v.repos[repo]
	if r == nil {
		r = &repoView{series: make(map[uint32]*series), groups: make(map[*userLabel]*group)}
		v.repos[repo] = r
	}
	return r
}

func (v *View) prune(before time.Time) {
	v.pruned = before
	v.cov.Prune(before)
	limit := unix32(before)
	for _, repo := range v.repos {
		for _, s := range repo.series {
			s.prune(limit)
		}
		repo.sums.dropUnused(v.accounts.labels)
	}
	for id := range v.cov.Repos { // what was missing is not wanted any more
		v.openSums(id)
	}
}

// forget takes out what is known of repositories that are forgotten.
func (v *View) forget(forgotten map[int64]bool) {
	for id := range forgotten {
		repo := v.repos[id]
		if repo == nil {
			continue
		}
		v.ended, repo.week = repo.end(v.ended, v.accounts), nil
		maps.DeleteFunc(repo.series, func(_ uint32, s *series) bool { return s.numEvents() == 0 })
		if len(repo.series) == 0 {
			delete(v.repos, id)
		}
	}
	maps.DeleteFunc(v.samples, func(key EntryKey, _ Entry) bool { return forgotten[key.RepoID()] })
}

// IsCaughtUp reports whether the view is complete: before, nothing it could show would be true.
func (v *View) IsCaughtUp() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.caught
}

// Series names a series of the activity metrics.
type Series struct {
	// Repo is the repository's present name, User the user's label.
	Repo, User string
}

// LastCompleteWeek is the last complete week before t. Weeks begin on Sunday 00:00 UTC, as in GitHub's statistics
// (https://docs.github.com/rest/metrics/statistics).
func LastCompleteWeek(t time.Time) activity.Window {
	day := t.UTC().Truncate(24 * time.Hour) // the zero time is a midnight
	end := day.AddDate(0, 0, -int(day.Weekday()))
	return activity.Window{Start: end.AddDate(0, 0, -7), End: end}
}

// Entry is the newest observation of a value, and false when there is none. Its data must not be changed.
func (v *View) Entry(key EntryKey) (Entry, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	sample, ok := v.samples[key]
	return sample, ok
}

// Entries are the newest observations of all values of a name, in no order. Their data must not be changed.
func (v *View) Entries(name string) []Entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	var list []Entry
	for key, sample := range v.samples {
		if key.Name == name {
			list = append(list, sample)
		}
	}
	return list
}

// RepoName is the present name of a repository that is there.
func (v *View) RepoName(repo int64) (string, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	cov := v.cov.Repos[repo]
	if cov == nil || cov.IsGone() {
		return "", false
	}
	return cov.Name, true
}

// Edge is the beginning of the last pass that the view knows of.
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
	// Series is how many accounts in repositories have events, and how many those are, of users who are shown.
	Series, Events int
	// Shown is how many series of each metric the last visit showed.
	Shown   [NumMetrics]int
	Tallies map[TallyKey]uint64
}

// Summary counts.
func (v *View) Summary() Summary {
	v.mu.Lock()
	defer v.mu.Unlock()
	sum := Summary{
		CaughtUp: v.caught, LedgerStart: v.cov.LedgerStart, OldestUncovered: v.cov.OldestUncovered(), Gaps: len(v.cov.Gaps()),
		Tallies: maps.Clone(v.tallies),
	}
	for _, repo := range v.repos {
		for n, s := range repo.series {
			if v.accounts.list[n].label != nil {
				sum.add(s)
			}
		}
		for _, g := range repo.groups {
			sum.show(g.shown)
		}
	}
	return sum
}

func (sum *Summary) add(s *series) {
	if n := s.numEvents(); n > 0 {
		sum.Series++
		sum.Events += n
	}
	sum.show(s.shown)
}

func (sum *Summary) show(shown Mask) {
	for m := range NumMetrics {
		if shown.Has(Metric(m)) {
			sum.Shown[m]++
		}
	}
}
