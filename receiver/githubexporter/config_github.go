// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

// GitHubConfig configures the requests to GitHub: the settings of the collector's HTTP client and those of this
// receiver.
type GitHubConfig struct {
	// The settings of the collector's HTTP client, except auth; those that this receiver checks or sets:
	//   - endpoint: The REST API: https://HOST/api/v3 for Enterprise Server, https://api.SUB.ghe.com with data
	//     residency.
	//   - timeout: The time-out of one attempt.
	//   - proxy_url: The proxy, without a user name and a password: set the environment variable HTTPS_PROXY for a
	//     proxy that needs them. Default: none.
	//   - tls: How certificates are checked, and with which one the client answers. Default: the machine's
	//     certificates.
	//   - headers: Headers that each request has. Authorization is refused. Default: none.
	confighttp.ClientConfig `mapstructure:",squash"`

	// GraphQLEndpoint is the GraphQL API, where it does not follow from the endpoint. Default: derived from endpoint.
	GraphQLEndpoint string `mapstructure:"graphql_endpoint"`
	// API is graphql (with REST where that costs less), or rest (REST alone, for proxies and servers without GraphQL,
	// or with an old one that lacks fields of the queries). Both give the same metrics; rest costs far more requests.
	API string `mapstructure:"api"`
	// Retry configures the attempts of a request after transient failures (5xx, time-outs, broken connections and
	// responses): exponential backoff with full jitter.
	Retry RetryConfig `mapstructure:"retry"`
	// RateLimit configures how much of GitHub's rate limits is used: see docs/github.md.
	RateLimit RateLimitConfig `mapstructure:"rate_limit"`
	// Health configures the probes of the dependencies and the cooldown of the requests.
	Health HealthConfig `mapstructure:"health"`

	_ struct{}
}

// RetryConfig configures the retries of failed requests: with exponential backoff and full jitter.
type RetryConfig struct {
	// MaxAttempts is the number of attempts of a request.
	MaxAttempts int `mapstructure:"max_attempts"`
	// InitialInterval is the bound of the wait before the second attempt; it doubles with each further one.
	InitialInterval time.Duration `mapstructure:"initial_interval"`
	// MaxInterval is the bound of all waits. At least initial_interval.
	MaxInterval time.Duration `mapstructure:"max_interval"`

	_ struct{}
}

// RateLimitConfig configures how much of GitHub's rate limits is used.
type RateLimitConfig struct {
	// MinRemaining is the number of requests of each primary limit of a credential that are never used; backfill leaves
	// a quarter of the limit free.
	MinRemaining int `mapstructure:"min_remaining"`
	// ResetBuffer is added to the time of the reset of a limit.
	ResetBuffer time.Duration `mapstructure:"reset_buffer"`
	// SecondaryBackoff is the first wait after a secondary limit without a Retry-After.
	SecondaryBackoff time.Duration `mapstructure:"secondary_backoff"`
	// MaxConcurrentRequests bounds the requests in flight of one credential, REST and GraphQL together, over all
	// organizations and (with redis) replicas that use it.
	MaxConcurrentRequests int `mapstructure:"max_concurrent_requests"`

	_ struct{}
}

func defaultGitHub() GitHubConfig {
	client := confighttp.NewDefaultClientConfig()
	client.Endpoint = "https://api.github.com"
	client.Timeout = 20 * time.Second
	return GitHubConfig{
		ClientConfig: client,
		API:          string(github.APIGraphQL),
		Retry:        RetryConfig{MaxAttempts: 5, InitialInterval: 2 * time.Second, MaxInterval: 30 * time.Second},
		RateLimit: RateLimitConfig{
			MinRemaining: 200, ResetBuffer: 10 * time.Second, SecondaryBackoff: time.Minute, MaxConcurrentRequests: 32,
		},
		Health: defaultHealth(),
	}
}

// Validate checks the addresses, their encryption, the API and the timeout. It refuses credentials: they belong to the
// organizations.
func (c *GitHubConfig) Validate() error {
	errs := []error{
		c.checkAddresses(), c.checkAPI(),
		c.checkEncryption("endpoint", c.Endpoint),
		c.checkEncryption("graphql_endpoint", c.GraphQLEndpoint),
		configcheck.DurationBetween("timeout", c.Timeout, minInterval, time.Hour),
		configcheck.OneOf("api", c.API, string(github.APIGraphQL), string(github.APIREST)),
	}
	if c.Auth.HasValue() {
		errs = append(errs, errors.New(
			"auth: not here, want orgs::N::auth, where each organization has its own credential"))
	}
	for name := range c.Headers.Iter {
		if strings.EqualFold(name, "Authorization") {
			errs = append(errs, errors.New("headers: Authorization is not allowed, want orgs::N::auth"))
		}
	}
	return errors.Join(errs...)
}

// addresses returns the settings that are URLs, by field, with the URLs that they accept.
func (c *GitHubConfig) addresses() map[string]configcheck.URLs {
	api := configcheck.URLs{
		Schemes: []string{"https", "http"}, Want: "want an https URL such as https://api.github.com or " +
			"https://HOST/api/v3",
		Remedy: "the credential goes into orgs::N::auth",
	}
	return map[string]configcheck.URLs{"endpoint": api, "graphql_endpoint": api, "proxy_url": {
		Schemes: []string{"http", "https", "socks5", "socks5h"}, Want: "want a URL such as http://proxy.example:3128",
		Remedy: "leave proxy_url out and give the URL with its user name and password to the process in HTTPS_PROXY",
	}}
}

// checkAddresses refuses texts that are no URL, and URLs that may contain a password.
func (c *GitHubConfig) checkAddresses() error {
	addresses := c.addresses()
	_, err := addresses["endpoint"].Parse("endpoint", c.Endpoint)
	errs := []error{err}
	for field, value := range map[string]string{"graphql_endpoint": c.GraphQLEndpoint, "proxy_url": c.ProxyURL} {
		if value != "" {
			_, err := addresses[field].Parse(field, value)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// checkAPI refuses an endpoint that is known to have no REST API
// (https://docs.github.com/rest/using-the-rest-api/getting-started-with-the-rest-api).
func (c *GitHubConfig) checkAPI() error {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil //nolint:nilerr // the address itself is refused
	}
	path, host := strings.TrimRight(u.Path, "/"), strings.ToLower(u.Hostname())
	tenant, hosted := strings.CutSuffix(host, ".ghe.com")
	tenant = tenant[strings.LastIndex(tenant, ".")+1:]
	switch {
	case host == "github.com" || host == "www.github.com" || (host == "api.github.com" && path != ""):
		return fmt.Errorf("endpoint: %s%s is not the API, want https://api.github.com", host, path)
	case hosted && (host != "api."+tenant+".ghe.com" || path != ""):
		return fmt.Errorf("endpoint: %s%s is not the API, want https://api.%s.ghe.com", host, path, tenant)
	case path == "/api/graphql" || path == "/graphql":
		return errors.New("endpoint: ends in /graphql, want the base URL of REST such as https://api.github.com " +
			"or https://HOST/api/v3: that of GraphQL follows from it")
	}
	return nil
}

// checkEncryption refuses a URL with which a credential would be sent without encryption over a network.
func (c *GitHubConfig) checkEncryption(field, value string) error {
	u, err := url.Parse(value)
	if err == nil && u.Scheme == "http" && !loopback(u.Hostname()) && !c.TLS.Insecure {
		return fmt.Errorf(
			"%s: http://%s would send credentials in the clear, want https (or tls::insecure: true to allow it)",
			field, u.Host)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Validate checks the ranges: 1 to 20 attempts, waits of up to an hour.
func (c *RetryConfig) Validate() error {
	return errors.Join(
		configcheck.IntBetween("max_attempts", c.MaxAttempts, 1, 20),
		configcheck.DurationBetween("initial_interval", c.InitialInterval, time.Millisecond, time.Hour),
		configcheck.DurationBetween("max_interval", c.MaxInterval, c.InitialInterval, time.Hour))
}

// Validate checks the ranges. Zero is allowed for min_remaining and reset_buffer.
func (c *RateLimitConfig) Validate() error {
	return errors.Join(
		configcheck.IntBetween("min_remaining", c.MinRemaining, 0, 10_000),
		configcheck.DurationBetween("reset_buffer", c.ResetBuffer, 0, time.Hour),
		configcheck.DurationBetween("secondary_backoff", c.SecondaryBackoff, minInterval, time.Hour),
		configcheck.IntBetween("max_concurrent_requests", c.MaxConcurrentRequests, 1, 100))
}
