// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/redisconn"
)

// RedisConfig is how the shared state is reached.
type RedisConfig struct {
	redisconn.Config `mapstructure:",squash"`

	// Unavailable is wait (not ready until Redis is back) or memory (go on alone, and give Redis what was recorded when
	// it is back).
	Unavailable string `mapstructure:"unavailable"`

	_ struct{}
}

func defaultRedis() RedisConfig {
	return RedisConfig{Config: redisconn.Default(), Unavailable: unavailableWait}
}

// Validate checks the connection and the value of unavailable.
func (c *RedisConfig) Validate() error {
	return errors.Join(c.Check(), configcheck.OneOf("unavailable", c.Unavailable, unavailableWait, unavailableMemory))
}
