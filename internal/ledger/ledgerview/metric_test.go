// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// TestMetricNames checks that every metric has its own name, by which it is found.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	for m := range Metric(NumMetrics) {
		found, ok := MetricByName(m.Name())
		require.True(t, ok)
		require.Equal(t, m, found, m.Name())
	}
	_, ok := MetricByName("gh.activity.unknown")
	require.False(t, ok)
	_, ok = WindowMetric(activity.KindCommit, activity.SpanWeek)
	require.False(t, ok, "that of the lines is one of a measure")
	for m, name := range map[Metric]string{
		MetricLastEvent: "gh.activity.last_event_unixtime", metricCommits: "gh.activity.commits_24h",
		MetricLinesAdded: "gh.activity.loc_added_weekly", MetricLinesRemoved: "gh.activity.loc_removed_weekly",
		MetricTotalLinesAdded: "gh.activity.loc_added", MetricTotalLinesRemoved: "gh.activity.loc_removed",
		windowMetric(t, activity.KindReviewSubmitted, activity.SpanDay):      "gh.activity.reviews_submitted_24h",
		windowMetric(t, activity.KindIssueClosed, activity.Span7Days):        "gh.activity.issues_closed_7d",
		windowMetric(t, activity.KindPullRequestMerged, activity.Span30Days): "gh.activity.prs_merged_30d",
		TotalMetric(activity.KindIssueComment):                               "gh.activity.issue_comments",
	} {
		require.Equal(t, name, m.Name())
	}
}

func windowMetric(t *testing.T, kind activity.Kind, span activity.Span) Metric {
	t.Helper()
	m, ok := WindowMetric(kind, span)
	require.True(t, ok)
	return m
}

// TestMask checks the operations on sets of metrics.
func TestMask(t *testing.T) {
	t.Parallel()
	var all Mask
	require.True(t, all.IsEmpty())
	for m := range Metric(NumMetrics) {
		require.False(t, all.Has(m))
		all.Add(m)
		require.True(t, all.Has(m))
	}
	last := Metric(NumMetrics - 1)
	one := MaskOf(last)
	require.False(t, all.Without(one).Has(last))
	require.True(t, all.Without(one).Has(0))
	require.Equal(t, all, all.Without(one).Union(one))
	one.Remove(last)
	require.True(t, one.IsEmpty())
	require.True(t, all.Without(all).IsEmpty())
}
