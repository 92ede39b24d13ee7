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
	minLease = time.Second
	maxLease = time.Hour
	minRetry = 50 * time.Millisecond
)

// Config is the extension's configuration. It has exactly one of its backends.
type Config struct {
	// Static decides by configuration.
	Static *StaticConfig `mapstructure:"static"`
	// Redis keeps the lease in Redis.
	Redis *RedisConfig `mapstructure:"redis"`
	// Kubernetes keeps it in a Lease object.
	Kubernetes *KubernetesConfig `mapstructure:"kubernetes"`
	// LeaseDuration is how long a lease is held without being renewed: how long nobody leads after a leader died.
	LeaseDuration time.Duration `mapstructure:"lease_duration"`
	// RenewDeadline is how long a leader goes on without having renewed.
	RenewDeadline time.Duration `mapstructure:"renew_deadline"`
	// RetryPeriod is the time between two renewals.
	RetryPeriod time.Duration `mapstructure:"retry_period"`
	// Identity names this process in the lease. Empty: the host's name and a random part, new in every process.
	Identity string `mapstructure:"identity"`

	_ struct{}
}

// StaticConfig decides by configuration.
type StaticConfig struct {
	// Role is leader or follower.
	Role string `mapstructure:"role"`

	_ struct{}
}

// RedisConfig keeps the lease in Redis.
type RedisConfig struct {
	redisconn.Config `mapstructure:",squash"`

	_ struct{}
}

// KubernetesConfig keeps the lease in a Lease object.
type KubernetesConfig struct {
	// Namespace of the Lease. Empty: the pod's own.
	Namespace string `mapstructure:"namespace"`
	// LeaseName is the name of the Lease; those of single organizations have the organization's name behind it.
	LeaseName string `mapstructure:"lease_name"`
	// Kubeconfig is a file that says how the API server is reached. Empty: as a pod reaches it.
	Kubeconfig string `mapstructure:"kubeconfig"`

	_ struct{}
}

func createDefaultConfig() component.Config {
	return &Config{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second}
}

// Unmarshal reads the configuration. Unknown keys and wrong values are refused with what is allowed in their place.
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
	return configcheck.PrefixPath("redis", c.Redis.CheckAddresses())
}

// Validate refuses what cannot work.
func (c *Config) Validate() error {
	backends := 0
	for _, there := range []bool{c.Static != nil, c.Redis != nil, c.Kubernetes != nil} {
		if there {
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

func checkIdentity(identity string) error {
	if strings.ContainsAny(identity, " \t\r\n/") || len(identity) > 128 {
		return fmt.Errorf("identity: %s, want at most 128 characters without blanks and slashes, different in every process",
			configcheck.QuoteUnlessSecret(identity))
	}
	return nil
}

// Validate refuses what cannot work.
func (c *StaticConfig) Validate() error {
	return configcheck.OneOf("role", c.Role, roleLeader, roleFollower)
}

// Validate refuses what cannot work.
func (c *RedisConfig) Validate() error {
	if !c.Enabled() {
		return errors.New("endpoints: the list is empty, want host:port of Redis")
	}
	return c.Check()
}

// Validate refuses what cannot work.
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

func (c *Config) timing() election.Timing {
	return election.Timing{LeaseDuration: c.LeaseDuration, RenewDeadline: c.RenewDeadline, RetryPeriod: c.RetryPeriod}
}
