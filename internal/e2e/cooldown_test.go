// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// cooldownBegins is the log message at the beginning of a cooldown.
const cooldownBegins = "Too many consecutive GitHub requests failed; pausing requests. Metrics keep their last values."

const cooldownConfig = `
orgs:
  - name: %s
    auth: %s
    scrape_interval: 1s
    lookback: 1440h
github:
  endpoint: %q
  retry: {max_attempts: 2, initial_interval: 10ms, max_interval: 20ms}
  health: {probe_interval: 1s, failure_threshold: 6, cooldown: 6s, recover_threshold: 3}
retention: 1440h
storage: file_storage
emit_interval: 1s
`

// TestCooldown: while GitHub responds to everything with errors, the replica sends only probes, which cost no points; a
// successful probe does not hide that readings fail; and when the faults end, every metric is correct.
func TestCooldown(t *testing.T) {
	t.Parallel()
	data, server, timeline := serveData(t, 72*time.Hour, 60*time.Second)
	gx := startCollector(t, fmt.Sprintf(cooldownConfig, org, "{token: "+githubtest.DefaultToken+"}", server.URL))
	gx.awaitComplete(t, org)
	prom := startPrometheus(t, gx.metrics)

	reading := func(r githubtest.RequestInfo) bool { return r.Route != "/rate_limit" }
	probe := func(r githubtest.RequestInfo) bool { return r.Route == "/rate_limit" }
	server.InjectFault(githubtest.Fault{Match: githubtest.Match{Func: reading}, Effect: githubtest.Status(503)})
	cooling := func() {
		t.Helper()
		eventually(t, 30*time.Second, func() error {
			if gx.lastLogged(cooldownBegins).IsZero() {
				return errors.New("no cooldown has begun")
			}
			return nil
		})
	}
	cooling()
	server.ResetRequests()
	waitUntil(t, time.Now().Add(4*time.Second))
	require.Zero(t, server.CountRequests(reading), "no reading is sent during the cooldown")
	require.Zero(t, server.CountRequests(probe), "not even by probes before its end")
	skipped := gx.count(
		t.Context(),
		fmt.Sprintf("gh_exporter_scrape_runs_total{org=%q,result=\"skipped_unhealthy\"}", org),
	)
	require.Positive(t, skipped)

	// Probes succeed and readings still fail: three probes end the cooldown, six requests that fail begin the
	// next one.
	eventually(t, 30*time.Second, func() error {
		if server.CountRequests(probe) < 3 || gx.lastLogged("GitHub responds again; resuming requests.").IsZero() {
			return fmt.Errorf("%d probes", server.CountRequests(probe))
		}
		return nil
	})
	require.Zero(t, server.PointsSpent("core"), "probes cost nothing")
	ended := gx.lastLogged("GitHub responds again; resuming requests.")
	eventually(t, 30*time.Second, func() error {
		if !gx.lastLogged(cooldownBegins).After(ended) {
			return errors.New("no second cooldown has begun")
		}
		return nil
	})
	require.LessOrEqual(
		t,
		server.CountRequests(reading),
		6*2+2,
		"six requests of two attempts each, and those in flight",
	)

	server.ClearFaults()
	server.InjectFault(githubtest.Fault{Match: githubtest.Match{Func: probe}, Times: 2, Effect: githubtest.Status(403)})
	visible := timeline.Start.Add(50 * time.Second)
	waitUntil(t, visible)
	server.HideAfter(visible)
	gx.awaitComplete(t, org)
	compareWithData(t, prom, data, timeline, visible)
	requireNoReset(t, prom)
	requireNoSecret(t, gx.Output())
}

// TestCooldownWithoutAToken: an App without a token requests one for the probes that end a cooldown.
func TestCooldownWithoutAToken(t *testing.T) {
	t.Parallel()
	data := loadData(t)
	key, keyFile := writeAppKey(t)
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{
			data,
		},
		Timeline: githubtest.EndingAt(data, 72*time.Hour, time.Now(), 1),
		Limits:   highLimits,
		Apps: []githubtest.App{
			{ID: 11, PublicKey: &key.PublicKey, Installations: []githubtest.Installation{{ID: 22, Org: org}}},
		},
	})
	timeline := server.Timeline()
	server.HideAfter(timeline.Start)
	server.InjectFault(githubtest.Fault{Effect: githubtest.Status(503)})
	app := fmt.Sprintf("{app: {app_id: 11, installation_id: 22, private_key_file: %q}}", keyFile)
	gx := startCollector(t, fmt.Sprintf(cooldownConfig, org, app, server.URL))
	eventually(t, 30*time.Second, func() error {
		if gx.lastLogged(cooldownBegins).IsZero() {
			return errors.New("no cooldown has begun")
		}
		return nil
	})
	server.ClearFaults()
	gx.awaitComplete(t, org)
	compareWithData(t, startPrometheus(t, gx.metrics), data, timeline, timeline.Start)
	requireNoSecret(t, gx.Output())
}
