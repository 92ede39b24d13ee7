// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build upgrade

package e2e

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// TestStorageUpgrade starts a version on the directory of file_storage that another version wrote, with events within
// the retention and sums of pruned events. No sum changes, nothing is read again, and new events are added.
func TestStorageUpgrade(t *testing.T) {
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			data, server, timeline := serveData(t, 72*time.Hour, 400*time.Second)
			server.HideAfter(timeline.Start)
			receiver := fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, server.URL, api)
			gx := newCollector(t, receiver)
			gx.binary = proctest.ProgramPath(t, "GX_COLLECTOR_BEFORE")
			gx.start(t)
			gx.awaitComplete(t, org)
			compareWith(t, startPrometheus(t, gx.metrics), func(at time.Time) map[series]float64 {
				return withoutFlow(expectedAt(data, timeline, timeline.Start, at))
			})
			gx.Stop()

			// A shorter retention, so that a part of the sums is of events that the store holds no more.
			gx.replaceConfig(t, "retention: 1440h", "retention: 500h")
			gx.replaceConfig(t, "lookback: 1440h", "lookback: 500h")
			gx.start(t)
			gx.awaitComplete(t, org)
			want := gx.totals(t)
			require.NotEmpty(t, want)

			gx.Stop()
			gx.binary = proctest.ProgramPath(t, "GX_COLLECTOR")
			gx.start(t)
			gx.awaitComplete(t, org)
			requireSameTotals(t, want, gx.totals(t))
			require.NotContains(t, gx.Output(), "corrupt")

			server.ShowAll()
			server.HideAfter(time.Now())
			gx.awaitComplete(t, org)
			later, grew := gx.totals(t), 0.
			for series, now := range later {
				require.GreaterOrEqual(t, now, want[series], series)
				grew += now - want[series]
			}
			require.Positive(t, grew)
			requireNoSecret(t, gx.Output())
		})
	}
}

// TestStorageUpgradeToAll starts this version, with the settings of what is new, on the directory that another version
// wrote. While data arrive and after kill -9 every metric is what the data say, also those that the other version did
// not have.
func TestStorageUpgradeToAll(t *testing.T) {
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			recorded := loadData(t)
			described := describeState(recorded.Clone())
			server := githubtest.Start(t, githubtest.Settings{
				Datasets: []*githubtest.Dataset{described}, Limits: highLimits,
				Timeline: githubtest.EndingAt(recorded, 72*time.Hour, time.Now(), 72*3600/400),
			})
			timeline := server.Timeline()
			server.HideAfter(timeline.Start)
			receiver := fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, server.URL, api)
			gx := newCollector(t, withoutLeftOut(receiver))
			gx.binary = proctest.ProgramPath(t, "GX_COLLECTOR_BEFORE")
			gx.start(t)
			gx.awaitComplete(t, org)
			want := gx.totals(t)
			require.NotEmpty(t, want)
			gx.Stop()

			gx.binary = proctest.ProgramPath(t, "GX_COLLECTOR")
			gx.addState(t)
			gx.start(t)
			prom := startPrometheus(t, gx.metrics)
			expected := newExpectedState(described, timeline, api)
			right := func(visible time.Time) {
				t.Helper()
				gx.awaitComplete(t, org)
				awaitState(t, []*replica{{collector: gx}}, expected.at(visible))
				compareWithData(t, prom, recorded, timeline, visible)
			}
			right(timeline.Start)
			server.ShowAll()
			visible := time.Now()
			server.HideAfter(visible)
			right(visible)
			gx.Kill()
			gx.start(t)
			right(visible)
			for series, now := range gx.totals(t) {
				require.GreaterOrEqual(t, now, want[series], series)
			}
			require.NotContains(t, gx.Output(), "corrupt")
			requireNoSecret(t, gx.Output())
		})
	}
}

// addState adds the settings of what is new for the next start.
func (c *collector) addState(t *testing.T) {
	t.Helper()
	c.replaceConfig(t, "\nexporters:", "\n"+indent(stateConfig)+"\nexporters:")
}

// withoutFlow drops the metrics that versions before 0.2 do not have.
func withoutFlow(metrics map[series]float64) map[series]float64 {
	maps.DeleteFunc(metrics, func(s series, _ float64) bool { return !strings.HasPrefix(s.metric, "gh_activity_") })
	return metrics
}

// requireSameTotals compares the sums of two pages. A few series may have ended between them, whose last event is older
// than the retention.
func requireSameTotals(t *testing.T, want, got map[string]float64) {
	t.Helper()
	require.Greater(t, 50*len(got), 49*len(want), "of %d series %d are left", len(want), len(got))
	for series, value := range got {
		require.Equal(t, want[series], value, series)
	}
}

// replaceConfig replaces a text of the configuration for the next start.
func (c *collector) replaceConfig(t *testing.T, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(c.config)
	require.NoError(t, err)
	require.Contains(t, string(text), old)
	require.NoError(t, os.WriteFile(c.config, []byte(strings.ReplaceAll(string(text), old, replacement)), 0o600))
}

// totals returns the sums on the page, without those of the process.
func (c *collector) totals(t *testing.T) map[string]float64 {
	t.Helper()
	page, err := c.page(t.Context())
	require.NoError(t, err)
	sums := totals(sharedSeries(page))
	for series := range sums {
		if !strings.HasPrefix(series, "gh_activity_") {
			delete(sums, series)
		}
	}
	return sums
}
