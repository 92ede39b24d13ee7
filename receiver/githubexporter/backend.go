package githubexporter

import (
	"context"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
)

// sizer tells how large an organization's ledger is.
type sizer interface {
	Sizes(org string) (series, events int)
}

// backend is the store that the configuration chose.
type backend struct {
	ledger.Store
	sizer
	close func(ctx context.Context) error
	// corrupt counts records of the store that could not be what was written.
	corrupt atomic.Int64
}

func openBackend(ctx context.Context, config *Config, settings receiver.Settings, host component.Host) (*backend, error) {
	if config.Storage == "" {
		settings.Logger.Warn("No storage is configured: the state is in memory, and every restart reads the look-back again " +
			"and starts the cumulative sums from zero.")
		store := memstore.New(memstore.Settings{MaxSeries: config.MaxSeries})
		return &backend{Store: store, sizer: store, close: func(context.Context) error { return nil }}, nil
	}
	client, err := storageClient(ctx, config.Storage, settings.ID, host)
	if err != nil {
		return nil, err
	}
	b := &backend{close: client.Close}
	store := extstore.New(client, extstore.Settings{
		MaxSeries: config.MaxSeries,
		OnCorrupt: func(key string, err error) {
			b.corrupt.Add(1)
			settings.Logger.Error("A record of the store is corrupt. It is left out, and what it held is read from GitHub again.",
				zap.String("key", key), zap.Error(err))
		},
	})
	b.Store, b.sizer = store, store
	return b, nil
}

func storageClient(ctx context.Context, name string, receiverID component.ID, host component.Host) (storage.Client, error) {
	var id component.ID
	if err := id.UnmarshalText([]byte(name)); err != nil {
		return nil, fmt.Errorf("storage: %q: %w", name, err)
	}
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return nil, fmt.Errorf("storage: there is no extension %q, want the id of one under extensions and service::extensions", name)
	}
	provider, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage: the extension %q stores nothing, want a storage extension such as file_storage", name)
	}
	client, err := provider.GetClient(ctx, component.KindReceiver, receiverID, "")
	if err != nil {
		return nil, fmt.Errorf("storage: open %q: %w", name, err)
	}
	return client, nil
}
