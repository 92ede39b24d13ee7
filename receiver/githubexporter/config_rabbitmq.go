// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
)

// RabbitMQConfig configures the shared queue of backfill jobs.
type RabbitMQConfig struct {
	// Endpoint is amqp://host:port/vhost, or amqps:// with TLS, without credentials. Empty: the queue is in the
	// process.
	Endpoint string `mapstructure:"endpoint"`
	// Auth configures the authentication at the broker: exactly one of its settings, with an endpoint.
	Auth RabbitMQAuthConfig `mapstructure:"auth"`
	// TLS configures connections to an amqps endpoint. Default: none.
	TLS configoptional.Optional[configtls.ClientConfig] `mapstructure:"tls"`
	// Exchange is the name of the exchange.
	Exchange string `mapstructure:"exchange"`
	// Queue is the start of the names of queues: each organization has one, QUEUE.ORG, and retry queues.
	Queue string `mapstructure:"queue"`
	// DeadLetterQueue is the name of the queue of dead letters.
	DeadLetterQueue string `mapstructure:"dead_letter_queue"`
	// Prefetch bounds the jobs that a replica holds; it is divided by its organizations, each of which has at least
	// backfill::consumer_count.
	Prefetch int `mapstructure:"prefetch"`
	// Unavailable is wait (the replica is not ready until RabbitMQ is back) or memory (the jobs of the leader go
	// through a queue in its process meanwhile).
	Unavailable string `mapstructure:"unavailable"`

	_ struct{}
}

// RabbitMQAuthConfig is the authentication: exactly one of its fields is set.
type RabbitMQAuthConfig struct {
	// Plain authenticates with a user name and a password.
	Plain *RabbitMQPlainConfig `mapstructure:"plain"`
	// External authenticates with the certificate of tls: {}.
	External *RabbitMQExternalConfig `mapstructure:"external"`

	_ struct{}
}

// RabbitMQPlainConfig is a user name and a password.
type RabbitMQPlainConfig struct {
	// Username is the name of the user. Default: required.
	Username string `mapstructure:"username"`
	// Password is the password of the user.
	Password configopaque.String `mapstructure:"password"`

	_ struct{}
}

// RabbitMQExternalConfig has no settings: the certificate is in the settings of TLS.
type RabbitMQExternalConfig struct{ _ struct{} }

func defaultRabbitMQ() RabbitMQConfig {
	return RabbitMQConfig{
		TLS:      configoptional.Default(configtls.NewDefaultClientConfig()),
		Exchange: "gh.backfill", Queue: "gh.backfill.jobs", DeadLetterQueue: "gh.backfill.dlq",
		Prefetch: 8, Unavailable: unavailableWait,
	}
}

// Enabled reports whether RabbitMQ is configured.
func (c *RabbitMQConfig) Enabled() bool { return c.Endpoint != "" }

// Validate checks the names, the limits and, where there is an endpoint, its encryption and that exactly one
// authentication is set.
func (c *RabbitMQConfig) Validate() error {
	errs := []error{
		configcheck.OneOf("unavailable", c.Unavailable, unavailableWait, unavailableMemory),
		configcheck.IntBetween("prefetch", c.Prefetch, 1, 65_535),
	}
	names := make(map[string]string)
	for field, name := range map[string]string{"queue": c.Queue, "dead_letter_queue": c.DeadLetterQueue} {
		if before, twice := names[name]; twice {
			errs = append(errs, fmt.Errorf("%s: %q like %s, want two queues", field, name, before))
		}
		names[name] = field
	}
	for field, name := range map[string]string{
		"exchange": c.Exchange, "queue": c.Queue,
		"dead_letter_queue": c.DeadLetterQueue,
	} {
		if name == "" || len(name) > 200 || strings.HasPrefix(name, "amq.") || strings.ContainsAny(name, "\r\n\t ") {
			errs = append(errs, fmt.Errorf(
				"%s: %s, want a name without blanks, not one of the broker's own that begin with amq",
				field, configcheck.QuoteUnlessSecret(name)))
		}
	}
	if c.Enabled() {
		errs = append(errs, c.validateEndpoint(), c.validateAuth())
	} else if c.Auth.Plain != nil || c.Auth.External != nil || c.TLS.HasValue() {
		errs = append(errs,
			errors.New("endpoint: empty, want amqp://host:port/vhost (is the environment variable set?)"))
	}
	return errors.Join(errs...)
}

// address returns the parsed endpoint; nil when there is none. Its errors never contain the endpoint.
func (c *RabbitMQConfig) address() (*url.URL, error) {
	if !c.Enabled() {
		return nil, nil //nolint:nilnil // there is none
	}
	return configcheck.URLs{
		Schemes: []string{"amqp", "amqps"}, Want: "want amqp://host:port/vhost or amqps://host:port/vhost",
		Remedy: "user name and password go into auth::plain",
	}.Parse("endpoint", c.Endpoint)
}

func (c *RabbitMQConfig) validateEndpoint() error {
	u, err := c.address()
	switch {
	case err != nil:
		return err
	case u.Scheme == "amqp" && c.TLS.HasValue():
		return fmt.Errorf("tls: with the endpoint amqp://%s, want one that begins with amqps", u.Host)
	case u.Scheme == "amqp" && c.Auth.External != nil:
		return fmt.Errorf(
			"auth::external: with the endpoint amqp://%s, want one that begins with amqps, and a certificate in tls",
			u.Host)
	default:
		return nil
	}
}

func (c *RabbitMQConfig) validateAuth() error {
	if (c.Auth.Plain == nil) == (c.Auth.External == nil) {
		return errors.New("auth: want exactly one of plain, external")
	}
	if plain := c.Auth.Plain; plain != nil && plain.Username == "" {
		return errors.New("auth::plain::username: empty, want a user of the broker (is the environment variable set?)")
	}
	return nil
}

// loadTLS returns the TLS settings for amqps; nil, the defaults of the system, where none are configured.
func (c *RabbitMQConfig) loadTLS(ctx context.Context) (*tls.Config, error) {
	if !c.TLS.HasValue() {
		return nil, nil //nolint:nilnil // the library's defaults
	}
	settings, err := c.TLS.Get().LoadTLSConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return settings, nil
}
