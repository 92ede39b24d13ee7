// Package redisconn connects to Redis as the configuration says. Receiver and extension share its settings.
package redisconn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
)

// The modes.
const (
	Standalone = "standalone"
	Sentinel   = "sentinel"
	Cluster    = "cluster"
)

const (
	timeout = 3 * time.Second
	// maxRetries repeats a command whose connection broke, as in a failover. All commands here may be repeated.
	maxRetries = 2
	// reloadInterval is how old the knowledge of a cluster's nodes may be: who took over for a master that died is found
	// in no other way.
	reloadInterval = 2 * time.Second
)

// Config is how Redis is reached.
type Config struct {
	// Mode is standalone, sentinel or cluster.
	Mode string `mapstructure:"mode"`
	// Endpoints are host:port of the server, of Sentinels or of some of the cluster's nodes.
	Endpoints []string `mapstructure:"endpoints"`
	// MasterName is the name of the master that the Sentinels watch.
	MasterName string `mapstructure:"master_name"`
	// Username and Password are of an ACL user; without a username the default user's password.
	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`
	// SentinelUsername and SentinelPassword are of the Sentinels themselves.
	SentinelUsername string              `mapstructure:"sentinel_username"`
	SentinelPassword configopaque.String `mapstructure:"sentinel_password"`
	// DB is the number of the database; a cluster has only 0.
	DB int `mapstructure:"db"`
	// TLS encrypts connections when it is there and not insecure.
	TLS configoptional.Optional[configtls.ClientConfig] `mapstructure:"tls"`
	// KeyPrefix begins the names of all keys.
	KeyPrefix string `mapstructure:"key_prefix"`

	_ struct{}
}

// Default is the configuration of which only the endpoints are left to say.
func Default() Config {
	return Config{Mode: Standalone, KeyPrefix: "gx", TLS: configoptional.Default(configtls.NewDefaultClientConfig())}
}

// Enabled reports whether Redis is configured at all.
func (c *Config) Enabled() bool { return len(c.Endpoints) > 0 }

// Check refuses what cannot work. It is not called Validate, which the collector would call besides that of the block
// around it.
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
		errs = append(errs, fmt.Errorf("master_name: %s, want the master's name with mode sentinel, and nothing otherwise",
			configcheck.QuoteUnlessSecret(c.MasterName)))
	}
	if c.Mode == Cluster && c.DB != 0 {
		errs = append(errs, fmt.Errorf("db: %d, want 0 with mode cluster", c.DB))
	}
	if c.KeyPrefix == "" || strings.ContainsAny(c.KeyPrefix, "{} \t\r\n") {
		errs = append(errs, fmt.Errorf("key_prefix: %s, want a name without braces and blanks", configcheck.QuoteUnlessSecret(c.KeyPrefix)))
	}
	return errors.Join(errs...)
}

// CheckAddresses refuses endpoints that are no addresses. It is for those who read the configuration: what may hold a
// password must not get as far as a configuration that is printed.
func (c *Config) CheckAddresses() error {
	const credentials = "the password goes into password, the user name into username, the number of the database into db, " +
		"and rediss or ssl becomes tls: {}"
	var errs []error
	for i, endpoint := range c.Endpoints {
		errs = append(errs, configcheck.HostPort(fmt.Sprintf("endpoints::%d", i), endpoint, credentials))
	}
	return errors.Join(errs...)
}

// checkUnused refuses settings of a Redis that is not there: an endpoint was forgotten, or its variable is empty.
func (c *Config) checkUnused() error {
	if c.Mode != Standalone || c.MasterName != "" || c.Username != "" || c.Password != "" || c.TLS.HasValue() {
		return errors.New("endpoints: the list is empty, want host:port of Redis")
	}
	return nil
}

// silenceLibrary keeps the library's own lines out of the collector's log: what it has to say comes as errors, too.
var silenceLibrary = sync.OnceFunc(func() { redis.SetLogger(&logging.VoidLogger{}) })

// Connect makes a client. It does not wait for Redis, neither does the client's Close.
func (c *Config) Connect(ctx context.Context) (redis.UniversalClient, error) {
	options := &redis.UniversalOptions{
		Addrs: c.Endpoints, MasterName: c.MasterName, IsClusterMode: c.Mode == Cluster,
		Username: c.Username, Password: string(c.Password), DB: c.DB,
		SentinelUsername: c.SentinelUsername, SentinelPassword: string(c.SentinelPassword),
		DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, ContextTimeoutEnabled: true, MaxRetries: maxRetries,
		ClientName: "githubexporter", DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	silenceLibrary()
	if c.TLS.HasValue() {
		tls, err := c.TLS.Get().LoadTLSConfig(ctx)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		options.TLSConfig = tls
	}
	connections := newConnections(options.TLSConfig)
	options.Dialer = connections.dial
	universal := c.newClient(options, connections)
	universal.AddHook(abortCauseHook{})
	return &client{UniversalClient: universal, connections: connections}, nil
}

// newClient makes the library's client for the mode.
func (c *Config) newClient(options *redis.UniversalOptions, connections *connections) redis.UniversalClient {
	switch c.Mode {
	case Cluster:
		cluster := options.Cluster()
		cluster.ClusterStateReloadInterval, cluster.DialerRetryBackoff = reloadInterval, connections.retryBackoff
		return redis.NewClusterClient(cluster)
	case Sentinel:
		failover := options.Failover()
		failover.DialerRetryBackoff = connections.retryBackoff
		return redis.NewFailoverClient(failover)
	default:
		simple := options.Simple()
		simple.DialerRetryBackoff = connections.retryBackoff
		return redis.NewClient(simple)
	}
}

// abortCauseHook replaces the error of a transaction that Redis did not execute by the one that says why, such as OOM:
// EXECABORT says no more than that a command was refused.
type abortCauseHook struct{}

// DialHook implements redis.Hook.
func (abortCauseHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (abortCauseHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (abortCauseHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err == nil || !isAbort(err) {
			return err
		}
		for _, cmd := range cmds {
			if reason := cmd.Err(); reason != nil && !isAbort(reason) {
				return reason
			}
		}
		return err
	}
}

func isAbort(err error) bool { return strings.HasPrefix(err.Error(), "EXECABORT") }
