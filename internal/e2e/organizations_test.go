// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// twoOrgsConfig reads two organizations with credentials and intervals of their own, and one that does not exist.
const twoOrgsConfig = `
orgs:
  - name: %[1]s
    auth: {token: healthy-token}
    scrape_interval: 2s
    lookback: 1440h
  - name: troubled
    auth: {token: troubled-token}
    scrape_interval: 1s
    lookback: 1440h
  - name: nobodys
    auth: {token: healthy-token}
    scrape_interval: 2s
github: {endpoint: %[2]q, timeout: 1s, retry: {max_attempts: 2, initial_interval: 10ms, max_interval: 20ms}}
storage: file_storage
retention: 1440h
emit_interval: 1s
`

// TestOneOrganizationFails: while one of two organizations fails in several ways, the metrics of the other one stay
// correct, each change of state is logged once, and no series of the failing one becomes zero.
func TestOneOrganizationFails(t *testing.T) {
	t.Parallel()
	data := loadData(t)
	troubled := data.Clone()
	troubled.Org.Login = "troubled"
	timeline := githubtest.EndingAt(data, time.Hour, time.Now(), 1)
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{data, troubled}, Timeline: timeline, Limits: highLimits,
		Credentials: []githubtest.Credential{
			{Token: "healthy-token", Name: "healthy", Login: "h", Orgs: []string{org}},
			{Token: "troubled-token", Name: "troubled", Login: "t", Orgs: []string{"troubled"}},
		},
	})
	timeline = server.Timeline()
	server.HideAfter(timeline.Start)
	gx := startCollector(t, fmt.Sprintf(twoOrgsConfig, org, server.URL))
	prom := startPrometheus(t, gx.metrics)
	gx.awaitComplete(t, org)
	gx.awaitComplete(t, "troubled")
	compareWithData(t, prom, data, timeline, timeline.Start)
	before, err := prom.activity(t.Context(), "troubled", time.Now())
	require.NoError(t, err)

	for _, trouble := range []struct {
		fault githubtest.Effect
		class string
	}{
		{githubtest.Status(401), "credential refused"},
		{githubtest.Status(404), "failure: not found"},
		{githubtest.Hang(), "failure: GitHub unavailable"},
		{githubtest.TruncatedJSON(), "failure: GitHub unavailable"},
	} {
		began := len(gx.Output())
		server.InjectFault(githubtest.Fault{Match: githubtest.Match{Org: "troubled"}, Effect: trouble.fault})
		eventually(t, time.Minute, func() error {
			if !strings.Contains(gx.Output()[began:], trouble.class) {
				return fmt.Errorf("no %q in the log", trouble.class)
			}
			return nil
		})
		runs := `gh_exporter_scrape_runs_total{org="troubled",result="failure"}`
		failed := gx.count(t.Context(), runs)
		eventually(t, time.Minute, func() error { // some more passes fail
			if now := gx.count(t.Context(), runs); now < failed+3 {
				return fmt.Errorf("%v failures", now)
			}
			return nil
		})
		require.Equal(t, 1, countFailureLines(gx.Output()[began:]), "each change of state is logged once")
		gx.awaitComplete(t, org)
		compareWithData(t, prom, data, timeline, timeline.Start)
		requireUnmoved(t, prom, before)

		server.ClearFaults()
		eventually(t, time.Minute, func() error {
			if !strings.Contains(gx.Output()[began:], "was read completely again") {
				return errors.New("not well again")
			}
			return nil
		})
	}
	lag := gx.count(t.Context(), `gh_exporter_coverage_lag_seconds{org="nobodys"}`)
	require.Greater(t, lag, 10.0, "what was never read lags, too")
}

// countFailureLines counts the log lines about a pass that was not complete.
func countFailureLines(log string) int { return strings.Count(log, "was not read completely;") }

// requireUnmoved requires that the sums of the failing organization are as before, and that none of its series is
// missing.
func requireUnmoved(t *testing.T, prom *prometheus, before map[series]float64) {
	t.Helper()
	now, err := prom.activity(t.Context(), "troubled", time.Now())
	require.NoError(t, err)
	require.Len(t, now, len(before))
	for s, value := range before {
		require.Contains(t, now, s)
		if strings.HasSuffix(s.metric, "_total") || strings.HasSuffix(s.metric, "_unixtime") {
			require.InDelta(t, value, now[s], 0, s)
		}
	}
}

// TestWrongConfiguration: a wrong configuration stops the start of the collector, with the path, the value and the
// allowed values.
func TestWrongConfiguration(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ receiver, want string }{
		"interval": {
			"orgs: [{name: a, auth: {token: abc}, scrape_interval: 30}]",
			"receivers::githubexporter::orgs::0: scrape_interval: 30ns, want a duration from 1s to 24h0m0s",
		},
		"unknown key": {
			"orgs: [{name: a, auth: {token: abc}, interval: 30s}]",
			"orgs::0::interval: unknown key, want one of auth, concurrency, lookback, name, repositories, " +
				"scrape_interval",
		},
		"token unset": {
			"orgs: [{name: a, auth: {token: '${env:GX_NOT_SET}'}}]",
			"0 credentials, want exactly one of token, app, authenticator (is the environment variable set?)",
		},
		"extension": {
			"{orgs: [{name: a, auth: {token: abc}}], storage: redis_storage}",
			`there is no extension "redis_storage"`,
		},
		"source": {
			"{orgs: [{name: a, auth: {token: abc}}], loc: {source: stats}}",
			`receivers::githubexporter::loc: source: "stats", want one of commits, stats_contributors`,
		},
		"owner": {
			"orgs: [{name: a, auth: {token: abc}, repositories: {include: [b/app]}}]",
			`repositories::include::0: "b/app", want a repository of the organization a: its name, or a/NAME`,
		},
		"escaped key": {
			`orgs: [{name: a, auth: {app: {app_id: 1, private_key: '-----BEGIN RSA PRIVATE ` +
				`KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----'}}}]`,
			`private_key: has the two characters \n where line breaks belong`,
		},
		"two names": {
			"orgs: [{name: a, auth: {app: {app_id: 1, client_id: Iv23liA, private_key_file: k}}}]",
			"app_id, client_id: both are given",
		},
		"key file": {"orgs: [{name: a, auth: {app: {app_id: 1, installation_id: 2, private_key_file: " +
			"/nowhere.pem}}}]", "/nowhere.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "collector.yaml")
			text := fmt.Sprintf(
				collectorConfig,
				filepath.Join(dir, "storage"),
				indent(test.receiver),
				proctest.FreeAddress(t),
			)
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			output, err := exec.Command(proctest.ProgramPath(t, "GX_COLLECTOR"), "--config", file).CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(output), test.want)
		})
	}
}

// probeShipped probes readiness and liveness as the shipped configurations do.
func probeShipped(t *testing.T, ready, live string) error {
	t.Helper()
	for _, url := range []string{
		"http://" + ready + "/status?pipeline=metrics", "http://" + ready + "/status",
		"http://" + live + "/",
	} {
		if code, page := getStatus(t, url); code != http.StatusOK {
			return fmt.Errorf("%s responds %d: %+v", url, code, page)
		}
	}
	return nil
}

// TestExamples: each shipped configuration is accepted, and its collector is alive and ready.
func TestExamples(t *testing.T) {
	t.Parallel()
	examples, err := filepath.Glob("../../examples/*/collector.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, examples)
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits})
	redis, rabbit := redistest.Start(t), rabbittest.Start(t)
	for _, example := range examples {
		t.Run(filepath.Base(filepath.Dir(example)), func(t *testing.T) {
			t.Parallel()
			r := &replica{health: proctest.FreeAddress(t), collector: &collector{metrics: proctest.FreeAddress(t)}}
			ready, live := proctest.FreeAddress(t), proctest.FreeAddress(t)
			env := append(
				os.Environ(),
				"GITHUB_ORG="+org,
				"GITHUB_TOKEN="+githubtest.DefaultToken,
				"GITHUB_ENDPOINT="+server.URL,
				"GX_STORAGE_DIR="+t.TempDir(),
				"REDIS_ENDPOINT="+redis.Address,
				"RABBITMQ_ENDPOINT="+rabbit.Address,
				"GX_METRICS_ENDPOINT="+r.metrics,
				"GX_HEALTH_ENDPOINT="+r.health,
				"GX_READY_ENDPOINT="+ready,
				"GX_LIVE_ENDPOINT="+live,
				"GX_TELEMETRY_PORT="+strconv.Itoa(proctest.Port(t, proctest.FreeAddress(t))),
			)
			r.Process = proctest.New(t, proctest.ProgramPath(t, "GX_COLLECTOR"), "--config", example)
			r.Env = env
			r.Run()
			eventually(t, time.Minute, func() error {
				if r.HasExited() {
					return nil
				}
				_, err := getBody(t.Context(), "http://"+r.health+"/readyz")
				return err
			})
			require.False(t, r.HasExited(), "the collector has ended")
			eventually(
				t,
				time.Minute,
				func() error { // a replica that has just become the leader may still stop to consume jobs
					page := r.healthz(t)
					if page.live != http.StatusOK || page.health != http.StatusOK || page.Mode != "healthy" {
						return fmt.Errorf("the page is %+v", page)
					}
					return probeShipped(t, ready, live)
				},
			)
			require.Less(t, r.Stop(), time.Second)
		})
	}
}
