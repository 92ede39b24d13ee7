// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

var (
	errNotCaughtUp = errors.New("the view has not caught up yet")
	errNotProbed   = errors.New("not probed yet")
)

// newMonitor returns the monitor of a receiver, which computes its readiness (internal/health/readiness.go). Each
// change of its report becomes a component status event.
func newMonitor(config *Config, host component.Host) *health.Monitor {
	var orgs []string
	for i := range config.Orgs {
		orgs = append(orgs, config.Orgs[i].Name)
	}
	var optional []string
	if config.Redis.Unavailable == unavailableMemory {
		optional = append(optional, health.Redis) // the replica works without it
	}
	if config.RabbitMQ.Unavailable == unavailableMemory {
		optional = append(optional, health.AMQP, health.Consumer)
	}
	reporter := &statusReporter{host: host}
	return health.NewMonitor(orgs, optional, time.Now, reporter.report)
}

// initialStates returns the dependencies that the configuration needs, with their states before the first probe. A
// dependency that was not reached yet counts as unhealthy, so that a replica is never ready for a moment only.
func initialStates(c *Config) map[string]error {
	states := map[string]error{
		health.Exporter: errNotCaughtUp, health.GitHubAccess: errNeverRead, health.Scheduler: nil, health.GitHub: nil,
		health.GitHubCore: nil,
	}
	switch {
	case c.Redis.Enabled():
		states[health.Redis], states[health.Leadership] = errNotProbed, nil
	case c.Storage != "":
		states[health.Storage] = errNotProbed
	}
	if c.Backfill.Enabled && c.RabbitMQ.Enabled() {
		states[health.AMQP], states[health.Consumer] = errNotProbed, errNotProbed
	}
	if c.readsCopilot() {
		for _, name := range copilotDependencies(&c.Copilot) {
			states[name] = nil
		}
	}
	return states
}
