package ledger

import (
	"cmp"
	"maps"
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
	// Label is a user's label value, and false for users who are not shown. Users with one label are one series.
	// Nil shows logins.
	Label func(activity.Actor) (string, bool)
	// GivenWeeks shows the weekly lines that samples give (SampleWeekly), because commits are read without theirs.
	GivenWeeks bool
}

// View is the state of one organization as one replica shows it. It is built from a store's changes alone; its metrics
// are functions of what was applied and of the time. It is safe for concurrent use.
type View struct {
	settings ViewSettings

	mu      sync.Mutex
	caught  bool
	cov     Coverage
	repos   map[int64]*repoView
	tallies map[TallyKey]uint64
	samples map[SampleKey]Sample
	pruned  time.Time
	unread  time.Time // until when commits were read without their lines
	// ended are series that were shown and are gone since the last visit.
	ended []endedSeries
}

// repoView has a repository's series by the user's label.
type repoView struct {
	series map[string]*series
	week   *weekView // the given lines, nil without any
	shown  string    // the name under which the series were last shown
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
	v.tallies = make(map[TallyKey]uint64)
	v.samples = make(map[SampleKey]Sample)
	v.pruned, v.unread = time.Time{}, time.Time{}
}

// Apply adds a change. Changes must come in the order in which Follow gives them.
func (v *View) Apply(c Change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.Reset {
		v.restart()
	}
	if !c.Began.IsZero() {
		v.cov.Began = c.Began
	}
	v.cov.Apply(c.Progress)
	for i := range c.Carried {
		v.carry(&c.Carried[i])
	}
	for i := range c.Events {
		v.add(&c.Events[i])
	}
	v.applyOperations(&c)
	if c.Pruned.After(v.pruned) {
		v.prune(c.Pruned)
	}
	if forgotten := c.Progress.forgotten(); len(forgotten) > 0 {
		v.forget(forgotten)
	}
	v.caught = v.caught || c.Caught
}

// restart empties the view for a new snapshot and remembers what was shown, so that series which are not in the
// snapshot end.
func (v *View) restart() {
	ended := v.ended
	for _, repo := range v.repos {
		ended = repo.end(ended)
	}
	v.reset()
	v.ended = ended
}

func (v *View) applyOperations(c *Change) {
	for _, t := range c.Tallies {
		v.tallies[t.TallyKey] += t.Add
	}
	for _, sample := range c.Samples {
		if have, ok := v.samples[sample.SampleKey]; !ok || !sample.Observed.Before(have.Observed) {
			v.samples[sample.SampleKey] = sample
			v.takeSample(&sample)
		}
	}
}

func (v *View) takeSample(sample *Sample) {
	switch sample.Name {
	case SampleWeekly:
		if v.settings.GivenWeeks {
			v.takeWeekly(sample)
		}
	case SampleUnread:
		v.unread = sample.Observed
	}
}

func (v *View) carry(c *Carried) {
	if s := v.seriesOf(c.Repo, c.Actor); s != nil {
		s.totals.plus(&c.Totals)
	}
}

func (v *View) add(e *activity.Event) {
	if s := v.seriesOf(e.Repo, e.Actor); s != nil {
		s.add(e)
	}
}

// seriesOf is the series of a user in a repository, nil when the user is not shown.
func (v *View) seriesOf(repo int64, actor activity.Actor) *series {
	label, shown := v.settings.Label(actor)
	if !shown {
		return nil
	}
	r := v.repoOf(repo)
	s := r.series[label]
	if s == nil {
		s = &series{}
		r.series[label] = s
	}
	return s
}

func (v *View) repoOf(repo int64) *repoView {
	r := v.repos[repo]
	if r == nil {
		r = &repoView{series: make(map[string]*series)}
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
	}
}

// forget takes out what is known of repositories that are forgotten.
func (v *View) forget(forgotten map[int64]bool) {
	for id := range forgotten {
		repo := v.repos[id]
		if repo == nil {
			continue
		}
		v.ended, repo.week = repo.end(v.ended), nil
		maps.DeleteFunc(repo.series, func(_ string, s *series) bool { return s.events() == 0 })
		if len(repo.series) == 0 {
			delete(v.repos, id)
		}
	}
	maps.DeleteFunc(v.samples, func(key SampleKey, _ Sample) bool { return forgotten[key.RepoOf()] })
}

// Caught reports whether the view is complete: before, nothing it could show would be true.
func (v *View) Caught() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.caught
}

// Series names a series of the activity metrics.
type Series struct {
	// Repo is the repository's present name, User the user's label.
	Repo, User string
}

// Sink takes what a visit finds. Its methods are called under the view's lock and must not call the view.
type Sink interface {
	// Show gets the values of a series that is there.
	Show(s Series, v *Values)
	// End gets the metrics that the last visit showed of a series and that are not there any more.
	End(s Series, metrics Mask)
}

// Visit shows every series as of now, and ends those that the visit before showed and that are gone.
func (v *View) Visit(now time.Time, sink Sink) {
	v.mu.Lock()
	defer v.mu.Unlock()
	owners := v.owners()
	for id, repo := range v.repos {
		cov := v.cov.Repos[id]
		if cov == nil || cov.Gone() || owners[cov.Name] != id {
			v.ended = repo.end(v.ended)
			repo.shown = "" // another repository may take the name, or has taken it
			continue
		}
		v.visitRepo(repo, cov, now, sink)
	}
	v.endGone(sink)
}

// owners says which repository is shown under a name. Two have one name when it was taken over while discovery read its pages, until the
// next pass: the one that was met last has it then, and the other one is not shown.
func (v *View) owners() map[string]int64 {
	owners := make(map[string]int64, len(v.repos))
	for id := range v.repos {
		cov := v.cov.Repos[id]
		if cov == nil || cov.Gone() {
			continue
		}
		if had := v.cov.Repos[owners[cov.Name]]; had == nil || cmp.Or(cov.Contact.Compare(had.Contact), cmp.Compare(cov.ID, had.ID)) > 0 {
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
		if repo := byName[e.repo]; repo != nil && repo.series[e.user] != nil {
			gone &^= repo.series[e.user].shown
		}
		if gone != 0 {
			sink.End(Series{e.repo, e.user}, gone)
		}
	}
	v.ended = nil
}

func (v *View) visitRepo(repo *repoView, cov *RepoCoverage, now time.Time, sink Sink) {
	if repo.shown != cov.Name {
		v.ended = repo.end(v.ended)
		repo.shown = cov.Name
	}
	at := v.moments(cov, now)
	var values Values
	given := v.given(repo, &at)
	for user, s := range repo.series {
		s.values(&at, &values)
		if given != nil {
			given.set(repo, user, &values)
		}
		name := Series{cov.Name, user}
		if gone := s.shown &^ values.Present; gone != 0 {
			sink.End(name, gone)
		}
		if values.Present != 0 {
			sink.Show(name, &values)
		}
		s.shown = values.Present
	}
}

// end moves what is shown of a repository to the ended series.
func (r *repoView) end(ended []endedSeries) []endedSeries {
	for user, s := range r.series {
		if s.shown != 0 {
			ended = append(ended, endedSeries{r.shown, user, s.shown})
			s.shown = 0
		}
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
	week := LastWeek(time.Unix(m.until[activity.StreamCommits], 0))
	m.weekStart, m.weekEnd = week.Start.Unix(), week.End.Unix()
	m.hasWeek = !v.settings.GivenWeeks && !week.Start.Before(v.unread) &&
		!r.Since.After(week.Start) && !r.Missing[activity.StreamCommits].Overlaps(week)
	return m
}

// LastWeek is the last complete week before t. Weeks begin on Sunday 00:00 UTC, as in GitHub's statistics
// (https://docs.github.com/rest/metrics/statistics).
func LastWeek(t time.Time) activity.Window {
	day := t.UTC().Truncate(24 * time.Hour) // the zero time is a midnight
	end := day.AddDate(0, 0, -int(day.Weekday()))
	return activity.Window{Start: end.AddDate(0, 0, -7), End: end}
}

// Sample is the newest observation of a value, and false when there is none. Its data must not be changed.
func (v *View) Sample(key SampleKey) (Sample, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	sample, ok := v.samples[key]
	return sample, ok
}

// Samples are the newest observations of all values of a name, in no order. Their data must not be changed.
func (v *View) Samples(name string) []Sample {
	v.mu.Lock()
	defer v.mu.Unlock()
	var list []Sample
	for key, sample := range v.samples {
		if key.Name == name {
			list = append(list, sample)
		}
	}
	return list
}

// Name is the present name of a repository that is there.
func (v *View) Name(repo int64) (string, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	cov := v.cov.Repos[repo]
	if cov == nil || cov.Gone() {
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
	Caught         bool
	Began, Oldest  time.Time
	Gaps           int
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
		Caught: v.caught, Began: v.cov.Began, Oldest: v.cov.Oldest(), Gaps: len(v.cov.Gaps()),
		Tallies: maps.Clone(v.tallies),
	}
	for _, repo := range v.repos {
		for _, s := range repo.series {
			sum.add(s)
		}
	}
	return sum
}

func (sum *Summary) add(s *series) {
	if n := s.events(); n > 0 {
		sum.Series++
		sum.Events += n
	}
	for m := range NumMetrics {
		if s.shown.Has(Metric(m)) {
			sum.Shown[m]++
		}
	}
}
