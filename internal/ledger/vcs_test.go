// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// sampleChanges have every field.
func sampleChanges() activity.Changes {
	at := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	return activity.Changes{
		Count: [activity.NumChangeStates]activity.Number{
			activity.ChangeOpen: activity.KnownNumber(0), activity.ChangeMerged: activity.KnownNumber(70_000),
		},
		List: []activity.VCSChange{
			{
				Number: 7, State: activity.ChangeWIP, IsFork: true, Head: "été", Base: "main",
				Created: at, Since: at.Add(time.Hour),
				Added: activity.KnownNumber(0), Removed: activity.KnownNumber(12),
			},
			{Number: 9, State: activity.ChangeMerged, Head: "b", Base: "main", Created: at, Since: at, Approved: at},
		},
		IsCut: true,
	}
}

// sampleBranches have every field.
func sampleBranches() activity.Branches {
	at := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	return activity.Branches{
		Trunk: "main", Head: strings.Repeat("a", 40), IsCut: true,
		List: []activity.VCSBranch{
			{
				Name: "été", Head: strings.Repeat("b", 40), IsCurrent: true, Ahead: activity.KnownNumber(3),
				Behind: activity.KnownNumber(0), First: at,
			},
			{Name: "orphan", Head: strings.Repeat("c", 40)},
		},
	}
}

// TestVCSDocuments checks that decoding returns what was encoded, with its signal.
func TestVCSDocuments(t *testing.T) {
	t.Parallel()
	changes := sampleChanges()
	data := EncodeVCSChanges("s1", &changes)
	signal, got, err := DecodeVCSChanges(data)
	require.NoError(t, err)
	require.Equal(t, changes, got)
	require.Equal(t, []string{"s1", "s1"}, []string{signal, VCSSignal(data)})

	for _, n := range []activity.Number{{}, activity.KnownNumber(0), activity.KnownNumber(12)} {
		data = EncodeVCSContributors("s3", n)
		signal, gotNumber, err := DecodeVCSContributors(data)
		require.NoError(t, err)
		require.Equal(t, n, gotNumber)
		require.Equal(t, []string{"s3", "s3"}, []string{signal, VCSSignal(data)})
	}
	for _, branches := range []activity.Branches{{}, sampleBranches()} {
		data = EncodeVCSBranches("s4", &branches)
		signal, gotBranches, err := DecodeVCSBranches(data)
		require.NoError(t, err)
		require.Equal(t, branches, gotBranches)
		require.Equal(t, []string{"s4", "s4"}, []string{signal, VCSSignal(data)})
	}
	require.Empty(t, VCSSignal(nil))
}

// TestVCSDocumentsTooLarge checks that a list that is too large for an entry is left out and counts as cut, and that
// the numbers stay.
func TestVCSDocumentsTooLarge(t *testing.T) {
	t.Parallel()
	changes := sampleChanges()
	changes.IsCut = false
	name := strings.Repeat("n", 1000)
	for i := range int64(100) {
		changes.List = append(changes.List, activity.VCSChange{Number: 10 + i, Head: name})
	}
	_, got, err := DecodeVCSChanges(EncodeVCSChanges("", &changes))
	require.NoError(t, err)
	require.Equal(t, activity.Changes{Count: changes.Count, IsCut: true}, got)

	branches := sampleBranches()
	branches.IsCut = false
	for range 100 {
		branches.List = append(branches.List, activity.VCSBranch{Name: name})
	}
	_, gotBranches, err := DecodeVCSBranches(EncodeVCSBranches("", &branches))
	require.NoError(t, err)
	require.Equal(t, activity.Branches{Trunk: branches.Trunk, Head: branches.Head, IsCut: true}, gotBranches)
}

// TestVCSDocumentsRefused checks that other versions, and truncated and longer documents, are refused.
func TestVCSDocumentsRefused(t *testing.T) {
	t.Parallel()
	changes := sampleChanges()
	changes.List = changes.List[:1]
	branches := sampleBranches()
	decoders := map[string]struct {
		data   []byte
		decode func([]byte) error
	}{
		"changes": {EncodeVCSChanges("s", &changes), func(d []byte) error {
			_, _, err := DecodeVCSChanges(d)
			return err
		}},
		"contributors": {EncodeVCSContributors("s", activity.KnownNumber(5)), func(d []byte) error {
			_, _, err := DecodeVCSContributors(d)
			return err
		}},
		"branches": {EncodeVCSBranches("s", &branches), func(d []byte) error {
			_, _, err := DecodeVCSBranches(d)
			return err
		}},
	}
	for name, d := range decoders {
		require.NoError(t, d.decode(d.data), name)
		require.ErrorIs(t, d.decode(nil), ErrVCS, name)
		require.ErrorIs(t, d.decode(append([]byte{9}, d.data[1:]...)), ErrVCS, name)
		require.ErrorIs(t, d.decode(d.data[:len(d.data)-1]), ErrVCS, name)
		require.ErrorIs(t, d.decode(append(slices.Clip(d.data), 0)), ErrVCS, name)
		require.ErrorIs(t, d.decode(make([]byte, MaxEntry+1)), ErrVCS, name)
	}
}

// FuzzDecodeVCS checks that no data make the decoders fail otherwise than with ErrVCS, and that what they accept can be
// stored again without a change.
func FuzzDecodeVCS(f *testing.F) {
	changes := sampleChanges()
	f.Add(EncodeVCSChanges("signal", &changes))
	f.Add(EncodeVCSContributors("signal", activity.KnownNumber(3)))
	branches := sampleBranches()
	f.Add(EncodeVCSBranches("signal", &branches))
	f.Fuzz(func(t *testing.T, data []byte) {
		if signal, got, err := DecodeVCSChanges(data); err == nil {
			again := EncodeVCSChanges(signal, &got)
			_, stored, err := DecodeVCSChanges(again)
			require.NoError(t, err)
			require.Equal(t, again, EncodeVCSChanges(VCSSignal(again), &stored))
		}
		if signal, got, err := DecodeVCSContributors(data); err == nil {
			again := EncodeVCSContributors(signal, got)
			_, stored, err := DecodeVCSContributors(again)
			require.NoError(t, err)
			require.Equal(t, got, stored)
		}
		if signal, got, err := DecodeVCSBranches(data); err == nil {
			again := EncodeVCSBranches(signal, &got)
			_, stored, err := DecodeVCSBranches(again)
			require.NoError(t, err)
			require.Equal(t, again, EncodeVCSBranches(VCSSignal(again), &stored))
		}
	})
}
