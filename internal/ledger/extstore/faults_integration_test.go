// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package extstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
)

// TestFaults: whatever fails and whenever, what was acknowledged is there, what was never tried is not, nothing is
// doubled, and a follower from the beginning, one that starts late, and one after a restart show the same.
func TestFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		plain, closer, err := fileStorage(t.Context(), t.TempDir())
		require.NoError(rt, err)
		defer closer() //nolint:errcheck // the directory goes away
		client := &faulty{Client: plain}
		store := extstore.New(client, extstore.Settings{})
		follower := following(t, store)
		defer follower.stop()
		acknowledged, tried := map[int64]bool{}, map[int64]bool{}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			fault := func(name string) error {
				return rapid.SampledFrom([]error{nil, nil, nil, errFull}).Draw(rt,
					name)
			}
			client.fail(fault("before"), fault("after"), nil)
			n := rapid.Int64Range(0, 40).Draw(rt, "number")
			b := crashBatch(n)
			for _, e := range b.Events {
				tried[int64(e.ID[len(e.ID)-1])] = true
			}
			if _, err := store.Commit(t.Context(), 1, b); err == nil {
				acknowledged[n], acknowledged[max(0, n-1)] = true, true
			}
		}
		client.fail(nil, nil, nil)
		shown := int(commits(t, store))
		require.LessOrEqual(rt, len(acknowledged), shown)
		require.LessOrEqual(rt, shown, len(tried))
		follower.requireCommits(uint64(shown))
		_, events, reported := reopen(t, client)
		require.Empty(rt, reported)
		require.Equal(rt, shown, events)
	})
}
