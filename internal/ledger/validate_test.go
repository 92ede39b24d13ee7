// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// met introduces repository 1, wanted for four weeks before noon.
func met() Progress {
	return Progress{Edge: noon, Repos: []RepoProgress{{
		ID: 1, Name: "one", FirstSeen: noon,
		Since: noon.AddDate(0, 0, -28),
	}}}
}

// TestMetadataRefusesInvalid checks that Metadata refuses what the codec could not store.
func TestMetadataRefusesInvalid(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *Batch, r *RepoProgress){
		"a stream":   func(_ *Batch, r *RepoProgress) { r.Missed = []StreamWindow{{Stream: activity.NumStreams}} },
		"a presence": func(_ *Batch, r *RepoProgress) { r.Presence = PresencePurged + 1 },
		"a name":     func(_ *Batch, r *RepoProgress) { r.Name = "\xff" },
		"a head":     func(_ *Batch, r *RepoProgress) { r.Signals = &activity.Signals{Head: "\xff"} },
		"signals": func(_ *Batch,
			r *RepoProgress,
		) {
			r.Signals = &activity.Signals{Streams: 1 << activity.NumStreams}
		},
		"a time": func(_ *Batch, r *RepoProgress) { r.Since = time.Unix(1<<50, 0) },
		"a window": func(_ *Batch, r *RepoProgress) {
			r.Read = []StreamWindow{{Window: activity.Window{End: time.Unix(1<<50, 0)}}}
		},
		"an edge":  func(b *Batch, _ *RepoProgress) { b.Progress.Edge = time.Unix(-1<<50, 0) },
		"an entry": func(b *Batch, _ *RepoProgress) { b.Entries = []Entry{{EntryKey: EntryKey{Name: "\xff"}}} },
		"a tally": func(b *Batch,
			_ *RepoProgress,
		) {
			b.Tallies = []Tally{{TallyKey: TallyKey{Labels: [2]string{"\xff"}}}}
		},
		"too many of a": func(b *Batch, _ *RepoProgress) { b.Tallies = make([]Tally, maxElements+1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := Batch{Observed: noon, Progress: met()}
			change(&b, &b.Progress.Repos[0])
			_, err := b.Metadata(1, true, time.Time{})
			require.ErrorIs(t, err, ErrInvalid)
			_, err = EncodeChange(Change{Progress: b.Progress, Entries: b.Entries, Tallies: b.Tallies})
			require.ErrorIs(t, err, ErrInvalid)
		})
	}
}
