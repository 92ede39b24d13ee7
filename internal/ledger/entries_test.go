// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestEntryKeyLabels checks the texts with which the keys of every kind of entry are stored, which never change.
func TestEntryKeyLabels(t *testing.T) {
	t.Parallel()
	for stored, key := range map[[3]string]EntryKey{
		{"account_login", "", "7"}:        LoginKey(7),
		{"weekly_lines", "5", ""}:         WeeklyLinesKey(5),
		{"commits_without_lines", "", ""}: {Name: EntryCommitsWithoutLines},
		{"lines_state", "5", ""}:          {Name: EntryLinesState, Repo: 5},
		{"lines_part", "5", ""}:           {Name: EntryLinesPart, Repo: 5},
		{"lines_allowance", "", ""}:       {Name: EntryLinesAllowance},
		{"branch_rewound", "5", ""}:       {Name: EntryBranchRewound, Repo: 5},
		{"pulls_scan", "5", ""}:           {Name: EntryPullsScan, Repo: 5},
		{"validator", "5", "commits"}:     {Name: EntryValidator, Repo: 5, Sub: "commits"},
		{"leader", "", ""}:                {Name: EntryLeader},
		{"vcs", "5", "changes"}:           VCSKey(5, VCSChanges),
		{"vcs", "5", "contributors"}:      VCSKey(5, VCSContributors),
	} {
		labels := key.Labels()
		require.Equal(t, [3]string{key.Name, labels[0], labels[1]}, stored)
		got, err := ParseEntryKey(stored[0], [2]string{stored[1], stored[2]})
		require.NoError(t, err)
		require.Equal(t, key, got)
	}
}

// TestEntryKeyRoundTrip checks that parsing returns every valid key.
func TestEntryKeyRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := EntryKey{
			Name: rapid.String().Draw(t, "name"), Repo: rapid.Int64Range(0, math.MaxInt64).Draw(t, "repo"),
			Sub: rapid.String().Draw(t, "sub"),
		}
		got, err := ParseEntryKey(key.Name, key.Labels())
		require.NoError(t, err)
		require.Equal(t, key, got)
	})
}

// TestEntryKeyRefused checks that a first label that is no repository's id is refused.
func TestEntryKeyRefused(t *testing.T) {
	t.Parallel()
	for _, label := range []string{"a", "-1", "0", "+5", "05", " 5", "5a", "9223372036854775808"} {
		_, err := ParseEntryKey(EntryValidator, [2]string{label, "x"})
		require.ErrorIs(t, err, ErrCorrupt, label)
	}
}
