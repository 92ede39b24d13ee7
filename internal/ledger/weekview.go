package ledger

import "github.com/seed-358c4d9d/githubexporter/internal/activity"

// metricCommits is the count of commits: it is there for who has any within the retention.
const metricCommits = MetricCount // commits are the first of the kinds

// weekView are given weekly lines by account.
type weekView struct {
	end       int64 // of the week, in Unix seconds
	everybody bool
	lines     map[uint32]weekLines
}

type weekLines struct{ added, removed uint64 }

func (l *weekLines) plus(added, removed uint64) {
	l.added += added
	l.removed += removed
}

// takeWeekly keeps a repository's weekly lines. What are none is left out: what is known stays.
func (v *View) takeWeekly(sample *Entry) {
	repo := sample.RepoID()
	w, err := DecodeWeeklyLines(sample.Data)
	if repo == 0 || err != nil {
		return
	}
	week := &weekView{
		end: w.Week.AddDate(0, 0, 7).Unix(), everybody: w.Complete, lines: make(map[uint32]weekLines, len(w.Users)),
	}
	for i := range w.Users {
		u := &w.Users[i]
		n := v.accounts.see(u.Actor, 0)
		sum := week.lines[n]
		sum.plus(u.Added, u.Removed)
		week.lines[n] = sum
	}
	v.repoOf(repo).week = week
}

// givenWeek is what a visit of a repository knows of its given weekly lines.
type givenWeek struct {
	week *weekView // nil when there are none, or they are older than the retention
	// folded are the lines of users whom the budget of series has made the one with the label other.
	folded weekLines
	folds  bool
	other  uint32
	// known are the labels under which events are shown; only where users were folded.
	known map[*userLabel]bool
}

// given prepares the visit of a repository, nil where no weeks are given: every user with lines has a series, also one of whom no event is known, as long as
// the week's commits have not been read. Where the budget has folded users, he is taken for one of them.
func (v *View) given(r *repoView, at *moments) *givenWeek {
	if !v.settings.WeeklyLinesFromEntries {
		return nil
	}
	g := &givenWeek{}
	if r.week == nil || r.week.end <= at.retained[activity.StreamCommits] {
		return g
	}
	g.week = r.week
	g.other = v.accounts.see(activity.Other(), 0)
	g.folds = r.hasEvents(g.other)
	if g.folds {
		g.known = v.labelsWithEvents(r)
	}
	for user, lines := range r.week.lines {
		label := v.accounts.list[user].label
		switch {
		case lines == (weekLines{}) || label == nil:
		case g.folds && !g.known[label]:
			g.folded.plus(lines.added, lines.removed)
		case r.series[user] == nil:
			r.series[user] = &series{}
		}
	}
	return g
}

// hasEvents reports whether there are events of an account.
func (r *repoView) hasEvents(account uint32) bool {
	s := r.series[account]
	return s != nil && s.numEvents() > 0
}

// labelsWithEvents are the labels of the accounts of which there are events.
func (v *View) labelsWithEvents(r *repoView) map[*userLabel]bool {
	labels := make(map[*userLabel]bool, len(r.series))
	for n, s := range r.series {
		if s.numEvents() > 0 {
			labels[v.accounts.list[n].label] = true
		}
	}
	return labels
}

// set gives a series the given lines in place of those of its commits. Who is not listed has none if the week speaks for
// everybody; otherwise nobody knows.
func (g *givenWeek) set(label *userLabel, user uint32, v *Values) {
	if g.week == nil {
		return
	}
	lines, listed := g.week.lines[user]
	if g.folds && user == g.other {
		lines.plus(g.folded.added, g.folded.removed)
		listed = listed || g.folded != weekLines{}
	}
	commits := v.Present.Has(metricCommits)
	some := lines != weekLines{} && (!g.folds || g.known[label])
	if some || (commits && (listed || g.week.everybody)) {
		v.set(MetricLinesAdded, lines.added)
		v.set(MetricLinesRemoved, lines.removed)
	}
}
