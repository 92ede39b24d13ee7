// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// engineering is for the lead of a team: who did what where.
func engineering() *dashboard.DashboardBuilder {
	s := selection{selectors, memberFilter}
	d := newDashboard("engineering", "Engineering activity",
		"Who did what where: commits, pull requests, reviews, comments and issues of people and "+
			"repositories.", "now-7d")
	d.WithVariable(labelVariable("org", "Organization", "gh_activity_last_event_unixtime", true)).
		WithVariable(labelVariable("team", "Team", `gh_user_team_info{org=~"$org"}`, true)).
		WithVariable(labelVariable("repo", "Repository", `gh_activity_last_event_unixtime{org=~"$org"}`, true)).
		WithVariable(labelVariable("user", "User", `gh_activity_last_event_unixtime{org=~"$org",repo=~"$repo"}`, true)).
		WithVariable(bucketVariable())
	d.WithRow(dashboard.NewRowBuilder("Last 24 hours"))
	s.addToday(d)
	d.WithRow(dashboard.NewRowBuilder("In the selected time: people"))
	s.addPeople(d)
	d.WithRow(dashboard.NewRowBuilder("In the selected time: teams"))
	addTeams(d)
	d.WithRow(dashboard.NewRowBuilder("In the selected time: course"))
	s.addCourse(d)
	return d
}

// addToday adds the numbers of the last 24 hours.
func (s selection) addToday(d *dashboard.DashboardBuilder) {
	for _, p := range []panel{
		s.today(commits, "Commits of the default branches"),
		s.today(opened, "Pull requests opened, for their author"),
		s.today(merged, "Pull requests merged, for their author"),
		s.today(reviews, "Reviews of pull requests submitted, for the reviewer"),
		s.today(comments, "Conversation comments on issues and pull requests"),
		s.today(closed, "Closings of issues, for the author of the issue"),
		{
			title: "People active", unit: count, width: 3, height: 4, colors: []color{{"", gray}},
			description: "Users with any event in the last 24 hours, bots included.",
			queries:     []query{{s.active("user", "86400"), "People"}},
		},
		{
			title: "Repositories active", unit: count, width: 3, height: 4, colors: []color{{"", gray}},
			description: "Repositories with any event in the last 24 hours.",
			queries:     []query{{s.active("org, repo", "86400"), "Repositories"}},
		},
	} {
		d.WithPanel(p.stat())
	}
}

// addPeople adds who did what.
func (s selection) addPeople(d *dashboard.DashboardBuilder) {
	byUser := func(metric string) string { return s.rounded("user", metric, "$__range") + " > 0" }
	d.WithPanel(panel{
		title: "Who did what", unit: count, width: 14, height: 12,
		description: "Events of each user in the selected time. It counts what Prometheus has scraped: at most " +
			"what happened since its first scrape. Lines are those of commits, without merge commits.",
	}.rows("user", "User", "Commits",
		column{title: "Commits", expr: byUser("commits"), color: blue},
		column{title: "Opened", expr: byUser("prs_opened"), color: orange},
		column{title: "Merged", expr: byUser("prs_merged"), color: purple},
		column{title: "Reviews", expr: byUser("reviews_submitted"), color: green},
		column{title: "Comments", expr: byUser("issue_comments"), color: teal},
		column{title: "Lines added", expr: byUser("loc_added")},
		column{title: "Last seen ago", expr: "time() - " + s.lastEvent("user"), unit: seconds},
	)).WithPanel(panel{
		title: "Reviews given", unit: count, width: 5, height: 12, colors: []color{{"", green}},
		description: "The ten users who submitted the most reviews in the selected time.",
		queries:     []query{{"topk(10, " + byUser("reviews_submitted") + ")", "{{user}}"}},
	}.bars()).WithPanel(panel{
		title: "Repositories by activity", unit: count, width: 5, height: 12, colors: []color{{"", blue}},
		description: "Events of every kind in the selected time: commits, pull requests opened and merged, " +
			"reviews, comments, issues opened and closed. The ten busiest repositories.",
		queries: []query{{"topk(10, round(" + s.all("repo", "$__range") + ") > 0)", "{{repo}}"}},
	}.bars())
}

// addTeams adds what the members of teams did.
func addTeams(d *dashboard.DashboardBuilder) {
	inRange := func(metric string) string { return byTeam(metric, "$__range") }
	d.WithPanel(panel{
		title: "Teams", unit: count, width: 24, height: 8,
		description: "Events of the present members of each team in the selected time, and its members. Needs " +
			"teams::enabled. A user in two teams counts in both: the rows add up to more than happened.",
	}.rows("team", "Team", "Commits",
		column{title: "Members", expr: "count by (team) (" + teamMembers + ")"},
		column{title: "Commits", expr: inRange("commits"), color: blue},
		column{title: "Opened", expr: inRange("prs_opened"), color: orange},
		column{title: "Merged", expr: inRange("prs_merged"), color: purple},
		column{title: "Reviews", expr: inRange("reviews_submitted"), color: green},
		column{title: "Comments", expr: inRange("issue_comments"), color: teal},
	))
}

// addCourse adds the course over time.
func (s selection) addCourse(d *dashboard.DashboardBuilder) {
	pulls, pullColors := kinds([]kind{opened, merged}, func(k kind) string {
		return s.rounded("", k.metric, "$bucket")
	})
	talks, talkColors := kinds([]kind{reviews, comments}, func(k kind) string {
		return s.rounded("", k.metric, "$bucket")
	})
	d.WithPanel(panel{
		title: "Pull requests opened and merged", unit: count, width: 8, height: 8, queries: pulls, colors: pullColors,
		description: "Pull requests opened and merged in each interval, the one on top of the other.",
	}.columns()).WithPanel(panel{
		title: "Commits by repository", unit: count, width: 8, height: 8,
		description: "Commits of the default branch of each repository in each interval.",
		queries:     []query{{s.rounded("repo", "commits", "$bucket") + " > 0", "{{repo}}"}},
	}.columns()).WithPanel(panel{
		title: "Reviews and comments", unit: count, width: 8, height: 8, queries: talks, colors: talkColors,
		description: "Reviews submitted and conversation comments in each interval.",
	}.columns()).WithPanel(panel{
		title: "Activity by weekday and hour (UTC)", unit: count, width: 16, height: 9,
		description: "Events of every kind in the selected time, by the weekday and the hour at which they " +
			"happened, in UTC.",
		queries: []query{{s.heatMap(), ""}},
	}.matrix("weekday", "hour", weekdayNames())).WithPanel(panel{
		title: "Opened minus merged", unit: count, width: 4, height: 9, colors: []color{{"", orange}},
		description: "Pull requests opened minus pull requests merged in the selected time, by repository. It is " +
			"not the number of open ones: older ones, and those that were closed without a merge, are not in it.",
		queries: []query{{
			s.rounded("repo", "prs_opened", "$__range") + " - " + s.rounded("repo", "prs_merged", "$__range"),
			"{{repo}}",
		}},
	}.bars()).WithPanel(panel{
		title: "Lines of the last week", unit: count, width: 4, height: 9, colors: []color{{"", blue}},
		description: "Lines added in the last complete week (Sunday to Sunday, UTC), without merge commits. The " +
			"ten users with the most.",
		queries: []query{{
			"topk(10, sum by (user) (max by (org, repo, user) (" + s.of("gh_activity_loc_added_weekly") + ")) > 0)",
			"{{user}}",
		}},
	}.bars())
}
