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

// pullStreams are the streams that are read in the listing of pull requests.
var pullStreams = activity.StreamsOf(activity.StreamPulls).WithDependent()

// scanKey returns the key of the entry that stores how far a failed reading of a repository's pull requests got. It is
// committed together with the last events of that reading. A reading with their flow has another one: what was emitted
// without it is read again.
func scanKey(request *github.ReadRequest) ledger.EntryKey {
	key := ledger.EntryKey{Name: ledger.EntryPullsScan, Repo: request.Repo.ID}
	if request.Streams.Has(activity.StreamPullFlow) {
		key.Sub = activity.StreamPullFlow.String()
	}
	return key
}

// loadPullScans adds the stored scans to the request. They are read from the store and not from this replica's view,
// because the store may have been reset since.
func (c *Collector) loadPullScans(ctx context.Context, todo *reading) error {
	if todo.request.Streams&pullStreams == 0 {
		return nil
	}
	key := scanKey(&todo.request)
	entries, err := c.settings.Store.ReadEntries(ctx, c.settings.Org, []ledger.EntryKey{key})
	if err != nil {
		return &StoreError{err}
	}
	todo.request.PullScans = decodeScans(entries[key].Data)
	return nil
}

// scanEntries returns the entry of how far a failed reading got; none when that is no further than before.
func scanEntries(todo *reading, result *github.ReadResult, now time.Time) []ledger.Entry {
	hasFailed := result.Failed[activity.StreamPulls] != nil || result.Failed[activity.StreamPullFlow] != nil
	if !hasFailed || slices.Equal(result.PullScans, todo.request.PullScans) {
		return nil
	}
	return []ledger.Entry{{EntryKey: scanKey(&todo.request), Data: encodeScans(result.PullScans), Observed: now}}
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
