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

// Validate refuses what cannot work.
func (c *GitHubConfig) Validate() error {
	errs := []error{
		c.validateURL("endpoint", c.Endpoint),
		configcheck.Between("timeout", c.Timeout, minInterval, time.Hour),
		configcheck.OneOf("api", c.API, string(github.APIGraphQL), string(github.APIREST)),
	}
	if c.GraphQLEndpoint != "" {
		errs = append(errs, c.validateURL("graphql_endpoint", c.GraphQLEndpoint))
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

// validateURL refuses what is no base URL of an API. A credential must not cross a network in the clear by accident.
func (c *GitHubConfig) validateURL(field, value string) error {
	const want = "want an https URL such as https://api.github.com or https://HOST/api/v3"
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return fmt.Errorf("%s: not a URL, %s", field, want) // the error would repeat a password in it
	case u.User != nil:
		return fmt.Errorf("%s: a URL with a user name in it, %s", field, want)
	case (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%s: %q, %s", field, value, want)
	case u.Scheme == "http" && !loopback(u.Hostname()) && !c.TLS.Insecure:
		return fmt.Errorf("%s: %q would send credentials in the clear, want https (or tls::insecure: true to allow it)", field, value)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Validate refuses what cannot work.
func (c *RetryConfig) Validate() error {
	return errors.Join(
		configcheck.BetweenInts("max_attempts", c.MaxAttempts, 1, 20),
		configcheck.Between("initial_interval", c.InitialInterval, time.Millisecond, time.Hour),
		configcheck.Between("max_interval", c.MaxInterval, c.InitialInterval, time.Hour))
}

// Validate refuses what cannot work.
func (c *RateLimitConfig) Validate() error {
	return errors.Join(
		configcheck.BetweenInts("min_remaining", c.MinRemaining, 0, 10_000),
		configcheck.Between("reset_buffer", c.ResetBuffer, 0, time.Hour),
		configcheck.Between("secondary_backoff", c.SecondaryBackoff, minInterval, time.Hour),
		configcheck.BetweenInts("max_concurrent_requests", c.MaxConcurrentRequests, 1, 100))
}

// Validate refuses what cannot work.
func (c *RedisConfig) Validate() error {
	return errors.Join(c.Check(), configcheck.OneOf("unavailable", c.Unavailable, unavailableWait, unavailableMemory))
}

// Validate refuses what cannot work.
func (c *HealthConfig) Validate() error {
	return errors.Join(
		configcheck.Between("probe_interval", c.ProbeInterval, minInterval, time.Hour),
		configcheck.BetweenInts("failure_threshold", c.FailureThreshold, 1, 1_000_000),
		configcheck.Between("cooldown", c.Cooldown, minInterval, 24*time.Hour),
		configcheck.BetweenInts("recover_threshold", c.RecoverThreshold, 1, 1000))
}

// Validate refuses what cannot work.
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
			errs = append(errs, fmt.Errorf("%s::%d: %q, want a name or a pattern such as app-*", field, i, p))
		}
	}
	return errors.Join(errs...)
}
