// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// organization is an overview of whole organizations.
func organization() *dashboard.DashboardBuilder {
	s := selection{matchers: selectors}
	d := newDashboard("organization", "Organization overview",
		"Organizations and their repositories: activity, contributors, pull requests and issues.", "now-14d")
	d.WithVariable(labelVariable("org", "Organization", "gh_activity_last_event_unixtime", true)).
		WithVariable(labelVariable("repo", "Repository", `gh_activity_last_event_unixtime{org=~"$org"}`, true)).
		WithVariable(labelVariable("user", "User", `gh_activity_last_event_unixtime{org=~"$org",repo=~"$repo"}`, true)).
		WithVariable(bucketVariable())
	d.WithRow(dashboard.NewRowBuilder("Now"))
	s.addState(d)
	d.WithRow(dashboard.NewRowBuilder("In the selected time"))
	s.addTrends(d)
	d.WithRow(dashboard.NewRowBuilder("In the selected time: repositories"))
	s.addRepositories(d)
	addOpen(d)
	d.WithRow(dashboard.NewRowBuilder("In the selected time: how long pull requests and issues take"))
	addFlow(d)
	return d
}

// addState adds the present numbers, and whether they are complete.
func (s selection) addState(d *dashboard.DashboardBuilder) {
	for _, p := range []panel{
		s.today(commits, "Commits of the default branches"),
		s.today(merged, "Pull requests merged"),
		s.today(reviews, "Reviews of pull requests submitted"),
		{
			title: "Contributors, 24 hours", unit: count, width: 3, height: 4, colors: []color{{"", teal}},
			description: "Users with any event in the last 24 hours, without bots.",
			queries:     []query{{s.people().active("user", "86400"), "Contributors"}},
		},
		{
			title: "Contributors, 7 days", unit: count, width: 3, height: 4, colors: []color{{"", teal}},
			description: "Users with any event in the last seven days, without bots.",
			queries:     []query{{s.people().active("user", "7 * 86400"), "Contributors"}},
		},
		{
			title: "Repositories, 7 days", unit: count, width: 3, height: 4, colors: []color{{"", blue}},
			description: "Repositories with any event in the last seven days.",
			queries:     []query{{s.active("org, repo", "7 * 86400"), "Repositories"}},
		},
	} {
		d.WithPanel(p.stat())
	}
	for _, p := range []panel{
		{
			title: "Read up to", unit: seconds, width: 3, height: 4,
			description: "Age of the oldest moment that is not read yet: everything before it is in the numbers. " +
				"It is about the organizations, whatever repositories are selected.",
			steps:   []step{{0, green}, {1800, yellow}, {7200, red}},
			queries: []query{{`max(gh_exporter_coverage_lag_seconds{org=~"$org"})`, "Lag"}},
		},
		{
			title: "Gaps", unit: count, width: 3, height: 4, steps: []step{{0, green}, {1, yellow}},
			description: "Windows of time that are known to be missing and will be read. While there are some, " +
				"the numbers of their repositories are too low.",
			queries: []query{{`sum(max by (org) (gh_exporter_gaps{org=~"$org"}))`, "Gaps"}},
		},
	} {
		d.WithPanel(p.number())
	}
}

// people is the selection without bots.
func (s selection) people() selection {
	return selection{s.matchers + `,user!~".*\\[bot\\]"`, s.filter}
}

// addTrends adds the course over time.
func (s selection) addTrends(d *dashboard.DashboardBuilder) {
	all, colors := kinds(allEvents, func(k kind) string { return s.rounded("", k.metric, "$bucket") })
	ofIssues, issueColors := kinds([]kind{issues, closed}, func(k kind) string {
		return s.rounded("", k.metric, "$bucket")
	})
	d.WithPanel(panel{
		title: "Activity", unit: count, width: 12, height: 9, queries: all, colors: colors,
		description: "Events of each kind in each interval.",
	}.columns()).WithPanel(panel{
		title: "Contributors", unit: count, width: 6, height: 9, colors: []color{{"24 hours", teal}, {"7 days", blue}},
		description: "Users with any event in the 24 hours and in the seven days before each moment, without bots.",
		queries: []query{
			{s.people().active("user", "86400"), "24 hours"}, {s.people().active("user", "7 * 86400"), "7 days"},
		},
	}.lines()).WithPanel(panel{
		title: "Issues opened and closed", unit: count, width: 6, height: 9, queries: ofIssues, colors: issueColors,
		description: "Issues opened, and closings of issues, in each interval. An issue that was reopened is " +
			"closed again.",
	}.columns())
}

// addRepositories adds what happened in each repository.
func (s selection) addRepositories(d *dashboard.DashboardBuilder) {
	byRepo := func(metric string) string { return s.rounded("repo", metric, "$__range") }
	d.WithPanel(panel{
		title: "Repositories", unit: count, width: 16, height: 9,
		description: "What happened in each repository in the selected time. It counts what Prometheus has scraped.",
	}.rows("repo", "Repository", "Commits",
		column{title: "Commits", expr: byRepo("commits"), color: blue},
		column{title: "Opened", expr: byRepo("prs_opened"), color: orange},
		column{title: "Merged", expr: byRepo("prs_merged"), color: purple},
		column{title: "Reviews", expr: byRepo("reviews_submitted"), color: green},
		column{title: "Comments", expr: byRepo("issue_comments"), color: teal},
		column{title: "Issues opened", expr: byRepo("issues_opened")},
		column{title: "Issues closed", expr: byRepo("issues_closed")},
		column{title: "Releases", expr: byRepo("releases_published")},
		column{
			title: "Contributors", expr: "count by (repo) (" + s.people().lastEvent("repo, user") + " > time() - " +
				"$__range_s)",
		},
		column{title: "Last event ago", expr: "time() - " + s.lastEvent("repo"), unit: seconds},
	)).WithPanel(panel{
		title: "Opened minus merged", unit: count, width: 4, height: 9, colors: []color{{"", orange}},
		description: "Pull requests opened minus pull requests merged in the selected time. It is not the number " +
			"of open ones: older ones, and those that were closed without a merge, are not in it.",
		queries: []query{{byRepo("prs_opened") + " - " + byRepo("prs_merged"), "{{repo}}"}},
	}.bars()).WithPanel(panel{
		title: "Reviews for each merge", decimals: 1, unit: state, width: 4, height: 5, colors: []color{{"", green}},
		description: "Reviews submitted in the selected time, divided by pull requests merged in it.",
		queries: []query{{
			"sum(" + s.increase("reviews_submitted", "$__range") + ") / " +
				"sum(" + s.increase("prs_merged", "$__range") + ")",
			"Reviews",
		}},
	}.number()).WithPanel(panel{
		title: "Commits by bots", unit: ratio, width: 4, height: 4, colors: []color{{"", gray}},
		description: "Share of the commits of the selected time whose author is an account that ends with [bot].",
		queries: []query{{
			"1 - sum(" + s.people().increase("commits", "$__range") + ") / " +
				"sum(" + s.increase("commits", "$__range") + ")",
			"Share",
		}},
	}.number())
}
