// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package redisconn connects to Redis. Receiver and extension share its configuration block.
package redisconn

import (
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
)

// The values of Config.Mode.
const (
	Standalone = "standalone"
	Sentinel   = "sentinel"
	Cluster    = "cluster"
)

// Config is the configuration block of Redis. Its zero value is valid and disables Redis.
type Config struct {
	// Mode is what the endpoints are: of a standalone server, of Sentinels or of a cluster.
	Mode string `mapstructure:"mode"`
	// Endpoints are host:port of the server, of the Sentinels or of some of the cluster's nodes. No URL: the parts of
	// rediss://user:password@host:port/db go into username, password, db and tls.
	Endpoints []string `mapstructure:"endpoints"`
	// MasterName is the name of the master that the Sentinels monitor, with mode sentinel.
	MasterName string `mapstructure:"master_name"`
	// Username is the name of an ACL user; without it the password is the default user's.
	Username string `mapstructure:"username"`
	// Password is the password of the user.
	Password configopaque.String `mapstructure:"password"`
	// SentinelUsername is the user at the Sentinels themselves.
	SentinelUsername string `mapstructure:"sentinel_username"`
	// SentinelPassword is the password at the Sentinels themselves.
	SentinelPassword configopaque.String `mapstructure:"sentinel_password"`
	// DB is the number of the database; a cluster has only 0.
	DB int `mapstructure:"db"`
	// TLS encrypts connections; {} trusts the machine's certificates. Default: none.
	TLS configoptional.Optional[configtls.ClientConfig] `mapstructure:"tls"`
	// KeyPrefix is the start of the names of all keys.
	KeyPrefix string `mapstructure:"key_prefix"`

	_ struct{}
}

// Default returns the configuration that lacks only the endpoints.
func Default() Config {
	return Config{Mode: Standalone, KeyPrefix: "gx", TLS: configoptional.Default(configtls.NewDefaultClientConfig())}
}

// Enabled reports whether Redis is configured.
func (c *Config) Enabled() bool { return len(c.Endpoints) > 0 }

// Check returns an error for each setting that cannot work, with its path in this block. Its name is not Validate, so
// that the collector does not call it in addition to the Validate of the enclosing block.
func (c *Config) Check() error {
	errs := []error{
		configcheck.OneOf("mode", c.Mode, Standalone, Sentinel, Cluster), configcheck.IntBetween("db", c.DB, 0, 1<<16),
		c.CheckAddresses(),
	}
	if !c.Enabled() {
		errs = append(errs, c.checkUnused())
	}
	if c.Mode == Standalone && len(c.Endpoints) > 1 {
		errs = append(errs, fmt.Errorf("endpoints: %d, want exactly one with mode standalone", len(c.Endpoints)))
	}
	if (c.Mode == Sentinel) != (c.MasterName != "") && c.Enabled() {
		errs = append(errs, fmt.Errorf(
			"master_name: %s, want the master's name with mode sentinel, and nothing otherwise",
			configcheck.QuoteUnlessSecret(c.MasterName)))
	}
	if c.Mode == Cluster && c.DB != 0 {
		errs = append(errs, fmt.Errorf("db: %d, want 0 with mode cluster", c.DB))
	}
	if c.KeyPrefix == "" || strings.ContainsAny(c.KeyPrefix, "{} \t\r\n") {
		errs = append(errs, fmt.Errorf("key_prefix: %s, want a name without braces and blanks",
			configcheck.QuoteUnlessSecret(c.KeyPrefix)))
	}
	return errors.Join(errs...)
}

// TrimLineEnds removes the line ends that names and passwords have which were read from files. Unmarshal calls it.
func (c *Config) TrimLineEnds() {
	configcheck.TrimLineEnds(&c.Username, &c.SentinelUsername)
	configcheck.TrimLineEnds(&c.Password, &c.SentinelPassword)
}

// CheckAddresses returns an error for each endpoint that is not an address. Unmarshal calls it, so that an endpoint
// that may contain a password never becomes part of a configuration, which the collector may print.
func (c *Config) CheckAddresses() error {
	const credentials = "the password goes into password, the user name into username, the number of the database " +
		"into db, " +
		"and rediss or ssl becomes tls: {}"
	var errs []error
	for i, endpoint := range c.Endpoints {
		errs = append(errs, configcheck.HostPort(fmt.Sprintf("endpoints::%d", i), endpoint, credentials))
	}
	return errors.Join(errs...)
}

// checkUnused returns an error when there are settings but no endpoint: it was forgotten, or its variable is empty.
func (c *Config) checkUnused() error {
	if c.Mode != Standalone || c.MasterName != "" || c.Username != "" || c.Password != "" || c.TLS.HasValue() {
		return errors.New("endpoints: the list is empty, want host:port of Redis")
	}
	return nil
}
