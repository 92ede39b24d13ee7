// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package extstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

// TestIdleCommitIsOneSmallWrite: a pass that found nothing moves the edge, and pruning what is pruned writes nothing.
func TestIdleCommitIsOneSmallWrite(t *testing.T) {
	t.Parallel()
	client := &faulty{Client: filled(t, 60)}
	store := extstore.New(client, extstore.Settings{})
	_, err := store.Commit(t.Context(), 1, edge(time.Second))
	require.NoError(t, err)
	sets, batches, size := client.spent()
	require.Equal(t, [2]int{1, 0}, [2]int{sets, batches})
	require.LessOrEqual(t, size, 64)
	for range 2 {
		require.NoError(t, store.Prune(t.Context(), "acme", storetest.Noon.AddDate(0, 0, -20)))
	}
	sets, batches, _ = client.spent()
	require.Equal(t, [2]int{1, 0}, [2]int{sets, batches})
}

// TestSnapshotsAreAmortised: over many commits, snapshots at most triple what is written, a start replays a bounded
// number of changes, and what was replaced is gone.
func TestSnapshotsAreAmortised(t *testing.T) {
	t.Parallel()
	client := &faulty{Client: opened(t)}
	store := extstore.New(client, extstore.Settings{})
	journal, all, snapshots := 0, 0, 0
	for n := range int64(2000) {
		_, err := store.Commit(t.Context(), 1, numbered(n))
		require.NoError(t, err)
		_, batches, size := client.spent()
		snapshots += batches
		all += size
		if batches == 0 {
			journal += size
		}
	}
	require.Equal(t, 1+2, snapshots, "the first change, and snapshots")
	require.LessOrEqual(t, all, 3*journal)
	require.Nil(t, get(t, client, "v1/acme/0/0"))
	require.NotNil(t, get(t, client, keyOf(t, client, "v1/acme/GENERATION/s0")))
	_, events, reported := reopen(t, client)
	require.Empty(t, reported)
	require.Equal(t, 2000*100, events)
}

// TestManyIdleCommits write a snapshot by their number: a start does not replay them all.
func TestManyIdleCommits(t *testing.T) {
	t.Parallel()
	client := &faulty{Client: opened(t)}
	store := extstore.New(client, extstore.Settings{})
	for n := range 5002 {
		_, err := store.Commit(t.Context(), 1, edge(time.Duration(n)*time.Minute))
		require.NoError(t, err)
	}
	_, batches, _ := client.spent()
	require.Equal(t, 1+1, batches, "the first change, and a snapshot")
	require.Nil(t, get(t, client, "v1/acme/0/4999"))
	require.NotNil(t, get(t, client, keyOf(t, client, "v1/acme/GENERATION/1")))
	cov, err := store.Coverage(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, storetest.Noon.Add(5001*time.Minute), cov.Edge)
}
