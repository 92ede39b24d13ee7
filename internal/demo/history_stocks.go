// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// writeStocks writes the samples of what is open in each repository.
func (h *History) writeStocks(out *historyWriter) {
	steps := h.steps()
	for i := range h.Data.Repos {
		name := h.Data.Repos[i].Name
		rows := h.openRows(name)
		label := fmt.Sprintf("repo=%q", name)
		for _, at := range steps {
			s := rows.StocksAt(name, h.Timeline.ToData(at))
			out.sample("gh_repo_open_pull_requests", label+`,state="ready"`, float64(s.Ready), at)
			out.sample("gh_repo_open_pull_requests", label+`,state="draft"`, float64(s.Draft), at)
			out.sample("gh_repo_pull_requests_unreviewed", label, float64(s.Unreviewed), at)
			out.sample("gh_repo_review_requests", label, float64(s.Awaited), at)
			out.sample("gh_repo_open_issues", label, float64(s.Issues), at)
		}
	}
}

// openRows returns the rows of a repository that may be open since the look-back began: there are many samples.
func (h *History) openRows(repo string) *githubtest.Dataset {
	rows, wanted := &githubtest.Dataset{Repos: []githubtest.Repo{*h.Data.Repo(repo)}}, make(map[int]bool)
	isPast := func(at *time.Time) bool { return at != nil && h.Timeline.ToServed(*at).Before(h.Since) }
	for _, p := range h.Data.Pulls {
		if p.Repo == repo && !isPast(p.ClosedAt) && !isPast(p.MergedAt) {
			rows.Pulls, wanted[p.Number] = append(rows.Pulls, p), true
		}
	}
	for _, r := range h.Data.Reviews {
		if r.Repo == repo && wanted[r.Pull] {
			rows.Reviews = append(rows.Reviews, r)
		}
	}
	for _, issue := range h.Data.OpenedIssues() {
		if issue.Repo == repo {
			rows.Issues = append(rows.Issues, issue)
		}
	}
	return rows
}
