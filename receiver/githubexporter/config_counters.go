// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"fmt"
	"time"
)

// maxZeroFor bounds the time for which a new sum is shown at 0.
const maxZeroFor = time.Hour

// CountersConfig configures how the sums of events start.
type CountersConfig struct {
	// ZeroFor is how long a new sum is shown at 0, so that increase() and rate() count its first event. 0s: a sum
	// starts with its value. Why: docs/metrics.md. Default: twice emit_interval.
	ZeroFor *time.Duration `mapstructure:"zero_for"`

	_ struct{}
}

// zeroFor returns the setting, or its default.
func (c *CountersConfig) zeroFor(emitInterval time.Duration) time.Duration {
	if c.ZeroFor == nil {
		return 2 * emitInterval
	}
	return *c.ZeroFor
}

func (c *CountersConfig) validate(emitInterval time.Duration) error {
	zeroFor := c.zeroFor(emitInterval)
	if c.ZeroFor == nil || zeroFor == 0 || (zeroFor >= emitInterval && zeroFor <= max(maxZeroFor, emitInterval)) {
		return nil
	}
	return fmt.Errorf(
		"counters::zero_for: %s, want 0s (a sum begins with its value) or from the emit_interval, %s to %s", zeroFor,
		emitInterval, max(maxZeroFor, emitInterval))
}
