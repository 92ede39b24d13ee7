// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// linesConfig gets the weekly lines from GitHub's statistics.
const linesConfig = receiverConfig + `
loc: {source: stats_contributors, refresh_interval: 5s}
`

// TestWeeklyLines compares every activity metric, as PromQL returns it, with the data files, where the weekly lines
// come from GitHub's statistics, and where these are zeros: then they come from single commits.
func TestWeeklyLines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		api                string
		pending, zerosFrom int
		mode               string
	}{
		"statistics":     {"graphql", 2, 0, "ready"},
		"fallback":       {"graphql", -1, 1, "fallback"},
		"fallback, REST": {"rest", -1, 1, "fallback"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := loadData(t)
			timeline := githubtest.EndingAt(data, time.Hour, time.Now(), 1)
			server := githubtest.Start(t, githubtest.Settings{
				Datasets: []*githubtest.Dataset{
					data,
				},
				Timeline:      timeline,
				Limits:        highLimits,
				StatsPending:  test.pending,
				StatsZeroFrom: test.zerosFrom,
			})
			timeline = server.Timeline()
			server.HideAfter(timeline.Start)
			gx := startCollector(t, fmt.Sprintf(linesConfig, org, githubtest.DefaultToken, server.URL, test.api))
			prom := startPrometheus(t, gx.metrics)
			gx.awaitComplete(t, org)
			compareWith(t, prom, func(at time.Time) map[series]float64 {
				return expectedLinesAt(data, timeline, at, test.mode == "fallback")
			})
			requireModes(t, gx, data, timeline, test.mode)
			if test.pending > 0 {
				require.GreaterOrEqual(
					t,
					server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Status == 202 }),
					2,
				)
			}
			require.Less(t, gx.Stop(), time.Second)
			requireNoSecret(t, gx.Output())
		})
	}
}

// requireModes requires that every repository is in the expected mode, or ready after a week without a push.
func requireModes(t *testing.T, gx *collector, data *githubtest.Dataset, timeline githubtest.Timeline, want string) {
	t.Helper()
	quiet := quietRepos(data, timeline, time.Now())
	for _, r := range data.Repos {
		expected := want
		if quiet[r.Name] {
			expected = "ready"
		}
		for _, mode := range []string{"warming", "ready", "stale", "fallback"} {
			value, err := gx.value(
				t.Context(),
				fmt.Sprintf("gh_exporter_loc_source_mode{mode=%q,org=%q,repo=%q}", mode, org, r.Name),
			)
			require.NoError(t, err)
			require.Equal(t, mode == expected, value == 1, "%s of %s", mode, r.Name)
		}
		incomplete, err := gx.value(
			t.Context(),
			fmt.Sprintf("gh_exporter_loc_fallback_incomplete{org=%q,repo=%q}", org, r.Name),
		)
		require.Equal(t, expected == "fallback", err == nil)
		require.Zero(t, incomplete)
	}
	waits, err := gx.value(t.Context(), fmt.Sprintf("gh_exporter_loc_fallback_budget_exhausted_total{org=%q}", org))
	require.NoError(t, err)
	require.Zero(t, waits)
	healthy, err := gx.value(t.Context(), `gh_exporter_dependency_health{dependency="loc"}`)
	require.NoError(t, err)
	require.Equal(t, 1.0, healthy)
}
