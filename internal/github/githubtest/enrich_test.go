// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestEnrich checks that enriched data are valid, the same each time, and end when they ended.
func TestEnrich(t *testing.T) {
	t.Parallel()
	load := func() *githubtest.Dataset {
		data, err := githubtest.LoadDataset(os.DirFS("../../../testdata/open-telemetry"))
		require.NoError(t, err)
		return data
	}
	data, again := load(), load()
	end := data.LastEventTime()
	data.Enrich()
	again.Enrich()
	require.Equal(t, data, again)
	require.NoError(t, data.Validate())
	require.Equal(t, end, data.LastEventTime())
	counts := map[string]int{}
	for i := range data.Pulls {
		p := &data.Pulls[i]
		require.Positive(t, p.Additions)
		for name, has := range map[string]bool{
			"draft": p.Draft, "converted": len(p.DraftAt) > 0, "reopened": len(p.ReopenedAt) > 0,
		} {
			if has {
				counts[name]++
			}
		}
	}
	for i := range data.Repos {
		for _, release := range data.Repos[i].Releases {
			counts["release"]++
			if release.Prerelease {
				counts["prerelease"]++
			}
			require.False(t, release.PublishedAt.After(end))
		}
	}
	for _, n := range counts {
		require.Greater(t, n, 10)
	}
	require.Len(t, counts, 5)
}
