// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// TestNameOfAGoneRepositoryTakenOver checks that the series of the new owner of a name are not marked stale.
func TestNameOfAGoneRepositoryTakenOver(t *testing.T) {
	t.Parallel()
	for range 20 { // the order in which repositories are visited is random
		v := viewOf(Settings{Grace: time.Hour}, event(activity.KindCommit, 1, "ada", noon),
			event(activity.KindCommit, 2, "bob", noon))
		visit(v, noon)
		other := event(activity.KindCommit, 9, "ada", noon)
		other.Repo = 2
		v.Apply(ledger.Change{Events: []activity.Event{other}, Progress: ledger.Progress{Repos: []ledger.RepoProgress{
			{ID: 1, Presence: ledger.PresenceGone, GoneSince: noon},
			{ID: 2, Name: "one", FirstSeen: noon, Since: noon.AddDate(0, 0, -28)},
		}}})
		got := visit(v, noon)
		require.Contains(t, got.values, ada)
		require.NotContains(t, got.ended, ada)
		require.Contains(t, got.ended, Series{"one", "bob"})
		require.Empty(t, visit(v, noon).ended, "told once")
	}
}
