package collect

import (
	"context"
	"encoding/binary"
	"math"
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
	todo.request.Scan = decodeScan(samples[key].Data)
	return nil
}

// scanSamples is how far a reading has come, if that is further than before.
func scanSamples(todo *reading, outcome *github.Outcome, now time.Time) []ledger.Sample {
	if outcome.Failed[activity.StreamPulls] == nil || outcome.Scan == todo.request.Scan {
		return nil
	}
	return []ledger.Sample{{SampleKey: scanKey(todo.request.Repo.ID), Data: encodeScan(outcome.Scan), Observed: now}}
}

// encodeScan writes the times in seconds since 1970, as varints.
func encodeScan(s github.Scan) []byte {
	data := binary.AppendUvarint(nil, uint64(max(0, s.Reached.Unix())))
	return binary.AppendUvarint(data, uint64(max(0, s.Top.Unix())))
}

// decodeScan gives nothing for what encodeScan did not write: then everything is asked for.
func decodeScan(data []byte) github.Scan {
	in := varint.Read(data)
	reached, top := in.Number(math.MaxInt32*8), in.Number(math.MaxInt32*8)
	if !in.End() {
		return github.Scan{}
	}
	return github.Scan{Reached: time.Unix(int64(reached), 0).UTC(), Top: time.Unix(int64(top), 0).UTC()} //nolint:gosec // 34 bits
}
