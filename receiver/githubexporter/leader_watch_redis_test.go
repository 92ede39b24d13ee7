// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package githubexporter

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	fences "github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// TestAloneAfterAnElection: a process that leads alone is not refused for ever by a ledger that an elected leader
// wrote.
func TestAloneAfterAnElection(t *testing.T) {
	t.Parallel()
	config := onRedis(t)
	r, err := newReceiver(config, receivertest.NewNopSettings(metadata.Type), newSink())
	require.NoError(t, err)
	store := storeOf(t, config)
	led := ledger.Batch{Org: "open-telemetry", Observed: time.Now()}
	_, err = store.Commit(t.Context(), fences.NewFence(time.Now().Add(-time.Minute)), led)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), &host{Host: componenttest.NewNopHost()}))
	t.Cleanup(func() { require.NoError(t, r.Shutdown(context.WithoutCancel(t.Context()))) })
	require.Eventually(t, func() bool { return !r.orgs[0].view.Edge().IsZero() }, 20*time.Second, 10*time.Millisecond)
	require.True(t, r.monitor.Leads("open-telemetry"))
}

// storeOf is the store of a configuration, beside the receiver's.
func storeOf(t *testing.T, config *Config) *backend {
	t.Helper()
	store, err := openBackend(t.Context(), config, receivertest.NewNopSettings(metadata.Type), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.close(context.WithoutCancel(t.Context()))) })
	return store
}
