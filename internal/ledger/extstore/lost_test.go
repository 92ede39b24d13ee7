// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package extstore_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

// records are a storage in memory that keeps each state that it had.
type records struct {
	now     map[string][]byte
	history []map[string][]byte
}

var _ storage.Client = (*records)(nil)

func (r *records) Get(_ context.Context, key string) ([]byte, error) { return r.now[key], nil }

func (r *records) Set(ctx context.Context, key string, value []byte) error {
	return r.Batch(ctx, storage.SetOperation(key, value))
}

func (r *records) Delete(ctx context.Context, key string) error {
	return r.Batch(ctx, storage.DeleteOperation(key))
}

func (r *records) Batch(_ context.Context, operations ...*storage.Operation) error {
	for _, o := range operations {
		switch o.Type {
		case storage.Set:
			r.now[o.Key] = slices.Clone(o.Value)
		case storage.Delete:
			delete(r.now, o.Key)
		case storage.Get:
			o.Value = r.now[o.Key]
		}
	}
	r.history = append(r.history, maps.Clone(r.now))
	return nil
}

func (*records) Close(context.Context) error { return nil }

// pushed are events by the number of the push that has them; the second one was taken off the branch afterwards.
func pushed() [][]activity.Event {
	at := func(number int64, days int) activity.Event {
		return storetest.Event(activity.KindCommit, number, "ada", storetest.Noon.AddDate(0, 0, -days))
	}
	return [][]activity.Event{{at(1, 10), at(2, 0), at(3, 0)}, {at(4, 0)}, {at(5, 0)}}
}

// liveStore is a store with an organization of which everything is known.
type liveStore struct {
	*extstore.Store
	client   *records
	reported []string
}

func openRecords(client *records) *liveStore {
	s := &liveStore{client: client}
	s.Store = extstore.New(client, extstore.Settings{OnCorrupt: func(key string, err error) {
		s.reported = append(s.reported, fmt.Sprintf("%s: %v", key, err))
	}})
	return s
}

func (s *liveStore) commit(t *testing.T, b ledger.Batch) {
	t.Helper()
	b.Org, b.Observed = "acme", storetest.Noon
	_, err := s.Commit(t.Context(), 1, b)
	require.NoError(t, err)
}

// pass reads up to a push what the coverage does not have: what was pushed after the head that it knows, and what is in
// its gaps.
func (s *liveStore) pass(t *testing.T, pushes int) {
	t.Helper()
	cov, err := s.Coverage(t.Context(), "acme")
	require.NoError(t, err)
	repo, read, since := cov.Repos[1], 0, storetest.Noon.AddDate(0, 0, -14)
	progress := ledger.RepoProgress{ID: 1, Observed: storetest.Noon}
	if repo == nil {
		s.commit(t, ledger.Batch{Progress: ledger.Progress{Repos: storetest.IntroduceRepos(1).Repos}})
	} else {
		read, _ = strconv.Atoi(repo.Signals.Head)
		for _, w := range repo.Missing[activity.StreamCommits] {
			read = 0
			progress.Read = append(progress.Read, ledger.StreamWindow{Stream: activity.StreamCommits, Window: w})
		}
	}
	for _, events := range pushed()[min(read, pushes):pushes] {
		events = slices.DeleteFunc(events, func(e activity.Event) bool { return e.Time.Before(since) })
		s.commit(t, ledger.Batch{Events: events})
	}
	progress.Signals = &activity.Signals{Head: strconv.Itoa(pushes)}
	s.commit(t, ledger.Batch{Progress: ledger.Progress{Repos: []ledger.RepoProgress{progress}}})
	edge := storetest.Noon.Add(time.Duration(pushes) * time.Minute)
	s.commit(t, ledger.Batch{Removed: []activity.Key{pushed()[0][1].Key()}, Progress: ledger.Progress{Edge: edge}})
}

// lived is a storage with snapshots that replaced journals, and a journal.
func lived(t *testing.T) *records {
	t.Helper()
	client := &records{now: make(map[string][]byte)}
	s := openRecords(client)
	s.pass(t, 1)
	require.NoError(t, s.Prune(t.Context(), "acme", storetest.Noon.AddDate(0, 0, -5)))
	for n := range int64(2) {
		for i := range int64(20) { // outgrows a snapshot
			large := ledger.Entry{
				EntryKey: ledger.EntryKey{Name: "large"}, Observed: storetest.Noon,
				Data: make([]byte, ledger.MaxEntry),
			}
			large.Data[0], large.Data[1] = byte(n), byte(i)
			s.commit(t, ledger.Batch{Entries: []ledger.Entry{large}})
		}
		s.pass(t, int(n)+2)
	}
	s.pass(t, 3)
	return client
}

// requireRight: whatever became of the records, the present is shown right after two passes, the past is never more
// than it was, and less only after a report or as of an earlier moment. The store is sound from then on.
func requireRight(t *testing.T, client *records, what string) {
	t.Helper()
	s := openRecords(client)
	for range 2 {
		s.pass(t, 3)
		requireCounts(t, s, what)
	}
	again := openRecords(client)
	requireCounts(t, again, what+", opened again")
	require.Empty(t, again.reported, what)
	again.pass(t, 3)
	requireCounts(t, again, what+", opened again")
}

func requireCounts(t *testing.T, s *liveStore, what string) {
	t.Helper()
	got := storetest.EmittedSeries{}
	storetest.LatestView(t, s, "acme").Visit(storetest.Noon, got)
	ada := got[ledgerview.Series{Repo: "repo-1", User: "ada"}]
	require.Equal(t, uint64(3), ada.Of[ledgerview.MetricCount], "%s: %v", what, s.reported)
	require.LessOrEqual(t, ada.Of[ledgerview.MetricTotal], uint64(5), "%s: %v", what, s.reported)
	require.GreaterOrEqual(t, ada.Of[ledgerview.MetricTotal], uint64(3), "%s: %v", what, s.reported)
}

// TestLostRecords: any subset of the records is gone: all subsets of the heads and of the first changes after the
// snapshot, and some of all.
func TestLostRecords(t *testing.T) {
	t.Parallel()
	whole := lived(t).now
	keys := slices.Sorted(maps.Keys(whole))
	random := rand.New(rand.NewPCG(1, 2))
	for subset := range 3 << 9 {
		client, mask := &records{now: maps.Clone(whole)}, uint64(subset)
		if subset >= 1<<10 {
			mask = random.Uint64()
		}
		var gone []string
		for i, key := range keys {
			if bit := (i + 3) % len(keys); mask&(1<<bit) != 0 { // the heads, which are the last keys, come first
				delete(client.now, key)
				gone = append(gone, key)
			}
		}
		requireRight(t, client, fmt.Sprintf("without %v", gone))
	}
}

// TestOlderRecords: some of the records are what they were at an earlier moment, as after a backup that was restored in
// parts: each alone, and many together.
func TestOlderRecords(t *testing.T) {
	t.Parallel()
	client := lived(t)
	all := make(map[string]bool)
	for _, then := range client.history {
		for key := range then {
			all[key] = true
		}
	}
	keys := slices.Sorted(maps.Keys(all))
	mixed := func(then map[string][]byte, older func(key string) bool) *records {
		mix := &records{now: make(map[string][]byte)}
		for _, key := range keys {
			from := client.now
			if older(key) {
				from = then
			}
			if record, ok := from[key]; ok {
				mix.now[key] = record
			}
		}
		return mix
	}
	tried := make(map[string]bool)
	for moment, then := range client.history {
		for _, one := range keys {
			version := one + "=" + string(then[one])
			if string(then[one]) != string(client.now[one]) && !tried[version] {
				tried[version] = true
				mix := mixed(then, func(key string) bool { return key == one })
				requireRight(t, mix, fmt.Sprintf("%s as of moment %d", one, moment))
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		moment := random.IntN(len(client.history))
		older := make(map[string]bool)
		for _, key := range keys {
			older[key] = random.IntN(2) == 0
		}
		mix := mixed(client.history[moment], func(key string) bool { return older[key] })
		requireRight(t, mix, fmt.Sprintf("%v as of moment %d", older, moment))
	}
}
