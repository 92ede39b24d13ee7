// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// The size of the benchmarks: 100,000 series with ten events each.
const (
	benchRepos  = 1000
	benchUsers  = 100
	benchEvents = 10
)

// benchView is a view of all series with some events each.
func benchView(events int) *View {
	v := New(Settings{Retention: 720 * time.Hour, Grace: time.Hour})
	progress := ledger.Progress{Edge: noon}
	for r := range benchRepos {
		progress.Repos = append(progress.Repos, ledger.RepoProgress{
			ID: int64(r + 1), Name: fmt.Sprintf("repository-%d", r), FirstSeen: noon, Since: noon.AddDate(0, 0, -28),
		})
	}
	v.Apply(ledger.Change{Reset: true, LedgerStart: noon, Progress: progress})
	actors := make([]activity.Actor, benchUsers)
	for u := range actors {
		actors[u] = activity.Actor{ID: int64(u + 1), Login: fmt.Sprintf("some-user-%d", u)}
	}
	kinds := activity.AuthorKinds()
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
		v.Apply(ledger.Change{Events: batch})
	}
	v.Apply(ledger.Change{CaughtUp: true})
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

// BenchmarkViewVisit computes all values of 100,000 series.
func BenchmarkViewVisit(b *testing.B) {
	v := benchView(benchEvents)
	b.ReportAllocs()
	for b.Loop() {
		v.Visit(noon, discard{})
	}
}

type discard struct{}

func (discard) Emit(Series, *Values)   {}
func (discard) MarkStale(Series, Mask) {}
