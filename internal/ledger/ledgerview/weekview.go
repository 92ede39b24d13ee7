// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// The metrics of commits and their lines, which the weekly lines of entries replace.
const (
	metricCommits           = MetricCount + Metric(activity.KindCommit-1)
	MetricLinesAdded        = MetricCount + activity.NumAuthorKinds + activity.CommitAdditions
	MetricLinesRemoved      = MetricCount + activity.NumAuthorKinds + activity.CommitDeletions
	MetricTotalLinesAdded   = MetricTotal + activity.NumAuthorKinds + activity.CommitAdditions
	MetricTotalLinesRemoved = MetricTotal + activity.NumAuthorKinds + activity.CommitDeletions
)

// weeklyView has the weekly lines of an entry by account.
type weeklyView struct {
	weekEnd  int64 // of the week, in Unix seconds
	complete bool
	lines    map[uint32]lineCounts
}

// lineCounts are the lines of a user in a week.
type lineCounts struct{ added, removed uint64 }

// add adds lines.
func (l *lineCounts) add(added, removed uint64) {
	l.added += added
	l.removed += removed
}

// applyWeeklyLines replaces a repository's weekly lines. Invalid data are ignored.
func (v *View) applyWeeklyLines(entry *ledger.Entry) {
	repo := entry.Repo
	w, err := ledger.DecodeWeeklyLines(entry.Data)
	if repo == 0 || err != nil {
		return
	}
	week := &weeklyView{
		weekEnd: w.Week.AddDate(0, 0, 7).Unix(), complete: w.Complete, lines: make(map[uint32]lineCounts, len(w.Users)),
	}
	for i := range w.Users {
		u := &w.Users[i]
		n := v.accounts.resolve(u.Actor, 0)
		sum := week.lines[n]
		sum.add(u.Added, u.Removed)
		week.lines[n] = sum
	}
	v.repoAt(repo).weekly = week
}

// weeklyVisit is the state of the weekly lines while a repository is emitted.
type weeklyVisit struct {
	// weekly is nil without weekly lines, and when they are older than the retention.
	weekly *weeklyView
	// folded are the lines of users whom the budget of series has made the one with the label other.
	folded    lineCounts
	hasFolded bool
	other     uint32
	// withEvents are the labels with events; nil unless users were folded.
	withEvents map[*userLabel]bool
}

// prepareWeekly prepares the weekly lines of a repository that is about to be emitted; it returns nil when they are
// computed from commits. Every user with lines gets a series, also one without events, because the week's commits may
// not have been read. If users were folded, a user without events counts as one of them.
func (v *View) prepareWeekly(r *repoView, at *evaluationTimes) *weeklyVisit {
	if !v.settings.WeeklyLinesFromEntries {
		return nil
	}
	w := &weeklyVisit{}
	if r.weekly == nil || r.weekly.weekEnd <= at.retained[activity.StreamCommits] {
		return w
	}
	w.weekly = r.weekly
	w.other = v.accounts.resolve(activity.Other(), 0)
	w.hasFolded = r.hasEvents(w.other)
	if w.hasFolded {
		w.withEvents = v.labelsWithEvents(r)
	}
	for user, lines := range r.weekly.lines {
		label := v.accounts.list[user].label
		switch {
		case lines == (lineCounts{}) || label == nil:
		case w.hasFolded && !w.withEvents[label]:
			w.folded.add(lines.added, lines.removed)
		case r.series[user] == nil:
			r.series[user] = &series{}
		}
	}
	return w
}

// hasEvents reports whether an account has events.
func (r *repoView) hasEvents(account uint32) bool {
	s := r.series[account]
	return s != nil && s.numEvents() > 0
}

// labelsWithEvents returns the labels of the accounts with events.
func (v *View) labelsWithEvents(r *repoView) map[*userLabel]bool {
	labels := make(map[*userLabel]bool, len(r.series))
	for n, s := range r.series {
		if s.numEvents() > 0 {
			labels[v.accounts.list[n].label] = true
		}
	}
	return labels
}

// set sets the weekly lines of a series in place of those of its commits. A user who is not listed has none if the week
// is complete; otherwise the lines are unknown.
func (w *weeklyVisit) set(label *userLabel, user uint32, v *Values) {
	if w.weekly == nil {
		return
	}
	lines, listed := w.weekly.lines[user]
	if w.hasFolded && user == w.other {
		lines.add(w.folded.added, w.folded.removed)
		listed = listed || w.folded != lineCounts{}
	}
	commits := v.Present.Has(metricCommits)
	some := lines != lineCounts{} && (!w.hasFolded || w.withEvents[label])
	if some || (commits && (listed || w.weekly.complete)) {
		v.set(MetricLinesAdded, lines.added)
		v.set(MetricLinesRemoved, lines.removed)
	}
}
