// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
)

// Values of flow::clock. Those of flow::bots are two of actors::bots.
const (
	clockReady     = "ready"
	clockCreated   = "created"
	clockRequested = "requested"
)

// FlowConfig configures the durations and sizes of pull requests and issues.
type FlowConfig struct {
	// Enabled reads them. false: nothing is requested for them, and what was recorded is shown until it ends.
	Enabled bool `mapstructure:"enabled"`
	// Clock is when the time until a review, an approval, a merge or a closing begins: ready (when the pull request
	// became ready for review last, or was created), requested (when a review was requested last) or created. Time in
	// draft counts with created only.
	Clock string `mapstructure:"clock"`
	// Bots is exclude (reviews by bots and agents do not count) or include.
	Bots string `mapstructure:"bots"`

	_ struct{}
}

func defaultFlow() FlowConfig {
	return FlowConfig{Enabled: true, Clock: clockReady, Bots: botsExclude}
}

// Validate checks the names.
func (c *FlowConfig) Validate() error {
	return errors.Join(
		configcheck.OneOf("clock", c.Clock, clockReady, clockRequested, clockCreated),
		configcheck.OneOf("bots", c.Bots, botsExclude, botsInclude))
}

// rules returns the rules of what is recorded.
func (c *FlowConfig) rules() flow.Rules {
	clocks := map[string]flow.Clock{
		clockReady: flow.ClockReady, clockCreated: flow.ClockCreated, clockRequested: flow.ClockRequested,
	}
	return flow.Rules{Clock: clocks[c.Clock], Bots: c.Bots == botsInclude}
}

// disabledStreams returns the streams that are not read.
func (c *FlowConfig) disabledStreams() activity.Streams {
	if c.Enabled {
		return 0
	}
	return activity.FlowStreams
}
