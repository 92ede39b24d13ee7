// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// The size of the benchmarks: 100,000 series with ten events each.
const (
	benchRepos  = 1000
	benchUsers  = 100
	benchEvents = 10
)

// benchView is a view of all series with some events each.
func benchView(events int) *View {
	v := NewView(ViewSettings{Retention: 720 * time.Hour, Grace: time.Hour})
	progress := Progress{Edge: noon}
	for r := range benchRepos {
		progress.Repos = append(progress.Repos, RepoProgress{
			ID: int64(r + 1), Name: fmt.Sprintf("repository-%d", r), FirstSeen: noon, Since: noon.AddDate(0, 0, -28),
		})
	}
	v.Apply(Change{Reset: true, LedgerStart: noon, Progress: progress})
	actors := make([]activity.Actor, benchUsers)
	for u := range actors {
		actors[u] = activity.Actor{ID: int64(u + 1), Login: fmt.Sprintf("some-user-%d", u)}
	}
	kinds := activity.Kinds()
	batch := make([]activity.Event, 0, benchUsers*events)
	for r := range benchRepos {
		batch = batch[:0]
		for u := range benchUsers {
			for n := range events {
				batch = append(batch, activity.Event{
					Kind: kinds[n%len(kinds)], Repo: int64(r + 1), ID: activity.NumberID(int64(u*1000 + n)),
					Actor: actors[u],
					Time:  noon.Add(-time.Duration(n*7+u) * time.Hour),
				})
			}
		}
		v.Apply(Change{Events: batch})
	}
	v.Apply(Change{CaughtUp: true})
	return v
}

// held is the memory that a value holds.
func held[T any](build func() T) (T, float64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	value := build()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return value, float64(after.HeapAlloc) - float64(before.HeapAlloc)
}

// BenchmarkViewMemory holds 1,000,000 events over 100,000 series: a series is what the first event of each costs, an
// event what the further ones do.
func BenchmarkViewMemory(b *testing.B) {
	for b.Loop() {
		one, first := held(func() *View { return benchView(1) })
		all, whole := held(func() *View { return benchView(benchEvents) })
		const series = benchRepos * benchUsers
		b.ReportMetric(first/series, "bytes/series")
		b.ReportMetric((whole-first)/(series*(benchEvents-1)), "bytes/event")
		b.ReportMetric(whole/(series*benchEvents), "bytes/event-in-all")
		runtime.KeepAlive(one)
		runtime.KeepAlive(all)
	}
}

// BenchmarkStateMemory is the same for the state that an embedded store keeps beside the view.
func BenchmarkStateMemory(b *testing.B) {
	for b.Loop() {
		state, bytes := held(func() *State {
			s := NewState()
			s.cov.Apply(Progress{Repos: []RepoProgress{{
				ID: 1, Name: "one", FirstSeen: noon,
				Since: noon.AddDate(-1, 0, 0),
			}}})
			for i := range int64(1_000_000) {
				s.Apply(&Change{Events: []activity.Event{event(activity.KindIssueComment, i,
					fmt.Sprintf("user-%d", i%100), noon)}})
			}
			return s
		})
		b.ReportMetric(bytes/1_000_000, "bytes/event")
		runtime.KeepAlive(state)
	}
}

// BenchmarkViewVisit computes all values of 100,000 series.
func BenchmarkViewVisit(b *testing.B) {
	v := benchView(benchEvents)
	b.ReportAllocs()
	for b.Loop() {
		v.Visit(noon, discard{})
	}
}

// BenchmarkCommit records batches of 100 events in memory.
func BenchmarkCommit(b *testing.B) {
	store := NewLocal(nil, 0)
	ctx := b.Context()
	introduction := Batch{Org: "acme", Observed: noon, Progress: Progress{Repos: []RepoProgress{{
		ID: 1, Name: "one",
		FirstSeen: noon, Since: noon.AddDate(-1, 0, 0),
	}}}}
	if _, err := store.Commit(ctx, 1, introduction); err != nil {
		b.Fatal(err)
	}
	n := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		batch := Batch{Org: "acme", Observed: noon, Events: make([]activity.Event, 100)}
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

// BenchmarkCodec encodes and decodes a change of 1,000 events.
func BenchmarkCodec(b *testing.B) {
	var c Change
	for i := range int64(1000) {
		c.Events = append(c.Events, commitOf(i, fmt.Sprintf("user-%d", i%50), noon, 10))
	}
	frame, err := EncodeChange(c)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			if _, err := EncodeChange(c); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(frame))/1000, "bytes/event")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := DecodeChange(frame); err != nil {
				b.Fatal(err)
			}
		}
	})
}
