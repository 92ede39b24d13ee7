// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestMissingNumbersOfStocks: a list that a response lacks is no zero.
func TestMissingNumbersOfStocks(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"*.requested_reviewers", "*.requested_teams", "*.draft"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIREST, stockTraps())
			require.NoError(t, b.readStocks(nil, "one")["one"].PullsErr)
			b.server.InjectFault(githubtest.Fault{
				Match: githubtest.Match{Route: "/repos/{owner}/{repo}/pulls"}, Effect: githubtest.ValueAt(path, "null"),
			})
			got := b.readStocks(nil, "one")["one"]
			require.Error(t, got.PullsErr)
			require.Nil(t, got.Pulls)
			require.NotNil(t, got.Issues)
		})
	}
}

// TestPartOfCountsFails: what GitHub could not count stays as it was known, and is requested again. What the credential
// may not read is unknown.
func TestPartOfCountsFails(t *testing.T) {
	t.Parallel()
	for path, kind := range map[string]string{
		"nodes.0": "INTERNAL", "nodes.0.watchers": "", "contents.0": "SERVICE_UNAVAILABLE", "contents.0.releases": "",
		"contents.0.latestRelease": "INTERNAL",
	} {
		b := newFactsBench(t, github.APIGraphQL)
		all := b.counts()
		b.server.InjectFault(githubtest.Fault{
			Match:  githubtest.Match{Operation: "RepositoryCounts"},
			Effect: githubtest.FieldError(path, kind, "Something went wrong"),
		})
		require.Len(t, b.counts(), len(all)-1, path)
	}
	b := newFactsBench(t, github.APIGraphQL)
	b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Operation: "RepositoryCounts"},
		Effect: githubtest.FieldError("contents.0", "FORBIDDEN", "Resource not accessible by integration"),
	})
	var unknown []activity.RepoCounts
	for _, counts := range b.counts() {
		if !counts.Branches.IsKnown {
			unknown = append(unknown, counts)
		}
	}
	require.Len(t, unknown, 1)
	require.True(t, unknown[0].Watchers.IsKnown)
}
