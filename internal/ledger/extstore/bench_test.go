// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package extstore_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

// numbered is a batch of 100 events that are new.
func numbered(n int64) ledger.Batch {
	b := ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: storetest.IntroduceRepos(1)}
	for i := range int64(100) {
		b.Events = append(b.Events, storetest.Event(activity.KindCommit, n*100+i, "ada", storetest.Noon))
	}
	return b
}

// BenchmarkCommit records batches of 100 events on file_storage, beside setting the same bytes on it.
func BenchmarkCommit(b *testing.B) {
	b.Run("store", func(b *testing.B) {
		client, closer, err := fileStorage(context.Background(), b.TempDir())
		require.NoError(b, err)
		defer closer() //nolint:errcheck // the directory goes away
		store := extstore.New(client, extstore.Settings{})
		n := int64(0)
		for b.Loop() {
			_, err := store.Commit(b.Context(), 1, numbered(n))
			require.NoError(b, err)
			n++
		}
		b.ReportMetric(float64(n*100)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("raw set of the same bytes", func(b *testing.B) {
		client, closer, err := fileStorage(context.Background(), b.TempDir())
		require.NoError(b, err)
		defer closer() //nolint:errcheck // the directory goes away
		batch := numbered(0)
		frame, err := ledger.EncodeChange(ledger.Change{Events: batch.Events, Progress: batch.Progress})
		require.NoError(b, err)
		n := 0
		for b.Loop() {
			require.NoError(b, client.Set(b.Context(), strconv.Itoa(n), frame))
			n++
		}
		b.ReportMetric(float64(n*100)/b.Elapsed().Seconds(), "events/s")
	})
}
