// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// own is a metric of an organization of the exporter itself, of one replica: all of them show the same.
func own(metric string) string {
	return fmt.Sprintf(`max by (org) (gh_exporter_%s{org=~"$org"})`, metric)
}

// ownIncrease is the increase of such a counter.
func ownIncrease(by, metric string) string {
	return fmt.Sprintf(`round(max by (%s) (increase(gh_exporter_%s_total{org=~"$org"}[$__rate_interval])), 0.1)`, by,
		metric)
}

// replicaIncrease is the increase of a counter that is the same on every replica and has no organization.
func replicaIncrease(by, metric string) string {
	return fmt.Sprintf(`round(max by (%s) (increase(gh_exporter_%s_total[$__rate_interval])), 0.1)`, by, metric)
}

// exporter is for who operates the exporter.
func exporter() *dashboard.DashboardBuilder {
	d := newDashboard("exporter", "Exporter operations",
		"The exporter itself: leaders, passes, gaps, GitHub's limits, backfill, store and replicas.", "now-6h")
	d.WithVariable(labelVariable("org", "Organization", "gh_exporter_leader", true))
	for _, part := range []struct {
		title string
		add   func(*dashboard.DashboardBuilder)
	}{
		{"Now", addNow},
		{"Reading", addReading},
		{"GitHub", addGitHub},
		{"Backfill", addBackfill},
		{"Store", addStore},
		{"Replicas", addReplicas},
		{"Copilot reports", addReports},
	} {
		d.WithRow(dashboard.NewRowBuilder(part.title))
		part.add(d)
	}
	return d
}

func addNow(d *dashboard.DashboardBuilder) {
	for _, p := range []panel{
		{
			title: "Leaders", unit: state, description: "Replicas that lead, for each organization: it must be one.",
			steps:   []step{{0, red}, {1, green}, {2, red}},
			queries: []query{{`sum by (org) (gh_exporter_leader{org=~"$org"})`, "{{org}}"}},
		},
		{
			title: "Read up to", unit: seconds, description: "Age of the oldest moment that is not read yet.",
			steps: []step{{0, green}, {1800, yellow}, {7200, red}}, queries: []query{{
				own("coverage_lag_seconds"),
				"{{org}}",
			}},
		},
		{
			title: "Last pass ago", unit: seconds,
			description: "Time since the last pass ended. It is overdue when it is much longer than scrape_interval.",
			steps:       []step{{0, green}, {1800, yellow}, {7200, red}},
			queries:     []query{{"time() - " + own("leader_cycle_last_run_unixtime"), "{{org}}"}},
		},
		{
			title: "Gaps", unit: count, description: "Windows of time that were not read and will be read by backfill.",
			steps: []step{{0, green}, {1, yellow}}, queries: []query{{own("gaps"), "{{org}}"}},
		},
		{
			title: "Unhealthy", unit: count,
			description: "Dependencies of all replicas that are unhealthy now, such as GitHub, Redis or RabbitMQ.",
			steps:       []step{{0, green}, {1, red}},
			queries:     []query{{"sum(gh_exporter_dependency_health == bool 0)", "Unhealthy"}},
		},
		{
			title: "Budget left", unit: ratio,
			description: "The smallest remaining share of the primary limits. It is missing from the reset of a " +
				"limit until GitHub reports the next window.",
			steps: []step{{0, red}, {0.1, yellow}, {0.25, green}},
			queries: []query{{
				`min(gh_exporter_github_rate_limit_remaining{org=~"$org"} / ` +
					`gh_exporter_github_rate_limit{org=~"$org"})`,
				"Left",
			}},
		},
		{
			title: "Replicas", unit: count, colors: []color{{"", blue}}, description: "Replicas that Prometheus " +
				"scrapes.",
			queries: []query{{"count(gh_exporter_build_info)", "Replicas"}},
		},
		{
			title: "Versions", unit: count, steps: []step{{0, green}, {2, yellow}},
			description: "Different builds among the replicas: more than one outside of a rolling update is a mistake.",
			queries:     []query{{"count(count by (version, revision) (gh_exporter_build_info))", "Versions"}},
		},
	} {
		p.width, p.height = 3, 4
		d.WithPanel(p.number())
	}
}

func addReading(d *dashboard.DashboardBuilder) {
	d.WithPanel(panel{
		title: "Passes by result", unit: count, width: 8, height: 7,
		description: "Passes in the last minutes by their result. A pass is one scheduled reading of an organization.",
		colors: []color{
			{"success", green},
			{"partial", yellow},
			{"failure", red},
			{"skipped_limited", orange},
			{"skipped_unhealthy", purple},
		},
		queries: []query{{"sum by (result) (" + ownIncrease("org, result", "scrape_runs") + ")", "{{result}}"}},
	}.lines()).WithPanel(panel{
		title: "Duration of a pass", unit: seconds, width: 8, height: 7,
		description: "Duration of the last pass, on the replica that leads.",
		queries:     []query{{own("scrape_duration_seconds"), "{{org}}"}},
	}.lines()).WithPanel(panel{
		title: "Coverage lag and gaps", unit: count, width: 8, height: 7,
		description: "Seconds since the oldest moment that is not read yet, and the number of gaps.",
		colors:      []color{{"Lag in seconds", blue}, {"Gaps", orange}},
		queries: []query{
			{"max(" + own("coverage_lag_seconds") + ")", "Lag in seconds"},
			{"sum(" + own("gaps") + ")", "Gaps"},
		},
	}.lines())
}

func addGitHub(d *dashboard.DashboardBuilder) {
	d.WithPanel(panel{
		title: "Requests by endpoint", unit: count, width: 8, height: 8,
		description: "Requests to GitHub in the last minutes, by route or by the name of the query.",
		queries: []query{{
			"sum by (endpoint) (" + ownIncrease("org, endpoint, status_class", "github_requests") + ") > " +
				"0", "{{endpoint}}",
		}},
	}.lines()).WithPanel(panel{
		title: "Requests by status", unit: count, width: 8, height: 8,
		description: "Requests to GitHub in the last minutes by the class of the response. 3xx is mostly \"not " +
			"modified\", which costs nothing; error is a request without a response.",
		colors: []color{{"2xx", green}, {"3xx", blue}, {"4xx", orange}, {"5xx", red}, {"error", purple}},
		queries: []query{{
			"sum by (status_class) (" + ownIncrease("org, endpoint, "+
				"status_class", "github_requests") + ")", "{{status_class}}",
		}},
	}.lines()).WithPanel(panel{
		title: "Remaining budget", unit: ratio, width: 8, height: 8,
		description: "Remaining share of each primary limit. Replicas that share a budget show the same.",
		queries: []query{{
			`min by (org, resource) (gh_exporter_github_rate_limit_remaining{org=~"$org"} / ` +
				`gh_exporter_github_rate_limit{org=~"$org"})`, "{{org}} {{resource}}",
		}},
	}.lines()).WithPanel(panel{
		title: "Points spent", unit: count, width: 8, height: 7,
		description: "Points of the primary limits that requests cost in the last minutes.",
		colors:      []color{{"graphql", purple}, {"rest", blue}},
		queries: []query{{
			"sum by (resource) (" + ownIncrease("org, resource", "github_points") + ")",
			"{{resource}}",
		}},
	}.lines()).WithPanel(panel{
		title: "Secondary limits and odd responses", unit: count, width: 8, height: 7,
		description: "In the last minutes: secondary limits, queries that cost other than predicted, invalid " +
			"values, and announcements that an endpoint ends. All are 0 in health.",
		queries: []query{
			{"sum(" + ownIncrease("org", "github_secondary_limit_hits") + ")", "secondary limits"},
			{"sum(" + ownIncrease("org", "github_mispriced_queries") + ")", "mispriced queries"},
			{"sum(" + ownIncrease("org", "invalid_values") + ")", "invalid values"},
			{"sum(" + ownIncrease("org, endpoint", "github_deprecations") + ")", "deprecations"},
		},
	}.lines()).WithPanel(panel{
		title: "Credential expires in", unit: seconds, width: 4, height: 7,
		description: "Time until a personal access token expires. Apps and tokens without an expiry show no value.",
		steps:       []step{{0, red}, {3 * 86400, yellow}, {14 * 86400, green}},
		queries: []query{{
			`min by (org) (gh_exporter_credential_expires_unixtime{org=~"$org"}) - time()`,
			"{{org}}",
		}},
	}.number()).WithPanel(panel{
		title: "Missing permissions", unit: count, width: 4, height: 7, steps: []step{{0, green}, {1, red}},
		description: "Permissions that the configuration needs and the credential lacks. The label permission of " +
			"gh_exporter_missing_permission names them.",
		queries: []query{{
			`sum by (org) (max by (org, permission) (gh_exporter_missing_permission{org=~"$org"})) or ` +
				"0 * " + own("leader"), "{{org}}",
		}},
	}.number())
}

func addBackfill(d *dashboard.DashboardBuilder) {
	d.WithPanel(panel{
		title: "Jobs published by reason", unit: count, width: 6, height: 7,
		description: "Jobs that read gaps, published in the last minutes, by why there was a gap. Missing when " +
			"backfill is off.",
		queries: []query{{
			"sum by (reason) (" + ownIncrease("org, reason", "backfill_jobs_enqueued") + ")", "{{reason}}",
		}},
	}.lines()).WithPanel(panel{
		title: "Jobs by outcome", unit: count, width: 6, height: 7,
		description: "Deliveries of jobs in the last minutes by their outcome. failed and expired jobs are in " +
			"the dead-letter queue.",
		colors: []color{{"processed", green}, {"failed", red}, {"expired", orange}, {"discarded", gray}, {
			"duplicate",
			blue,
		}},
		queries: []query{{
			"sum by (result) (" + ownIncrease("org, result", "backfill_jobs_processed") + ")", "{{result}}",
		}},
	}.lines()).WithPanel(panel{
		title: "Queues", unit: count, width: 6, height: 7,
		description: "Jobs that wait in each queue: ready, to be retried (.retry), and given up (.dead).",
		queries:     []query{{"max by (queue) (gh_exporter_queue_depth)", "{{queue}}"}},
	}.lines()).WithPanel(panel{
		title: "Age of the oldest job, and deferred jobs", unit: seconds, width: 6, height: 7,
		description: "Age of the oldest job that waits, in seconds, and jobs that a cap deferred in the last minutes.",
		queries: []query{
			{"max by (queue) (gh_exporter_queue_oldest_message_age_seconds)", "{{queue}}"},
			{
				"sum by (reason) (" + ownIncrease("org, reason", "backfill_enqueues_dropped") + ")",
				"deferred: {{reason}}",
			},
		},
	}.lines())
}

func addStore(d *dashboard.DashboardBuilder) {
	d.WithPanel(panel{
		title: "Writes by result", unit: count, width: 8, height: 7,
		description: "Batches written to the store in the last minutes. fenced writes are of a former leader.",
		queries: []query{{
			replicaIncrease("source, result", "store_write"), "{{source}} {{result}}",
		}},
	}.lines()).WithPanel(panel{
		title: "Events and series", unit: count, width: 8, height: 7,
		description: "Events and series in the store.", colors: []color{{"Events", blue}, {"Series", green}},
		queries: []query{
			{"sum(" + own("store_events") + ")", "Events"}, {"sum(" + own("store_series") + ")", "Series"},
		},
	}.lines()).WithPanel(panel{
		title: "What should be 0", unit: count, width: 8, height: 7,
		description: "Corrupt records and replicas whose store is the fallback in memory; in the last minutes " +
			"series above max_series, and events that passes missed and the reconciliation found.",
		queries: []query{
			{"sum(gh_exporter_store_corrupt_records_total)", "corrupt records"},
			{"sum(gh_exporter_store_fallback) or 0 * count(gh_exporter_build_info)", "replicas in fallback"},
			{"sum(" + ownIncrease("org", "series_overflow") + ")", "series above max_series"},
			{"sum(" + ownIncrease("org", "reconciled_events") + ")", "reconciled events"},
		},
	}.lines())
}

func addReplicas(d *dashboard.DashboardBuilder) {
	d.WithPanel(panel{
		title: "Dependencies", unit: state, width: 12, height: 12,
		description: "Health of each dependency, the worst of all replicas.",
		mappings:    map[string]mapping{"0": {"unhealthy", red}, "1": {"healthy", green}},
		queries:     []query{{"min by (dependency) (gh_exporter_dependency_health)", "{{dependency}}"}},
	}.states()).WithPanel(panel{
		title: "Series of each metric", unit: count, width: 6, height: 12, colors: []color{{"", blue}},
		description: "Series in the view of a replica, by metric. The ten largest.",
		queries:     []query{{"topk(10, max by (metric) (gh_exporter_metrics_series_loaded))", "{{metric}}"}},
	}.bars()).WithPanel(panel{
		title: "Reading the store", unit: seconds, width: 6, height: 6, colors: []color{{"", purple}},
		description: "Duration of the last full read of the store into the view, on the slowest replica.",
		queries:     []query{{"max(gh_exporter_metrics_cache_refresh_duration_seconds)", "Duration"}},
	}.lines()).WithPanel(panel{
		title: "Builds", unit: count, width: 6, height: 6,
		description: "Replicas of each version.",
		queries:     []query{{"count by (version) (gh_exporter_build_info)", "{{version}}"}},
	}.lines())
}

func addReports(d *dashboard.DashboardBuilder) {
	d.WithPanel(panel{
		title: "Requests for reports", unit: count, width: 8, height: 7,
		description: "Requests for Copilot reports in the selected time, by result. pending is a report that is " +
			"not there yet. Missing when Copilot is off.",
		queries: []query{{
			"round(sum by (result) (max by (scope, result) " +
				"(increase(gh_exporter_copilot_scrape_runs_total[$__range]))))",
			"{{result}}",
		}},
	}.bars()).WithPanel(panel{
		title: "Files of reports that could not be used", unit: count, width: 8, height: 7,
		description: "Files of reports in the selected time by what was wrong with them, and rows that were not used.",
		queries: []query{
			{
				"round(sum by (result) (max by (scope, result) (increase(" +
					`gh_exporter_copilot_report_download_total{result!="success"}[$__range]))))`, "{{result}}",
			},
			{
				"round(sum(max by (scope, reason) (increase(gh_exporter_copilot_records_dropped_total[$__range]))))",
				"rows dropped",
			},
		},
	}.bars()).WithPanel(panel{
		title: "Age of reports", unit: seconds, width: 8, height: 7,
		description: "Time since the newest day of each report began. About two days are normal.",
		steps:       []step{{0, green}, {4 * 86400, yellow}, {6 * 86400, red}},
		queries: []query{{
			`time() - max by (org, scope) (gh_copilot_report_day_unixtime{org=~"$org"})`, "{{org}} {{scope}}",
		}},
	}.bars())
}
