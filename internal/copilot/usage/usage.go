// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"math"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// Metric is what a sample is of. The values are stored: they never change.
type Metric uint8

// The metrics.
const (
	MetricInteractions           Metric = 0
	MetricGenerations            Metric = 1
	MetricAcceptances            Metric = 2
	MetricLinesSuggestedToAdd    Metric = 3
	MetricLinesSuggestedToDelete Metric = 4
	MetricLinesAdded             Metric = 5
	MetricLinesDeleted           Metric = 6
	MetricPRsCreated             Metric = 7
	MetricPRsReviewed            Metric = 8
	MetricPRsCreatedByCopilot    Metric = 9
	MetricPRsReviewedByCopilot   Metric = 10
	// MetricActiveUsers has Labels.Window and Labels.Kind.
	MetricActiveUsers Metric = 11
	// MetricSeats has its state in Labels.Kind.
	MetricSeats Metric = 12
	// MetricPullRequests has what is counted in Labels.Kind.
	MetricPullRequests Metric = 13
	// MetricMinutesToMerge has whose pull requests in Labels.Kind.
	MetricMinutesToMerge Metric = 14
	MetricCreditsUsed    Metric = 15
	// MetricCLI has what is counted in Labels.Kind.
	MetricCLI Metric = 16
	// MetricAdoptionUsers has the phase in Labels.Kind.
	MetricAdoptionUsers Metric = 17
	// MetricReportDay is the newest day of a report, as seconds since 1970.
	MetricReportDay Metric = 18
)

// NumMetrics is the number of metrics.
const NumMetrics = 19

var metricNames = [NumMetrics]string{
	"gh_copilot_usage_user_initiated_interaction_count", "gh_copilot_usage_code_generation_activity_count",
	"gh_copilot_usage_code_acceptance_activity_count", "gh_copilot_usage_loc_suggested_to_add_sum",
	"gh_copilot_usage_loc_suggested_to_delete_sum", "gh_copilot_usage_loc_added_sum",
	"gh_copilot_usage_loc_deleted_sum", "gh_copilot_usage_pull_requests_total_created",
	"gh_copilot_usage_pull_requests_total_reviewed", "gh_copilot_usage_pull_requests_total_created_by_copilot",
	"gh_copilot_usage_pull_requests_total_reviewed_by_copilot", "gh_copilot_active_users", "gh_copilot_seats",
	"gh_copilot_pull_requests", "gh_copilot_minutes_to_merge", "gh_copilot_ai_credits_used", "gh_copilot_cli",
	"gh_copilot_adoption_users", "gh_copilot_report_day_unixtime",
}

// String returns the metric's name in Prometheus.
func (m Metric) String() string {
	if m >= NumMetrics {
		return ""
	}
	return metricNames[m]
}

// User is a user of a report. Its zero value stands for all users.
type User struct {
	ID    report.ID
	Login string
}

// Key identifies a user within a report: by the id, or by the login where there is no id.
func (u User) Key() string {
	if u.ID != "" {
		return string(u.ID)
	}
	return "@" + u.Login
}

// Labels distinguish the samples of a metric. An empty one is absent.
type Labels struct {
	User User
	// Team is the slug of a team, with its id after a slash if several teams have this slug.
	Team string
	// Owner and Repository are the names of a repository, in samples of one.
	Owner, Repository string
	// Day is set in samples of single days.
	Day report.Day
	// At most one of these is set.
	Feature, IDE, Language, Model string
	// Window and Kind are labels of single metrics: the days that active users are counted over, and what is counted.
	Window, Kind string
}

// Sample is a value of a metric, never negative, infinite or NaN.
type Sample struct {
	Metric Metric
	Labels Labels
	Value  float64
}

// Breakdown is which dimensions have samples of their own.
type Breakdown struct{ Feature, IDE, Language, Model bool }

// Settings configure an aggregation.
type Settings struct {
	// Span is the window of the report, at most MaxSpan days. Rows of other days are dropped.
	Span      report.Span
	Breakdown Breakdown
	// ByDay makes a sample of each day instead of one of the span, for the metrics up to MetricPRsReviewedByCopilot.
	ByDay bool
	// MaxRecords and MaxUsers bound the rows and the users of a report; 0 does not bound them. What is above is
	// dropped in the order of the files.
	MaxRecords int64
	MaxUsers   int
}

// MaxSpan is the largest number of days of a span.
const MaxSpan = 64

// Drop is why a row was dropped.
type Drop uint8

// The reasons.
const (
	// DropDuplicate is a second row of the same user and day, or of the same day of an aggregate.
	DropDuplicate Drop = iota
	// DropOutsideWindow is a row of a day that is not in the report's window, or without a day.
	DropOutsideWindow
	// DropUnidentified is a row without a user, or without a team.
	DropUnidentified
	// DropMaxRecords is a row above Settings.MaxRecords.
	DropMaxRecords
	// DropMaxUsers is a row of a user above Settings.MaxUsers.
	DropMaxUsers
)

// NumDrops is the number of reasons.
const NumDrops = 5

// Drops lists every reason.
func Drops() [NumDrops]Drop {
	return [NumDrops]Drop{DropDuplicate, DropOutsideWindow, DropUnidentified, DropMaxRecords, DropMaxUsers}
}

// String returns the reason in metrics and logs.
func (d Drop) String() string {
	return [NumDrops]string{
		"duplicate", "outside_window", "unidentified", "max_records", "max_users",
	}[min(d, DropMaxUsers)]
}

// Counts are how many rows were used, and how many were dropped for each reason.
type Counts struct {
	Used    int64
	Dropped [NumDrops]int64
}

// AddDropped adds the dropped rows of another report that was joined.
func (c *Counts) AddDropped(other Counts) {
	for i, count := range other.Dropped {
		c.Dropped[i] += count
	}
}

// addCounts returns the sum of two counts that are not negative, at most the largest number.
func addCounts(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
