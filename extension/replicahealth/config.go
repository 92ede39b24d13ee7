// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package replicahealth

import (
	"fmt"
	"net"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
)

// Config is the extension's configuration: that of the collector's HTTP servers.
type Config struct {
	// The settings of the collector's HTTP servers, of which one matters here:
	//   - endpoint: The host and the port of the health pages.
	confighttp.ServerConfig `mapstructure:",squash"`

	_ struct{}
}

// createDefaultConfig returns the configuration of a server on localhost:13133.
func createDefaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = "localhost:13133"
	return &Config{ServerConfig: server}
}

// Unmarshal reads the configuration. Its errors name unknown keys with the allowed ones.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := configcheck.CheckKeys(conf.ToStringMap(), c); err != nil {
		return err
	}
	return conf.Unmarshal(c, confmap.WithIgnoreUnused())
}

// Validate checks that the endpoint is a host and a port.
func (c *Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.NetAddr.Endpoint); err != nil {
		return fmt.Errorf(
			"endpoint: %s, want host:port such as localhost:13133",
			configcheck.QuoteUnlessSecret(c.NetAddr.Endpoint),
		)
	}
	return nil
}
