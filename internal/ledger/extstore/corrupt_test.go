// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package extstore_test

import (
	"encoding/binary"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
)

// Ways to damage a record.
var damages = map[string]func(t *testing.T, client storage.Client, key string){
	"a flipped bit": func(t *testing.T, client storage.Client, key string) {
		t.Helper()
		record := get(t, client, key)
		record[len(record)-1] ^= 1
		require.NoError(t, client.Set(t.Context(), key, record))
	},
	"cut off": func(t *testing.T, client storage.Client, key string) {
		t.Helper()
		require.NoError(t, client.Set(t.Context(), key, get(t, client, key)[:4]))
	},
	"something else": func(t *testing.T, client storage.Client, key string) {
		t.Helper()
		require.NoError(t, client.Set(t.Context(), key, []byte("hello")))
	},
	"missing": func(t *testing.T, client storage.Client, key string) {
		t.Helper()
		require.NotNil(t, get(t, client, key))
		require.NoError(t, client.Delete(t.Context(), key))
	},
}

func get(t *testing.T, client storage.Client, key string) []byte {
	t.Helper()
	record, err := client.Get(t.Context(), key)
	require.NoError(t, err)
	return append([]byte(nil), record...)
}

// keyOf returns a key with the current generation.
func keyOf(t *testing.T, client storage.Client, key string) string {
	t.Helper()
	if !strings.Contains(key, "GENERATION") {
		return key
	}
	record := get(t, client, "v1/acme/head")
	require.Len(t, record, 17)
	return strings.Replace(key, "GENERATION", strconv.FormatUint(binary.BigEndian.Uint64(record[5:]), 10), 1)
}

// filled is a storage to which a number of crashBatches were committed, two events each. From 53 on it has a snapshot.
func filled(t *testing.T, batches int64) storage.Client {
	t.Helper()
	client := opened(t)
	store := extstore.New(client, extstore.Settings{})
	for n := range batches {
		_, err := store.Commit(t.Context(), 1, crashBatch(n*2+1))
		require.NoError(t, err)
	}
	return client
}

// reopen gives a store, what it has recorded, and the keys that it reported when it was loaded.
func reopen(t *testing.T, client storage.Client) (store *extstore.Store, events int, reported []string) {
	t.Helper()
	store = extstore.New(client, extstore.Settings{OnCorrupt: func(key string, err error) {
		require.ErrorIs(t, err, ledger.ErrCorrupt)
		reported = append(reported, key)
	}})
	_, events = store.Sizes("acme")
	require.Zero(t, events, "not loaded yet")
	_, err := store.Coverage(t.Context(), "acme")
	require.NoError(t, err)
	_, events = store.Sizes("acme")
	return store, events, reported
}

// TestCorruptRecords: corrupt records are reported and ignored, the others are kept, and the whole retention becomes a
// gap. Afterwards the store has no corrupt record.
func TestCorruptRecords(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, key     string
		batches, keep int64
	}{
		{"a change", "v1/acme/0/3", 6, 10},
		{"the first change", "v1/acme/0/0", 6, 10},
		{"a change after a snapshot", "v1/acme/GENERATION/2", 60, 118},
		{"the events of a snapshot", "v1/acme/GENERATION/s1", 60, 16},
	} {
		for name, damage := range damages {
			t.Run(test.name+" "+name, func(t *testing.T) {
				t.Parallel()
				client := filled(t, test.batches)
				key := keyOf(t, client, test.key)
				damage(t, client, key)
				store, events, reported := reopen(t, client)
				require.Equal(t, []string{key}, reported)
				require.Equal(t, int(test.keep), events)
				requireAllMissing(t, store)
				store, events, reported = reopen(t, client)
				require.Empty(t, reported, "the second time it is sound")
				require.Equal(t, int(test.keep), events)
				requireAllMissing(t, store)
				requireReadAgain(t, store, test.batches, test.keep)
			})
		}
	}
}

func requireAllMissing(t *testing.T, store *extstore.Store) {
	t.Helper()
	cov, err := store.Coverage(t.Context(), "acme")
	require.NoError(t, err)
	require.Len(t, cov.Gaps(), activity.NumStreams)
	require.Equal(t, cov.Repos[1].Since, cov.OldestUncovered())
}

// requireReadAgain checks that the kept events are shown after the next pass, and that reading everything again records
// the lost ones, once.
func requireReadAgain(t *testing.T, store *extstore.Store, batches, keep int64) {
	t.Helper()
	_, err := store.Commit(t.Context(), 1, edge(time.Second))
	require.NoError(t, err)
	require.Equal(t, uint64(keep), commits(t, store))
	found := 0
	for range 2 {
		for n := range batches {
			receipt, err := store.Commit(t.Context(), 1, crashBatch(n*2+1))
			require.NoError(t, err)
			found += receipt.Recorded
		}
	}
	require.Equal(t, int(2*batches-keep), found)
	require.Equal(t, uint64(2*batches), commits(t, store))
}

// TestCorruptCoverage: without the first chunk of the snapshot the repositories are introduced again, and keep their
// events.
func TestCorruptCoverage(t *testing.T) {
	t.Parallel()
	client := filled(t, 60)
	first := keyOf(t, client, "v1/acme/GENERATION/s0")
	damages["missing"](t, client, first)
	for key := range 20 { // and no later change says anything about the repository
		require.NoError(t, client.Delete(t.Context(), keyOf(t, client, "v1/acme/GENERATION/"+strconv.Itoa(key))))
	}
	store, events, reported := reopen(t, client)
	require.Equal(t, []string{first}, reported)
	receipt, err := store.Commit(t.Context(), 1, crashBatch(1))
	require.NoError(t, err)
	require.Equal(t, ledger.Receipt{Duplicates: 2}, receipt)
	require.Equal(t, uint64(events), commits(t, store))
}

// TestCorruptHead: one valid copy of the head is enough, and the other one is repaired.
func TestCorruptHead(t *testing.T) {
	t.Parallel()
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := filled(t, 60)
			damage(t, client, "v1/acme/head")
			store, events, reported := reopen(t, client)
			require.Equal(t, []string{"v1/acme/head"}, reported)
			require.Equal(t, 120, events)
			cov, err := store.Coverage(t.Context(), "acme")
			require.NoError(t, err)
			require.Empty(t, cov.Gaps(), "nothing was lost")
			damage(t, client, "v1/acme/head2")
			_, events, reported = reopen(t, client)
			require.Equal(t, []string{"v1/acme/head2"}, reported)
			require.Equal(t, 120, events)
			_, events, reported = reopen(t, client)
			require.Empty(t, reported, "both are repaired")
			require.Equal(t, 120, events)
		})
	}
}

// TestCorruptHeads: without a valid head no record can be found. The store reports it, starts over, and has no corrupt
// record from then on.
func TestCorruptHeads(t *testing.T) {
	t.Parallel()
	client := filled(t, 60)
	damages["cut off"](t, client, "v1/acme/head")
	damages["a flipped bit"](t, client, "v1/acme/head2")
	store, events, reported := reopen(t, client)
	require.Equal(t, []string{"v1/acme/head", "v1/acme/head2"}, reported)
	require.Zero(t, events)
	receipt, err := store.Commit(t.Context(), 1, crashBatch(7))
	require.NoError(t, err)
	require.Equal(t, 2, receipt.Recorded)
	_, events, reported = reopen(t, client)
	require.Empty(t, reported)
	require.Equal(t, 2, events)
}
