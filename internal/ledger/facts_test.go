// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// sampleFacts have a value in every field.
func sampleFacts() activity.RepoFacts {
	return activity.RepoFacts{
		Visibility: "internal", DefaultBranch: "trunk/größe", Language: "C++",
		Archived: true, Empty: true, TemplateKnown: true,
		Stars: activity.KnownNumber(0), Forks: activity.Number{}, Size: activity.KnownNumber(1 << 40),
		CreatedAt: time.Unix(1_200_000_000, 0).UTC(), PushedAt: time.Unix(1_770_000_000, 0).UTC(),
		Topics:     []activity.Topic{{Name: "go"}, {Name: "my-team", Has: true}},
		Properties: []activity.Property{{Name: "tier", Value: "1,2"}, {Name: "owner", Value: "a \"b\""}},
	}
}

func TestRepoFactsAreDecodedAsTheyWereEncoded(t *testing.T) {
	t.Parallel()
	for name, facts := range map[string]activity.RepoFacts{
		"every field": sampleFacts(),
		"no field":    {},
		"flags":       {Fork: true, Template: true, PropertiesKnown: true},
	} {
		got, err := ledger.DecodeRepoFacts(ledger.EncodeRepoFacts(&facts))
		require.NoError(t, err, name)
		require.Equal(t, facts, got, name)
		require.True(t, facts.Equal(&got), name)
	}
}

func TestRepoFactsThatFitInNoEntry(t *testing.T) {
	t.Parallel()
	facts := activity.RepoFacts{Topics: []activity.Topic{{Name: strings.Repeat("a", ledger.MaxEntry)}}}
	require.Nil(t, ledger.EncodeRepoFacts(&facts))
	facts = sampleFacts()
	facts.Properties = []activity.Property{{Name: "all", Value: strings.Repeat("a", ledger.MaxEntry)}}
	facts.PropertiesKnown = true
	short, err := ledger.DecodeRepoFacts(ledger.EncodeRepoFacts(&facts))
	require.NoError(t, err)
	facts.Properties, facts.PropertiesKnown = nil, false
	require.Equal(t, facts, short, "the others are known all the same")
	require.NotNil(t, ledger.EncodeRepoFacts(&activity.RepoFacts{Language: "a\xffb"}))
	got, err := ledger.DecodeRepoFacts(ledger.EncodeRepoFacts(&activity.RepoFacts{Language: "a\xffb"}))
	require.NoError(t, err)
	require.Equal(t, "a\uFFFDb", got.Language, "a label is valid UTF-8")
}

func TestRepoCountsAndTotalsAreDecodedAsTheyWereEncoded(t *testing.T) {
	t.Parallel()
	counts := activity.RepoCounts{
		Watchers: activity.KnownNumber(7), Tags: activity.KnownNumber(math.MaxInt64 - 1),
		Releases: activity.KnownNumber(0), LatestRelease: time.Unix(1_770_000_000, 0).UTC(),
		OfFacts: math.MaxUint64,
	}
	gotCounts, err := ledger.DecodeRepoCounts(ledger.EncodeRepoCounts(&counts))
	require.NoError(t, err)
	require.Equal(t, counts, gotCounts)

	totals := []ledger.RepoTotal{
		{Visibility: "public", State: activity.RepoActive, Count: 3}, {Visibility: "private", State: activity.RepoFork},
	}
	gotTotals, err := ledger.DecodeRepoTotals(ledger.EncodeRepoTotals(totals))
	require.NoError(t, err)
	require.Equal(t, totals, gotTotals)
}

// TestDataThatAreNoFacts checks that old, later and damaged data are refused.
func TestDataThatAreNoFacts(t *testing.T) {
	t.Parallel()
	facts := sampleFacts()
	whole := ledger.EncodeRepoFacts(&facts)
	counts := ledger.EncodeRepoCounts(&activity.RepoCounts{})
	totals := ledger.EncodeRepoTotals([]ledger.RepoTotal{{Visibility: "public"}})
	for n := range whole {
		_, err := ledger.DecodeRepoFacts(whole[:n])
		require.ErrorIs(t, err, ledger.ErrRepoFacts, n)
	}
	for n := range counts {
		_, err := ledger.DecodeRepoCounts(counts[:n])
		require.ErrorIs(t, err, ledger.ErrRepoFacts, n)
	}
	for n := 2; n < len(totals); n++ {
		_, err := ledger.DecodeRepoTotals(totals[:n])
		require.ErrorIs(t, err, ledger.ErrRepoFacts, n)
	}
	for name, data := range map[string][]byte{
		"another version": append([]byte{9}, whole[1:]...),
		"more than that":  append(slices.Clip(whole), 0),
		"an unknown flag": append([]byte{whole[0], 0xff, 0x7f}, whole[2:]...),
	} {
		_, err := ledger.DecodeRepoFacts(data)
		require.ErrorIs(t, err, ledger.ErrRepoFacts, name)
	}
	_, err := ledger.DecodeRepoTotals([]byte{1, 1, 'a', activity.NumRepoStates, 0})
	require.ErrorIs(t, err, ledger.ErrRepoFacts, "an unknown state")
}

// FuzzRepoFacts decodes anything, and what it decodes is encoded and decoded again without a change.
func FuzzRepoFacts(f *testing.F) {
	facts := sampleFacts()
	f.Add(ledger.EncodeRepoFacts(&facts))
	f.Add(ledger.EncodeRepoCounts(&activity.RepoCounts{Watchers: activity.KnownNumber(7)}))
	f.Add(ledger.EncodeRepoTotals([]ledger.RepoTotal{{Visibility: "public", Count: 3}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if facts, err := ledger.DecodeRepoFacts(data); err == nil {
			if again := ledger.EncodeRepoFacts(&facts); again != nil { // nil: longer with valid UTF-8
				got, err := ledger.DecodeRepoFacts(again)
				require.NoError(t, err)
				require.Equal(t, again, ledger.EncodeRepoFacts(&got))
			}
		}
		if counts, err := ledger.DecodeRepoCounts(data); err == nil {
			got, err := ledger.DecodeRepoCounts(ledger.EncodeRepoCounts(&counts))
			require.NoError(t, err)
			require.Equal(t, counts, got)
		}
		if totals, err := ledger.DecodeRepoTotals(data); err == nil {
			got, err := ledger.DecodeRepoTotals(ledger.EncodeRepoTotals(totals))
			if len(ledger.EncodeRepoTotals(totals)) <= ledger.MaxEntry {
				require.NoError(t, err)
				require.Len(t, got, len(totals))
			}
		}
	})
}
