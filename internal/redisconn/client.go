// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisconn

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// maxRetries limits the retries of a command whose connection broke, as in a failover. All commands of this module
	// may be repeated.
	maxRetries = 2
	// reloadInterval is the time between two reads of a cluster's topology, the only way to find the replica that was
	// promoted for a dead master.
	reloadInterval = 2 * time.Second
)

// client is a client whose Close does not wait for Redis. The library's own Close waits for the replies of pending
// commands: in a failover, for as long as Redis blocks writes.
type client struct {
	redis.UniversalClient
	connections *connections
}

// Close closes the connections first, which fails the pending commands.
func (c *client) Close() error {
	c.connections.close()
	return c.UniversalClient.Close()
}

// silenceLibrary turns off the library's log. Commands return the same errors.
var silenceLibrary = sync.OnceFunc(func() { redis.SetLogger(&logging.VoidLogger{}) })

// Connect returns a client. Neither it nor the client's Close waits for Redis. Its error is that of the TLS settings.
func (c *Config) Connect(ctx context.Context) (redis.UniversalClient, error) {
	options := &redis.UniversalOptions{
		Addrs: c.Endpoints, MasterName: c.MasterName, IsClusterMode: c.Mode == Cluster,
		Username: c.Username, Password: string(c.Password), DB: c.DB,
		SentinelUsername: c.SentinelUsername, SentinelPassword: string(c.SentinelPassword),
		DialTimeout: ioTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout, ContextTimeoutEnabled: true,
		MaxRetries: maxRetries,
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

// newClient returns the library's client for the mode.
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

// abortCauseHook replaces the error EXECABORT of a transaction by the error of the command that caused it, such as OOM.
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

// isAbort reports whether an error is the EXECABORT of a transaction.
func isAbort(err error) bool { return strings.HasPrefix(err.Error(), "EXECABORT") }
