// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// flow is the selection of metrics by repository.
const flow = `org=~"$org",repo=~"$repo"`

// flowSum is the increase of a part of a histogram, or of a sum, in the selected time, of one replica.
func flowSum(metric string) string {
	return fmt.Sprintf("sum(max by (org, repo) (increase(%s{%s}[$__range])))", metric, flow)
}

// flowBuckets is the increase of the buckets of a histogram in the selected time, of one replica, by further labels.
func flowBuckets(metric string, by ...string) string {
	labels := strings.Join(append([]string{"le"}, by...), ", ")
	return fmt.Sprintf("sum by (%s) (max by (org, repo, le) (increase(%s_bucket{%s}[$__range])))", labels, metric, flow)
}

// quantile is a quantile of a histogram in the selected time.
func quantile(q, metric string, by ...string) string {
	return fmt.Sprintf("histogram_quantile(%s, %s)", q, flowBuckets(metric, by...))
}

// addFlow adds how long pull requests and issues take.
func addFlow(d *dashboard.DashboardBuilder) {
	steps := []struct{ title, metric, color string }{
		{"First review", "gh_pr_time_to_first_review_seconds", green},
		{"Approval", "gh_pr_time_to_approval_seconds", teal},
		{"Merge", "gh_pr_time_to_merge_seconds", purple},
	}
	var medians, slow []query
	var colors []color
	for _, s := range steps {
		medians = append(medians, query{quantile("0.5", s.metric), s.title})
		slow = append(slow, query{quantile("0.9", s.metric), s.title})
		colors = append(colors, color{s.title, s.color})
	}
	d.WithPanel(panel{
		title: "Half of the pull requests, within", unit: seconds, width: 6, height: 8, colors: colors,
		description: "The time until which half of the pull requests had their first review, their first approval " +
			"and their merge, from when they were ready for review, in the selected time.",
		queries: medians,
	}.bars()).WithPanel(panel{
		title: "Nine of ten, within", unit: seconds, width: 6, height: 8, colors: colors,
		description: "The same for nine of ten pull requests.", queries: slow,
	}.bars()).WithPanel(panel{
		title: "First review within, by repository", unit: seconds, width: 6, height: 8, colors: []color{{"", green}},
		description: "The time until which half of the pull requests of each repository had their first review.",
		queries:     []query{{quantile("0.5", "gh_pr_time_to_first_review_seconds", "repo"), "{{repo}}"}},
	}.bars()).WithPanel(panel{
		title: "Reviewed within a day", unit: ratio, width: 3, height: 4, colors: []color{{"", green}},
		description: "Share of the first reviews that came within 24 hours.",
		queries: []query{{
			fmt.Sprintf(`sum(max by (org, repo) (increase(gh_pr_time_to_first_review_seconds_bucket{%s,le="86400"}`+
				`[$__range])))`, flow) + " / " + flowSum("gh_pr_time_to_first_review_seconds_count"),
			"Share",
		}},
	}.number()).WithPanel(panel{
		title: "Merged without a review", unit: ratio, width: 3, height: 4, steps: []step{{0, green}, {0.5, yellow}},
		description: "Share of the merged pull requests without a review by anybody but the author.",
		queries: []query{{
			flowSum("gh_pr_merged_without_review_total") + " / " + flowSum("gh_pr_time_to_merge_seconds_count"),
			"Share",
		}},
	}.number()).WithPanel(panel{
		title: "Lines of half of the merged", unit: count, width: 3, height: 4, colors: []color{{"", purple}},
		description: "The number of lines, added and removed, that half of the merged pull requests do not exceed.",
		queries:     []query{{quantile("0.5", "gh_pr_lines"), "Lines"}},
	}.number()).WithPanel(panel{
		title: "Half of the issues closed within", unit: seconds, width: 3, height: 4, colors: []color{{"", yellow}},
		description: "The time from their creation within which half of the closed issues were closed.",
		queries:     []query{{quantile("0.5", "gh_issue_time_to_close_seconds"), "Time"}},
	}.number())
}
