// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
)

// HealthConfig configures the probes of the dependencies and the cooldown.
type HealthConfig struct {
	// ProbeInterval is the time between two probes of each dependency.
	ProbeInterval time.Duration `mapstructure:"probe_interval"`
	// FailureThreshold is the number of requests in a row, about different repositories or an organization as a whole,
	// without a usable response from one API before the cooldown begins. With several organizations at least two must
	// be affected.
	FailureThreshold int `mapstructure:"failure_threshold"`
	// Cooldown is the time without requests. Gaps of that time (github_unhealthy) are read afterwards.
	Cooldown time.Duration `mapstructure:"cooldown"`
	// RecoverThreshold is the number of successful probes in a row that end the cooldown; a probe costs nothing of any
	// limit.
	RecoverThreshold int `mapstructure:"recover_threshold"`

	_ struct{}
}

func defaultHealth() HealthConfig {
	return HealthConfig{
		ProbeInterval: 30 * time.Second, FailureThreshold: 6, Cooldown: 2 * time.Minute, RecoverThreshold: 3,
	}
}

// Validate checks the ranges: at least one failure and one good probe, waits of at least a second.
func (c *HealthConfig) Validate() error {
	return errors.Join(
		configcheck.DurationBetween("probe_interval", c.ProbeInterval, minInterval, time.Hour),
		configcheck.IntBetween("failure_threshold", c.FailureThreshold, 1, 1_000_000),
		configcheck.DurationBetween("cooldown", c.Cooldown, minInterval, 24*time.Hour),
		configcheck.IntBetween("recover_threshold", c.RecoverThreshold, 1, 1000))
}
