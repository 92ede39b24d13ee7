// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// live is a view that follows an organization in the background.
type live struct {
	t    *testing.T
	view *ledgerview.View
	stop func()

	mu   sync.Mutex
	cond *sync.Cond
	seen int   // the newest mark that was applied
	mark int   // the same, when the view has caught up: the mark of a snapshot comes before its events
	err  error // why following ended before it was stopped
}

var mark = ledger.EntryKey{Name: "mark"}

// follow starts a view, or lets one that was stopped go on with a store that was opened again.
func follow(t *testing.T, s ledger.Store, view *ledgerview.View) *live {
	t.Helper()
	l := &live{t: t, view: view, seen: -1, mark: -1}
	l.cond = sync.NewCond(&l.mu)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		err := s.Follow(ctx, org, l.apply)
		l.mu.Lock()
		defer l.mu.Unlock()
		if !errors.Is(err, context.Canceled) {
			l.err = err
		}
		l.cond.Broadcast()
	})
	l.stop = func() { cancel(); done.Wait() }
	return l
}

func (l *live) apply(c ledger.Change) error {
	l.view.Apply(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, entry := range c.Entries {
		if entry.EntryKey == mark {
			l.seen, _ = strconv.Atoi(string(entry.Data)) // as setMark wrote it
		}
	}
	if l.view.IsCaughtUp() && l.mark != l.seen {
		l.mark = l.seen
		l.cond.Broadcast()
	}
	return nil
}

// setMark commits a mark after everything that was committed before.
func setMark(t *testing.T, s ledger.Store, n int) {
	t.Helper()
	commit(t, s, ledger.Batch{Org: org, Observed: Noon, Entries: []ledger.Entry{{
		EntryKey: mark,
		Data:     []byte(strconv.Itoa(n)), Observed: Noon,
	}}})
}

// wait waits until a mark has been applied, and everything before it with it.
func (l *live) wait(n int) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.mark < n && l.err == nil {
		l.cond.Wait()
	}
	require.NoError(l.t, l.err)
}

// everywhere checks a view from the beginning, one that starts late and, where the store is durable, one after a
// restart.
func everywhere(
	t *testing.T, h Harness, s *ledger.Store, follower **live, mark int, check func(view *ledgerview.View),
) {
	t.Helper()
	setMark(t, *s, mark)
	(*follower).wait(mark)
	check((*follower).view)
	check(LatestView(t, *s, org))
	if h.Durable {
		(*follower).stop()
		*s = h.Open(t)
		*follower = follow(t, *s, (*follower).view)
		check(LatestView(t, *s, org))
	}
}
