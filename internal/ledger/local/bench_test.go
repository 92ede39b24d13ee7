// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// BenchmarkStateMemory measures the state that an embedded store keeps beside the view, with 1,000,000 events.
func BenchmarkStateMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		state := NewState()
		state.cov.Apply(ledger.Progress{Repos: []ledger.RepoProgress{{
			ID: 1, Name: "one", FirstSeen: noon, Since: noon.AddDate(-1, 0, 0),
		}}})
		for i := range int64(1_000_000) {
			e := eventOf(activity.KindIssueComment, i, fmt.Sprintf("user-%d", i%100))
			state.Apply(&ledger.Change{Events: []activity.Event{e}})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/1_000_000, "bytes/event")
		runtime.KeepAlive(state)
	}
}

// BenchmarkCommit records batches of 100 events in memory.
func BenchmarkCommit(b *testing.B) {
	store := New(nil, 0)
	ctx := b.Context()
	introduction := ledger.Batch{Org: "acme", Observed: noon, Progress: ledger.Progress{Repos: []ledger.RepoProgress{{
		ID: 1, Name: "one",
		FirstSeen: noon, Since: noon.AddDate(-1, 0, 0),
	}}}}
	if _, err := store.Commit(ctx, 1, introduction); err != nil {
		b.Fatal(err)
	}
	n := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		batch := ledger.Batch{Org: "acme", Observed: noon, Events: make([]activity.Event, 100)}
		for i := range batch.Events {
			batch.Events[i] = commitOf(n, "ada", noon, 1)
			n++
		}
		if _, err := store.Commit(ctx, 1, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
