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

func scanKey(repo int64) ledger.EntryKey {
	return ledger.EntryKey{Name: ledger.EntryPullsScan, Repo: repo}
}

// loadPullScans adds what is known to the request. It asks the store itself, which may have lost what this replica has seen.
func (c *Collector) loadPullScans(ctx context.Context, todo *reading) error {
	if !todo.request.Streams.Has(activity.StreamPulls) {
		return nil
	}
	key := scanKey(todo.request.Repo.ID)
	samples, err := c.settings.Store.ReadEntries(ctx, c.settings.Org, []ledger.EntryKey{key})
	if err != nil {
		return &StoreError{err}
	}
	todo.request.PullScans = decodeScans(samples[key].Data)
	return nil
}

// scanEntries is how far a failed reading has come, if that is further than before.
func scanEntries(todo *reading, outcome *github.ReadResult, now time.Time) []ledger.Entry {
	if outcome.Failed[activity.StreamPulls] == nil || slices.Equal(outcome.PullScans, todo.request.PullScans) {
		return nil
	}
	return []ledger.Entry{{EntryKey: scanKey(todo.request.Repo.ID), Data: encodeScans(outcome.PullScans), Observed: now}}
}

// encodeScans writes the times in seconds since 1970, as varints.
func encodeScans(scans github.PullScans) (data []byte) {
	for _, s := range scans {
		data = binary.AppendUvarint(data, uint64(max(0, s.Start.Unix())))
		data = binary.AppendUvarint(data, uint64(max(0, s.End.Unix())))
	}
	return data
}

// decodeScans gives nothing for what encodeScans did not write: then everything is asked for.
func decodeScans(data []byte) (scans github.PullScans) {
	in := varint.NewReader(data)
	moment := func() time.Time { return time.Unix(int64(in.ReadUvarint(math.MaxUint32)), 0).UTC() } //nolint:gosec // 32 bits
	for in.HasMore() {
		scans = append(scans, github.PullScan{Start: moment(), End: moment()})
	}
	if !in.IsComplete() {
		return nil
	}
	return scans
}
