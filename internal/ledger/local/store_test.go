// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// TestSlowFollower checks that a follower that lags too far gets a new snapshot, and ends with the state of the others.
func TestSlowFollower(t *testing.T) {
	t.Parallel()
	store := New(nil, 0)
	_, err := store.Commit(t.Context(), 1, ledger.Batch{Org: "acme", Observed: noon, Progress: met()})
	require.NoError(t, err)
	followed := NewState()
	resets, blocked, release := 0, make(chan struct{}), make(chan struct{})
	const commits = 3 * feedBacklog
	err = store.Follow(t.Context(), "acme", func(c ledger.Change) error {
		followed.Apply(&c)
		if c.Reset {
			resets++
		}
		if c.CaughtUp && resets == 1 {
			go func() {
				defer close(release)
				<-blocked
				for i := range int64(commits) {
					events := []activity.Event{commitOf(i, "ada", noon, 1)}
					b := ledger.Batch{Org: "acme", Observed: noon, Events: events}
					if _, err := store.Commit(t.Context(), 1, b); err != nil {
						t.Error(err)
					}
				}
			}()
			close(blocked)
			<-release // all of it happens while this follower is busy
		}
		if followed.NumEvents() == commits {
			return errors.New("enough")
		}
		return nil
	})
	require.ErrorContains(t, err, "enough")
	require.Equal(t, 2, resets)
}
