// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// entryOf returns an entry of the log with a field.
func entryOf(field, data string) redis.XMessage {
	return redis.XMessage{ID: "1-0", Values: map[string]any{field: data}}
}

func appendRecord(b []byte, e *activity.Event) []byte {
	return appendActor(appendBody(appendKey(b, e.Key()), e), e.Actor)
}

// FuzzRecords: decoding a log entry never panics, returns only valid events, and is the inverse of encoding.
func FuzzRecords(f *testing.F) {
	f.Add("")
	f.Add("\x01\x01\x01\x07\x65\x00\x00\x00\x0a\x01\x00\x03ada")
	f.Add("\x01\x01\x01\x07\x65\x00\x00\x00\x02\x0a\x01\x00\x03ada")
	f.Fuzz(func(t *testing.T, data string) {
		var r recordReader
		_, err := r.decodeEntry(nil, entryOf("e", data))
		if err != nil {
			require.ErrorIs(t, err, ledger.ErrCorrupt)
		}
		if _, err := decodeKeys(data); err != nil {
			require.ErrorIs(t, err, ledger.ErrCorrupt)
		}
		list, err := r.decodeEntry(nil, entryOf("n", data))
		var again []byte
		for i := range list {
			require.NoError(t, list[i].Validate())
			again = appendRecord(again, &list[i])
		}
		read, err2 := r.decodeEntry(nil, entryOf("n", string(again)))
		require.NoError(t, err2)
		require.Len(t, read, len(list))
		for i := range read {
			require.Equal(t, list[i], read[i])
		}
		if err != nil {
			require.ErrorIs(t, err, ledger.ErrCorrupt)
		}
	})
}

// FuzzCoverage: decoding a field of the coverage never panics, and the codec accepts the result.
func FuzzCoverage(f *testing.F) {
	f.Add("c1", "100 50")
	f.Add("m1:1", "10 20 30 40")
	f.Add("s1", "100 frame")
	f.Add("g1", "5")
	f.Add("t1", "0123abcd 4567")
	f.Fuzz(func(t *testing.T, field, value string) {
		s := storeless(func(string, error) {})
		p := s.decodeProgress("key", "100", map[string]string{"c1": "100 50", field: value})
		var cov ledger.Coverage
		cov.Apply(p)
		for _, repo := range cov.Repos {
			require.Positive(t, repo.ID)
		}
		if _, err := (&recordReader{}).decodeCarried(field, value); err != nil {
			require.ErrorIs(t, err, ledger.ErrCorrupt)
		}
		s.decodeEntries("key", map[string]string{field: value})
		s.decodeTallies("key", map[string]string{field: value})
	})
}

// storeless returns a store without Redis.
func storeless(corrupt func(string, error)) *Store {
	return &Store{settings: Settings{OnCorrupt: corrupt}}
}

// TestRecords: decoding is the inverse of encoding.
func TestRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := activity.Event{
			Kind: rapid.SampledFrom([]activity.Kind{1, 2, 3, 4, 5}).Draw(t, "kind"),
			Repo: rapid.Int64Range(1, math.MaxInt64).Draw(t, "repo"),
			Actor: activity.Actor{
				ID:    rapid.Int64().Draw(t, "id"),
				Login: rapid.StringMatching(`[a-z-]{1,39}(\[bot\])?`).Draw(t, "login"),
			},
			Time: time.Unix(rapid.Int64Range(0, math.MaxUint32).Draw(t, "time"), 0).UTC(),
		}
		copy(e.ID[:], rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "event"))
		if e.Kind == activity.KindCommit {
			e.Measures = activity.Lines(rapid.Uint32().Draw(t, "additions"), rapid.Uint32().Draw(t, "deletions"))
		}
		record := appendRecord(nil, &e)
		var r recordReader
		list, err := r.decodeEntry(nil, entryOf("n", strings.Repeat(string(record), 2)))
		require.NoError(t, err)
		require.Equal(t, []activity.Event{e, e}, list)
	})
}

// TestLegacyForms: records and totals of earlier versions are decoded.
func TestLegacyForms(t *testing.T) {
	t.Parallel()
	var r recordReader
	list, err := r.decodeEntry(nil, entryOf("e",
		"\x01\x05\x01\x07\x65\x00\x00\x00\x0a\x02\x0e\x03ada\x05\x05\x01\x08\x65\x00\x00\x01\x00\x00\x00\x03bob"))
	require.NoError(t, err)
	at := time.Unix(0x65000000, 0).UTC()
	require.Equal(t, []activity.Event{
		{
			Kind: activity.KindCommit, Repo: 5, ID: activity.NumberID(7), Actor: activity.Actor{ID: 7, Login: "ada"},
			Time: at, Measures: activity.Lines(10, 2),
		},
		{
			Kind: activity.KindIssueComment, Repo: 5, ID: activity.NumberID(8), Actor: activity.Actor{Login: "bob"},
			Time: at.Add(time.Second),
		},
	}, list)
	var want, totals ledger.CarriedTotals
	for i, id := range []ledger.TotalID{256, 512, 768, 1024, 1280, 257, 258} {
		want.Set(id, uint64(i)+1)
	}
	require.NoError(t, parseTotals("1 2 3 4 5 6 7", &totals))
	require.Equal(t, want, totals)
	require.Equal(t, "256:1 512:2 768:3 1024:4 1280:5 257:6 258:7", formatTotals(&want))
	want.Set(8<<8|16, 8) // a bucket
	totals = ledger.CarriedTotals{}
	require.NoError(t, parseTotals(formatTotals(&want)+" 9999:8", &totals), "an id of a later version")
	require.Equal(t, want, totals)
	for _, damaged := range []string{"1 2 3", "1 2 3 4 5 6 x", "256:", "256:-1", ":1", "70000:1", "256:1 2"} {
		require.ErrorIs(t, parseTotals(damaged, &totals), ledger.ErrCorrupt, damaged)
	}
}
