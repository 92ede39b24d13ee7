// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/redisclaims"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget/redisbudget"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/fallback"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/redisstore"
	"github.com/seed-358c4d9d/githubexporter/internal/redisconn"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// sizer reports how large an organization's ledger is.
type sizer interface {
	Sizes(org string) (series, events int)
}

// backend is the store that the configuration chose, with the parts that depend on the choice.
type backend struct {
	ledger.Store
	sizer

	// close closes the store and what it opened.
	close func(ctx context.Context) error
	// connection is the connection to Redis; nil for a store in this process.
	connection *connection
	// probe finds out whether the store can be written to; nil for a store in memory.
	probe *storeProbe
	// isInFallback reports whether the store works in memory without Redis; nil where it never does.
	isInFallback func() bool
	// budget returns the budget of a credential's limits.
	budget func(credential string) budget.Budget
	// claims are those of backfill jobs; nil where the store is not shared.
	claims backfill.Claims
	// probeRequested has a token when the state of the store or of a view may have changed.
	probeRequested wakeup.Signal
	// corrupt is the number of corrupt records that were read from the store.
	corrupt atomic.Int64
	follow  followErrors
}

// storeProbe finds out whether the store can be written to.
type storeProbe struct {
	dependency string // name of the store among the dependencies
	// ping returns why the store cannot be written to, nil when it can.
	ping func(ctx context.Context) error
}

// connection closes a connection once. It is safe for concurrent use.
type connection struct {
	io.Closer

	once sync.Once
	err  error
}

// Close implements io.Closer. Operations that wait for the server fail. Further calls return the result of the first.
func (c *connection) Close() error {
	c.once.Do(func() { c.err = c.Closer.Close() })
	return c.err
}

// interrupt makes operations fail that still wait for the store's server.
func (b *backend) interrupt() {
	if b.connection != nil {
		_ = b.connection.Close() // close returns the error
	}
}

// followErrors has why organizations cannot be followed. The zero value has none. It is safe for concurrent use.
type followErrors struct {
	mu   sync.Mutex
	orgs map[string]error
}

// set sets the error of an organization; nil when it can be followed again.
func (f *followErrors) set(org string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.orgs == nil {
		f.orgs = make(map[string]error)
	}
	f.orgs[org] = err
}

// errorOf returns the error of an organization; nil when it can be followed.
func (f *followErrors) errorOf(org string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.orgs[org]
}

// followError returns why an organization cannot be followed; nil when it can. In fallback it follows memory.
func (b *backend) followError(org string) error {
	if b.isInFallback != nil {
		return nil
	}
	return b.follow.errorOf(org)
}

// shutdownGrace is the time that work has to end by itself at shutdown, before interrupt.
const shutdownGrace = 700 * time.Millisecond

// openBackend opens the store that the configuration chose. Its error is one of the configuration, or of a storage
// extension; it does not wait for Redis.
func openBackend(
	ctx context.Context, config *Config, settings receiver.Settings, host component.Host,
) (*backend, error) {
	if config.Redis.Enabled() {
		return openRedis(ctx, config, settings)
	}
	if config.Storage == "" {
		settings.Logger.Warn("No storage is configured: the state is in memory, and every restart reads the " +
			"look-back again and starts the cumulative sums from zero.")
		store := memstore.New(memstore.Settings{MaxSeries: config.MaxSeries})
		return &backend{
			Store: store, sizer: store, probeRequested: wakeup.NewSignal(), budget: localBudget,
			close: func(context.Context) error { return nil },
		}, nil
	}
	client, err := openStorage(ctx, config.Storage, settings, host)
	if err != nil {
		return nil, err
	}
	b := &backend{
		probeRequested: wakeup.NewSignal(), budget: localBudget, close: client.Close,
		probe: &storeProbe{dependency: health.Storage, ping: client.ping},
	}
	client.state.onChange = b.probeRequested.Notify
	store := extstore.New(client, extstore.Settings{
		MaxSeries: config.MaxSeries,
		OnCorrupt: b.reportCorrupt(settings.Logger),
	})
	b.Store, b.sizer = store, store
	return b, nil
}

// reportCorrupt returns a function that counts and logs a corrupt record of the store.
func (b *backend) reportCorrupt(logger *zap.Logger) func(key string, err error) {
	return func(key string, err error) {
		b.corrupt.Add(1)
		logger.Error("Ignoring a corrupt record of the store.", zap.String("key", key), zap.Error(err))
	}
}

// openRedis opens a store on Redis. It does not wait for Redis.
func openRedis(ctx context.Context, config *Config, settings receiver.Settings) (*backend, error) {
	client, err := config.Redis.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	b := &backend{probeRequested: wakeup.NewSignal(), connection: &connection{Closer: client}}
	b.close = func(context.Context) error { return b.connection.Close() }
	var refresh time.Duration
	if config.Snapshot == snapshotFull {
		refresh = config.EmitInterval
	}
	store := redisstore.New(client, redisstore.Settings{
		Prefix: config.Redis.KeyPrefix, Now: time.Now, MaxSeries: config.MaxSeries, SnapshotInterval: refresh,
		OnCorrupt: b.reportCorrupt(settings.Logger),
		OnDamaged: func(org string) {
			settings.Logger.Warn("Keys of the ledger are missing from Redis. Deleting the rest of it and "+
				"re-reading the organization from GitHub; its sums restart from zero. Check that nothing deletes "+
				"keys and that maxmemory-policy is noeviction.", zap.String("org", org))
		},
		OnLost: func(org string) {
			settings.Logger.Warn("Redis lost the last writes of this replica, as after a failover; re-reading "+
				"them from GitHub.", zap.String("org", org))
		},
		OnFollowError: func(org string, err error) {
			if err != nil {
				settings.Logger.Warn("Failed to read Redis; metrics keep their last values.",
					zap.String("org", org), zap.Error(err))
			} else {
				settings.Logger.Info("Redis can be read again.", zap.String("org", org))
			}
			b.follow.set(org, err)
			b.probeRequested.Notify()
		},
	})
	b.Store, b.sizer = store, store
	risks := redisconn.NewRiskWatch(client, logRedisRisks(settings.Logger))
	b.probe = &storeProbe{dependency: health.Redis, ping: func(ctx context.Context) error {
		err := store.Ping(ctx)
		risks.Refresh(ctx, err == nil)
		return err
	}}
	b.claims = redisclaims.New(client, redisclaims.Settings{
		Prefix: config.Redis.KeyPrefix, TTL: 2 * config.Backfill.DedupTTL, OnCorrupt: b.reportCorrupt(settings.Logger),
	})
	b.budget = func(credential string) budget.Budget {
		return redisbudget.New(client, redisbudget.Settings{
			Prefix: config.Redis.KeyPrefix, Credential: credential, OnDegraded: logBudgetState(settings.Logger),
		})
	}
	if config.Redis.Unavailable == unavailableMemory {
		b.enableFallback(store, config, settings.Logger) //nolint:contextcheck // it lives until it is closed
	}
	return b, nil
}

// logRedisRisks returns a function that logs the settings of Redis that put the ledger at risk, or that there are none.
func logRedisRisks(logger *zap.Logger) func(risks []string) {
	return func(risks []string) {
		if len(risks) == 0 {
			logger.Info("The settings of Redis no longer put the ledger at risk.")
			return
		}
		logger.Warn("The settings of Redis put the ledger at risk: lost data is re-read from GitHub, and "+
			"cumulative sums restart from zero. Set maxmemory-policy to noeviction and appendonly to yes, or use "+
			"a separate Redis.",
			zap.String("settings", strings.Join(risks, "; ")))
	}
}

// localBudget returns a budget that only this process uses.
func localBudget(string) budget.Budget { return &budget.Local{} }

// logBudgetState returns a function that logs an error of the shared budget, or with nil that it is used again.
func logBudgetState(logger *zap.Logger) func(err error) {
	return func(err error) {
		if err != nil {
			logger.Warn("Failed to read the shared GitHub budget from Redis; using this replica's own counts.",
				zap.Error(err))
		} else {
			logger.Info("The shared GitHub budget in Redis is used again.")
		}
	}
}

// enableFallback makes the store work in memory while Redis is unavailable.
func (b *backend) enableFallback(store *redisstore.Store, config *Config, logger *zap.Logger) {
	var orgs []string
	for i := range config.Orgs {
		orgs = append(orgs, config.Orgs[i].Name)
	}
	memory := fallback.New(store, orgs, config.MaxSeries, func(isDegraded bool) {
		if isDegraded {
			logger.Error("Redis is unavailable; continuing in memory. New records are replayed to Redis when it " +
				"recovers.")
		} else {
			logger.Warn("Redis recovered; the records held in memory were replayed to it.")
		}
		b.probeRequested.Notify()
	})
	b.Store, b.sizer, b.isInFallback = memory, memory, memory.IsDegraded
	b.close = func(context.Context) error {
		interrupt := time.AfterFunc(shutdownGrace, b.interrupt)
		defer interrupt.Stop()
		memory.Close()
		return b.connection.Close()
	}
}
