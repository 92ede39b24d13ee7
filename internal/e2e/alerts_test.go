// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// alertsConfig is a Prometheus that scrapes three replicas and evaluates rules every second.
const alertsConfig = `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
  - job_name: githubexporter
    static_configs: [{targets: [%s]}]
`

var (
	ruleFor      = regexp.MustCompile(`(?m)^( +)for: \S+$`)
	ruleInterval = regexp.MustCompile(`(?m)^( +)interval: \S+$`)
)

// quickRules writes rule files of deploy/prometheus in which every alert fires after a second; the expressions are
// unchanged. It returns the names of the files.
func quickRules(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "prometheus", name))
		require.NoError(t, err)
		quick := ruleFor.ReplaceAllString(string(text), "${1}for: 1s")
		quick = ruleInterval.ReplaceAllString(quick, "${1}interval: 1s")
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(quick), 0o600))
		files = append(files, file)
	}
	return strings.Join(files, ", ")
}

// firingAlerts returns the labels of the firing alerts by their names, as the HTTP API shows them.
func (p *prometheus) firingAlerts(ctx context.Context) (map[string]map[string]string, error) {
	body, err := getBody(ctx, "http://"+p.address+"/api/v1/alerts")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Alerts []struct {
				State       string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, err
	}
	firing := make(map[string]map[string]string)
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			firing[a.Labels["alertname"]] = a.Labels
			if a.Annotations["runbook_url"] == "" || strings.Contains(a.Annotations["description"], "error expanding") {
				return nil, fmt.Errorf("annotations of %s: %v", a.Labels["alertname"], a.Annotations)
			}
		}
	}
	return firing, nil
}

// awaitFiring waits until alerts fire, and returns the labels of the first.
func (p *prometheus) awaitFiring(t *testing.T, names ...string) map[string]string {
	t.Helper()
	var found map[string]map[string]string
	eventually(t, time.Minute, func() (err error) {
		found, err = p.firingAlerts(t.Context())
		for _, name := range names {
			if found[name] == nil {
				err = errors.Join(err, fmt.Errorf("%s does not fire, only %v", name, slices.Sorted(maps.Keys(found))))
			}
		}
		return err
	})
	return found[names[0]]
}

// awaitSilence waits until no alert fires.
func (p *prometheus) awaitSilence(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Minute, func() error {
		firing, err := p.firingAlerts(t.Context())
		if len(firing) > 0 {
			return fmt.Errorf("these fire: %v", slices.Sorted(maps.Keys(firing)))
		}
		return err
	})
}

// TestAlertsFireAndResolve: three replicas are driven into the conditions of nine alerts. A real Prometheus shows each
// of them as firing, with the labels of its subject, and none when the condition has ended.
func TestAlertsFireAndResolve(t *testing.T) {
	t.Parallel()
	data := newActiveOrg(4, 2*24*time.Hour, 3*time.Hour)
	s := startSystem(t, systemSettings{
		data: data, timeline: githubtest.EndingAt(data, time.Minute, time.Now(), 1),
		replicas: 3, interval: 2 * time.Second, lookback: 24 * time.Hour,
	})
	s.server.HideAfter(time.Now())
	awaitDrained(t, s.replicas)
	var targets []string
	for _, r := range s.replicas {
		targets = append(targets, r.metrics)
	}
	p := runPrometheus(t, fmt.Sprintf(alertsConfig, quickRules(t, "recording.yaml", "alerts.yaml"),
		strings.Join(targets, ", ")))
	await := func(series string) {
		t.Helper()
		eventually(t, 30*time.Second, func() error {
			_, err := p.query(t.Context(), series, time.Now())
			return err
		})
	}
	await(`count(gh_exporter_build_info) == 3`)
	await(`org:gh_exporter_leader:sum == 1`)
	p.awaitSilence(t)

	for _, step := range []struct {
		name       string
		alerts     []string
		labels     map[string]string // of the first alert
		cause, fix func()
	}{
		{"Redis is cut off", []string{
			"GitHubExporterRedisDown", "GitHubExporterNoLeader", "GitHubExporterReplicaNotReady",
		}, map[string]string{"dependency": "redis", "severity": "critical"}, func() {
			for _, r := range s.replicas {
				r.redis.cut()
			}
		}, func() {
			for _, r := range s.replicas {
				r.redis.mend()
			}
		}},
		{
			"RabbitMQ is killed",
			[]string{"GitHubExporterRabbitMQDown"},
			map[string]string{"dependency": "amqp"},
			s.rabbit.Kill, s.rabbit.Run,
		},
		{
			"GitHub refuses the credentials",
			[]string{"GitHubExporterCredentialRefused", "GitHubExporterGitHubUnhealthy"},
			map[string]string{"org": org, "severity": "critical"},
			func() { s.server.InjectFault(githubtest.Fault{Effect: githubtest.Status(401)}) }, s.server.ClearFaults,
		},
		{
			"a permission is withdrawn",
			[]string{"GitHubExporterPermissionMissing"},
			map[string]string{"org": org, "permission": "pull_requests"},
			func() { s.setForbidden("pull_requests") }, func() { s.setForbidden() },
		},
		{
			"a message is no job",
			[]string{"GitHubExporterDeadJobs"},
			map[string]string{"queue": "gh.backfill.dlq"},
			func() { publishJob(t, startJobAudit(t, s.rabbit).channel, []byte("junk")) },
			func() { s.rabbit.Rabbitmqctl("purge_queue", "gh.backfill.dlq") },
		},
		{
			"a replica is killed",
			[]string{"GitHubExporterReplicaDown"},
			map[string]string{"job": "githubexporter", "instance": s.replicas[2].metrics},
			s.replicas[2].Kill, func() { s.replicas[2].start(t) },
		},
	} {
		t.Log(step.name)
		step.cause()
		labels := p.awaitFiring(t, step.alerts...)
		for name, value := range step.labels {
			require.Equal(t, value, labels[name], "%s: label %s of %v", step.name, name, labels)
		}
		step.fix()
		p.awaitSilence(t)
	}
}

// setForbidden sets the permissions that the credentials of all replicas lack.
func (s *system) setForbidden(permissions ...string) {
	for n, token := range s.tokens {
		s.server.AddCredential(githubtest.Credential{
			Token: token, Name: fmt.Sprintf("replica-%d", n), Bucket: token, Forbidden: permissions,
		})
	}
}
