// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

const ownConfig = `
orgs:
  - name: acme
    auth: {token: %[1]s}
    scrape_interval: 1s
    lookback: 24h
github:
  endpoint: %[2]q
  retry: {max_attempts: 2, initial_interval: 100ms, max_interval: 1s}
  health: {failure_threshold: 1000}
backfill: {enabled: false}
emit_interval: 1s
`

// TestFirstFailureIsAnIncrease: PromQL's increase() has the first failure of a pass and the first response of a class,
// both when they follow successful ones and when they are the first of a new ledger.
func TestFirstFailureIsAnIncrease(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"first of all": true, "after good ones": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := githubtest.Start(t, githubtest.Settings{
				Datasets: []*githubtest.Dataset{namedData()}, Now: time.Now, Limits: highLimits,
			})
			refuse := func() { server.InjectFault(githubtest.Fault{Effect: githubtest.Status(401)}) }
			if first {
				refuse()
			}
			// Prometheus is there while the zeros of a new ledger last.
			settings := strings.Replace(ownConfig, "emit_interval: 1s", "emit_interval: 4s", 1)
			gx := startCollector(t, fmt.Sprintf(settings, githubtest.DefaultToken, server.URL))
			prom := startPrometheus(t, gx.metrics)
			const failures = `gh_exporter_scrape_runs_total{org="acme",result="failure"}`
			if !first {
				gx.awaitComplete(t, "acme")
				for _, series := range []string{
					failures, `gh_exporter_github_requests_total{endpoint="Discover",org="acme",status_class="4xx"}`,
					`gh_exporter_store_write_total{result="fenced",source="worker_backfill"}`,
					`gh_exporter_scrape_runs_total{org="acme",result="skipped_unhealthy"}`,
				} {
					value, err := gx.value(t.Context(), series)
					require.NoError(t, err)
					require.Zero(t, value, series)
				}
				refuse()
			}
			eventually(t, 30*time.Second, func() error {
				if n := gx.count(t.Context(), failures); n < 1 {
					return fmt.Errorf("%v failures", n)
				}
				return nil
			})
			server.ClearFaults()
			gx.awaitComplete(t, "acme")
			counted := []string{failures}
			if !first {
				counted = append(counted,
					`gh_exporter_github_requests_total{endpoint="Discover",org="acme",status_class="4xx"}`)
			}
			for _, series := range counted {
				requireIncrease(t, prom, series, gx.count(t.Context(), series))
			}
		})
	}
}

// requireIncrease compares increase() over all time, which extrapolates a little, with the counted number.
func requireIncrease(t *testing.T, prom *prometheus, series string, counted float64) {
	t.Helper()
	require.GreaterOrEqual(t, counted, 1.0)
	eventually(t, 15*time.Second, func() error {
		samples, err := prom.query(t.Context(), "increase("+series+"[5m])", time.Now())
		if err != nil {
			return err
		}
		increase, err := strconv.ParseFloat(samples[0].Value[1].(string), 64)
		if err == nil && math.Abs(increase-counted) > 0.2*counted {
			err = fmt.Errorf("%s: %v counted, an increase of %v", series, counted, increase)
		}
		return err
	})
}

// TestLimitsOfReplicas: a replica that sends no requests to GitHub shows the quotas that its leader reports. After the
// reset nothing is shown, until GitHub reports the next window.
func TestLimitsOfReplicas(t *testing.T) {
	t.Parallel()
	limits := highLimits
	limits.Window = 20 * time.Second
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{namedData()}, Now: time.Now, Limits: limits,
	})
	redis := redistest.Start(t)
	replicas := startReplicas(t, 2, redis.Address, fmt.Sprintf(ownConfig, githubtest.DefaultToken, server.URL))
	const remaining = `gh_exporter_github_rate_limit_remaining{org="acme",resource="graphql"}`
	const reset = `gh_exporter_github_rate_limit_reset_unixtime{org="acme",resource="graphql"}`
	shown := func() error {
		var before float64
		for _, r := range replicas {
			left, err := r.value(t.Context(), remaining)
			end, err2 := r.value(t.Context(), reset)
			limit, err3 := r.value(t.Context(), `gh_exporter_github_rate_limit{org="acme",resource="graphql"}`)
			if err := errors.Join(err, err2, err3); err != nil {
				return err
			}
			if limit != 1_000_000 || left <= 0 || left >= limit || end <= float64(time.Now().Unix()) {
				return fmt.Errorf("limit %v, remaining %v, reset %v", limit, left, end)
			}
			if before != 0 && before-left > 20 || left-before > 20 && before != 0 {
				return fmt.Errorf("one shows %v, the other %v", before, left)
			}
			before = left
		}
		return nil
	}
	eventually(t, 30*time.Second, shown)
	server.InjectFault(githubtest.Fault{Effect: githubtest.Status(503)})
	eventually(t, limits.Window+20*time.Second, func() error {
		for _, r := range replicas {
			page, err := r.page(t.Context())
			if err != nil {
				return err
			}
			if strings.Contains(page, "\ngh_exporter_github_rate_limit") ||
				strings.Contains(page, "\ngh_app_rate_limit") {
				return errors.New("a limit that is over is shown")
			}
		}
		return nil
	})
	server.ClearFaults()
	eventually(t, time.Minute, shown)
}

const twoReceivers = `
receivers:
  githubexporter:
    orgs: [{name: acme, auth: {token: %[1]s}, scrape_interval: 1s}]
    github: {endpoint: %[2]q, retry: {max_attempts: 1}}
    emit_interval: 1s
  githubexporter/second:
    orgs:
      - {name: umbrella, auth: {token: %[1]s}, scrape_interval: 1s}
      - {name: nobodys, auth: {token: %[1]s}, scrape_interval: 1s}
    github: {endpoint: %[2]q, retry: {max_attempts: 1}}
    emit_interval: 1s
exporters:
  prometheus:
    endpoint: %[3]s
    without_scope_info: true
service:
  telemetry:
    metrics: {level: none}
    resource: {service.instance.id: replica-7}
  pipelines:
    metrics:
      receivers: [githubexporter, githubexporter/second]
      exporters: [prometheus]
`

// TestTwoReceiversInACollector: the metrics of two receivers in one collector have the collector's identity, do not
// replace each other, and a dependency names its organization.
func TestTwoReceiversInACollector(t *testing.T) {
	t.Parallel()
	settings := githubtest.Settings{Now: time.Now, Limits: highLimits}
	for _, name := range []string{"acme", "umbrella"} {
		data := namedData()
		data.Org.Login = name
		settings.Datasets = append(settings.Datasets, data)
	}
	server := githubtest.Start(t, settings)
	gx := &collector{
		binary: proctest.ProgramPath(t, "GX_COLLECTOR"), config: filepath.Join(t.TempDir(), "collector.yaml"),
		metrics: proctest.FreeAddress(t),
	}
	text := fmt.Sprintf(twoReceivers, githubtest.DefaultToken, server.URL, gx.metrics)
	require.NoError(t, os.WriteFile(gx.config, []byte(text), 0o600))
	gx.start(t)
	gx.awaitComplete(t, "acme")
	gx.awaitComplete(t, "umbrella")
	const second = `receiver="githubexporter/second"`
	want := map[string]float64{
		`gh_exporter_dependency_health{dependency="github",instance="replica-7",org="acme"}`: 1,
		`gh_exporter_dependency_health{dependency="github",instance="replica-7",org="umbrella",` + second +
			`}`: 1,
		`gh_exporter_dependency_health{dependency="github",instance="replica-7",org="nobodys",` + second +
			`}`: 0,
		`gh_exporter_dependency_health{dependency="github_access",instance="replica-7",org="acme"}`: 1,
		`gh_exporter_dependency_health{dependency="github_access",instance="replica-7",org="nobodys",` + second +
			`}`: 0,
		`gh_exporter_dependency_health{dependency="scheduler",instance="replica-7",org=""}`: 1,
		`gh_exporter_dependency_health{dependency="scheduler",instance="replica-7",org="",` + second +
			`}`: 1,
		`gh_exporter_queue_depth{instance="replica-7",queue="memory"}`: 0,
		`gh_exporter_queue_depth{instance="replica-7",queue="memory",` + second +
			`}`: 0,
		`gh_exporter_ready{instance="replica-7"}`:                         1,
		`gh_exporter_ready{instance="replica-7",` + second + `}`:          0,
		`gh_exporter_credential_refused{instance="replica-7",org="acme"}`: 0,
		`gh_exporter_credential_refused{instance="replica-7",org="nobodys",` + second +
			`}`: 1,
		`gh_exporter_leader{instance="replica-7",org="acme"}`: 1,
		`gh_exporter_leader{instance="replica-7",org="umbrella",` + second +
			`}`: 1,
		`gh_exporter_scrape_runs_total{org="nobodys",result="success"}`: 0,
		`gh_exporter_gaps{org="umbrella"}`:                              0,
	}
	eventually(t, 30*time.Second, func() error {
		page, err := gx.page(t.Context())
		if err != nil {
			return err
		}
		for series, value := range want {
			if line := fmt.Sprintf("\n%s %v\n", series, value); !strings.Contains(page, line) {
				return fmt.Errorf("want %s", line)
			}
		}
		return nil
	})
	page, err := gx.page(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(page, "\ngh_exporter_build_info{"))
	require.Regexp(
		t,
		`gh_exporter_build_info\{collector="v0\.\d+\.\d+",goversion="go1\.\d+[^"]*",instance="replica-7",`+
			`revision="[0-9a-f]{40}",version="[^"]+"\} 1`,
		page,
	)
	gx.Stop()
}
