// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// healthPage is the state of the receiver on /healthz, with the status codes of all three pages.
type healthPage struct {
	live, ready, health int
	Role, Mode          string
	Components          map[string]struct {
		Role, Mode   string
		Ready        bool
		Dependencies map[string]struct {
			Healthy, Required bool
			Since             time.Time
			Detail            string
		}
	}
}

// getJSON requests a path of the health extension, decodes the body, and returns the status code.
func (r *replica) getJSON(t *testing.T, path string, body any) int {
	t.Helper()
	response, err := http.Get("http://" + r.health + path) //nolint:noctx // it is this machine's
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, body))
	return response.StatusCode
}

// healthz returns the health pages of a replica.
func (r *replica) healthz(t *testing.T) healthPage {
	t.Helper()
	var page healthPage
	page.live, page.ready = r.getJSON(t, "/livez", &struct{}{}), r.getJSON(t, "/readyz", &struct{}{})
	page.health = r.getJSON(t, "/healthz", &page)
	return page
}

// expectedHealth is the health that a replica in a role must report.
type expectedHealth struct {
	role, mode string
	dependency string // the one that is in question
	healthy    bool
}

// awaitHealth waits until a replica reports the expected health.
func (r *replica) awaitHealth(t *testing.T, want expectedHealth, within time.Duration) {
	t.Helper()
	ready := http.StatusOK
	if want.mode == "unhealthy" {
		ready = http.StatusServiceUnavailable
	}
	began := time.Now()
	eventually(t, within, func() error {
		page := r.healthz(t)
		one := page.Components["Receiver:githubexporter"]
		d := one.Dependencies[want.dependency]
		if page.live != http.StatusOK || page.ready != ready || page.health != ready || page.Mode != want.mode ||
			page.Role != want.role || d.Healthy != want.healthy || d.Since.IsZero() ||
			(d.Detail == "") != want.healthy {
			return fmt.Errorf("want %+v after %s, the page is %+v", want, time.Since(began), page)
		}
		return r.checkContrib(t, want)
	})
}

// statusPage is a page of contrib's health extensions, with the component status.
type statusPage struct {
	Healthy    bool
	Status     string
	Error      string
	StatusTime time.Time `json:"status_time"`
	Attributes struct {
		Health struct {
			Role, Mode   string
			Ready        bool
			Dependencies map[string]struct {
				Healthy bool
				Detail  string
			}
		} `json:"gh.health"`
	}
	Components map[string]statusPage
}

// getStatus requests a page of one of contrib's health extensions.
func getStatus(t *testing.T, url string) (code int, page statusPage) {
	t.Helper()
	response, err := http.Get(url) //nolint:noctx // it is this machine's
	require.NoError(t, err)
	defer response.Body.Close()
	require.NoError(t, json.NewDecoder(response.Body).Decode(&page))
	return response.StatusCode, page
}

// checkContrib returns an error unless contrib's extensions report the expected health: the code is the readiness, the
// attributes have the report, and the error names what is not ready. The legacy extension reports only that the process
// is alive.
func (r *replica) checkContrib(t *testing.T, want expectedHealth) error {
	t.Helper()
	wantCode, wantStatus := http.StatusOK, "StatusOK"
	if want.mode == "unhealthy" {
		wantCode, wantStatus = http.StatusInternalServerError, "StatusRecoverableError"
	}
	wholeCode, wholeStatus := wantCode, wantStatus
	if r.electorFails {
		wholeCode, wholeStatus = http.StatusInternalServerError, "StatusRecoverableError"
	}
	for _, url := range r.ready {
		code, page := getStatus(t, url+"?verbose")
		one := page.Components["pipeline:metrics"].Components["receiver:githubexporter"]
		report := one.Attributes.Health
		d := report.Dependencies[want.dependency]
		if code != wholeCode || page.Status != wholeStatus || one.Status != wantStatus || report.Role != want.role ||
			(report.Mode != want.mode && !r.electorFails) || report.Ready != (wantCode == http.StatusOK) ||
			d.Healthy != want.healthy {
			return fmt.Errorf("want %+v, %s responds %d: %+v", want, url, code, page)
		}
		if metrics, _ := getStatus(t, url+"?pipeline=metrics"); metrics != wantCode {
			return fmt.Errorf("want %+v, %s responds %d of the pipeline", want, url, metrics)
		}
		named := strings.Contains(page.Error, want.dependency+": "+d.Detail)
		if !want.healthy && !r.electorFails && named == report.Ready {
			return fmt.Errorf("want %+v, %s says %q", want, url, page.Error)
		}
	}
	if r.live != "" {
		if code, page := getStatus(t, r.live); code != http.StatusOK || page.Status != "Server available" {
			return fmt.Errorf("the legacy page responds %d: %+v", code, page)
		}
	}
	return nil
}

const healthConfig = `
orgs:
  - name: %s
    auth: {token: %s}
    scrape_interval: 2s
github:
  endpoint: %q
  timeout: %s
  retry: {max_attempts: 1}
  health: {probe_interval: 1s, failure_threshold: 1000}
emit_interval: 1s
`

// healthTimeout is a probe interval, the time-out of a probe, and a margin for a busy machine.
const healthTimeout = 4 * time.Second

// TestHealth: each dependency is unavailable, slow and available again, in both roles.
func TestHealth(t *testing.T) {
	t.Parallel()
	data := loadData(t)
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{data}, Limits: highLimits})
	redis := redistest.Start(t)
	var replicas []*replica
	for range 2 {
		store := startProxy(t, redis.Address)
		r := startReplica(
			t,
			fmt.Sprintf("redis: {endpoints: [%q]}", redis.Address),
			fmt.Sprintf("{endpoints: [%q]}", store.Listen),
			fmt.Sprintf(healthConfig, org, githubtest.DefaultToken, server.URL, "1s"),
		)
		r.redis = store
		replicas = append(replicas, r)
	}
	leads := awaitLeader(t, replicas)
	roles := map[string]*replica{"leader": replicas[leads], "follower": replicas[1-leads]}
	both := func(mode map[string]string, dependency string, healthy bool, within time.Duration) {
		t.Helper()
		for role, r := range roles {
			r.awaitHealth(t, expectedHealth{role, mode[role], dependency, healthy || mode[role] == "healthy"}, within)
		}
	}
	good := map[string]string{"leader": "healthy", "follower": "healthy"}
	bad := map[string]string{"leader": "unhealthy", "follower": "unhealthy"}
	both(good, "redis", true, 30*time.Second)
	for _, outage := range []struct {
		name       string
		begin, end func(r *replica)
	}{
		{"down", func(r *replica) { r.redis.cut() }, func(r *replica) { r.redis.mend() }},
		{"slow", func(r *replica) { r.redis.slowDown(5 * time.Second) }, func(r *replica) { r.redis.speedUp() }},
	} {
		t.Logf("redis is %s", outage.name)
		for _, r := range roles {
			outage.begin(r)
		}
		both(bad, "redis", false, healthTimeout)
		for _, r := range roles {
			outage.end(r)
		}
		both(good, "redis", true, 2*healthTimeout) // what was on its way is waited for
	}
	degraded := map[string]string{"leader": "degraded", "follower": "healthy"}
	for name, effect := range map[string]githubtest.Effect{
		"down": githubtest.Status(503),
		"slow": {Kind: githubtest.KindHang},
	} {
		t.Logf("GitHub is %s", name)
		server.InjectFault(githubtest.Fault{Effect: effect})
		both(degraded, "github", false, 4*healthTimeout) // a failed pass reports it, after it has tried smaller pages
		server.ClearFaults()
		both(good, "github", true, healthTimeout)
	}
}

// TestStuckLoop: a leader whose pass loop does not move is not ready.
func TestStuckLoop(t *testing.T) {
	t.Parallel()
	data := loadData(t)
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{data}, Limits: highLimits})
	redis := redistest.Start(t)
	block := fmt.Sprintf("{endpoints: [%q]}", redis.Address)
	r := startReplica(
		t,
		"redis: "+block,
		block,
		fmt.Sprintf(healthConfig, org, githubtest.DefaultToken, server.URL, "10m"),
	)
	r.awaitHealth(t, expectedHealth{"leader", "healthy", "scheduler", true}, 30*time.Second)
	server.InjectFault(githubtest.Fault{Effect: githubtest.Effect{Kind: githubtest.KindHang}})
	r.awaitHealth(t, expectedHealth{"leader", "unhealthy", "scheduler", false}, 30*time.Second+2*healthTimeout)
	require.Less(t, r.Stop(), time.Second)
}
