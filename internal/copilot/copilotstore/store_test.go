// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilotstore

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
)

const org = "acme"

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// committer commits to a ledger by a clock.
type committer struct {
	ledger.Store

	now time.Time
}

func (c *committer) Now() time.Time { return c.now }

func (c *committer) Coverage(ctx context.Context) (ledger.Coverage, error) {
	return c.Store.Coverage(ctx, org)
}

func (c *committer) CommitAsLeader(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	b.Org, b.Observed = org, c.now
	return c.Commit(ctx, fence, b)
}

func (c *committer) CommitAsWorker(ctx context.Context, b ledger.Batch) (ledger.Receipt, error) {
	return c.CommitAsLeader(ctx, 0, b)
}

func newStore(c *committer, owner ledger.CopilotOwner, fence uint64) *Store {
	return New(Settings{Org: org, Owner: owner, Committer: c, Entries: c, Fence: fence})
}

func newCommitter(t *testing.T) *committer {
	t.Helper()
	return &committer{Store: memstore.New(memstore.Settings{}), now: noon}
}

func document(name, data string) copilot.Document {
	return copilot.Document{Name: name, Data: []byte(data)}
}

// TestDocuments saves, replaces and removes documents, loads them, and reads them from a view.
func TestDocuments(t *testing.T) {
	t.Parallel()
	c := newCommitter(t)
	owners := []ledger.CopilotOwner{{}, {Enterprise: "acme"}, {Enterprise: "acme-2"}}
	for _, owner := range owners {
		s := newStore(c, owner, 1)
		raw, err := s.Load(t.Context(), "progress")
		require.NoError(t, err)
		require.Nil(t, raw)
		require.NoError(t, s.Save(t.Context(), []copilot.Document{
			document("progress", "1 of "+owner.Enterprise), document("report/a", "a"), document("report/b", "b"),
		}))
		c.now = c.now.Add(time.Minute)
		require.NoError(t, s.Save(t.Context(), []copilot.Document{
			document("progress", "2 of "+owner.Enterprise), {Name: "report/a"},
		}))
	}
	view := follow(t, c)
	for _, owner := range owners {
		s := newStore(c, owner, 1)
		fromView := ViewLoader(view, owner)
		for name, want := range map[string]string{
			"progress": "2 of " + owner.Enterprise, "report/a": "", "report/b": "b", "report/c": "",
		} {
			raw, err := s.Load(t.Context(), name)
			require.NoError(t, err)
			require.Equal(t, want, string(raw))
			require.Equal(t, want, string(fromView(name)))
			require.Equal(t, want == "", raw == nil)
		}
	}
}

// follow returns a view that has all changes.
func follow(t *testing.T, c *committer) *ledgerview.View {
	t.Helper()
	view := ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_ = c.Follow(ctx, org, func(change ledger.Change) error {
		view.Apply(change)
		if view.IsCaughtUp() {
			cancel()
		}
		return nil
	})
	require.True(t, view.IsCaughtUp())
	return view
}

// TestClockBehind shows that a leader whose clock is behind replaces what a former leader saved.
func TestClockBehind(t *testing.T) {
	t.Parallel()
	c := newCommitter(t)
	former := newStore(c, ledger.CopilotOwner{}, 1)
	_, err := former.Load(t.Context(), "progress")
	require.NoError(t, err)
	require.NoError(t, former.Save(t.Context(), []copilot.Document{document("progress", "former")}))
	c.now = c.now.Add(-time.Hour)
	next := newStore(c, ledger.CopilotOwner{}, 2)
	_, err = next.Load(t.Context(), "progress")
	require.NoError(t, err)
	require.NoError(t, next.Save(t.Context(), []copilot.Document{document("progress", "next")}))
	raw, err := next.Load(t.Context(), "progress")
	require.NoError(t, err)
	require.Equal(t, "next", string(raw))
	require.ErrorIs(t, former.Save(t.Context(), []copilot.Document{document("progress", "late")}), ledger.ErrFenced)
}

// TestWorker: a worker saves without the fence of a term, also when its clock is behind, and a leader whose clock is
// behind that of the worker removes it.
func TestWorker(t *testing.T) {
	t.Parallel()
	c := newCommitter(t)
	leader := newStore(c, ledger.CopilotOwner{}, 7)
	_, err := leader.Load(t.Context(), "progress")
	require.NoError(t, err)
	require.NoError(t, leader.Save(t.Context(), []copilot.Document{document("report/a", "of another day")}))
	load := func(store *Store) string {
		raw, err := store.Load(t.Context(), "report/a")
		require.NoError(t, err)
		return string(raw)
	}
	for _, ahead := range []time.Duration{-time.Hour, 2 * time.Hour} {
		c.now = c.now.Add(ahead)
		worker := New(Settings{Org: org, Committer: c, Entries: c, IsWorker: true})
		require.ErrorIs(t, worker.Save(t.Context(), nil), errReplaced, "nothing was loaded yet")
		load(worker)
		require.NoError(t, worker.Save(t.Context(), []copilot.Document{document("report/a", ahead.String())}))
		require.Equal(t, ahead.String(), load(leader))
	}
	c.now = noon
	require.NoError(t, leader.Save(t.Context(), []copilot.Document{{Name: "report/a"}}))
	require.Empty(t, load(leader))
}

// TestReplacedLedger shows that nothing is saved into another ledger than the one that was loaded, until it is loaded.
func TestReplacedLedger(t *testing.T) {
	t.Parallel()
	c := newCommitter(t)
	s := newStore(c, ledger.CopilotOwner{}, 1)
	require.ErrorIs(t, s.Save(t.Context(), nil), errReplaced, "nothing was loaded yet")
	_, err := s.Load(t.Context(), "progress")
	require.NoError(t, err)
	save := func(store *Store, data string) error {
		return store.Save(t.Context(), []copilot.Document{document("progress", data)})
	}
	require.NoError(t, save(s, "1"))
	c.Store, c.now = memstore.New(memstore.Settings{}), noon.Add(time.Hour)
	other := newStore(c, ledger.CopilotOwner{Enterprise: "e"}, 1)
	_, err = other.Load(t.Context(), "progress")
	require.NoError(t, err)
	require.NoError(t, save(other, "1"))
	require.ErrorIs(t, save(s, "2"), errReplaced)
	raw, err := s.Load(t.Context(), "progress")
	require.NoError(t, err)
	require.Nil(t, raw)
	require.NoError(t, save(s, "3"))
}
