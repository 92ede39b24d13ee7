// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package extstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

var errFull = errors.New("no space left")

// faulty fails before or after something is done, and counts what it lets through.
type faulty struct {
	storage.Client

	mu                  sync.Mutex
	before, after       error // of writes
	read                error
	sets, batches, size int
}

func (f *faulty) fail(before, after, read error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after, f.read = before, after, read
}

func (f *faulty) Get(ctx context.Context, key string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.read != nil {
		return nil, f.read
	}
	return f.Client.Get(ctx, key)
}

func (f *faulty) Set(ctx context.Context, key string, value []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		return f.before
	}
	f.sets++
	f.size += len(value)
	return errors.Join(f.Client.Set(ctx, key, value), f.after)
}

func (f *faulty) Batch(ctx context.Context, operations ...*storage.Operation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		return f.before
	}
	f.batches++
	for _, o := range operations {
		f.size += len(o.Value)
	}
	return errors.Join(f.Client.Batch(ctx, operations...), f.after)
}

// spent is how much was written since the last call.
func (f *faulty) spent() (sets, batches, size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sets, batches, size = f.sets, f.batches, f.size
	f.sets, f.batches, f.size = 0, 0, 0
	return sets, batches, size
}

// TestFailedWrite: after a write that failed, done or not, memory and storage agree, and followers have what is kept.
// Of 60 batches, some write a snapshot first.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	for name, done := range map[string]bool{"not done": false, "done all the same": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := &faulty{Client: opened(t)}
			store := extstore.New(client, extstore.Settings{})
			follower := following(t, store)
			snapshots := 0
			for n := range int64(60) {
				if done {
					client.fail(nil, errFull, nil)
				} else {
					client.fail(errFull, nil, nil)
				}
				_, err := store.Commit(t.Context(), 1, crashBatch(n))
				require.ErrorIs(t, err, errFull)
				client.fail(nil, nil, nil)
				_, err = store.Commit(t.Context(), 1, crashBatch(n))
				require.NoError(t, err, "committing again is safe")
				_, batches, _ := client.spent()
				snapshots += batches
			}
			require.Positive(t, snapshots)
			require.Equal(t, uint64(60), commits(t, store))
			follower.requireCommits(60)
			_, events, reported := reopen(t, client)
			require.Empty(t, reported)
			require.Equal(t, 60, events)
		})
	}
}

// TestFailedRead: nothing is shown and nothing recorded while the storage cannot be read; then everything goes on.
func TestFailedRead(t *testing.T) {
	t.Parallel()
	client := &faulty{Client: filled(t, 2)}
	store := extstore.New(client, extstore.Settings{})
	client.fail(nil, nil, errFull)
	_, err := store.Commit(t.Context(), 1, crashBatch(9))
	require.ErrorIs(t, err, errFull)
	_, err = store.Coverage(t.Context(), "acme")
	require.ErrorIs(t, err, errFull)
	require.ErrorIs(t, store.Prune(t.Context(), "acme", storetest.Noon), errFull)
	require.ErrorIs(t, store.Follow(t.Context(), "acme", func(ledger.Change) error { return nil }), errFull)
	client.fail(nil, nil, nil)
	require.Equal(t, uint64(4), commits(t, store))
}

// TestAfterAFailedWrite: what leadership and the budget know does not wait for the state to be loaded again.
func TestAfterAFailedWrite(t *testing.T) {
	t.Parallel()
	client := &faulty{Client: opened(t)}
	store := extstore.New(client, extstore.Settings{MaxSeries: 1})
	one := func(org string, fence uint64) (ledger.Receipt, error) {
		b := crashBatch(0)
		b.Org, b.Events[0].Actor.Login = org, org
		return store.Commit(t.Context(), fence, b)
	}
	_, err := one("acme", 7)
	require.NoError(t, err)
	client.fail(errFull, nil, nil)
	_, err = one("acme", 7)
	require.ErrorIs(t, err, errFull)
	client.fail(nil, nil, nil)
	receipt, err := one("other", 1)
	require.NoError(t, err)
	require.Equal(t, 1, receipt.Folded, "the series of the organization that was dropped still counts")
	_, err = one("acme", 6)
	require.ErrorIs(t, err, ledger.ErrFenced)
}

// follower is a view that follows a store until it is stopped.
type follower struct {
	t       *testing.T
	view    *ledgerview.View
	applied chan struct{}
	stop    func()
}

func following(t *testing.T, store ledger.Store) *follower {
	t.Helper()
	f := &follower{
		t: t, applied: make(chan struct{}, 1),
		view: ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour}),
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		_ = store.Follow(ctx, "acme", func(c ledger.Change) error {
			f.view.Apply(c)
			select {
			case f.applied <- struct{}{}:
			default:
			}
			return nil
		})
	})
	f.stop = func() { cancel(); done.Wait() }
	t.Cleanup(f.stop)
	return f
}

// requireCommits waits until the view shows as many commits, and no more.
func (f *follower) requireCommits(want uint64) {
	f.t.Helper()
	for {
		got := adas(f.view)
		require.LessOrEqual(f.t, got, want)
		if got == want && f.view.IsCaughtUp() {
			return
		}
		<-f.applied
	}
}
