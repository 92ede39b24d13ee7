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
	"go.opentelemetry.io/collector/extension/xextension/storage"
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

// backend is the store that the configuration chose.
type backend struct {
	ledger.Store
	sizer
	close func(ctx context.Context) error
	// connection is what the store waits for; nil for a store in this process.
	connection io.Closer
	// ping asks whether the store can be written to, and dependency is its name; nil for a store in memory.
	ping       func(ctx context.Context) error
	dependency string
	// isInFallback reports whether the store goes on in memory without Redis; nil where it never does.
	isInFallback func() bool
	// budget makes the budget of a credential's limits.
	budget func(credential string) budget.Budget
	// claims are of backfill jobs; nil where the store is not shared.
	claims backfill.Claims
	// probeRequested has a token when there may be something new about the store or the views.
	probeRequested wakeup.Signal
	// corrupt counts records of the store that could not be what was written.
	corrupt atomic.Int64

	disconnectOnce sync.Once
	disconnectErr  error

	mu           sync.Mutex
	followErrors map[string]error // of following, by organization
}

// interrupt ends what waits for an answer of the store.
func (b *backend) interrupt() { _ = b.disconnect() }

// disconnect may be called more than once.
func (b *backend) disconnect() error {
	if b.connection == nil {
		return nil
	}
	b.disconnectOnce.Do(func() { b.disconnectErr = b.connection.Close() })
	return b.disconnectErr
}

// setFollowError notes that an organization cannot be followed, or can be again.
func (b *backend) setFollowError(org string, err error) {
	b.mu.Lock()
	if b.followErrors == nil {
		b.followErrors = make(map[string]error)
	}
	b.followErrors[org] = err
	b.mu.Unlock()
	b.requestProbe()
}

// requestProbe asks for a probe now.
func (b *backend) requestProbe() {
	b.probeRequested.Notify()
}

func (b *backend) followError(org string) error {
	if b.isInFallback != nil {
		return nil // what is followed is in memory
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.followErrors[org]
}

func openBackend(ctx context.Context, config *Config, settings receiver.Settings, host component.Host) (*backend,
	error,
) {
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
	client, err := storageClient(ctx, config.Storage, settings, host)
	if err != nil {
		return nil, err
	}
	b := &backend{
		probeRequested: wakeup.NewSignal(), budget: localBudget, close: client.Close, ping: client.ping,
		dependency: health.Storage,
	}
	client.state.changed = b.requestProbe
	store := extstore.New(client, extstore.Settings{
		MaxSeries: config.MaxSeries,
		OnCorrupt: b.reportCorrupt(settings.Logger),
	})
	b.Store, b.sizer = store, store
	return b, nil
}

// reportCorrupt counts and logs a record that cannot be what was written.
func (b *backend) reportCorrupt(logger *zap.Logger) func(key string, err error) {
	return func(key string, err error) {
		b.corrupt.Add(1)
		logger.Error("Ignoring a corrupt record of the store.", zap.String("key", key), zap.Error(err))
	}
}

// openRedis makes a store on Redis. It does not wait for Redis.
func openRedis(ctx context.Context, config *Config, settings receiver.Settings) (*backend, error) {
	client, err := config.Redis.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	b := &backend{probeRequested: wakeup.NewSignal(), connection: client}
	b.close = func(context.Context) error { return b.disconnect() }
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
			b.setFollowError(org, err)
		},
	})
	b.Store, b.sizer, b.dependency = store, store, health.Redis
	risks := redisconn.NewRiskWatch(client, logRedisRisks(settings.Logger))
	b.ping = func(ctx context.Context) error {
		err := store.Ping(ctx)
		risks.Refresh(ctx, err == nil)
		return err
	}
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

// logRedisRisks logs the settings of Redis that endanger the ledger.
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

func localBudget(string) budget.Budget { return &budget.Local{} }

// logBudgetState says that GitHub's limits are not shared.
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

// enableFallback goes on in memory while Redis is down.
func (b *backend) enableFallback(store *redisstore.Store, config *Config, logger *zap.Logger) {
	var orgs []string
	for i := range config.Orgs {
		orgs = append(orgs, config.Orgs[i].Name)
	}
	alone := fallback.New(store, orgs, config.MaxSeries, func(alone bool) {
		if alone {
			logger.Error("Redis is unavailable; continuing in memory. New records are replayed to Redis when it " +
				"recovers.")
		} else {
			logger.Warn("Redis recovered; the records held in memory were replayed to it.")
		}
		b.requestProbe()
	})
	b.Store, b.sizer, b.isInFallback = alone, alone, alone.IsDegraded
	b.close = func(context.Context) error {
		interrupt := time.AfterFunc(shutdownGrace, b.interrupt)
		defer interrupt.Stop()
		alone.Close()
		return b.disconnect()
	}
}

func storageClient(
	ctx context.Context, name string, settings receiver.Settings, host component.Host,
) (*storageGuard, error) {
	var id component.ID
	if err := id.UnmarshalText([]byte(name)); err != nil {
		return nil, fmt.Errorf("storage: %q: %w", name, err)
	}
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return nil, fmt.Errorf(
			"storage: there is no extension %q, want the id of one under extensions and service::extensions", name)
	}
	provider, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf(
			"storage: the extension %q stores nothing, want a storage extension such as file_storage", name)
	}
	guard := &storageGuard{
		extension: name, file: strings.Join([]string{"receiver", settings.ID.Type().String(), settings.ID.Name()}, "_"),
	}
	// The database checks the file in a goroutine of its own, whose panic ends the process: only a line before it can
	// explain it.
	settings.Logger.Info("Opening the state in the storage extension. If the process ends here in go.etcd.io/bbolt, "+
		"the file is damaged: "+moveAway+".",
		zap.String("storage", name), zap.String("file", guard.file))
	err := guard.recoverDamage(func() (err error) {
		guard.client, err = provider.GetClient(ctx, component.KindReceiver, settings.ID, "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("storage: open %q: %w", name, err)
	}
	return guard, nil
}
