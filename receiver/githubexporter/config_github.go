package githubexporter

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/pattern"
)

const (
	botsInclude = "include"
	botsExclude = "exclude"

	labelLogin  = "login"
	labelID     = "id"
	labelHashed = "hashed"
	labelNone   = "none"
)

// Validate checks the addresses. Credentials belong to the organizations and are refused here.
func (c *GitHubConfig) Validate() error {
	errs := []error{
		c.checkAddresses(), c.checkAPI(),
		c.checkEncryption("endpoint", c.Endpoint),
		c.checkEncryption("graphql_endpoint", c.GraphQLEndpoint),
		configcheck.DurationBetween("timeout", c.Timeout, minInterval, time.Hour),
		configcheck.OneOf("api", c.API, string(github.APIGraphQL), string(github.APIREST)),
	}
	if c.Auth.HasValue() {
		errs = append(errs, errors.New("auth: not here, want orgs::N::auth, where each organization has its own credential"))
	}
	for name := range c.Headers.Iter {
		if strings.EqualFold(name, "Authorization") {
			errs = append(errs, errors.New("headers: Authorization is not allowed, want orgs::N::auth"))
		}
	}
	return errors.Join(errs...)
}

// addresses are the settings that take a URL, with what they take.
func (c *GitHubConfig) addresses() map[string]configcheck.URLs {
	api := configcheck.URLs{
		Schemes: []string{"https", "http"}, Want: "want an https URL such as https://api.github.com or https://HOST/api/v3",
		Remedy: "the credential goes into orgs::N::auth",
	}
	return map[string]configcheck.URLs{"endpoint": api, "graphql_endpoint": api, "proxy_url": {
		Schemes: []string{"http", "https", "socks5", "socks5h"}, Want: "want a URL such as http://proxy.example:3128",
		Remedy: "leave proxy_url out and give the URL with its user name and password to the process in HTTPS_PROXY",
	}}
}

// checkAddresses refuses URLs that are none, or that may hold a password.
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

// checkAPI refuses an endpoint at which there is no REST API, where that is known
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

// checkEncryption refuses a URL by which a credential would cross a network in the clear by accident.
func (c *GitHubConfig) checkEncryption(field, value string) error {
	u, err := url.Parse(value)
	if err == nil && u.Scheme == "http" && !loopback(u.Hostname()) && !c.TLS.Insecure {
		return fmt.Errorf("%s: http://%s would send credentials in the clear, want https (or tls::insecure: true to allow it)",
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

// Validate checks the connection and the value of unavailable.
func (c *RedisConfig) Validate() error {
	return errors.Join(c.Check(), configcheck.OneOf("unavailable", c.Unavailable, unavailableWait, unavailableMemory))
}

// Validate checks the ranges: at least one failure and one good probe, waits of at least a second.
func (c *HealthConfig) Validate() error {
	return errors.Join(
		configcheck.DurationBetween("probe_interval", c.ProbeInterval, minInterval, time.Hour),
		configcheck.IntBetween("failure_threshold", c.FailureThreshold, 1, 1_000_000),
		configcheck.DurationBetween("cooldown", c.Cooldown, minInterval, 24*time.Hour),
		configcheck.IntBetween("recover_threshold", c.RecoverThreshold, 1, 1000))
}

// Validate checks the enumerations and the patterns.
func (c *ActorsConfig) Validate() error {
	return errors.Join(
		configcheck.OneOf("bots", c.Bots, botsInclude, botsExclude),
		configcheck.OneOf("label", c.Label, labelLogin, labelID, labelHashed, labelNone),
		validPatterns("exclude", c.Exclude))
}

// validPatterns refuses texts that are no patterns of names.
func validPatterns(field string, patterns []string) error {
	var errs []error
	for i, p := range patterns {
		if _, err := pattern.Compile(p); err != nil {
			errs = append(errs, fmt.Errorf("%s::%d: %s, want a name or a pattern such as app-*", field, i, configcheck.QuoteUnlessSecret(p)))
		}
	}
	return errors.Join(errs...)
}
