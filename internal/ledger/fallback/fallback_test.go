// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package fallback_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/fallback"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

var errDown = errors.New("down")

// shared is a store that can be down.
type shared struct {
	ledger.Store
	down, lost atomic.Bool
}

func (s *shared) Ping(context.Context) error {
	if s.down.Load() {
		return errDown
	}
	return nil
}

func (s *shared) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	if s.down.Load() {
		return ledger.Receipt{}, errDown
	}
	if s.lost.Load() && b.Basis != "" {
		return ledger.Receipt{}, ledger.ErrReplaced
	}
	return s.Store.Commit(ctx, fence, b)
}

func (s *shared) Coverage(ctx context.Context, org string) (ledger.Coverage, error) {
	if s.down.Load() {
		return ledger.Coverage{}, errDown
	}
	cov, err := s.Store.Coverage(ctx, org)
	cov.Basis = "before"
	return cov, err
}

// system is a fallback over a shared store, with a view of it.
type system struct {
	t        *testing.T
	shared   *shared
	store    *fallback.Store
	view     *ledgerview.View
	degraded []bool
}

func start(t *testing.T) *system {
	t.Helper()
	s := &system{t: t, shared: &shared{Store: memstore.New(memstore.Settings{})}}
	s.store = fallback.New(s.shared, []string{"acme"}, 0, func(degraded bool) {
		s.degraded = append(s.degraded,
			degraded)
	})
	s.view = ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour, Grace: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.store.Follow(ctx, "acme", func(c ledger.Change) error { s.view.Apply(c); return nil })
	}()
	t.Cleanup(func() { cancel(); <-done; s.store.Close() })
	return s
}

// record commits a commit of ada, with the introduction of her repository.
func (s *system) record(number int64) error {
	_, err := s.store.Commit(s.t.Context(), 1, ledger.Batch{
		Org: "acme", Observed: storetest.Noon, Progress: storetest.IntroduceRepos(1),
		Events: []activity.Event{storetest.Event(activity.KindCommit, number, "ada", storetest.Noon)},
	})
	return err
}

func (s *system) requireShown(want uint64) {
	s.t.Helper()
	synctest.Wait()
	shown := storetest.EmittedSeries{}
	s.view.Visit(storetest.Noon, shown)
	require.Equal(s.t, want, shown[ledgerview.Series{Repo: "repo-1", User: "ada"}].Of[ledgerview.MetricTotal])
}

// TestOutage: in an outage of the shared store no event is lost and commits succeed; afterwards the shared store has
// the commits of the outage.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		require.NoError(t, s.record(1))
		s.requireShown(1)
		s.shared.down.Store(true)
		require.ErrorIs(t, s.record(2), errDown)
		require.False(t, s.store.IsDegraded())
		<-time.After(10 * time.Second)
		synctest.Wait()
		require.True(t, s.store.IsDegraded())
		s.requireShown(1)
		require.NoError(t, s.record(2))
		require.NoError(t, s.record(3))
		s.requireShown(3)
		cov, err := s.store.Coverage(t.Context(), "acme")
		require.NoError(t, err)
		require.Len(t, cov.Repos, 1)
		require.NoError(t, s.store.Prune(t.Context(), "acme", storetest.Noon.AddDate(-1, 0, 0)))
		s.shared.down.Store(false)
		<-time.After(10 * time.Second)
		synctest.Wait()
		require.False(t, s.store.IsDegraded())
		require.Equal(t, []bool{true, false}, s.degraded)
		s.requireShown(3)
		require.NoError(t, s.record(4))
		s.requireShown(4)
		shown := storetest.EmittedSeries{}
		storetest.LatestView(t, s.shared, "acme").Visit(storetest.Noon, shown)
		require.Equal(t, uint64(4), shown[ledgerview.Series{Repo: "repo-1", User: "ada"}].Of[ledgerview.MetricTotal])
	})
}

// TestRecoveryWithLosses: a shared store that has lost writes gets the events of the outage, without their coverage.
func TestRecoveryWithLosses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		require.NoError(t, s.record(1))
		before, err := s.store.Coverage(t.Context(), "acme")
		require.NoError(t, err)
		s.shared.down.Store(true)
		<-time.After(10 * time.Second)
		cov, err := s.store.Coverage(t.Context(), "acme")
		require.NoError(t, err)
		require.Equal(t, "before", cov.Basis)
		_, err = s.store.Commit(t.Context(), 1, ledger.Batch{
			Org: "acme", Basis: cov.Basis, Observed: storetest.Noon,
			Progress: ledger.Progress{Edge: cov.Edge.Add(time.Hour)},
			Events:   []activity.Event{storetest.Event(activity.KindCommit, 2, "ada", storetest.Noon)},
		})
		require.NoError(t, err)
		s.shared.lost.Store(true)
		s.shared.down.Store(false)
		<-time.After(10 * time.Second)
		require.False(t, s.store.IsDegraded())
		s.requireShown(2)
		after, err := s.store.Coverage(t.Context(), "acme")
		require.NoError(t, err)
		require.Equal(t, before.Edge, after.Edge)
	})
}

// TestDownFromTheStart: without the shared store there is no state until the outage is detected.
func TestDownFromTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := &shared{Store: blocked{}}
		down.down.Store(true)
		s := fallback.New(down, []string{"acme"}, 0, func(bool) {})
		defer s.Close()
		caught := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			_ = s.Follow(ctx, "acme", func(c ledger.Change) error {
				if c.CaughtUp {
					close(caught)
				}
				return nil
			})
		}()
		began := time.Now()
		<-caught
		require.GreaterOrEqual(t, time.Since(began), 6*time.Second)
		require.True(t, s.IsDegraded())
	})
}

// blocked is a store that never replies.
type blocked struct{ ledger.Store }

func (blocked) Follow(ctx context.Context, _ string, _ func(ledger.Change) error) error {
	<-ctx.Done()
	return ctx.Err()
}
