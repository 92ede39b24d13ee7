// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// githubCooldown is the circuit breaker for requests to GitHub, with the log of its start. All organizations share it:
// they are behind one address. It is safe for concurrent use.
type githubCooldown struct {
	*health.Cooldown

	pause  time.Duration // no request is sent for this long
	logger *zap.Logger
}

// newGitHubCooldown returns the cooldown that the configuration describes. monitor has the organizations that
// this replica leads.
func newGitHubCooldown(config *Config, monitor *health.Monitor, logger *zap.Logger) *githubCooldown {
	c := &config.GitHub.Health
	return &githubCooldown{pause: c.Cooldown, logger: logger, Cooldown: health.NewCooldown(health.CooldownSettings{
		Failures: c.FailureThreshold, Pause: c.Cooldown, Probes: c.RecoverThreshold,
		MinOrgs: func() int { return minAffectedOrgs(config, monitor) },
	})}
}

// minAffectedOrgs returns the number of organizations whose requests must fail before a cooldown begins: two where this
// replica reads that many, one where it leads a single one because leadership is divided.
func minAffectedOrgs(config *Config, monitor *health.Monitor) int {
	leads := 0
	for i := range config.Orgs {
		if monitor.Leads(config.Orgs[i].Name) {
			leads++
		}
	}
	if leads == 1 {
		return 1
	}
	return min(2, len(config.Orgs))
}

// recordResult records whether a request of an organization got a usable response, and logs the cooldown that starts
// with it.
func (c *githubCooldown) recordResult(org string, result *transport.RequestResult) {
	request := health.Request{Org: org, API: string(result.Resource), Repo: result.RepoID}
	started := c.RecordRequest(request, result.Err, time.Now())
	if started == nil {
		return
	}
	c.logger.Warn("Too many consecutive GitHub requests failed; pausing requests. Metrics keep their "+
		"last values.",
		zap.String("org", org), zap.String("api", started.API), zap.Int("consecutive_failures", started.Failures),
		zap.Int("repositories", started.Repositories), zap.Duration("cooldown", c.pause),
		zap.Error(started.Cause))
}
