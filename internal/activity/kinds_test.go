// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKindTable checks the table of the kinds: stored values, sizes, and names that are used once.
func TestKindTable(t *testing.T) {
	t.Parallel()
	stored := map[Kind]string{
		1: "commit", 2: "pull_request_opened", 3: "pull_request_merged", 4: "review_submitted", 5: "issue_comment",
		6: "issue_opened", 7: "issue_closed", 8: "pull_request_first_review", 9: "pull_request_first_approval",
		10: "pull_request_merge_time", 11: "pull_request_merge_size", 12: "pull_request_close_time",
		13: "issue_close_time", 14: "release_published",
	}
	require.Len(t, Kinds(), len(stored))
	names, metrics, measures, windows := make(map[string]bool), make(map[string]bool), 0, 0
	addName := func(metric string) {
		require.NotEmpty(t, metric)
		require.False(t, metrics[metric], metric)
		metrics[metric] = true
	}
	addSum := func(s SumMetrics) {
		addName(s.TotalMetric)
		require.NotEmpty(t, s.Windows)
		for i, window := range s.Windows {
			addName(window.Name)
			require.True(t, i == 0 || s.Windows[i-1].Span.Length() < window.Span.Length(), "the shortest is the first")
		}
		windows += len(s.Windows)
	}
	for i, kind := range AuthorKinds() {
		require.Equal(t, i, kind.Index())
		addSum(kind.Spec().CountMetrics)
		measures += len(kind.Spec().Measures)
		for _, m := range kind.Spec().Measures {
			addSum(m.SumMetrics)
		}
	}
	for _, kind := range Kinds() {
		spec := kind.Spec()
		require.Equal(t, stored[kind], kind.String(), "a stored value keeps its meaning")
		require.Contains(t, AllStreams(), spec.Stream)
		require.False(t, names[spec.Name])
		names[spec.Name] = true
		require.LessOrEqual(t, len(spec.Measures), MaxMeasures)
		for _, m := range spec.Measures {
			require.NotEmpty(t, m.Name)
			require.Equal(t, kind.IsOfRepository(), m.Histogram.Metric != "")
			if m.Histogram.Metric != "" {
				addName(m.Histogram.Metric)
				require.True(t, slices.IsSorted(m.Histogram.Bounds))
				require.True(t, m.Histogram.ZerosMetric == "" || m.Histogram.Bounds[0] == 0)
			}
		}
	}
	require.Equal(t, NumMeasures, measures)
	require.Equal(t, NumWindows, windows)
	require.Equal(t, "additions", KindCommit.Spec().Measures[CommitAdditions].Name, "the order of measures is stored")
	require.Equal(t, "deletions", KindCommit.Spec().Measures[CommitDeletions].Name, "the order of measures is stored")
	for i, s := range AllStreams() {
		require.Equal(t, Stream(i), s)
		names := []string{"commits", "pulls", "comments", "issues", "pull_flow", "issue_flow", "releases"}
		require.Equal(t, names[i], s.String(), "a stored value keeps its meaning")
	}
}
