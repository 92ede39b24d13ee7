// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// leftLongAgo is a batch in which repository 2 disappeared long before a time, with an entry of each repository.
func leftLongAgo(limit time.Time) ledger.Batch {
	left := limit.AddDate(0, 0, -3)
	e := storetest.Event(activity.KindCommit, 7, "eve", left.Add(-time.Hour))
	e.Repo = 2
	b := ledger.Batch{
		Org: "acme", Observed: storetest.Noon, Progress: storetest.IntroduceRepos(2),
		Events: []activity.Event{e},
	}
	r := &b.Progress.Repos[0]
	r.FirstSeen = left
	r.Presence, r.GoneSince, r.Signals, r.Observed = ledger.PresenceGone, left, &activity.Signals{}, left
	for _, stream := range activity.AllStreams() {
		r.Missed = append(r.Missed, ledger.StreamWindow{
			Stream: stream,
			Window: activity.Window{Start: left, End: storetest.Noon},
		})
	}
	for _, repo := range []int64{1, 2} {
		b.Entries = append(b.Entries, ledger.Entry{
			EntryKey: ledger.EntryKey{Name: "of", Repo: repo}, Data: []byte("x"),
			Observed: left,
		})
	}
	return b
}

// TestInterruptedPruning interrupts a pruning after each of its steps: the sums are right after each, and the next
// pruning completes it.
func TestInterruptedPruning(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	limit := storetest.Noon.Add(-time.Hour)
	steps := map[string]func(t *testing.T, p *pruning){
		"nothing": func(*testing.T, *pruning) {},
		"marked": func(t *testing.T, p *pruning) {
			t.Helper()
			require.NoError(t, p.setPrunedBefore(t.Context(), limit))
		},
		"carried": func(t *testing.T, p *pruning) {
			t.Helper()
			require.NoError(t, p.setPrunedBefore(t.Context(), limit))
			old := storetest.Event(activity.KindCommit, 1, "ada", limit.Add(-time.Hour))
			totals := new(ledger.CarriedTotals)
			totals.AddEvent(&old)
			require.NoError(t, p.carryTotals(t.Context(), limit, map[string]*ledger.CarriedTotals{
				seriesField(1, old.Actor): totals, seriesField(2, activity.Actor{Login: "eve"}): totals,
			}))
		},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := New(server.Client(), Settings{Prefix: "prune-" + name, Now: time.Now})
			events := []activity.Event{
				storetest.Event(activity.KindCommit, 1, "ada", limit.Add(-time.Hour)),
				storetest.Event(activity.KindCommit, 2, "ada", storetest.Noon),
			}
			batch := ledger.Batch{
				Org: "acme", Observed: storetest.Noon, Progress: storetest.IntroduceRepos(1),
				Events: events,
			}
			left := leftLongAgo(limit)
			for _, b := range []ledger.Batch{batch, left} {
				_, err := store.Commit(t.Context(), 1, b)
				require.NoError(t, err)
			}
			right := func() {
				t.Helper()
				shown := storetest.EmittedSeries{}
				storetest.LatestView(t, store, "acme").Visit(storetest.Noon, shown)
				ada := shown[ledgerview.Series{Repo: "repo-1", User: "ada"}]
				require.Equal(t, uint64(2), ada.Of[ledgerview.MetricTotal])
			}
			p := &pruning{store: store, org: "acme", keys: store.keys("acme")}
			require.NoError(t, p.loadState(t.Context()))
			step(t, p)
			right()
			receipt, err := store.Commit(t.Context(), 1, batch)
			require.NoError(t, err)
			require.Zero(t, receipt.Recorded)
			for i := range 3 { // a purge needs the totals that the pruning before has carried
				require.NoError(t, store.Prune(t.Context(), "acme", limit.Add(time.Duration(max(0, i-1))*time.Second)))
				right()
			}
			require.Equal(t, int64(1+1), server.Client().SCard(t.Context(), p.keys.seen).Val(),
				"beside the mark: the key of what was pruned is forgotten")
			require.Equal(t, int64(1+1), server.Client().HLen(t.Context(), p.keys.carried).Val(),
				"totals of what is there")
			require.Equal(t, int64(1+1), server.Client().HLen(t.Context(), p.keys.series).Val())
			require.Equal(t, int64(1+1), server.Client().HLen(t.Context(), p.keys.entries).Val())
			for _, field := range server.Client().HKeys(t.Context(), p.keys.cov).Val() {
				require.NotContains(t, field, "2", "what is about the repository that left")
			}
			receipt, err = store.Commit(t.Context(), 1, batch)
			require.NoError(t, err)
			require.Equal(t, ledger.Receipt{Duplicates: 1, Dropped: 1}, receipt)
		})
	}
}
