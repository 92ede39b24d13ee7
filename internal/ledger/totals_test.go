// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
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
		"gh.activity.issues_opened": 1536, "gh.activity.issues_closed": 1792,
		"gh.activity.releases_published": 14 << 8,
	} {
		specs := TotalSpecs()
		i := slices.IndexFunc(specs[:], func(spec TotalSpec) bool { return spec.Sum.TotalMetric == name })
		require.GreaterOrEqual(t, i, 0, name)
		require.Equal(t, id, specs[i].ID, name)
		totals.set(id, uint64(id))
		require.Equal(t, uint64(id), totals[i], name)
	}
	before := totals
	for _, unknown := range []TotalID{0, 1, 255, 259, 256 + 16, (activity.NumKinds + 1) << 8, 1<<15 | 256} {
		totals.set(unknown, 1)
	}
	require.Equal(t, before, totals, "an unknown id is ignored")
	require.NotContains(t, repositoryTotalIndexes, TotalID(256+16))
	require.Equal(t, []TotalID{256, 512, 768, 1024, 1280, 257, 258}, LegacyTotalIDs())
}

// TestRepositoryTotals checks the stored ids of the totals of repositories, which never change, and that each event is
// in one bucket of each histogram of its kind.
func TestRepositoryTotals(t *testing.T) {
	t.Parallel()
	for metric, first := range map[string]TotalID{
		"gh.pr.time_to_first_review": 8 << 8, "gh.pr.time_to_approval": 9 << 8, "gh.pr.time_to_merge": 10 << 8,
		"gh.pr.reviews": 11 << 8, "gh.pr.time_to_close": 12 << 8, "gh.issue.time_to_close": 13 << 8,
		"gh.pr.draft": 10<<8 | 1, "gh.pr.lines": 11<<8 | 1, // the second of a kind
	} {
		specs := HistogramSpecs()
		i := slices.IndexFunc(specs, func(spec HistogramSpec) bool { return spec.Metric == metric })
		require.GreaterOrEqual(t, i, 0, metric)
		spec := &specs[i]
		isSecond := first & 1
		sum, bucket := first&^1+1+isSecond, first&^1+16+24*isSecond
		require.Equal(t, sum, repositoryTotalIDs[spec.first], metric)
		for b := range len(spec.Bounds) + 1 {
			require.Equal(t, bucket+TotalID(b), repositoryTotalIDs[spec.first+1+b], metric)
		}
		require.True(t, slices.IsSorted(spec.Bounds))
		require.Less(t, len(spec.Bounds), maxBucketsOfMeasure)

		var totals RepositoryTotals
		values := append(slices.Clone(spec.Bounds), spec.Bounds[0]+1, spec.Bounds[len(spec.Bounds)-1]+1)
		var want uint64
		for _, value := range values {
			e := activity.Event{Kind: spec.Kind}
			e.Measures[spec.Measure] = value
			totals.AddEvent(&e)
			want += uint64(value)
		}
		h := totals.Histogram(spec)
		require.Equal(t, want, h.Sum)
		require.Equal(t, uint64(len(values)), h.Count())
		require.Equal(t, uint64(1), h.Buckets[0], "a bound is inclusive")
		require.Equal(t, uint64(2), h.Buckets[1])
		require.Equal(t, uint64(1), h.Buckets[len(spec.Bounds)], "above all bounds")

		stored := CarriedTotals{Repository: totals}
		var again CarriedTotals
		require.NoError(t, again.decodePairs(stored.encodePairs()))
		require.Equal(t, stored, again)
		totals.Add(again.Repository)
		both := stored.Repository.Histogram(spec)
		require.Equal(t, 2*want, both.Sum, "it is the same memory")
		one := again.Repository.Histogram(spec)
		require.Equal(t, want, one.Sum)
	}
}
