// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// flowMetrics has the metrics of the flow by their names in the table of kinds.
var flowMetrics = map[string]repoMetric{
	"gh.pr.time_to_first_review":  prFirstReview,
	"gh.pr.time_to_approval":      prApproval,
	"gh.pr.time_to_merge":         prMerge,
	"gh.pr.draft":                 prDraft,
	"gh.pr.reviews":               prReviews,
	"gh.pr.merged_without_review": prMergedUnreviewed,
	"gh.pr.lines":                 prLines,
	"gh.pr.time_to_close":         prClose,
	"gh.issue.time_to_close":      issueClose,
}

// flowSpec is a histogram of the flow as it is shown.
type flowSpec struct {
	*ledger.HistogramSpec

	bounds []float64
	metric repoMetric
	// zeros is the sum of the events whose measure is 0, if hasZeros.
	zeros    repoMetric
	hasZeros bool
}

// flowSpecs describes the histograms by the index of ledger.HistogramSpecs.
var flowSpecs = makeFlowSpecs()

func makeFlowSpecs() []flowSpec {
	specs := ledger.HistogramSpecs()
	list := make([]flowSpec, len(specs))
	for i := range specs {
		list[i] = flowSpec{HistogramSpec: &specs[i], metric: flowMetrics[specs[i].Metric]}
		for _, bound := range specs[i].Bounds {
			list[i].bounds = append(list[i].bounds, float64(bound))
		}
		list[i].zeros, list[i].hasZeros = flowMetrics[specs[i].ZerosMetric]
	}
	return list
}

// addFlow adds the histograms of a repository.
func addFlow(s *repoSink, series repoSeries, r *ledgerview.Repository) {
	for i := range r.Histograms {
		h, spec := &r.Histograms[i], &flowSpecs[i]
		if h.Buckets == nil {
			continue
		}
		since := r.Coverage.WantedSince(spec.Kind.Stream())
		s.addHistogram(spec.metric, series, since, &histogramValue{
			Bounds: spec.bounds, Counts: h.Buckets, Sum: float64(h.Sum),
		})
		if spec.hasZeros {
			s.addSum(spec.zeros, series, since, h.Buckets[0])
		}
	}
}
