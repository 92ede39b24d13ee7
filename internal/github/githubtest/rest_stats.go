// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addStatsRoutes(t *routeTable) {
	t.repo("/stats/contributors", "metadata", (*exchange).statsContributors)
}

// contributor has the commits of one account: all, and by the Unix time of the start of the week.
type contributor struct {
	account *served.Account
	total   int
	weeks   map[int64]*week
}

type week struct{ additions, deletions, commits int }

// statsContributors responds with 202 while the numbers are computed, which starts again after each push. It has no
// merge commits, at most 100 authors, weeks from Sunday 00:00 UTC, and no additions and deletions in large repositories
// (https://docs.github.com/rest/metrics/statistics#get-all-contributor-commit-activity).
func (x *exchange) statsContributors() response {
	head := x.Head(x.repository, x.DefaultBranch(x.repository))
	if head == nil {
		return response{status: http.StatusNoContent}
	}
	if x.server.stats.isPending(x.repository.FullName()+"@"+head.SHA, x.server.settings.StatsPending) {
		return newResponse(http.StatusAccepted, obj{})
	}
	authors, weeks := x.contributors(head)
	out := []obj{}
	for _, c := range authors {
		rows := []obj{}
		for _, w := range weeks {
			n := cmp.Or(c.weeks[w], &week{})
			rows = append(rows, obj{"w": w, "a": n.additions, "d": n.deletions, "c": n.commits})
		}
		out = append(out, obj{"author": x.userJSON(c.account), "total": c.total, "weeks": rows})
	}
	return newResponse(http.StatusOK, out)
}

// contributors returns the 100 most active accounts, the least active first, and all weeks of the repository.
func (x *exchange) contributors(head *served.Commit) ([]*contributor, []int64) {
	commits := slices.Collect(x.Walk(head))
	lines := len(commits) < x.server.settings.StatsZeroFrom
	by := map[int64]*contributor{}
	first, last := weekOf(head.Committed), weekOf(head.Committed)
	for _, c := range commits {
		w := weekOf(c.Committed)
		first, last = min(first, w), max(last, w)
		if a := x.Index.Account(c.Login); a != nil && len(c.AllParentSHAs) < 2 {
			if by[a.ID] == nil {
				by[a.ID] = &contributor{account: a, weeks: map[int64]*week{}}
			}
			by[a.ID].add(c, w, lines)
		}
	}
	authors := make([]*contributor, 0, len(by))
	for _, c := range by {
		authors = append(authors, c)
	}
	slices.SortFunc(authors, func(a, b *contributor) int {
		return cmp.Or(cmp.Compare(a.total, b.total), cmp.Compare(a.account.ID, b.account.ID))
	})
	var weeks []int64
	for w := first; w <= last; w += int64(7 * 24 * time.Hour / time.Second) {
		weeks = append(weeks, w)
	}
	return authors[max(0, len(authors)-100):], weeks
}

// add counts a commit in a week, with its lines or without.
func (c *contributor) add(commit *served.Commit, w int64, lines bool) {
	if c.weeks[w] == nil {
		c.weeks[w] = &week{}
	}
	c.total++
	c.weeks[w].commits++
	if lines {
		c.weeks[w].additions += commit.Additions
		c.weeks[w].deletions += commit.Deletions
	}
}

// weekOf returns the Unix time of the start of a week, Sunday 00:00 UTC.
func weekOf(t time.Time) int64 {
	day := t.UTC().Truncate(24 * time.Hour)
	return day.AddDate(0, 0, -int(day.Weekday())).Unix()
}
