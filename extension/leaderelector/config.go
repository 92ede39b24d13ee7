// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package leaderelector

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/redisconn"
)

// The roles of the static backend.
const (
	roleLeader   = "leader"
	roleFollower = "follower"
)

// Limits of the durations.
const (
	// minLease and maxLease bound lease_duration, minRetry is the least renew_deadline and retry_period.
	minLease = time.Second
	maxLease = time.Hour
	minRetry = 50 * time.Millisecond
)

// Config is the extension's configuration. Exactly one of its backends is set.
type Config struct {
	// Static appoints the leader by configuration. With two leaders the store refuses the writes of the one with the
	// older clock, which becomes a standby. Exactly one of static, redis and kubernetes.
	Static *StaticConfig `mapstructure:"static"`
	// Redis stores the leases in Redis.
	Redis *RedisConfig `mapstructure:"redis"`
	// Kubernetes stores the leases in Lease objects.
	Kubernetes *KubernetesConfig `mapstructure:"kubernetes"`
	// LeaseDuration is how long a lease lasts without a renewal: the time without a leader after one was killed.
	LeaseDuration time.Duration `mapstructure:"lease_duration"`
	// RenewDeadline is how long a leader goes on without a renewal. Shorter than lease_duration.
	RenewDeadline time.Duration `mapstructure:"renew_deadline"`
	// RetryPeriod is the time-out of a request, and the time between two renewals. At most half of renew_deadline.
	// Attempts to acquire are four to five times as frequent.
	RetryPeriod time.Duration `mapstructure:"retry_period"`
	// Identity names this process in the leases; different in every process. Default: the host's name and a random
	// part, new in every process.
	Identity string `mapstructure:"identity"`

	_ struct{}
}

// StaticConfig appoints the leader by configuration.
type StaticConfig struct {
	// Role is leader or follower. Default: required.
	Role string `mapstructure:"role"`

	_ struct{}
}

// RedisConfig stores the leases in Redis.
type RedisConfig struct {
	redisconn.Config `mapstructure:",squash"`

	_ struct{}
}

// KubernetesConfig stores the leases in Lease objects.
type KubernetesConfig struct {
	// Namespace is the namespace of the Lease. Default: the pod's own.
	Namespace string `mapstructure:"namespace"`
	// LeaseName is the name of the Lease, a DNS subdomain name; those of single organizations and of named receivers
	// have a suffix. Different in each deployment of a namespace.
	LeaseName string `mapstructure:"lease_name"`
	// Kubeconfig is the path of a file with the API server and the account. Default: those of the pod.
	Kubeconfig string `mapstructure:"kubeconfig"`

	_ struct{}
}

// createDefaultConfig returns a configuration that lacks only a backend.
func createDefaultConfig() component.Config {
	return &Config{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second}
}

// Unmarshal reads the configuration. Its errors name unknown keys and wrong values with what is allowed in their place.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	raw := conf.ToStringMap()
	if err := configcheck.CheckKeys(raw, c); err != nil {
		return err
	}
	if _, ok := raw["redis"]; ok {
		c.Redis = &RedisConfig{Config: redisconn.Default()}
	}
	if _, ok := raw["kubernetes"]; ok {
		c.Kubernetes = &KubernetesConfig{LeaseName: "githubexporter"}
	}
	if err := conf.Unmarshal(c, confmap.WithIgnoreUnused()); err != nil {
		return err
	}
	if c.Redis == nil {
		return nil
	}
	c.Redis.TrimLineEnds()
	return configcheck.PrefixPath("redis", c.Redis.CheckAddresses())
}

// Validate checks that there is one backend, and that the durations leave time for two renewals before a leader stops.
func (c *Config) Validate() error {
	backends := 0
	for _, isSet := range []bool{c.Static != nil, c.Redis != nil, c.Kubernetes != nil} {
		if isSet {
			backends++
		}
	}
	var errs []error
	if backends != 1 {
		errs = append(errs, fmt.Errorf("%d backends, want exactly one of static, redis, kubernetes", backends))
	}
	return errors.Join(append(errs,
		configcheck.DurationBetween("lease_duration", c.LeaseDuration, minLease, maxLease),
		configcheck.DurationBetween("renew_deadline", c.RenewDeadline, minRetry, c.LeaseDuration-time.Nanosecond),
		configcheck.DurationBetween("retry_period", c.RetryPeriod, minRetry, c.RenewDeadline/2),
		checkIdentity(c.Identity))...)
}

// checkIdentity returns an error for an identity that cannot be a part of the stored leases.
func checkIdentity(identity string) error {
	if strings.ContainsAny(identity, " \t\r\n/") || len(identity) > 128 {
		return fmt.Errorf(
			"identity: %s, want at most 128 characters without blanks and slashes, different in every process",
			configcheck.QuoteUnlessSecret(identity),
		)
	}
	return nil
}

// Validate checks the role.
func (c *StaticConfig) Validate() error {
	return configcheck.OneOf("role", c.Role, roleLeader, roleFollower)
}

// Validate checks that there are endpoints, and the settings of the client.
func (c *RedisConfig) Validate() error {
	if !c.Enabled() {
		return errors.New("endpoints: the list is empty, want host:port of Redis")
	}
	return c.Check()
}

// Validate checks the name of the Lease, and that the kubeconfig exists.
func (c *KubernetesConfig) Validate() error {
	if c.LeaseName == "" {
		return errors.New("lease_name: empty, want the name of a Lease")
	}
	if err := checkLeaseName(c.LeaseName); err != nil {
		return err
	}
	if c.Kubeconfig != "" {
		if _, err := os.Stat(c.Kubeconfig); err != nil {
			return fmt.Errorf("kubeconfig: %s: %w", configcheck.QuoteUnlessSecret(c.Kubeconfig), errors.Unwrap(err))
		}
	}
	return nil
}

// timing returns the durations of the election.
func (c *Config) timing() election.Timing {
	return election.Timing{LeaseDuration: c.LeaseDuration, RenewDeadline: c.RenewDeadline, RetryPeriod: c.RetryPeriod}
}
