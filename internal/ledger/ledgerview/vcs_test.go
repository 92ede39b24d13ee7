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

// TestVCSOfAView checks that the newest observation counts, that parts and versions that are not known leave what was
// known, and that pull requests that are switched off have no numbers.
func TestVCSOfAView(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{})
	vcs := func() RepositoryVCS { return repositories(t, v, noon)["one"].VCS }
	require.Equal(t, RepositoryVCS{}, vcs())
	changes := func(open uint64) []byte {
		var c activity.Changes
		c.Count[activity.ChangeOpen] = activity.KnownNumber(open)
		return ledger.EncodeVCSChanges("signal", &c)
	}
	observe(v, noon, ledger.Entry{EntryKey: ledger.VCSKey(1, ledger.VCSChanges), Data: changes(3)}, ledger.Entry{
		EntryKey: ledger.VCSKey(1, ledger.VCSContributors),
		Data:     ledger.EncodeVCSContributors("signal", activity.KnownNumber(4)),
	}, ledger.Entry{EntryKey: ledger.VCSKey(1, ledger.VCSBranches), Data: ledger.EncodeVCSBranches(
		"signal", &activity.Branches{Trunk: "main", List: []activity.VCSBranch{{Name: "b", Head: "h"}}})})
	observe(v, noon.Add(-time.Hour), ledger.Entry{EntryKey: ledger.VCSKey(1, ledger.VCSChanges), Data: changes(9)})
	observe(v, noon.Add(time.Hour),
		ledger.Entry{EntryKey: ledger.VCSKey(1, ledger.VCSContributors), Data: []byte{99}},
		ledger.Entry{EntryKey: ledger.VCSKey(1, ledger.VCSBranches), Data: []byte{99}},
		ledger.Entry{EntryKey: ledger.VCSKey(1, "later"), Data: []byte{1}})
	require.Equal(t, activity.KnownNumber(3), vcs().Changes.Count[activity.ChangeOpen])
	require.Equal(t, activity.KnownNumber(4), vcs().Contributors)
	require.Equal(t, activity.Branches{Trunk: "main", List: []activity.VCSBranch{{Name: "b"}}}, *vcs().Branches)

	v.Apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{{
		ID: 1, Signals: &activity.Signals{Disabled: activity.StreamsOf(activity.StreamPulls)}, Observed: noon,
	}}}})
	require.Nil(t, vcs().Changes)
	require.Equal(t, activity.KnownNumber(4), vcs().Contributors)
	v.Apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{{
		ID: 1, Presence: ledger.PresencePurged,
	}}}})
	require.Empty(t, v.facts.vcs)
}
