package redisstore

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// FuzzRecords: no log entry panics or gives an event that cannot be, and what is read is written alike.
func FuzzRecords(f *testing.F) {
	f.Add("")
	f.Add("\x01\x01\x01\x07\x65\x00\x00\x00\x0a\x01\x00\x03ada")
	f.Fuzz(func(t *testing.T, data string) {
		var r reader
		list, err := r.events(nil, data)
		var again []byte
		for i := range list {
			require.NoError(t, list[i].Validate())
			again = appendActor(appendBody(appendKey(again, &list[i]), &list[i]), list[i].Actor)
		}
		read, err2 := r.events(nil, string(again))
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

// FuzzCoverage: no field of the coverage panics or makes what the codec would refuse.
func FuzzCoverage(f *testing.F) {
	f.Add("c1", "100 50")
	f.Add("m1:1", "10 20 30 40")
	f.Add("s1", "100 frame")
	f.Add("g1", "5")
	f.Fuzz(func(t *testing.T, field, value string) {
		s := storeless(func(string, error) {})
		p := s.progress("key", "100", map[string]string{"c1": "100 50", field: value})
		var cov ledger.Coverage
		cov.Apply(p)
		for _, repo := range cov.Repos {
			require.Positive(t, repo.ID)
		}
		if _, err := (&reader{}).carried(field, value); err != nil {
			require.ErrorIs(t, err, ledger.ErrCorrupt)
		}
		s.samples("key", map[string]string{field: value})
		s.tallies("key", map[string]string{field: value})
	})
}

// storeless is a store without a Redis.
func storeless(corrupt func(string, error)) *Store {
	return &Store{settings: Settings{OnCorrupt: corrupt}}
}

// TestRecords: what is written is read alike.
func TestRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := activity.Event{
			Kind: rapid.SampledFrom([]activity.Kind{1, 2, 3, 4, 5}).Draw(t, "kind"), Repo: rapid.Int64Range(1, math.MaxInt64).Draw(t, "repo"),
			Actor: activity.Actor{ID: rapid.Int64().Draw(t, "id"), Login: rapid.StringMatching(`[a-z-]{1,39}(\[bot\])?`).Draw(t, "login")},
			Time:  time.Unix(rapid.Int64Range(0, math.MaxUint32).Draw(t, "time"), 0).UTC(),
		}
		copy(e.ID[:], rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "event"))
		if e.Kind == activity.KindCommit {
			e.Additions, e.Deletions = rapid.Uint32().Draw(t, "additions"), rapid.Uint32().Draw(t, "deletions")
		}
		record := appendActor(appendBody(appendKey(nil, &e), &e), e.Actor)
		var r reader
		list, err := r.events(nil, strings.Repeat(string(record), 2))
		require.NoError(t, err)
		require.Equal(t, []activity.Event{e, e}, list)
	})
}
