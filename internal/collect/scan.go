package collect

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// sampleScan names the sample that has how far a failed reading of a repository's pull requests has come. It is committed together
// with the last of what that reading handed out.
const sampleScan = "pulls_scan"

func scanKey(repo int64) ledger.SampleKey {
	return ledger.SampleKey{Name: sampleScan, Labels: [2]string{strconv.FormatInt(repo, 10)}}
}

// addScan adds what is known to the request. It asks the store itself, which may have lost what this replica has seen.
func (c *Collector) addScan(ctx context.Context, todo *reading) error {
	if !todo.request.Streams.Has(activity.StreamPulls) {
		return nil
	}
	key := scanKey(todo.request.Repo.ID)
	samples, err := c.settings.Store.ReadSamples(ctx, c.settings.Org, []ledger.SampleKey{key})
	if err != nil {
		return &StoreError{err}
	}
	todo.request.Scans = decodeScans(samples[key].Data)
	return nil
}

// scanSamples is how far a failed reading has come, if that is further than before.
func scanSamples(todo *reading, outcome *github.Outcome, now time.Time) []ledger.Sample {
	if outcome.Failed[activity.StreamPulls] == nil || slices.Equal(outcome.Scans, todo.request.Scans) {
		return nil
	}
	return []ledger.Sample{{SampleKey: scanKey(todo.request.Repo.ID), Data: encodeScans(outcome.Scans), Observed: now}}
}

// encodeScans writes the times in seconds since 1970, as varints.
func encodeScans(scans github.Scans) (data []byte) {
	for _, s := range scans {
		data = binary.AppendUvarint(data, uint64(max(0, s.Reached.Unix())))
		data = binary.AppendUvarint(data, uint64(max(0, s.Top.Unix())))
	}
	return data
}

// decodeScans gives nothing for what encodeScans did not write: then everything is asked for.
func decodeScans(data []byte) (scans github.Scans) {
	in := varint.Read(data)
	moment := func() time.Time { return time.Unix(int64(in.Number(math.MaxUint32)), 0).UTC() } //nolint:gosec // 32 bits
	for in.More() {
		scans = append(scans, github.Scan{Reached: moment(), Top: moment()})
	}
	if !in.End() {
		return nil
	}
	return scans
}
