// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// TestTotalIDs checks the stored ids of the totals, which never change.
func TestTotalIDs(t *testing.T) {
	t.Parallel()
	var totals Totals
	for name, id := range map[string]TotalID{
		"gh.activity.commits": 256, "gh.activity.loc_added": 257, "gh.activity.loc_removed": 258,
		"gh.activity.prs_opened": 512,
		"gh.activity.prs_merged": 768, "gh.activity.reviews_submitted": 1024, "gh.activity.issue_comments": 1280,
	} {
		m, ok := MetricByName(name)
		require.True(t, ok, name)
		require.Equal(t, id, TotalIDs()[m-MetricTotal], name)
		totals.Set(id, uint64(id))
		require.Equal(t, uint64(id), totals[m-MetricTotal], name)
	}
	before := totals
	for _, unknown := range []TotalID{0, 1, 255, 259, 256 + 16, 6 << 8, 1<<15 | 256} {
		totals.Set(unknown, 1)
	}
	require.Equal(t, before, totals, "an unknown id is ignored")
	require.Equal(t, []TotalID{256, 512, 768, 1024, 1280, 257, 258}, LegacyTotalIDs())
}

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
	for m, name := range map[Metric]string{
		MetricLastEvent: "gh.activity.last_event_unixtime", metricCommits: "gh.activity.commits_24h",
		MetricLinesAdded: "gh.activity.loc_added_weekly", MetricLinesRemoved: "gh.activity.loc_removed_weekly",
		MetricTotalLinesAdded: "gh.activity.loc_added", MetricTotalLinesRemoved: "gh.activity.loc_removed",
		WindowMetric(activity.KindReviewSubmitted): "gh.activity.reviews_submitted_24h",
		TotalMetric(activity.KindIssueComment):     "gh.activity.issue_comments",
	} {
		require.Equal(t, name, m.Name())
	}
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
