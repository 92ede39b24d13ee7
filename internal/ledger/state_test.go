// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
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

func plan(t *testing.T, s *State, b Batch) Change {
	t.Helper()
	c, _, err := s.Plan(1, &b, 100)
	require.NoError(t, err)
	s.Apply(&c)
	return c
}

// TestWholeSeconds checks that what is missing does not depend on whether the change was encoded and decoded.
func TestWholeSeconds(t *testing.T) {
	t.Parallel()
	live, kept := NewState(), NewState()
	half := 500 * time.Millisecond
	inexact := activity.Window{Start: noon.Add(-time.Hour + half), End: noon.Add(half)}
	b := Batch{Observed: noon.Add(half), Progress: met()}
	b.Progress.Repos[0].Missed = []StreamWindow{{activity.StreamPulls, inexact}}
	b.Entries = []Entry{{Observed: noon.Add(half)}}
	for _, batch := range []Batch{b, {Observed: noon, Progress: Progress{Repos: []RepoProgress{
		{ID: 1, Read: []StreamWindow{{activity.StreamPulls, activity.Window{
			Start: inexact.Start,
			End:   noon.Add(-time.Minute + half),
		}}}},
	}}}} {
		c := plan(t, live, batch)
		frame, err := EncodeChange(c)
		require.NoError(t, err)
		again, err := DecodeChange(frame)
		require.NoError(t, err)
		kept.Apply(&again)
	}
	require.Equal(t, live.Coverage(), kept.Coverage())
	gaps := kept.Coverage().Repos[1].Missing[activity.StreamPulls]
	require.True(t, gaps.Covers(activity.Window{Start: noon.Add(-time.Minute), End: noon.Add(time.Second)}),
		"rounded to the safe side")
	require.Equal(t, inexact, b.Progress.Repos[0].Missed[0].Window, "the batch remains the caller's")
}

// TestPlanRefusesInvalid checks that Plan refuses what the codec could not store.
func TestPlanRefusesInvalid(t *testing.T) {
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
		"a sample": func(b *Batch, _ *RepoProgress) { b.Entries = []Entry{{EntryKey: EntryKey{Name: "\xff"}}} },
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
			_, _, err := NewState().Plan(1, &b, 100)
			require.ErrorIs(t, err, ErrInvalid)
			_, err = EncodeChange(Change{Progress: b.Progress, Entries: b.Entries, Tallies: b.Tallies})
			require.ErrorIs(t, err, ErrInvalid)
		})
	}
}

// TestInvalidateStartsAtPruning checks that what was pruned is not marked as missing: reading it would record nothing.
func TestInvalidateStartsAtPruning(t *testing.T) {
	t.Parallel()
	s := NewState()
	plan(t, s, Batch{Observed: noon, Progress: met()})
	pruned, needless := s.PlanPrune(noon.AddDate(0, 0, -7).Add(time.Millisecond))
	require.False(t, needless)
	require.Equal(t, noon.AddDate(0, 0, -7), pruned.PrunedBefore)
	s.Apply(&pruned)
	_, needless = s.PlanPrune(noon.AddDate(0, 0, -8))
	require.True(t, needless)
	s.Invalidate(time.Time{})
	cov := s.Coverage()
	require.Equal(t, noon.AddDate(0, 0, -7), cov.OldestUncovered())
	require.Len(t, cov.Gaps(), activity.NumStreams)
}

// TestSnapshotInParts checks that the changes of a snapshot are bounded, whatever they have.
func TestSnapshotInParts(t *testing.T) {
	t.Parallel()
	s := NewState()
	b := Batch{Observed: noon, Progress: met()}
	const users = 2*SnapshotChunk + 1
	for i := range int64(users) {
		b.Events = append(b.Events, commitOf(i, fmt.Sprintf("user-%d", i), noon.AddDate(0, 0, -int(i%2)), 1))
	}
	_, _, err := s.Plan(1, &b, users)
	require.NoError(t, err)
	c, _, err := s.Plan(1, &b, users)
	require.NoError(t, err, "planning changes nothing")
	s.Apply(&c)
	pruned, _ := s.PlanPrune(noon)
	s.Apply(&pruned)
	again, events, carried := NewState(), 0, 0
	changes := s.Snapshot()
	for i := range changes {
		require.LessOrEqual(t, max(len(changes[i].Events), len(changes[i].Carried)), SnapshotChunk)
		require.Equal(t, i == 0, changes[i].Reset)
		require.Equal(t, i == len(changes)-1, changes[i].CaughtUp)
		events, carried = events+len(changes[i].Events), carried+len(changes[i].Carried)
		again.Apply(&changes[i])
	}
	require.Equal(t, [2]int{SnapshotChunk + 1, SnapshotChunk}, [2]int{events, carried})
	require.Equal(t, s.Coverage(), again.Coverage())
	require.Equal(t, [2]int{s.NumSeries(), s.NumEvents()}, [2]int{again.NumSeries(), again.NumEvents()})
}

// TestInvalidateDropsEntries of repositories, which may promise that what was lost need not be read.
func TestInvalidateDropsEntries(t *testing.T) {
	t.Parallel()
	s := NewState()
	for _, key := range []EntryKey{{Name: "entry"}, {Name: "entry", Repo: 1}, {Name: "entry", Sub: "x"}} {
		s.Apply(&Change{Entries: []Entry{{key, []byte("x"), noon}}})
	}
	s.Invalidate(noon)
	require.Len(t, s.Snapshot()[0].Entries, 2)
}
