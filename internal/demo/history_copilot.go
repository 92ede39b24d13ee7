// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
)

// copilotMetric is a series of the aggregate report, computed from the rows of the days up to one.
type copilotMetric struct {
	name, labels string
	value        func(days map[string]copilottest.Row, newest time.Time) (float64, bool)
}

// copilotMetrics lists the series of which the history is written: users, and the sums over 28 days, of which some also
// for completions alone.
func copilotMetrics() []copilotMetric {
	var list []copilotMetric
	for window, field := range map[string]string{
		"1d": "daily_active_users", "7d": "weekly_active_users", "28d": "monthly_active_users",
	} {
		list = append(list, copilotMetric{
			"gh_copilot_active_users", fmt.Sprintf(`kind="any",scope="org",window=%q`, window),
			func(days map[string]copilottest.Row, newest time.Time) (float64, bool) {
				users, ok := days[newest.Format(time.DateOnly)][field].(int)
				return float64(users), ok
			},
		})
	}
	const labels = `repo="*",scope="org",user="all",window="28d"`
	for _, field := range []string{
		"user_initiated_interaction_count", "code_generation_activity_count", "code_acceptance_activity_count",
		"loc_suggested_to_add_sum", "loc_added_sum", "loc_deleted_sum",
	} {
		list = append(list,
			copilotMetric{"gh_copilot_usage_" + field, labels, sumOf28Days(field, "")},
			copilotMetric{
				"gh_copilot_usage_" + field, `feature="code_completion",` + labels,
				sumOf28Days(field, "code_completion"),
			},
		)
	}
	return list
}

// sumOf28Days adds up a field over the 28 days that end with the newest one, of a feature if it is not empty.
func sumOf28Days(field, feature string) func(map[string]copilottest.Row, time.Time) (float64, bool) {
	return func(days map[string]copilottest.Row, newest time.Time) (float64, bool) {
		sum, found := 0, false
		for back := range 28 {
			row := days[newest.AddDate(0, 0, -back).Format(time.DateOnly)]
			if feature == "" {
				n, ok := row[field].(int)
				sum, found = sum+n, found || ok
				continue
			}
			parts, _ := row["totals_by_feature"].([]copilottest.Row)
			for _, part := range parts {
				if part["feature"] == feature {
					sum, found = sum+part[field].(int), true
				}
			}
		}
		return float64(sum), found
	}
}
