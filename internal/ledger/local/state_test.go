// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the present of the tests, a Wednesday.
var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// eventOf returns an event of a user in repository 1.
func eventOf(kind activity.Kind, n int64, user string) activity.Event {
	return activity.Event{Kind: kind, Repo: 1, ID: activity.NumberID(n), Actor: activity.Actor{Login: user}, Time: noon}
}

// commitOf returns a commit of a user in repository 1.
func commitOf(n int64, user string, at time.Time, lines uint32) activity.Event {
	e := eventOf(activity.KindCommit, n, user)
	e.Time, e.Measures = at, activity.Lines(lines, 1)
	return e
}

// met introduces repository 1, wanted for four weeks before noon.
func met() ledger.Progress {
	return ledger.Progress{Edge: noon, Repos: []ledger.RepoProgress{{
		ID: 1, Name: "one", FirstSeen: noon,
		Since: noon.AddDate(0, 0, -28),
	}}}
}

// anyNumber is a budget without a bound.
func anyNumber() bool { return true }

// commitTo applies the change that a batch makes.
func commitTo(t *testing.T, s *State, b ledger.Batch) ledger.Change {
	t.Helper()
	c, _, err := s.Plan(1, &b, anyNumber)
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
	b := ledger.Batch{Observed: noon.Add(half), Progress: met()}
	b.Progress.Repos[0].Missed = []ledger.StreamWindow{{Stream: activity.StreamPulls, Window: inexact}}
	b.Entries = []ledger.Entry{{Observed: noon.Add(half)}}
	for _, batch := range []ledger.Batch{b, {Observed: noon, Progress: ledger.Progress{Repos: []ledger.RepoProgress{
		{ID: 1, Read: []ledger.StreamWindow{{Stream: activity.StreamPulls, Window: activity.Window{
			Start: inexact.Start,
			End:   noon.Add(-time.Minute + half),
		}}}},
	}}}} {
		c := commitTo(t, live, batch)
		frame, err := ledger.EncodeChange(c)
		require.NoError(t, err)
		again, err := ledger.DecodeChange(frame)
		require.NoError(t, err)
		kept.Apply(&again)
	}
	require.Equal(t, live.Coverage(), kept.Coverage())
	gaps := kept.Coverage().Repos[1].Missing[activity.StreamPulls]
	require.True(t, gaps.Covers(activity.Window{Start: noon.Add(-time.Minute), End: noon.Add(time.Second)}),
		"rounded to the safe side")
	require.Equal(t, inexact, b.Progress.Repos[0].Missed[0].Window, "the batch remains the caller's")
}

// TestInvalidateStartsAtPruning checks that what was pruned is not marked as missing: reading it would record nothing.
func TestInvalidateStartsAtPruning(t *testing.T) {
	t.Parallel()
	s := NewState()
	commitTo(t, s, ledger.Batch{Observed: noon, Progress: met()})
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
	b := ledger.Batch{Observed: noon, Progress: met()}
	const users = 2*ledger.SnapshotChunk + 1
	for i := range int64(users) {
		b.Events = append(b.Events, commitOf(i, fmt.Sprintf("user-%d", i), noon.AddDate(0, 0, -int(i%2)), 1))
	}
	_, _, err := s.Plan(1, &b, anyNumber)
	require.NoError(t, err)
	c, _, err := s.Plan(1, &b, anyNumber)
	require.NoError(t, err, "planning changes nothing")
	s.Apply(&c)
	pruned, _ := s.PlanPrune(noon)
	s.Apply(&pruned)
	again, events, carried := NewState(), 0, 0
	changes := s.Snapshot()
	for i := range changes {
		require.LessOrEqual(t, max(len(changes[i].Events), len(changes[i].Carried)), ledger.SnapshotChunk)
		require.Equal(t, i == 0, changes[i].Reset)
		require.Equal(t, i == len(changes)-1, changes[i].CaughtUp)
		events, carried = events+len(changes[i].Events), carried+len(changes[i].Carried)
		again.Apply(&changes[i])
	}
	require.Equal(t, [2]int{ledger.SnapshotChunk + 1, ledger.SnapshotChunk}, [2]int{events, carried})
	require.Equal(t, s.Coverage(), again.Coverage())
	require.Equal(t, [2]int{s.NumSeries(), s.NumEvents()}, [2]int{again.NumSeries(), again.NumEvents()})
}

// TestInvalidateDropsEntries of repositories, which may promise that what was lost need not be read.
func TestInvalidateDropsEntries(t *testing.T) {
	t.Parallel()
	s := NewState()
	for _, key := range []ledger.EntryKey{{Name: "entry"}, {Name: "entry", Repo: 1}, {Name: "entry", Sub: "x"}} {
		s.Apply(&ledger.Change{Entries: []ledger.Entry{{EntryKey: key, Data: []byte("x"), Observed: noon}}})
	}
	s.Invalidate(noon)
	require.Len(t, s.Snapshot()[0].Entries, 2)
}
