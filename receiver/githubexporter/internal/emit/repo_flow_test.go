// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// flowPoints returns the histograms by metric and repository, and the repositories of the markers by metric.
func flowPoints(chunks []pmetric.Metrics) (histograms map[string]pmetric.HistogramDataPoint, markers map[string]bool) {
	histograms, markers = make(map[string]pmetric.HistogramDataPoint), make(map[string]bool)
	for _, md := range chunks {
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			if m.Type() != pmetric.MetricTypeHistogram {
				continue
			}
			for _, point := range m.Histogram().DataPoints().All() {
				key := fmt.Sprint(m.Name(), " ", point.Attributes().AsRaw()["repo"])
				if point.Flags().NoRecordedValue() {
					markers[key] = true
				} else {
					histograms[key] = point
				}
			}
		}
	}
	return histograms, markers
}

func observation(kind activity.Kind, repo, number int64, measures ...uint32) activity.Event {
	e := activity.Event{
		Kind: kind, Repo: repo, ID: activity.NumberID(number), Actor: activity.NoActor(), Time: began.Add(-time.Hour),
	}
	copy(e.Measures[:], measures)
	return e
}

// TestFlow checks the histograms of repositories, the sum beside them, and that they end with the repository.
func TestFlow(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 2, 0, 0)
	snapshot := ledger.Change{Events: []activity.Event{
		observation(activity.KindMergeTime, 1, 1, 3600, 0), observation(activity.KindMergeTime, 1, 2, 3601, 60),
		observation(activity.KindMergeSize, 1, 1, 0, 7), observation(activity.KindMergeSize, 1, 2, 2, 70_000),
		observation(activity.KindFirstReview, 2, 1, 86_400*90),
	}}
	org.View.Apply(snapshot)
	later := began.Add(time.Hour)
	chunks := e.buildRepositories(org, later)
	histograms, markers := flowPoints(chunks)
	require.Empty(t, markers)
	require.Len(t, histograms, 5)
	merge := histograms["gh.pr.time_to_merge repo-0"]
	require.Equal(t, uint64(2), merge.Count())
	require.InDelta(t, 7201, merge.Sum(), 0)
	require.Equal(t, []float64{
		300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 259200, 432000, 604800, 1209600, 2592000,
	}, merge.ExplicitBounds().AsRaw())
	require.Equal(t, []uint64{0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, merge.BucketCounts().AsRaw())
	require.Equal(t, pcommon.NewTimestampFromTime(began.AddDate(0, 0, -14)), merge.StartTimestamp())
	require.Equal(t, []uint64{1, 0, 1, 0, 0, 0, 0, 0}, histograms["gh.pr.reviews repo-0"].BucketCounts().AsRaw())
	require.Equal(t, []uint64{1, 0, 0, 0, 0, 0, 0, 1}, histograms["gh.pr.lines repo-0"].BucketCounts().AsRaw())
	require.Equal(t, uint64(2), histograms["gh.pr.draft repo-0"].BucketCounts().At(0))
	require.Equal(t, uint64(1), histograms["gh.pr.time_to_first_review repo-1"].BucketCounts().At(14))
	values, _ := repoPoints(t, chunks)
	require.Equal(t, int64(1), values["gh.pr.merged_without_reviewmap[org:acme repo:repo-0]"])

	gone := ledger.RepoProgress{ID: 2, Presence: ledger.PresenceGone, GoneSince: began}
	org.View.Apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{gone}}})
	histograms, markers = flowPoints(e.buildRepositories(org, later))
	require.Len(t, histograms, 4)
	require.Equal(t, map[string]bool{"gh.pr.time_to_first_review repo-1": true}, markers)
}

// TestFlowMetricsOfTheTable checks that each histogram of the table of kinds has a metric, and each a setting.
func TestFlowMetricsOfTheTable(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t, func(s *Settings) { s.Metrics.Metrics.GhPrDraft.Enabled = false })
	fill(org, 1, 0, 0)
	names := make(map[string]bool)
	for i := range flowSpecs {
		require.Contains(t, flowMetrics, flowSpecs[i].Metric)
		names[flowSpecs[i].Metric], names[flowSpecs[i].ZerosMetric] = true, true
		template := e.templates.repos.template[flowSpecs[i].metric]
		if flowSpecs[i].Metric != "gh.pr.draft" {
			require.Equal(t, flowSpecs[i].Metric, template.Name())
			require.Equal(t, pmetric.AggregationTemporalityCumulative, template.Histogram().AggregationTemporality())
		}
	}
	delete(names, "")
	require.Len(t, flowMetrics, len(names))
	org.View.Apply(ledger.Change{Events: []activity.Event{observation(activity.KindMergeTime, 1, 1, 3600, 0)}})
	histograms, _ := flowPoints(e.buildRepositories(org, began))
	require.Contains(t, histograms, "gh.pr.time_to_merge repo-0")
	require.NotContains(t, histograms, "gh.pr.draft repo-0")
}
