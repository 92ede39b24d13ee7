// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// A report is of one owner, and its numbers are not added to those of another one: users would count twice. So the
// variable org selects one organization, or one enterprise by its slug. A series with one dimension is beside the
// total,
// which has none: each selection names all four.
const (
	owner      = `org="$org",scope=~"(org|enterprise)?"`
	ofUsers    = `org="$org",scope=~"((org|enterprise)_users)?",window=~"(28d)?",user!="all",user=~"$user",team=""`
	aggregated = owner + `,window=~"(28d)?",user="all",team=""`
	noValues   = `feature="",ide="",language="",model=""`
)

// usage sums a count of reports by labels over the days of the report, which are series with day_label.
func usage(metric, selector, by string) string {
	labels := "org, day"
	if by != "" {
		labels += ", " + by
	}
	return fmt.Sprintf("sum%s (max by (%s) (gh_copilot_usage_%s{%s}))", grouping(by), labels, metric, selector)
}

// total is a count of the whole report.
func total(metric string) string { return usage(metric, aggregated+","+noValues, "") }

// dimension is a count by the values of a dimension.
func dimension(metric, label string) string {
	matchers := []string{aggregated}
	for _, other := range []string{"feature", "ide", "language", "model"} {
		operator := `=""`
		if other == label {
			operator = `!=""`
		}
		matchers = append(matchers, other+operator)
	}
	return usage(metric, strings.Join(matchers, ","), label)
}

// of is a gauge of the owner by a label.
func of(metric, matchers, by string) string {
	if matchers != "" {
		matchers = "," + matchers
	}
	return fmt.Sprintf("max by (%s) (gh_copilot_%s{%s%s})", by, metric, owner, matchers)
}

// acceptance is the share of completions that were accepted. Agents accept nothing, so it is about completions alone.
func acceptance() string {
	selector := aggregated + `,feature="code_completion",ide="",language="",model=""`
	return usage("code_acceptance_activity_count", selector, "") + " / " +
		usage("code_generation_activity_count", selector, "")
}

// copilot is about the use of Copilot.
func copilot() *dashboard.DashboardBuilder {
	d := newDashboard("copilot", "Copilot adoption",
		"Seats and use of GitHub Copilot, by GitHub's usage reports. The counts are sums over the 28 days of the "+
			"newest report; distinct users and medians are those of its newest day.", "now-14d")
	d.WithVariable(labelVariable("org", "Organization or enterprise", "gh_copilot_report_day_unixtime", false)).
		WithVariable(labelVariable("user", "User",
			`gh_copilot_usage_user_initiated_interaction_count{org="$org",user!="all"}`, true))
	d.WithRow(dashboard.NewRowBuilder("Adoption"))
	addAdoption(d)
	d.WithRow(dashboard.NewRowBuilder("Use in the 28 days of the report"))
	addUse(d)
	d.WithRow(dashboard.NewRowBuilder("People"))
	addCopilotUsers(d)
	d.WithRow(dashboard.NewRowBuilder("Pull requests"))
	addCopilotPulls(d)
	return d
}

func addAdoption(d *dashboard.DashboardBuilder) {
	active := func(window string) string { return of("active_users", `kind="any",window="`+window+`"`, "org") }
	seats := func(state string) string { return of("seats", `state="`+state+`"`, "org") }
	small := func(title, unit, color, expr, description string) panel {
		p := panel{
			title: title, unit: unit, width: 4, height: 4, description: description, queries: []query{{expr, title}},
		}
		p.colors = append(p.colors, colorOf(color))
		return p
	}
	for _, p := range []panel{
		small("Seats", count, blue, seats("total"), "Seats that are assigned. They are paid for, used or not."),
		small("Seats never used", count, orange, seats("never_used"),
			"Users with a seat whom GitHub has never seen use Copilot. It needs the whole list of seats."),
		small("Active users, 28 days", count, green, active("28d"),
			"Distinct users in the 28 days up to the newest day of the report."),
		small("Active share of seats", ratio, teal, active("28d")+" / "+seats("total"),
			"Users who were active in 28 days, divided by seats."),
		small("Prompts", count, purple, total("user_initiated_interaction_count"),
			"Prompts that users sent in the 28 days of the report."),
	} {
		d.WithPanel(p.number())
	}
	d.WithPanel(panel{
		title: "Age of the report", unit: seconds, width: 4, height: 4,
		description: "Time since the newest day of the report began. GitHub publishes a day about two days " +
			"later; when the age grows beyond four days, reports do not come or cannot be read.",
		steps:   []step{{0, green}, {4 * 86400, yellow}, {6 * 86400, red}},
		queries: []query{{"time() - " + of("report_day_unixtime", "", "org"), "Age"}},
	}.number()).WithPanel(panel{
		title: "Active users", unit: count, width: 12, height: 8,
		description: "Distinct users in 1, 7 and 28 days up to the newest day of the report. Users of several " +
			"days, or of several organizations, cannot be added up.",
		colors:  []color{{"28 days", blue}, {"7 days", green}, {"1 day", orange}},
		queries: []query{{active("28d"), "28 days"}, {active("7d"), "7 days"}, {active("1d"), "1 day"}},
	}.lines()).WithPanel(panel{
		title: "Active users by kind", unit: count, width: 4, height: 8, colors: []color{{"", green}},
		description: "Distinct users in 28 days by what they used. One user can be in several kinds.",
		queries:     []query{{of("active_users", `window="28d"`, "kind"), "{{kind}}"}},
	}.bars()).WithPanel(panel{
		title: "Seats by state", unit: count, width: 4, height: 8, colors: []color{{"", blue}},
		description: "Seats: in use and not in use in this billing cycle, never used, and invitations that are " +
			"pending.",
		queries: []query{{of("seats", `state!="total"`, "state"), "{{state}}"}},
	}.bars()).WithPanel(panel{
		title: "Adoption phases", unit: count, width: 4, height: 8, colors: []color{{"", purple}},
		description: "Users of the newest day in each of GitHub's adoption phases.",
		queries:     []query{{of("adoption_users", "", "phase"), "{{phase}}"}},
	}.bars())
}

func colorOf(value string) color { return color{"", value} }

func addUse(d *dashboard.DashboardBuilder) {
	d.WithPanel(panel{
		title: "Completions accepted", unit: ratio, width: 8, height: 8, colors: []color{{"", green}}, decimals: 1,
		description: "Completions that were accepted, divided by those that were shown, in the 28 days before " +
			"each moment. It needs copilot::breakdown::feature: edits of agents are never accepted and would " +
			"lower it.",
		queries: []query{{acceptance(), "Accepted"}},
	}.lines()).WithPanel(panel{
		title: "Lines", unit: count, width: 8, height: 8,
		description: "Lines of code in the 28 days before each moment. More may be added than were suggested: " +
			"agents add without a suggestion.",
		colors: []color{{"Suggested", gray}, {"Added", green}, {"Deleted", red}},
		queries: []query{
			{total("loc_suggested_to_add_sum"), "Suggested"},
			{total("loc_added_sum"), "Added"},
			{total("loc_deleted_sum"), "Deleted"},
		},
	}.lines())
	for _, by := range []struct{ label, title, metric, color, description string }{
		{
			"feature", "Lines added by feature", "loc_added_sum", green,
			"Lines added with each feature. It needs copilot::breakdown::feature.",
		},
		{
			"language", "Generations by language", "code_generation_activity_count", blue,
			"Completions, code blocks and edits by language. It needs copilot::breakdown::language.",
		},
		{
			"ide", "Generations by IDE", "code_generation_activity_count", teal,
			"Completions, code blocks and edits by IDE: less than the total, because the command line is in none. It " +
				"needs copilot::breakdown::ide.",
		},
		{
			"model", "Generations by model", "code_generation_activity_count", purple,
			"Code blocks and edits by model: less than the total, because completions mostly have none. It needs " +
				"copilot::breakdown::model.",
		},
	} {
		d.WithPanel(panel{
			title: by.title, unit: count, width: 8, height: 8, colors: []color{{"", by.color}},
			description: by.description,
			queries:     []query{{"sort_desc(" + dimension(by.metric, by.label) + ")", "{{" + by.label + "}}"}},
		}.bars())
	}
}

func addCopilotUsers(d *dashboard.DashboardBuilder) {
	of := func(metric string) string { return usage(metric, ofUsers+","+noValues, "user") }
	d.WithPanel(panel{
		title: "Who uses it", unit: count, width: 16, height: 10,
		description: "Use of each user in the 28 days of the report. It needs copilot::org_users_28d or " +
			"copilot::enterprise_users_28d. AI credits are a signal of use, not the bill.",
	}.rows("user", "User", "Prompts",
		column{title: "Prompts", expr: of("user_initiated_interaction_count"), color: purple},
		column{title: "Generated", expr: of("code_generation_activity_count"), color: blue},
		column{title: "Accepted", expr: of("code_acceptance_activity_count"), color: green},
		column{title: "Lines added", expr: of("loc_added_sum"), color: teal},
		column{title: "AI credits", expr: fmt.Sprintf("max by (user) (gh_copilot_ai_credits_used{%s})", ofUsers)},
	)).WithPanel(panel{
		title: "Command line", unit: count, width: 8, height: 10, colors: []color{{"", gray}},
		description: "Sessions, requests and prompts of Copilot on the command line, in the 28 days of the report.",
		queries: []query{{
			`max by (what) (gh_copilot_cli{` + owner + `,window=~"(28d)?",what!~".*_tokens"})`, "{{what}}",
		}},
	}.bars())
}

func addCopilotPulls(d *dashboard.DashboardBuilder) {
	pulls := func(what string) string {
		return usage("pull_requests_total_"+what, owner+`,window=~"(28d)?",repo="*",user="all"`, "")
	}
	d.WithPanel(panel{
		title: "Created and reviewed", unit: count, width: 8, height: 8,
		description: "Pull requests of the repositories in the 28 days of the report, also of people without " +
			"Copilot, and those that Copilot created or reviewed.",
		colors: []color{
			{"Created", orange}, {"Created by Copilot", yellow}, {"Reviewed", green}, {"Reviewed by Copilot", teal},
		},
		queries: []query{
			{pulls("created"), "Created"},
			{pulls("created_by_copilot"), "Created by Copilot"},
			{pulls("reviewed"), "Reviewed"},
			{pulls("reviewed_by_copilot"), "Reviewed by Copilot"},
		},
	}.bars()).WithPanel(panel{
		title: "Merges and suggestions", unit: count, width: 8, height: 8, colors: []color{{"", purple}},
		description: "Pull requests merged, and suggestions in reviews, in the 28 days of the report. One pull " +
			"request can be in several of them.",
		queries: []query{{
			`max by (what) (gh_copilot_pull_requests{` + owner + `,window=~"(28d)?",repo=""})`, "{{what}}",
		}},
	}.bars()).WithPanel(panel{
		title: "Median time to merge", unit: minutes, width: 8, height: 8, colors: []color{{"", blue}},
		description: "Median time to merge of the newest day that has one. Medians of days cannot be added up.",
		queries:     []query{{of("minutes_to_merge", `repo=""`, "what"), "{{what}}"}},
	}.bars())
}
