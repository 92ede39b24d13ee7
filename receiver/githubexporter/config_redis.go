// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/redisconn"
)

// RedisConfig configures the connection to Redis.
type RedisConfig struct {
	redisconn.Config `mapstructure:",squash"`

	// Unavailable is wait (the replica is not ready until Redis is back) or memory (it goes on in memory, and commits
	// to Redis afterwards what it recorded).
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
