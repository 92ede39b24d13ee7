// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

const statsRoute = "/repos/{owner}/{repo}/stats/contributors"

// statsData has a repository with a commit of ada's in the last complete week and another one long before it.
func statsData() *githubtest.Dataset {
	week := ledger.LastCompleteWeek(time.Now())
	data := &githubtest.Dataset{Org: githubtest.Org{
		Login: "open-telemetry", From: week.Start.AddDate(0, 0, -7),
		Until: week.End,
	}}
	for n, name := range []string{"busy", "quiet"} {
		data.Repos = append(data.Repos, githubtest.Repo{Name: name, DefaultBranch: "main", CreatedAt: data.Org.From})
		at := week.End.Add(-time.Hour - time.Duration(n)*8*24*time.Hour)
		data.Commits = append(data.Commits, githubtest.Commit{
			Repo: name, SHA: fmt.Sprintf("%040x", n+1), Login: new("ada"), AuthoredAt: at, CommittedAt: at,
			Additions: 30, Deletions: 3, Parents: 1,
		})
	}
	return data
}

func statsConfig(server *githubtest.Server) *Config {
	config := testConfig(server)
	config.LOC.Source, config.LOC.RefreshInterval = locStatistics, time.Second
	config.GitHub.Health.ProbeInterval = 20 * time.Millisecond
	return config
}

// newest is the last value of a series that the sink has got, -1 before there is any.
func (s *sinkOf) newest(name string, labels map[string]string) int64 {
	for _, md := range slices.Backward(s.AllMetrics()) {
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				if m.Name() == name {
					return valueOf(md, name, labels)
				}
			}
		}
	}
	return -1
}

// TestWeeklyLinesFromStatistics: they are computed, ready, stale while GitHub does not answer, which makes the replica
// degraded and no less ready, and ready again.
func TestWeeklyLinesFromStatistics(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{statsData()}, Now: time.Now, Limits: githubtest.Limits{Core: 1_000_000},
	})
	sink := newSink()
	r, err := newReceiver(statsConfig(server), receivertest.NewNopSettings(metadata.Type), sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), &host{Host: componenttest.NewNopHost()}))
	mode := func(repo, mode string) bool {
		return sink.newest("gh.exporter.loc_source_mode", map[string]string{"repo": repo, "mode": mode}) == 1
	}
	added := func(repo string) int64 {
		return sink.newest("gh.activity.loc_added_weekly", map[string]string{"repo": repo, "user": "ada"})
	}
	dependency := func() (healthy, known bool) {
		for _, d := range r.monitor.Report().Dependencies {
			if d.Name == health.WeeklyLines {
				return d.Healthy, true
			}
		}
		return false, false
	}
	sink.until(t, func(names map[string]int) bool {
		return mode("busy", "ready") && mode("quiet", "ready") && added("busy") == 30 &&
			names["gh.exporter.loc_fallback_budget_exhausted"] > 0
	})
	require.Zero(t, added("quiet"))
	healthy, known := dependency()
	require.True(t, known && healthy)
	server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Route: statsRoute},
		Effect: githubtest.Status(http.StatusBadGateway),
	})
	sink.until(t, func(map[string]int) bool {
		healthy, _ := dependency()
		return mode("busy", "stale") && !healthy
	})
	require.Equal(t, int64(30), added("busy"), "what is known stays")
	require.True(t, mode("quiet", "ready"))
	report := r.monitor.Report()
	require.Equal(t, health.Degraded, report.Mode)
	require.True(t, report.Ready)
	server.ClearFaults()
	sink.until(t, func(map[string]int) bool {
		healthy, _ := dependency()
		return mode("busy", "ready") && healthy
	})
	sink.until(t, func(names map[string]int) bool { return names["gh.activity.loc_added"] == 0 })
	require.NoError(t, r.Shutdown(t.Context()))
}

// TestWeeklyLinesOfCommits: without statistics nothing of them is asked or shown.
func TestWeeklyLinesOfCommits(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{statsData()}, Now: time.Now})
	sink := newSink()
	r, err := newReceiver(testConfig(server), receivertest.NewNopSettings(metadata.Type), sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), &host{Host: componenttest.NewNopHost()}))
	sink.until(t, func(names map[string]int) bool {
		return names["gh.activity.loc_added_weekly"] > 1 && names["gh.activity.loc_added"] > 1
	})
	sink.until(t, func(names map[string]int) bool {
		return names["gh.exporter.loc_source_mode"]+names["gh.exporter.loc_fallback_budget_exhausted"] == 0
	})
	require.Zero(t, server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Route == statsRoute }))
	for _, d := range r.monitor.Report().Dependencies {
		require.NotEqual(t, health.WeeklyLines, d.Name)
	}
	require.NoError(t, r.Shutdown(t.Context()))
}
