// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package extstore_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		commitUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

// fileStorage is a client of the collector's file_storage extension in a directory.
func fileStorage(ctx context.Context, dir string) (storage.Client, func() error, error) {
	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory = dir
	extension, err := factory.Create(ctx, extensiontest.NewNopSettings(factory.Type()), config)
	if err != nil {
		return nil, nil, err
	}
	if err := extension.Start(ctx, componenttest.NewNopHost()); err != nil {
		return nil, nil, err
	}
	client, err := extension.(storage.Extension).GetClient(ctx, component.KindReceiver,
		component.MustNewID("githubexporter"), "")
	if err != nil {
		return nil, nil, err
	}
	return client, func() error { return errors.Join(client.Close(ctx), extension.Shutdown(ctx)) }, nil
}

// harness is a store on file_storage that can be opened again.
func harness(tb testing.TB, maxSeries int) storetest.Harness {
	tb.Helper()
	dir := tb.TempDir()
	var closeLast func() error
	tb.Cleanup(func() {
		if closeLast != nil {
			require.NoError(tb, closeLast())
		}
	})
	return storetest.Harness{Durable: true, Open: func(tb testing.TB) ledger.Store {
		tb.Helper()
		if closeLast != nil {
			require.NoError(tb, closeLast())
		}
		client, closer, err := fileStorage(context.WithoutCancel(tb.Context()), dir)
		require.NoError(tb, err)
		closeLast = closer
		return extstore.New(client, extstore.Settings{MaxSeries: maxSeries, OnCorrupt: func(key string, err error) {
			tb.Errorf("%s: %v", key, err)
		}})
	}}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(tb testing.TB) storetest.Harness { tb.Helper(); return harness(tb, 0) }, harness)
}

// opened is a client of file_storage in a directory of its own.
func opened(tb testing.TB) storage.Client {
	tb.Helper()
	client, closer, err := fileStorage(context.WithoutCancel(tb.Context()), tb.TempDir())
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, closer()) })
	return client
}

// commits is how many commits ada has made, by a view that starts now.
func commits(tb testing.TB, store ledger.Store) uint64 {
	tb.Helper()
	return adas(storetest.LatestView(tb, store, "acme"))
}

func adas(view *ledgerview.View) uint64 {
	got := storetest.EmittedSeries{}
	view.Visit(storetest.Noon, got)
	return got[ledgerview.Series{Repo: "repo-1", User: "ada"}].Of[ledgerview.MetricTotal]
}

// edge is what an idle pass commits: it has looked at everything and found nothing.
func edge(after time.Duration) ledger.Batch {
	return ledger.Batch{
		Org: "acme", Observed: storetest.Noon,
		Progress: ledger.Progress{Edge: storetest.Noon.Add(after)},
	}
}
