// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rounds

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
)

// lineSums adds up lines by user.
type lineSums map[activity.Actor]ledger.UserLines

// add adds lines of a user.
func (s lineSums) add(user activity.Actor, added, removed uint64) {
	sum := s[user]
	s[user] = ledger.UserLines{Actor: user, Added: sum.Added + added, Removed: sum.Removed + removed}
}

// weeklyLines returns the sums as a week's lines. They are complete when users that are not in them have no lines.
func (s lineSums) weeklyLines(week activity.Window, complete bool) *ledger.WeeklyLines {
	w := &ledger.WeeklyLines{Week: week.Start, Complete: complete}
	for _, user := range s {
		w.Users = append(w.Users, user)
	}
	return w
}

// statisticsLines returns a week's lines from statistics: the users who have lines in the week, and with zero lines
// those who had commits after retained. It is complete only for a repository without commits: GitHub lists at most a
// hundred contributors, and none without an account.
func statisticsLines(stats *github.ContributorStats, week activity.Window, retained time.Time) *ledger.WeeklyLines {
	sums := make(lineSums)
	for i := range stats.Contributors {
		for _, w := range stats.Contributors[i].Weeks {
			switch {
			case w.Start.Equal(week.Start):
				sums.add(stats.Contributors[i].Actor, w.Added, w.Removed)
			case w.Start.AddDate(0, 0, 7).After(retained):
				sums.add(stats.Contributors[i].Actor, 0, 0)
			}
		}
	}
	return sums.weeklyLines(week, stats.Empty)
}

// resumePart returns the sums of what was read of the week before, and whether no commit was left out of them.
func resumePart(progress *loc.CommitProgress, part *ledger.WeeklyLines) (sums lineSums, complete bool) {
	sums = make(lineSums)
	if progress.Position == 0 || !part.Week.Equal(progress.Week) {
		return sums, true
	}
	for _, u := range part.Users {
		sums.add(u.Actor, u.Added, u.Removed)
	}
	return sums, part.Complete
}
