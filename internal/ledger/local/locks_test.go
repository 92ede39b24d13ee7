// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// slowJournal is a journal whose calls for one organization wait for a release, as with a slow disk. It checks that no
// two calls for an organization overlap.
type slowJournal struct {
	slowOrg string
	slowOp  string                 // "load" or "append"
	entered chan struct{}          // gets a token when a slow call begins
	release chan error             // gets the result of a slow call
	busy    map[string]*sync.Mutex // by organization
}

func newSlowJournal(org, op string) *slowJournal {
	return &slowJournal{
		slowOrg: org, slowOp: op, entered: make(chan struct{}, 1), release: make(chan error, 1),
		busy: map[string]*sync.Mutex{"slow": {}, "quick": {}},
	}
}

func (j *slowJournal) call(org, op string) error {
	if !j.busy[org].TryLock() {
		return errors.New("two calls for an organization at once")
	}
	defer j.busy[org].Unlock()
	if org != j.slowOrg || op != j.slowOp {
		return nil
	}
	j.entered <- struct{}{}
	return <-j.release
}

func (j *slowJournal) Load(_ context.Context, org string) (*State, error) {
	return NewState(), j.call(org, "load")
}

func (j *slowJournal) Append(_ context.Context, org string, _ ledger.Change, _ *State) error {
	return j.call(org, "append")
}

var errCaughtUp = errors.New("caught up")

// operations are the calls of a store on one organization.
var operations = map[string]func(ctx context.Context, s *Store, org string) error{
	"commit": func(ctx context.Context, s *Store, org string) error {
		events := []activity.Event{commitOf(1, "ada", noon, 1)}
		_, err := s.Commit(ctx, 1, ledger.Batch{Org: org, Observed: noon, Progress: met(), Events: events})
		return err
	},
	"prune": func(ctx context.Context, s *Store, org string) error { return s.Prune(ctx, org, noon) },
	"coverage": func(ctx context.Context, s *Store, org string) error {
		_, err := s.Coverage(ctx, org)
		return err
	},
	"read entries": func(ctx context.Context, s *Store, org string) error {
		_, err := s.ReadEntries(ctx, org, []ledger.EntryKey{{Name: "entry"}})
		return err
	},
	"follow": func(ctx context.Context, s *Store, org string) error {
		err := s.Follow(ctx, org, func(c ledger.Change) error {
			if c.CaughtUp {
				return errCaughtUp
			}
			return nil
		})
		if errors.Is(err, errCaughtUp) {
			return nil
		}
		return err
	},
}

// quickOperations are operations and the calls that never wait for the journal, not even that of their organization.
func quickOperations() map[string]func(ctx context.Context, s *Store, org string) error {
	all := map[string]func(ctx context.Context, s *Store, org string) error{
		"sizes": func(_ context.Context, s *Store, org string) error {
			s.Sizes(org)
			s.Sizes("slow")
			return nil
		},
		"replace state": func(_ context.Context, s *Store, org string) error {
			s.ReplaceState(org, NewState())
			return nil
		},
		"apply change": func(_ context.Context, s *Store, org string) error {
			s.ApplyChange(org, ledger.Change{Progress: met()})
			return nil
		},
	}
	maps.Copy(all, operations)
	return all
}

// TestOrganizationsDoNotWait checks that no operation on an organization waits for the journal of another one, whatever
// that one does.
func TestOrganizationsDoNotWait(t *testing.T) {
	t.Parallel()
	for _, slow := range [][2]string{
		{"commit", "append"},
		{"prune", "append"},
		{"commit", "load"},
		{"prune", "load"},
		{"coverage", "load"},
		{"read entries", "load"},
		{"follow", "load"},
	} {
		for name, quick := range quickOperations() {
			t.Run(fmt.Sprintf("%s in %s and %s", slow[0], slow[1], name), func(t *testing.T) {
				t.Parallel()
				journal := newSlowJournal("slow", slow[1])
				store := New(journal, 10)
				slowResult, quickResult := make(chan error, 1), make(chan error, 1)
				go func() { slowResult <- operations[slow[0]](t.Context(), store, "slow") }()
				<-journal.entered
				go func() { quickResult <- quick(t.Context(), store, "quick") }()
				select {
				case err := <-quickResult:
					require.NoError(t, err)
				case <-time.After(10 * time.Second): // only when it fails
					journal.release <- nil
					t.Fatal("waits for the journal of another organization")
				}
				require.Empty(t, slowResult)
				journal.release <- nil
				require.NoError(t, <-slowResult)
			})
		}
	}
}

// TestSeriesOfAnUnfinishedCommit checks that the series of a commit whose write is not finished have their room, and
// give it back when the write fails.
func TestSeriesOfAnUnfinishedCommit(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{nil, errors.New("the disk is full")} {
		t.Run(fmt.Sprint(failure), func(t *testing.T) {
			t.Parallel()
			journal := newSlowJournal("slow", "append")
			store := New(journal, 3)
			commit := func(org string, users ...string) (ledger.Receipt, error) {
				b := ledger.Batch{Org: org, Observed: noon, Progress: met()}
				for i, user := range users {
					b.Events = append(b.Events, commitOf(int64(i), user, noon, 1))
				}
				return store.Commit(t.Context(), 1, b)
			}
			result := make(chan error, 1)
			go func() {
				_, err := commit("slow", "ada", "bob")
				result <- err
			}()
			<-journal.entered
			receipt, err := commit("quick", "eve", "kim")
			require.NoError(t, err)
			require.Equal(t, ledger.Receipt{Recorded: 2, Folded: 1}, receipt, "room for one")
			journal.release <- failure
			require.Equal(t, failure, <-result)
			receipt, err = commit("quick", "eve", "kim", "max")
			require.NoError(t, err)
			want := ledger.Receipt{Recorded: 1, Duplicates: 2, Folded: 1}
			if failure != nil {
				want.Folded = 0 // "eve" and "_other" have series, and "max" gets one
			}
			require.Equal(t, want, receipt)
		})
	}
}
