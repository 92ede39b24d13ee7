// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// kind is a kind of event.
type kind struct{ name, metric, color string }

var (
	commits   = kind{"Commits", "commits", blue}
	opened    = kind{"Pull requests opened", "prs_opened", orange}
	merged    = kind{"Pull requests merged", "prs_merged", purple}
	reviews   = kind{"Reviews", "reviews_submitted", green}
	comments  = kind{"Comments", "issue_comments", teal}
	issues    = kind{"Issues opened", "issues_opened", yellow}
	closed    = kind{"Issues closed", "issues_closed", red}
	releases  = kind{"Releases", "releases_published", gray}
	allEvents = []kind{commits, opened, merged, reviews, comments, issues, closed, releases}
)

// selectors is which series the dashboards of activity show.
const selectors = `org=~"$org",repo=~"$repo",user=~"$user"`

// memberFilter leaves out users who are in none of the selected teams. With all teams selected it leaves out no user,
// also where no teams are read: series of activity have no label team, which the selection of all matches.
const memberFilter = ` and on (org, user) (gh_user_team_info{org=~"$org",team=~"$team"} or on (org, user) ` +
	`max by (org, user) (gh_activity_last_event_unixtime{org=~"$org",team=~"$team"}))`

// selection is a dashboard's selection of series: by their labels and, after that, by a filter, which may be empty.
type selection struct{ matchers, filter string }

// of is the selected series of a metric.
func (s selection) of(metric string) string { return metric + "{" + s.matchers + "}" + s.filter }

// window is the exact number of events in the last 24 hours, of one replica.
func (s selection) window(k kind) string {
	return fmt.Sprintf("max by (org, repo, user) (%s)", s.of("gh_activity_"+k.metric+"_24h"))
}

// increase is the number of events in an interval by the sum, of one replica.
func (s selection) increase(metric, interval string) string {
	return fmt.Sprintf("max by (org, repo, user) (increase(gh_activity_%s_total{%s}[%s])%s)", metric, s.matchers,
		interval, s.filter)
}

// rounded is increase summed by labels, without the fractions that extrapolation makes.
func (s selection) rounded(by, metric, interval string) string {
	return fmt.Sprintf("round(sum%s (%s))", grouping(by), s.increase(metric, interval))
}

// all is increase of the events of every kind together, summed by labels.
func (s selection) all(by, interval string) string {
	var parts []string
	for _, k := range allEvents {
		parts = append(parts, fmt.Sprintf(`label_replace(%s, "kind", %q, "", "")`, s.increase(k.metric, interval),
			k.metric))
	}
	return fmt.Sprintf("sum%s (%s)", grouping(by), strings.Join(parts, " or "))
}

// teamMembers is the selected members of the selected teams.
const teamMembers = `max by (org, user, team) (gh_user_team_info{org=~"$org",team=~"$team",user=~"$user"})`

// byTeam is the number of events of the members of each selected team in an interval, where there are any.
func byTeam(metric, interval string) string {
	events := selection{matchers: selectors}.increase(metric, interval)
	return "round(sum by (team) (" + teamMembers +
		" * on (org, user) group_left () sum by (org, user) (" + events + "))) > 0"
}

func grouping(by string) string {
	if by == "" {
		return ""
	}
	return " by (" + by + ")"
}

// lastEvent is the time of the newest event by labels.
func (s selection) lastEvent(by string) string {
	return fmt.Sprintf("max by (%s) (%s)", by, s.of("gh_activity_last_event_unixtime"))
}

// active counts the values of a label with an event within a time.
func (s selection) active(label, within string) string {
	return fmt.Sprintf("sum(%s > bool (time() - %s))", s.lastEvent(label), within)
}

// kinds makes a query of each kind.
func kinds(list []kind, expr func(kind) string) (queries []query, colors []color) {
	for _, k := range list {
		queries = append(queries, query{expr(k), k.name})
		colors = append(colors, color{k.name, k.color})
	}
	return queries, colors
}

// today shows a kind's number of the last 24 hours.
func (s selection) today(k kind, description string) panel {
	return panel{
		title: k.name, unit: count, width: 3, height: 4, colors: []color{{"", k.color}},
		description: description + " of the last 24 hours, exact at every moment. The background shows its course.",
		queries:     []query{{"sum(" + s.window(k) + ")", k.name}},
	}
}

// heatMap is the number of events by hour and weekday. Each hour of the time range gives its events to the hour and the
// weekday of its middle.
func (s selection) heatMap() string {
	const middle = "vector(time() - 1800)"
	hours := fmt.Sprintf(`label_replace(count_values("hour", hour(%s)), "hour", "0$1", "hour", "(.)")`, middle)
	weekdays := fmt.Sprintf(`count_values("weekday", (day_of_week(%s) + 6) %% 7 + 1)`, middle)
	each := fmt.Sprintf("%s * on () group_left (weekday) %s * on () group_left () %s", hours, weekdays, s.all("", "1h"))
	return "round(sum_over_time((" + each + ")[$__range:1h]))"
}

func weekdayNames() map[string]mapping {
	return map[string]mapping{
		"1": {"Mon", ""}, "2": {"Tue", ""}, "3": {"Wed", ""}, "4": {"Thu", ""}, "5": {"Fri", ""}, "6": {"Sat", ""},
		"7": {"Sun", ""},
	}
}
