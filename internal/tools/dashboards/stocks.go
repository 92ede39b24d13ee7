// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// ofRepositories selects organizations and repositories: what is open belongs to no user.
const ofRepositories = `org=~"$org",repo=~"$repo"`

// open returns what is open by repository, of one replica, with more labels selected.
func open(metric, more string) string {
	return "sum by (repo) (max by (org, repo) (gh_repo_" + metric + "{" + ofRepositories + more + "}))"
}

// openTotal returns what is open in all selected repositories.
func openTotal(metric, more string) string {
	return "sum(max by (org, repo) (gh_repo_" + metric + "{" + ofRepositories + more + "}))"
}

// age returns the age of the oldest one by repository.
func age(metric string) string {
	return "time() - min by (repo) (max by (org, repo) (gh_repo_" + metric + "{" + ofRepositories + "}))"
}

// addOpen adds what is open in repositories, and for how long.
func addOpen(d *dashboard.DashboardBuilder) {
	d.WithRow(dashboard.NewRowBuilder("Open now: repositories"))
	d.WithPanel(panel{
		title: "Open pull requests and issues", unit: count, width: 16, height: 9,
		description: "What is open in each repository, and the age of the oldest one. A repository whose state is " +
			"not known, or that has the feature switched off, has no number.",
	}.rows("repo", "Repository", "Ready",
		column{title: "Ready", expr: open("open_pull_requests", `,state="ready"`), color: orange},
		column{title: "Drafts", expr: open("open_pull_requests", `,state="draft"`), color: gray},
		column{title: "Without a review", expr: open("pull_requests_unreviewed", ""), color: red},
		column{title: "Reviews awaited", expr: open("review_requests", ""), color: green},
		column{title: "Oldest pull request", expr: age("oldest_open_pull_request_unixtime"), unit: seconds},
		column{title: "Issues", expr: open("open_issues", "")},
		column{title: "Oldest issue", expr: age("oldest_open_issue_unixtime"), unit: seconds},
	)).WithPanel(panel{
		title: "Open pull requests", unit: count, width: 8, height: 9,
		colors: []color{{"Ready", orange}, {"Drafts", gray}, {"Without a review", red}, {"Reviews awaited", green}},
		description: "Open pull requests at each moment, those of them that have no review but the author's own, " +
			"and the reviews that were asked for and not given.",
		queries: []query{
			{openTotal("open_pull_requests", `,state="ready"`), "Ready"},
			{openTotal("open_pull_requests", `,state="draft"`), "Drafts"},
			{openTotal("pull_requests_unreviewed", ""), "Without a review"},
			{openTotal("review_requests", ""), "Reviews awaited"},
		},
	}.lines())
}
