// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pageMetrics has the metrics on the page of a healthy organization, as the Prometheus exporter writes them: type and
// labels. Those of the replica have its identity in the label instance.
var pageMetrics = map[string]string{
	"gh_activity_commits_24h":                            "gauge org repo user",
	"gh_activity_commits_7d":                             "gauge org repo user",
	"gh_activity_prs_opened_24h":                         "gauge org repo user",
	"gh_activity_prs_opened_7d":                          "gauge org repo user",
	"gh_activity_prs_merged_24h":                         "gauge org repo user",
	"gh_activity_prs_merged_7d":                          "gauge org repo user",
	"gh_activity_reviews_submitted_24h":                  "gauge org repo user",
	"gh_activity_reviews_submitted_7d":                   "gauge org repo user",
	"gh_activity_issue_comments_24h":                     "gauge org repo user",
	"gh_activity_issue_comments_7d":                      "gauge org repo user",
	"gh_activity_issues_opened_24h":                      "gauge org repo user",
	"gh_activity_issues_opened_7d":                       "gauge org repo user",
	"gh_activity_issues_closed_24h":                      "gauge org repo user",
	"gh_activity_releases_published_24h":                 "gauge org repo user",
	"gh_activity_issues_closed_7d":                       "gauge org repo user",
	"gh_activity_releases_published_7d":                  "gauge org repo user",
	"gh_activity_loc_added_weekly":                       "gauge org repo user",
	"gh_activity_loc_removed_weekly":                     "gauge org repo user",
	"gh_activity_last_event_unixtime":                    "gauge org repo user",
	"gh_activity_commits_total":                          "counter org repo user",
	"gh_activity_prs_opened_total":                       "counter org repo user",
	"gh_activity_prs_merged_total":                       "counter org repo user",
	"gh_activity_reviews_submitted_total":                "counter org repo user",
	"gh_activity_issue_comments_total":                   "counter org repo user",
	"gh_activity_issues_opened_total":                    "counter org repo user",
	"gh_activity_issues_closed_total":                    "counter org repo user",
	"gh_activity_releases_published_total":               "counter org repo user",
	"gh_activity_loc_added_total":                        "counter org repo user",
	"gh_activity_loc_removed_total":                      "counter org repo user",
	"gh_app_rate_limit_remaining":                        "gauge installation_id instance org",
	"gh_exporter_backfill_jobs_enqueued_total":           "counter org reason",
	"gh_exporter_backfill_jobs_processed_total":          "counter org result",
	"gh_exporter_backfill_jobs_deduped_total":            "counter org reason",
	"gh_exporter_backfill_enqueues_dropped_total":        "counter org reason",
	"gh_exporter_build_info":                             "gauge collector goversion instance revision version",
	"gh_exporter_github_deprecations_total":              "counter endpoint org",
	"gh_exporter_github_rate_limit":                      "gauge installation_id instance org resource",
	"gh_exporter_coverage_lag_seconds":                   "gauge org",
	"gh_exporter_credential_refused":                     "gauge instance org",
	"gh_exporter_dependency_health":                      "gauge dependency instance org",
	"gh_exporter_gaps":                                   "gauge org",
	"gh_exporter_github_points_total":                    "counter org resource",
	"gh_exporter_github_rate_limit_remaining":            "gauge installation_id instance org resource",
	"gh_exporter_github_rate_limit_reset_unixtime":       "gauge installation_id instance org resource",
	"gh_exporter_github_requests_total":                  "counter endpoint org status_class",
	"gh_exporter_github_secondary_limit_hits_total":      "counter org",
	"gh_exporter_github_mispriced_queries_total":         "counter org",
	"gh_exporter_invalid_values_total":                   "counter org",
	"gh_exporter_leader":                                 "gauge instance org",
	"gh_exporter_leader_cycle_last_run_unixtime":         "gauge org",
	"gh_exporter_metrics_cache_refresh_duration_seconds": "gauge instance",
	"gh_exporter_metrics_series_loaded":                  "gauge instance metric",
	"gh_exporter_queue_depth":                            "gauge instance queue",
	"gh_exporter_queue_invalid_messages_total":           "counter instance queue",
	"gh_exporter_queue_oldest_message_age_seconds":       "gauge instance queue",
	"gh_exporter_queue_returned_messages_total":          "counter instance queue",
	"gh_exporter_ready":                                  "gauge instance",
	"gh_exporter_reconciled_events_total":                "counter org",
	"gh_exporter_scrape_duration_seconds":                "gauge instance org",
	"gh_exporter_scrape_runs_total":                      "counter org result",
	"gh_exporter_series_overflow_total":                  "counter org",
	"gh_exporter_store_corrupt_records_total":            "counter instance",
	"gh_exporter_store_events":                           "gauge org",
	"gh_exporter_store_series":                           "gauge org",
	"gh_exporter_store_write_total":                      "counter instance result source",
	"gh_issue_time_to_close_seconds":                     "histogram org repo",
	"gh_pr_draft_seconds":                                "histogram org repo",
	"gh_pr_lines":                                        "histogram org repo",
	"gh_pr_merged_without_review_total":                  "counter org repo",
	"gh_pr_reviews":                                      "histogram org repo",
	"gh_pr_time_to_approval_seconds":                     "histogram org repo",
	"gh_pr_time_to_close_seconds":                        "histogram org repo",
	"gh_pr_time_to_first_review_seconds":                 "histogram org repo",
	"gh_pr_time_to_merge_seconds":                        "histogram org repo",
	"gh_repo_branches":                                   "gauge org repo",
	"gh_repo_count":                                      "gauge org state visibility",
	"gh_repo_created_unixtime":                           "gauge org repo",
	"gh_repo_forks":                                      "gauge org repo",
	"gh_repo_info": "gauge archived default_branch fork org" +
		" repo template visibility",
	"gh_repo_last_event_unixtime":               "gauge org repo",
	"gh_repo_latest_release_unixtime":           "gauge org repo",
	"gh_repo_pushed_unixtime":                   "gauge org repo",
	"gh_repo_releases":                          "gauge org repo",
	"gh_repo_size_bytes":                        "gauge org repo",
	"gh_repo_stars":                             "gauge org repo",
	"gh_repo_tags":                              "gauge org repo",
	"gh_repo_watchers":                          "gauge org repo",
	"gh_user_info":                              "gauge kind org user",
	"gh_repo_open_pull_requests":                "gauge org repo state",
	"gh_repo_pull_requests_unreviewed":          "gauge org repo",
	"gh_repo_review_requests":                   "gauge org repo",
	"gh_repo_oldest_open_pull_request_unixtime": "gauge org repo",
	"gh_repo_open_issues":                       "gauge org repo",
	"gh_repo_oldest_open_issue_unixtime":        "gauge org repo",
	"target_info":                               "gauge ",
}

var (
	pageType   = regexp.MustCompile(`^# TYPE (\S+) (\S+)$`)
	pageSample = regexp.MustCompile(`^(\w+)(?:\{(.*)\})? `)
	pageLabel  = regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
)

// histogramOf returns the name of the histogram that a sample belongs to; that of the sample for other metrics.
func histogramOf(sample string, kinds map[string]string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if name, cut := strings.CutSuffix(sample, suffix); cut && kinds[name] == "histogram" {
			return name
		}
	}
	return sample
}

// requirePage checks the names, types and labels of all metrics on the page.
func requirePage(t *testing.T, gx *collector) {
	t.Helper()
	page, err := gx.page(t.Context())
	require.NoError(t, err)
	kinds, found := make(map[string]string), make(map[string]string)
	for line := range strings.Lines(page) {
		if declared := pageType.FindStringSubmatch(strings.TrimSpace(line)); declared != nil {
			kinds[declared[1]] = declared[2]
			continue
		}
		sample := pageSample.FindStringSubmatch(line)
		if sample == nil {
			continue
		}
		name := histogramOf(sample[1], kinds)
		var labels []string
		for _, label := range pageLabel.FindAllStringSubmatch(sample[2], -1) {
			if kinds[name] != "histogram" || label[1] != "le" {
				labels = append(labels, label[1])
			}
		}
		slices.Sort(labels)
		text := kinds[name] + " " + strings.Join(labels, " ")
		if was, met := found[name]; met {
			require.Equal(t, was, text, line)
		}
		found[name] = text
	}
	if _, there := found["target_info"]; there {
		found["target_info"] = "gauge " // its labels are the resource's
	}
	want := make(map[string]string, len(pageMetrics))
	for name, text := range pageMetrics {
		if _, there := found[name]; there || name != "target_info" {
			want[name] = text
		}
	}
	require.Equal(t, want, found)
}
