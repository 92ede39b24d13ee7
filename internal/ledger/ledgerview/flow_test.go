// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// flowSnapshot introduces repository 1 with all streams, of which those in unread have their look-back as a gap.
func flowSnapshot(began time.Time, unread activity.Streams, events ...activity.Event) ledger.Change {
	repo := ledger.RepoProgress{
		ID: 1, Name: "one", FirstSeen: noon, Since: noon.AddDate(0, 0, -14), Streams: activity.EveryStream,
	}
	for _, s := range activity.AllStreams() {
		if unread.Has(s) {
			repo.Missed = append(repo.Missed, streamWindow(s, repo.Since, noon))
		}
	}
	return ledger.Change{
		Reset: true, CaughtUp: true, LedgerStart: began, Events: events,
		Progress: ledger.Progress{Edge: noon, Repos: []ledger.RepoProgress{repo}},
	}
}

func flowView(zeroFor time.Duration, unread activity.Streams, events ...activity.Event) *View {
	v := New(Settings{Retention: 720 * time.Hour, Grace: time.Hour, ZeroFor: zeroFor})
	v.Apply(flowSnapshot(noon, unread, events...))
	return v
}

func merged(n int64, at time.Time, seconds uint32) activity.Event {
	return activity.Event{
		Kind: activity.KindMergeTime, Repo: 1, ID: activity.NumberID(n), Actor: activity.NoActor(), Time: at,
		Measures: activity.Measures{seconds, 0},
	}
}

// toMerge returns the time to merge after a visit, and false when it is not shown.
func toMerge(v *View, now time.Time) (ledger.Histogram, bool) {
	visit(v, now)
	for i, h := range v.Histograms(1, now) {
		if ledger.HistogramSpecs()[i].Metric == "gh.pr.time_to_merge" {
			return h, h.Buckets != nil
		}
	}
	return ledger.Histogram{}, false
}

// TestHistogramsWaitForHistory checks that a histogram appears when everything from before the first contact has been
// read, and is absent without events.
func TestHistogramsWaitForHistory(t *testing.T) {
	t.Parallel()
	v := flowView(time.Minute, activity.FlowStreams)
	_, isShown := toMerge(v, noon)
	require.False(t, isShown, "no event")
	live(v, merged(1, noon.Add(-time.Hour), 600))
	_, isShown = toMerge(v, noon)
	require.False(t, isShown, "the history is not read")
	read(v, activity.StreamPullFlow, -fortnight, 0, merged(2, noon.AddDate(0, 0, -3), 100_000))
	h, isShown := toMerge(v, noon)
	require.True(t, isShown, "history does not start at zero")
	require.Equal(t, uint64(100_600), h.Sum)
	require.Equal(t, uint64(2), h.Count())
	require.Equal(t, uint64(1), h.Buckets[1], "15 minutes")
	require.Equal(t, uint64(1), h.Buckets[8], "2 days")
	for i, other := range v.Histograms(1, noon) {
		if spec := &ledger.HistogramSpecs()[i]; spec.Kind != activity.KindMergeTime {
			require.Nil(t, other.Buckets, spec.Metric)
		}
	}
	require.Nil(t, v.Histograms(2, noon))
}

// TestHistogramsStayWhenEventsAreRemovedOrPruned checks that a histogram does not fall.
func TestHistogramsStayWhenEventsAreRemovedOrPruned(t *testing.T) {
	t.Parallel()
	first := merged(1, noon.Add(-time.Hour), 600)
	v := flowView(0, 0, first, merged(2, noon, 700))
	v.Apply(ledger.Change{Removed: []activity.Key{first.Key()}})
	v.Apply(ledger.Change{PrunedBefore: noon.Add(time.Hour)})
	h, _ := toMerge(v, noon)
	require.Equal(t, uint64(2), h.Count())
	applyProgress(v, ledger.RepoProgress{ID: 1, Presence: ledger.PresencePurged})
	require.Nil(t, v.Histograms(1, noon))
}

// TestHistogramsOfAReturningRepository checks that what happened while a repository was gone is counted by a query over
// the time since it is back.
func TestHistogramsOfAReturningRepository(t *testing.T) {
	t.Parallel()
	v := flowView(time.Minute, 0, merged(1, noon, 600))
	at := noon.Add(time.Hour)
	h, _ := toMerge(v, at)
	require.Equal(t, uint64(1), h.Count())
	applyProgress(v, ledger.RepoProgress{ID: 1, Presence: ledger.PresenceGone, GoneSince: at})
	visit(v, at.Add(time.Hour))
	applyProgress(v, ledger.RepoProgress{ID: 1, Presence: ledger.PresenceReadable})
	live(v, merged(2, at.Add(30*time.Minute), 700))
	for _, test := range []struct {
		after time.Duration
		count uint64
	}{{0, 1}, {59 * time.Second, 1}, {time.Minute, 2}} {
		h, _ = toMerge(v, at.Add(2*time.Hour+test.after))
		require.Equal(t, test.count, h.Count(), test.after)
	}
}

// TestHistogramsBeginAtZero checks that the first event of a kind is shown after zeros, and the following ones at once.
func TestHistogramsBeginAtZero(t *testing.T) {
	t.Parallel()
	v := flowView(time.Minute, 0)
	live(v, merged(1, noon, 600))
	for _, d := range []time.Duration{0, 59 * time.Second} {
		h, isShown := toMerge(v, noon.Add(d))
		require.True(t, isShown)
		require.Zero(t, h.Count())
		require.Zero(t, h.Sum)
	}
	live(v, merged(2, noon, 600))
	h, _ := toMerge(v, noon.Add(time.Minute))
	require.Equal(t, uint64(2), h.Count())
	live(v, merged(3, noon, 600))
	h, _ = toMerge(v, noon.Add(2*time.Minute))
	require.Equal(t, uint64(3), h.Count())
}

// TestHistogramsAfterASnapshot checks that a snapshot does not start a histogram, and that one which starts goes on
// doing so after a snapshot of the same ledger.
func TestHistogramsAfterASnapshot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		began time.Time
		want  uint64
	}{"the same ledger": {noon, 0}, "another one": {noon.Add(time.Second), 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := flowView(time.Minute, 0)
			live(v, merged(1, noon, 600))
			h, _ := toMerge(v, noon)
			require.Zero(t, h.Count())
			v.Apply(flowSnapshot(test.began, 0, merged(1, noon, 600)))
			h, _ = toMerge(v, noon.Add(time.Second))
			require.Equal(t, test.want, h.Count())
			h, _ = toMerge(v, noon.Add(time.Minute))
			require.Equal(t, uint64(1), h.Count())
		})
	}
}

// TestHistogramsOfATakeover checks that a replica that takes over emission shows none lower than the former one may
// have shown.
func TestHistogramsOfATakeover(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after time.Duration
		want  uint64
	}{"at once": {10 * time.Second, 0}, "late": {time.Minute, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := flowView(time.Minute, 0)
			pass(v, noon)
			live(v, merged(1, noon, 600))
			h, _ := toMerge(v, noon.Add(test.after))
			require.Equal(t, test.want, h.Count())
		})
	}
}

// TestFlowIsNoUser checks that events of a repository make no series of a user.
func TestFlowIsNoUser(t *testing.T) {
	t.Parallel()
	v := flowView(0, 0, merged(1, noon, 600))
	require.Empty(t, visit(v, noon).values)
	require.Empty(t, v.Users())
}
