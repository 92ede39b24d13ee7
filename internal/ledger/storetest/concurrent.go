// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// manyAtOnce runs 8 overlapping writers and 4 followers that start at different times. At the end all followers show
// the same, and each event is counted once.
func manyAtOnce(t *testing.T, h Harness) {
	t.Helper()
	const writers, batches = 8, 60
	s := h.Open(t)
	introduce(t, s, 1)
	var writing sync.WaitGroup
	followers := []*live{follow(t, s, newView())}
	for w := range writers {
		writing.Go(func() { writeOverlapping(t, s, w/2, batches) })
		if w%2 == 1 && len(followers) < writers/2 {
			followers = append(followers, follow(t, s, newView()))
		}
	}
	writing.Wait()
	setMark(t, s, 1)
	want := shown(t, s, Noon)
	require.Len(t, want, writers/2)
	for u := range writers / 2 {
		require.Equal(t, uint64(batches), total(want, fmt.Sprintf("user-%d", u), activity.KindCommit))
	}
	for i, follower := range followers {
		follower.wait(1)
		follower.stop()
		require.Equal(t, want, visited(follower.view, Noon), "follower %d", i)
	}
}

// writeOverlapping commits the batches of a user, each of which has events of the one before.
func writeOverlapping(t *testing.T, s ledger.Store, user, batches int) {
	t.Helper()
	name := fmt.Sprintf("user-%d", user)
	for n := range int64(batches) {
		var events []activity.Event
		for i := max(0, n-1); i <= n; i++ {
			number := int64(user)*1000 + i
			events = append(events, Event(activity.KindCommit, number, name, Noon.Add(-time.Duration(i)*time.Minute)),
				Event(activity.KindReviewSubmitted, number, name, Noon))
		}
		if _, err := s.Commit(t.Context(), 0, batch(events...)); err != nil {
			t.Errorf("commit: %v", err)
		}
	}
}

// boundAtOnce checks that with many concurrent writers to several organizations there are as many series as max_series
// allows, and that the others are folded into "_other".
func boundAtOnce(t *testing.T, h Harness, bound int) {
	t.Helper()
	s := h.Open(t)
	var writing sync.WaitGroup
	names := []string{org, "other", "third", "fourth"}
	for _, name := range names {
		writing.Go(func() {
			for n := range int64(10) {
				b := batch(Event(activity.KindCommit, n, fmt.Sprintf("user-%d", n), Noon))
				b.Org, b.Progress = name, IntroduceRepos(1)
				if _, err := s.Commit(t.Context(), 0, b); err != nil {
					t.Errorf("commit: %v", err)
				}
			}
		})
	}
	writing.Wait()
	series, events := 0, uint64(0)
	for _, name := range names {
		for key, values := range visited(LatestView(t, s, name), Noon) {
			events += values.Of[ledgerview.MetricTotal]
			if key.User != activity.LoginOther {
				series++
			}
		}
	}
	require.Equal(t, bound, series)
	require.Equal(t, uint64(10*len(names)), events)
}

// property checks that any order, any repetition, any cut into batches, with restarts and prunings in between, gives
// the metrics that the model computes.
func property(t *testing.T, newHarness func(tb testing.TB) Harness) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		run := &propertyRun{t: t, h: newHarness(t), model: newModel()}
		run.store = run.h.Open(t)
		run.live = follow(t, run.store, newView())
		defer func() { run.live.stop() }()
		introduce(t, run.store, 1, 2)
		events := rapid.SliceOfNDistinct(rapid.Custom(drawEvent), 1, 60,
			func(e activity.Event) activity.Key { return e.Key() }).Draw(rt, "events")
		stream := slices.Concat(events, rapid.SliceOfN(rapid.SampledFrom(events), 0, 30).Draw(rt, "again"))
		stream = rapid.Permutation(stream).Draw(rt, "order")
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(rt, "batch")
			run.commit(stream[:n])
			stream = stream[rapid.IntRange(1, n).Draw(rt, "go on"):] // batches overlap
			run.disturb(rt, events)
		}
		run.require(rt)
	})
}

type propertyRun struct {
	t     *testing.T
	h     Harness
	store ledger.Store
	live  *live
	model *model
}

func (r *propertyRun) commit(events []activity.Event) {
	r.t.Helper()
	receipt := commit(r.t, r.store, batch(events...))
	require.Equal(r.t, len(events), receipt.Recorded+receipt.Duplicates+receipt.Dropped)
	require.Equal(r.t, r.model.record(events), receipt.Recorded)
}

// disturb prunes, restarts or removes now and then.
func (r *propertyRun) disturb(rt *rapid.T, events []activity.Event) {
	switch rapid.IntRange(0, 7).Draw(rt, "then") {
	case 2:
		r.remove(rt, events)
	case 3:
		r.sweep(rt, events)
	case 0:
		before := Noon.Add(-time.Duration(rapid.IntRange(1, 400).Draw(rt, "hours")) * time.Hour)
		require.NoError(r.t, r.store.Prune(r.t.Context(), org, before))
		r.model.prune(before)
	case 1:
		if r.h.Durable {
			r.live.stop()
			r.store = r.h.Open(r.t)
			r.live = follow(r.t, r.store, r.live.view)
		}
	}
}

// remove removes some events, together with others, twice, and without authority.
func (r *propertyRun) remove(rt *rapid.T, events []activity.Event) {
	b := batch(rapid.SliceOfN(rapid.SampledFrom(events), 0, 3).Draw(rt, "beside")...)
	for _, e := range rapid.SliceOfN(rapid.SampledFrom(events), 1, 5).Draw(rt, "removed") {
		b.Removed = append(b.Removed, e.Key())
	}
	for _, fence := range []uint64{0, 1, 1}[rapid.IntRange(0, 2).Draw(rt, "who"):] {
		receipt, err := r.store.Commit(r.t.Context(), fence, b)
		require.NoError(r.t, err)
		require.Equal(r.t, r.model.record(b.Events), receipt.Recorded)
		if fence != 0 {
			r.model.remove(b.Removed)
		}
	}
}

// sweep has all events removed of a repository and kind in a window, but for some.
func (r *propertyRun) sweep(rt *rapid.T, events []activity.Event) {
	of := rapid.SampledFrom(events).Draw(rt, "swept")
	sweep := ledger.Sweep{
		Repo: of.Repo, Kind: of.Kind, Window: activity.Window{
			Start: of.Time.Add(-24 * time.Hour),
			End:   of.Time.Add(time.Hour),
		},
		Present: map[activity.ID]struct{}{rapid.SampledFrom(events).Draw(rt, "kept").ID: {}},
	}
	var removed []activity.Key
	for key, e := range r.model.kept {
		if sweep.Removes(key, e.Time) {
			removed = append(removed, key)
		}
	}
	b := batch()
	b.Sweeps = []ledger.Sweep{sweep}
	commit(r.t, r.store, b)
	r.model.remove(removed)
}

func (r *propertyRun) require(rt *rapid.T) {
	setMark(r.t, r.store, 1)
	r.live.wait(1)
	late := LatestView(r.t, r.store, org)
	for _, at := range []time.Time{Noon, Noon.Add(30 * time.Minute)} {
		want := r.model.shown(at)
		require.Equal(rt, want, plain(visited(late, at)), "a late view")
		require.Equal(rt, want, plain(visited(r.live.view, at)), "a view from the beginning")
		require.Equal(rt, r.model.histograms(), plainHistograms(late, at), "a late view")
		require.Equal(rt, r.model.histograms(), plainHistograms(r.live.view, at), "a view from the beginning")
	}
	if sizer, ok := r.store.(Sizer); ok {
		_, events := sizer.Sizes(org)
		require.Len(rt, r.model.kept, events)
	}
}
