// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// scanKey returns the key of the entry that stores how far a failed reading of a repository's pull requests got. It is
// committed together with the last events of that reading.
func scanKey(repo int64) ledger.EntryKey {
	return ledger.EntryKey{Name: ledger.EntryPullsScan, Repo: repo}
}

// loadPullScans adds the stored scans to the request. They are read from the store and not from this replica's view,
// because the store may have been reset since.
func (c *Collector) loadPullScans(ctx context.Context, todo *reading) error {
	if !todo.request.Streams.Has(activity.StreamPulls) {
		return nil
	}
	key := scanKey(todo.request.Repo.ID)
	entries, err := c.settings.Store.ReadEntries(ctx, c.settings.Org, []ledger.EntryKey{key})
	if err != nil {
		return &StoreError{err}
	}
	todo.request.PullScans = decodeScans(entries[key].Data)
	return nil
}

// scanEntries returns the entry of how far a failed reading got; none when that is no further than before.
func scanEntries(todo *reading, result *github.ReadResult, now time.Time) []ledger.Entry {
	if result.Failed[activity.StreamPulls] == nil || slices.Equal(result.PullScans, todo.request.PullScans) {
		return nil
	}
	return []ledger.Entry{{EntryKey: scanKey(todo.request.Repo.ID), Data: encodeScans(result.PullScans), Observed: now}}
}

// encodeScans writes the times in seconds since 1970, as varints.
func encodeScans(scans github.PullScans) (data []byte) {
	for _, s := range scans {
		data = binary.AppendUvarint(data, uint64(max(0, s.Start.Unix())))
		data = binary.AppendUvarint(data, uint64(max(0, s.End.Unix())))
	}
	return data
}

// decodeScans reads what encodeScans wrote. For other data it returns none, so that everything is requested.
func decodeScans(data []byte) (scans github.PullScans) {
	in := varint.NewReader(data)
	readTime := func() time.Time {
		return time.Unix(int64(in.ReadUvarint(math.MaxUint32)), 0).UTC() //nolint:gosec // 32 bits
	}
	for in.HasMore() {
		scans = append(scans, github.PullScan{Start: readTime(), End: readTime()})
	}
	if !in.IsComplete() {
		return nil
	}
	return scans
}
