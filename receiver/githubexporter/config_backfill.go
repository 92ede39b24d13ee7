package githubexporter

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
)

// RabbitMQConfig is how the queue of backfill jobs is reached.
type RabbitMQConfig struct {
	// Endpoint is amqp://host:port/vhost, or amqps:// with TLS, without credentials. Empty: the queue is in the process.
	Endpoint string `mapstructure:"endpoint"`
	// Auth is how the client authenticates.
	Auth RabbitMQAuthConfig `mapstructure:"auth"`
	// TLS is for amqps.
	TLS configoptional.Optional[configtls.ClientConfig] `mapstructure:"tls"`
	// Exchange, Queue and DeadLetterQueue are names. Those of the retry queues are made of Queue.
	Exchange        string `mapstructure:"exchange"`
	Queue           string `mapstructure:"queue"`
	DeadLetterQueue string `mapstructure:"dead_letter_queue"`
	// Prefetch is how many jobs this replica holds that are not done.
	Prefetch int `mapstructure:"prefetch"`
	// Unavailable is wait (not ready until RabbitMQ is back) or memory (the jobs of the leader go through a queue in its
	// process meanwhile).
	Unavailable string `mapstructure:"unavailable"`

	_ struct{}
}

// RabbitMQAuthConfig has exactly one of its mechanisms.
type RabbitMQAuthConfig struct {
	// Plain is a name and a password.
	Plain *RabbitMQPlainConfig `mapstructure:"plain"`
	// External is the certificate of the TLS client.
	External *RabbitMQExternalConfig `mapstructure:"external"`

	_ struct{}
}

// RabbitMQPlainConfig is a name and a password.
type RabbitMQPlainConfig struct {
	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`

	_ struct{}
}

// RabbitMQExternalConfig has no settings: the certificate is in the settings of TLS.
type RabbitMQExternalConfig struct{ _ struct{} }

// BackfillConfig is how windows that were missed are read later.
type BackfillConfig struct {
	// Enabled makes jobs of missed windows. Otherwise passes read the last 24 h of them, and what is older stays missing.
	Enabled bool `mapstructure:"enabled"`
	// MaxMessageAge is how old a job may be; what an older one was for is found again.
	MaxMessageAge time.Duration `mapstructure:"max_message_age"`
	// ConsumerCount is how many jobs a replica works on at a time.
	ConsumerCount int `mapstructure:"consumer_count"`
	// RequeueDelays are the waits after failed attempts, ascending; the last one goes on.
	RequeueDelays []time.Duration `mapstructure:"requeue_delays"`
	// MaxAttempts is how often a job may fail before it goes to the dead-letter queue.
	MaxAttempts int `mapstructure:"max_attempts"`
	// CoalesceWindow is the step to which windows are aligned: missing windows that are closer become one job.
	CoalesceWindow time.Duration `mapstructure:"coalesce_window"`
	// DedupTTL is how long the claim of a job may go without a refresh before the job is published again.
	DedupTTL time.Duration `mapstructure:"dedup_ttl"`
	// MaxEnqueuesPerOrgPerMinute bounds the jobs of an organization; the rest is deferred.
	MaxEnqueuesPerOrgPerMinute int `mapstructure:"max_enqueues_per_org_per_minute"`
	// SweepInterval is how often gaps without a job are looked for, beside the end of each pass.
	SweepInterval time.Duration `mapstructure:"sweep_interval"`

	_ struct{}
}

func defaultRabbitMQ() RabbitMQConfig {
	return RabbitMQConfig{
		TLS:      configoptional.Default(configtls.NewDefaultClientConfig()),
		Exchange: "gh.backfill", Queue: "gh.backfill.jobs", DeadLetterQueue: "gh.backfill.dlq",
		Prefetch: 8, Unavailable: unavailableWait,
	}
}

func defaultBackfill() BackfillConfig {
	return BackfillConfig{
		Enabled: true, MaxMessageAge: 24 * time.Hour, ConsumerCount: 2,
		RequeueDelays: []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour},
		MaxAttempts:   7, CoalesceWindow: 15 * time.Minute, DedupTTL: 12 * time.Hour,
		MaxEnqueuesPerOrgPerMinute: 100, SweepInterval: 5 * time.Minute,
	}
}

// Enabled reports whether RabbitMQ is configured at all.
func (c *RabbitMQConfig) Enabled() bool { return c.Endpoint != "" }

// Validate checks the names and, where there is an endpoint, that with exactly one mechanism of authentication.
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
	for field, name := range map[string]string{"exchange": c.Exchange, "queue": c.Queue, "dead_letter_queue": c.DeadLetterQueue} {
		if name == "" || len(name) > 200 || strings.HasPrefix(name, "amq.") || strings.ContainsAny(name, "\r\n\t ") {
			errs = append(errs, fmt.Errorf("%s: %s, want a name without blanks, not one of the broker's own that begin with amq",
				field, configcheck.QuoteUnlessSecret(name)))
		}
	}
	if c.Enabled() {
		errs = append(errs, c.validateEndpoint(), c.validateAuth())
	} else if c.Auth.Plain != nil || c.Auth.External != nil || c.TLS.HasValue() {
		errs = append(errs, errors.New("endpoint: empty, want amqp://host:port/vhost (is the environment variable set?)"))
	}
	return errors.Join(errs...)
}

// address is the endpoint; nil when there is none. Its error never shows it.
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
		return fmt.Errorf("auth::external: with the endpoint amqp://%s, want one that begins with amqps, and a certificate in tls",
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

// retries are the rules by which all queues judge.
func (c *BackfillConfig) retries() backfill.RetryPolicy {
	return backfill.RetryPolicy{Delays: c.RequeueDelays, MaxAttempts: c.MaxAttempts}
}

// Validate checks the ranges. The delays must ascend, and a claim must outlast a sweep.
func (c *BackfillConfig) Validate() error {
	errs := []error{
		configcheck.DurationBetween("max_message_age", c.MaxMessageAge, time.Minute, 30*24*time.Hour),
		configcheck.IntBetween("consumer_count", c.ConsumerCount, 1, 100),
		configcheck.IntBetween("max_attempts", c.MaxAttempts, 1, 1000),
		configcheck.DurationBetween("coalesce_window", c.CoalesceWindow, time.Second, 24*time.Hour),
		configcheck.DurationBetween("sweep_interval", c.SweepInterval, time.Second, 24*time.Hour),
		configcheck.DurationBetween("dedup_ttl", c.DedupTTL, c.SweepInterval, 30*24*time.Hour),
		configcheck.IntBetween("max_enqueues_per_org_per_minute", c.MaxEnqueuesPerOrgPerMinute, 1, 1_000_000),
	}
	if len(c.RequeueDelays) == 0 || len(c.RequeueDelays) > 10 {
		errs = append(errs, fmt.Errorf("requeue_delays: %d, want 1 to 10", len(c.RequeueDelays)))
	}
	for i, delay := range c.RequeueDelays {
		field := fmt.Sprintf("requeue_delays::%d", i)
		errs = append(errs, configcheck.DurationBetween(field, delay, time.Second, 7*24*time.Hour))
		if i > 0 && delay <= c.RequeueDelays[i-1] {
			errs = append(errs, fmt.Errorf("%s: %s, want more than the %s before it", field, delay, c.RequeueDelays[i-1]))
		}
	}
	return errors.Join(errs...)
}
