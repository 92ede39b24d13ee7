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
	} {
		specs := TotalSpecs()
		i := slices.IndexFunc(specs[:], func(spec TotalSpec) bool { return spec.Sum.TotalMetric == name })
		require.GreaterOrEqual(t, i, 0, name)
		require.Equal(t, id, TotalIDs()[i], name)
		totals.Set(id, uint64(id))
		require.Equal(t, uint64(id), totals[i], name)
	}
	before := totals
	for _, unknown := range []TotalID{0, 1, 255, 259, 256 + 16, (activity.NumKinds + 1) << 8, 1<<15 | 256} {
		totals.Set(unknown, 1)
	}
	require.Equal(t, before, totals, "an unknown id is ignored")
	require.Equal(t, []TotalID{256, 512, 768, 1024, 1280, 257, 258}, LegacyTotalIDs())
}
