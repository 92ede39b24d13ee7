// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisstore

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

const retention = 14 * 24 * time.Hour

// watcher is a view that follows step by step.
type watcher struct {
	view *ledgerview.View
	f    *follower
}

func watch(t *testing.T, s *Store) *watcher {
	t.Helper()
	view := ledgerview.New(ledgerview.Settings{Retention: retention, Grace: time.Hour})
	w := &watcher{view: view, f: &follower{
		store: s, org: "acme", keys: s.keys("acme"),
		apply: func(c ledger.Change) error {
			view.Apply(c)
			return nil
		},
	}}
	require.NoError(t, w.f.step(t.Context()))
	require.True(t, view.IsCaughtUp())
	return w
}

// shows returns the series of the view after all entries of the log.
func (w *watcher) shows(t *testing.T, at time.Time) storetest.EmittedSeries {
	t.Helper()
	entries, err := w.f.store.client.XRange(t.Context(), w.f.keys.log, "("+w.f.last, "+").Result()
	if w.f.last == "" {
		entries, err = w.f.store.client.XRange(t.Context(), w.f.keys.log, "-", "+").Result()
	}
	require.NoError(t, err)
	for _, entry := range entries {
		require.Equal(t, w.f.last, entryField(entry, "p"))
		require.NoError(t, w.f.applyEntry(entry))
	}
	shown := storetest.EmittedSeries{}
	w.view.Visit(at, shown)
	return shown
}

// purgeRun are the stores of two replicas on one ledger, in which repositories disappear and return, and views that
// started at different times.
type purgeRun struct {
	t         *testing.T
	stores    [2]*Store
	now, edge time.Time
	gone      map[int64]bool
	events    int64
	watchers  []*watcher
	halfway   *pruning // interrupted after it has set its limit
	limit     time.Time
}

func (r *purgeRun) store(rt *rapid.T) *Store {
	return r.stores[rapid.IntRange(0, 1).Draw(rt, "replica")]
}

func (r *purgeRun) commit(s *Store, edge time.Time, events []activity.Event, repos ...ledger.RepoProgress) {
	r.t.Helper()
	_, err := s.Commit(r.t.Context(), 0, ledger.Batch{
		Org: "acme", Observed: r.now, Events: events,
		Progress: ledger.Progress{Edge: edge, Repos: repos},
	})
	require.NoError(r.t, err)
}

// discover commits a pass that discovers a repository.
func (r *purgeRun) discover(s *Store, id int64) {
	r.t.Helper()
	r.gone[id], r.edge = false, r.now
	r.commit(s, r.now, nil, ledger.RepoProgress{
		ID: id, Name: fmt.Sprint("repo-", id), Presence: ledger.PresenceReadable, FirstSeen: r.now,
		Since: r.now.Add(-retention),
	})
}

func (r *purgeRun) event(s *Store, id int64, user string, at time.Time) {
	r.t.Helper()
	r.events++
	e := storetest.Event(activity.KindCommit, r.events, user, at)
	e.Repo = id
	r.commit(s, time.Time{}, []activity.Event{e})
}

func (r *purgeRun) pruning(s *Store) *pruning {
	r.t.Helper()
	p := &pruning{store: s, org: "acme", keys: s.keys("acme")}
	require.NoError(r.t, p.loadState(r.t.Context()))
	return p
}

func (r *purgeRun) step(rt *rapid.T) {
	r.now = r.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "hours")) * time.Hour)
	s, id, limit := r.store(rt), rapid.Int64Range(1, 3).Draw(rt, "repository"), r.now.Add(-retention)
	switch rapid.IntRange(0, 6).Draw(rt, "step") {
	case 0:
		r.discover(s, id)
	case 1:
		if gone, met := r.gone[id]; met && !gone {
			ago := time.Duration(rapid.IntRange(0, 24*13).Draw(rt, "ago")) * time.Hour
			r.event(s, id, rapid.SampledFrom([]string{"ada", "bob"}).Draw(rt, "user"), r.now.Add(-ago))
		}
	case 2:
		if _, met := r.gone[id]; met {
			r.gone[id] = true
			r.commit(s, time.Time{}, nil, ledger.RepoProgress{ID: id, Presence: ledger.PresenceGone, GoneSince: r.edge})
		}
	case 3:
		require.NoError(r.t, s.Prune(r.t.Context(), "acme", limit))
	case 4:
		if p := r.pruning(s); p.epoch != "" && limit.After(p.pruned) {
			require.NoError(r.t, p.setPrunedBefore(r.t.Context(), limit))
			r.halfway, r.limit = p, limit
		}
	case 5:
		if r.halfway != nil {
			_ = r.halfway.carryAndTrim(r.t.Context(), r.limit) // the other replica may have pruned
			r.halfway = nil
		}
	default:
		if len(r.watchers) < 5 {
			r.watchers = append(r.watchers, watch(r.t, s))
		}
	}
}

// TestPurgeIsTheSameInAllViews: while repositories disappear and return, two replicas prune, interrupted or not. Views
// that started at any time have the same series, and in the end no field of a purged repository is left.
func TestPurgeIsTheSameInAllViews(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	var runs atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		r := &purgeRun{t: t, now: storetest.Noon, gone: make(map[int64]bool)}
		prefix := fmt.Sprint("run-", runs.Add(1))
		for i := range r.stores {
			r.stores[i] = New(client, Settings{Prefix: prefix, Now: time.Now})
		}
		for range rapid.IntRange(10, 40).Draw(rt, "steps") {
			r.step(rt)
		}
		r.requireSameSeries(rt)
		r.requirePurged(rt, client)
	})
}

func (r *purgeRun) requireSameSeries(rt *rapid.T) {
	for i := range 3 {
		require.NoError(r.t, r.stores[0].Prune(r.t.Context(), "acme",
			r.now.Add(-retention).Add(time.Duration(i)*time.Minute)))
	}
	r.now = r.now.Add(time.Hour)
	for id := int64(1); id <= 3; id++ {
		r.discover(r.stores[0], id)
		r.event(r.stores[0], id, "ada", r.now)
		r.event(r.stores[1], id, "bob", r.now)
	}
	want := watch(r.t, r.stores[1]).shows(r.t, r.now)
	require.Len(rt, want, 6)
	for i, w := range r.watchers {
		require.Equal(rt, want, w.shows(r.t, r.now), "view %d", i)
	}
}

func (r *purgeRun) requirePurged(rt *rapid.T, client *redis.Client) {
	for id := int64(1); id <= 3; id++ {
		r.commit(r.stores[0], time.Time{}, nil, ledger.RepoProgress{
			ID: id, Presence: ledger.PresenceGone,
			GoneSince: r.edge,
		})
	}
	for range 4 {
		r.now = r.now.Add(retention)
		require.NoError(r.t, r.stores[0].Prune(r.t.Context(), "acme", r.now.Add(-retention)))
	}
	k := r.stores[0].keys("acme")
	for _, key := range []string{k.cov, k.carried, k.series, k.entries} {
		require.Equal(rt, []string{markerField}, client.HKeys(r.t.Context(), key).Val(), key)
	}
	require.Equal(rt, []string{markerField}, client.SMembers(r.t.Context(), k.seen).Val())
}

// TestDamagedContact: a repository whose contact fails to decode is introduced again, and an invalid time of
// disappearance fails no pruning.
func TestDamagedContact(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	store := New(client, Settings{Prefix: "gx", Now: time.Now})
	for _, value := range []string{"soon", "", "1", "99999999999999999999 1", "1 2 3"} {
		require.NoError(t, client.HSet(t.Context(), store.keys("acme").cov, "c2", value).Err())
		_, err := store.Commit(t.Context(), 1, ledger.Batch{
			Org: "acme", Observed: storetest.Noon,
			Progress: storetest.IntroduceRepos(2),
		})
		require.NoError(t, err, value)
		cov, err := store.Coverage(t.Context(), "acme")
		require.NoError(t, err)
		require.Equal(t, storetest.Noon, cov.Repos[2].FirstSeen)
		store = New(client, Settings{Prefix: "gx", Now: time.Now})
	}
	limit := storetest.Noon
	for _, value := range []string{"soon", "", "0177", "-9223372036854775808", "99999999999999999999", "1e3"} {
		require.NoError(t, client.HSet(t.Context(), store.keys("acme").cov, "g2", value).Err())
		for range 3 {
			limit = limit.Add(time.Hour)
			require.NoError(t, store.Prune(t.Context(), "acme", limit), value)
		}
		cov, err := store.Coverage(t.Context(), "acme")
		require.NoError(t, err)
		require.LessOrEqual(t, len(cov.Repos), 1)
	}
}

// TestPurgeOfManyFields is split over several prunings.
func TestPurgeOfManyFields(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	store := New(client, Settings{Prefix: "gx", Now: time.Now})
	const repos, users = 30, 4000
	p := ledger.Progress{Edge: storetest.Noon}
	keys := store.keys("acme")
	left := storetest.Noon.AddDate(0, 0, -40)
	for id := int64(1); id <= repos; id++ {
		p.Repos = append(p.Repos, ledger.RepoProgress{
			ID: id, Name: "repo", FirstSeen: left, Since: left,
			Presence: ledger.PresenceGone, GoneSince: left,
		})
	}
	_, err := store.Commit(t.Context(), 1, ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: p})
	require.NoError(t, err)
	for id := int64(1); id <= repos; id++ {
		var totals []any
		for user := range users {
			totals = append(totals, seriesField(id, activity.Actor{ID: int64(user), Login: "user"}), "1 2 3 4 5 6 7")
		}
		for chunk := range slices.Chunk(totals, 2000) {
			require.NoError(t, client.HSet(t.Context(), keys.carried, chunk...).Err())
		}
	}
	var remaining []int64
	for i := range 4 {
		require.NoError(t, store.Prune(t.Context(), "acme", storetest.Noon.Add(time.Duration(i-100)*time.Hour)))
		remaining = append(remaining, client.HLen(t.Context(), keys.carried).Val()-1) // without the marker
	}
	require.Equal(t, []int64{repos * users, repos*users - 12*users, repos*users - 24*users, 0}, remaining)
}
