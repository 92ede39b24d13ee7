package ledger

import "github.com/seed-358c4d9d/githubexporter/internal/activity"

// metricCommits is the count of commits: it is there for who has any within the retention.
const metricCommits = MetricCount // commits are the first of the kinds

// weekView are given weekly lines by the users' labels.
type weekView struct {
	end       int64 // of the week, in Unix seconds
	everybody bool
	lines     map[string]weekLines
}

type weekLines struct{ added, removed uint64 }

func (l *weekLines) plus(added, removed uint64) {
	l.added += added
	l.removed += removed
}

// takeWeekly keeps a repository's weekly lines. What are none is left out: what is known stays.
func (v *View) takeWeekly(sample *Sample) {
	repo := sample.RepoOf()
	w, err := DecodeWeekly(sample.Data)
	if repo == 0 || err != nil {
		return
	}
	week := &weekView{end: w.Week.AddDate(0, 0, 7).Unix(), everybody: w.Everybody, lines: make(map[string]weekLines, len(w.Users))}
	for i := range w.Users {
		u := &w.Users[i]
		if label, shown := v.settings.Label(u.Actor); shown {
			sum := week.lines[label]
			sum.plus(u.Added, u.Removed)
			week.lines[label] = sum
		}
	}
	v.repoOf(repo).week = week
}

// givenWeek is what a visit of a repository knows of its given weekly lines.
type givenWeek struct {
	week *weekView // nil when there are none, or they are older than the retention
	// folded are the lines of users whom the budget of series has made the one with the label other.
	folded weekLines
	folds  bool
	other  string
}

// given prepares the visit of a repository, nil where no weeks are given: every user with lines has a series, also one of whom no event is known, as long as
// the week's commits have not been read. Where the budget has folded users, he is taken for one of them.
func (v *View) given(r *repoView, at *moments) *givenWeek {
	if !v.settings.GivenWeeks {
		return nil
	}
	g := &givenWeek{}
	if r.week == nil || r.week.end <= at.retained[activity.StreamCommits] {
		return g
	}
	g.week = r.week
	g.other, _ = v.settings.Label(activity.Other())
	g.folds = r.known(g.other)
	for user, lines := range r.week.lines {
		switch {
		case lines == (weekLines{}) || r.known(user):
		case g.folds:
			g.folded.plus(lines.added, lines.removed)
		case r.series[user] == nil:
			r.series[user] = &series{}
		}
	}
	return g
}

// known reports whether there are events of a user.
func (r *repoView) known(user string) bool {
	s := r.series[user]
	return s != nil && s.events() > 0
}

// set gives a series the given lines in place of those of its commits. Who is not listed has none if the week speaks for
// everybody; otherwise nobody knows.
func (g *givenWeek) set(r *repoView, user string, v *Values) {
	v.Present &^= 1<<MetricTotalAdded | 1<<MetricTotalGone // single commits' lines are not read
	if g.week == nil {
		return
	}
	lines, listed := g.week.lines[user]
	if g.folds && user == g.other {
		lines.plus(g.folded.added, g.folded.removed)
		listed = listed || g.folded != weekLines{}
	}
	commits := v.Present.Has(metricCommits)
	some := lines != weekLines{} && (r.known(user) || !g.folds)
	if some || (commits && (listed || g.week.everybody)) {
		v.set(MetricLinesAdded, lines.added)
		v.set(MetricLinesGone, lines.removed)
	}
}
