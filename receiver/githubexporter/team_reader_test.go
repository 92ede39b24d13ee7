// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

const teamsRoute = "/orgs/{org}/teams"

// teamData has an active member, one without any activity, and a secret team.
func teamData() *githubtest.Dataset {
	data := statsData()
	data.Teams = []githubtest.Team{
		{Slug: "platform", Members: []string{"ada", "bob"}},
		{Slug: "hidden", Secret: true, Members: []string{"ada"}},
	}
	return data
}

// teamMembers returns the members of teams in the newest emission that has metrics of the organization, as "team user".
func (s *sinkOf) teamMembers() []string {
	for _, md := range slices.Backward(s.AllMetrics()) {
		var members []string
		complete := false
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				complete = complete || m.Name() == "gh.exporter.team_reads"
				for _, point := range points(m).All() {
					team, _ := point.Attributes().Get("team")
					user, _ := point.Attributes().Get("user")
					if m.Name() == "gh.user.team.info" && !point.Flags().NoRecordedValue() {
						members = append(members, team.Str()+" "+user.Str())
					}
				}
			}
		}
		if complete {
			slices.Sort(members)
			return members
		}
	}
	return nil
}

// TestTeams: members are shown and follow GitHub. Without the permission it is named and nothing else suffers; what is
// known stays. A failure makes the replica degraded, not unready.
func TestTeams(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{teamData()}, Now: time.Now, Limits: githubtest.Limits{Core: 1_000_000},
	})
	config := testConfig(server)
	config.GitHub.API = "rest"
	config.Teams.Enabled, config.Teams.Interval = true, 100*time.Millisecond
	config.GitHub.Health.ProbeInterval = 20 * time.Millisecond
	sink := newSink()
	r, err := newReceiver(config, receivertest.NewNopSettings(metadata.Type), sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), &host{Host: componenttest.NewNopHost()}))
	shows := func(want ...string) {
		t.Helper()
		sink.until(t, func(map[string]int) bool { return slices.Equal(want, sink.teamMembers()) })
	}
	shows("platform ada", "platform bob")
	server.Update(func(d *githubtest.Dataset) {
		d.Team("platform").Members = append(d.Team("platform").Members, "carol")
		d.Teams = append(d.Teams, githubtest.Team{Slug: "docs", Members: []string{"ada"}})
	})
	shows("docs ada", "platform ada", "platform bob", "platform carol")
	server.Update(func(d *githubtest.Dataset) { d.RemoveTeam("docs") })
	shows("platform ada", "platform bob", "platform carol")

	missing := func() int64 {
		return sink.newest("gh.exporter.missing_permission", map[string]string{"permission": "members"})
	}
	server.AddCredential(githubtest.Credential{Token: githubtest.DefaultToken, Forbidden: []string{"members"}})
	sink.until(t, func(map[string]int) bool { return missing() == 1 })
	require.Equal(t, health.Healthy, r.monitor.Report().Mode)
	server.AddCredential(githubtest.Credential{Token: githubtest.DefaultToken})
	sink.until(t, func(map[string]int) bool { return len(r.orgs[0].MissingPermissions()) == 0 })
	shows("platform ada", "platform bob", "platform carol")

	server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Route: teamsRoute}, Effect: githubtest.Status(http.StatusBadGateway),
	})
	sink.until(t, func(map[string]int) bool { return r.monitor.Report().Mode == health.Degraded })
	report := r.monitor.Report()
	require.True(t, report.Ready)
	require.Contains(t, report.Summary(), health.GitHubTeams)
	require.NotContains(t, report.Summary(), "github:", "passes do not suffer")
	sink.until(t, func(map[string]int) bool {
		return sink.newest("gh.exporter.dependency_health", map[string]string{
			"dependency": health.GitHubTeams, "org": "open-telemetry",
		}) == 0
	})
	server.ClearFaults()
	sink.until(t, func(map[string]int) bool { return r.monitor.Report().Mode == health.Healthy })
	require.Equal(t, []string{"platform ada", "platform bob", "platform carol"}, sink.teamMembers())
	require.NoError(t, r.Shutdown(t.Context()))
}

// TestTeamsAreOff: nothing is requested and nothing shown.
func TestTeamsAreOff(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{teamData()}, Now: time.Now})
	sink := newSink()
	r, err := newReceiver(testConfig(server), receivertest.NewNopSettings(metadata.Type), sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), &host{Host: componenttest.NewNopHost()}))
	sink.until(t, func(names map[string]int) bool { return names["gh.exporter.scrape_runs"] > 20 })
	sink.until(t, func(names map[string]int) bool {
		return names["gh.user.team.info"] == 0 && names["gh.exporter.team_reads"] == 0 &&
			names["gh.exporter.teams_last_read_unixtime"] == 0
	})
	require.Zero(t, server.CountRequests(func(r githubtest.RequestInfo) bool {
		return strings.Contains(r.Route, "teams") || strings.Contains(r.Operation, "Team")
	}))
	require.NoError(t, r.Shutdown(t.Context()))
}
