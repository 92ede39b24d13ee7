// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

var always = []githubtest.Period{{Start: time.Unix(0, 0)}}

// TestStreamsOff: what a repository has switched off is in the answers of discovery and of a look-up, and nothing of
// its marks is unknown.
func TestStreamsOff(t *testing.T) {
	t.Parallel()
	pulls, comments := activity.StreamsOf(activity.StreamPulls), activity.StreamsOf(activity.StreamComments)
	issues := activity.StreamsOf(activity.StreamIssues)
	for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
		for name, test := range map[string]struct {
			pulls, issues []githubtest.Period
			want          activity.Streams
		}{
			"nothing":       {nil, nil, 0},
			"issues":        {nil, always, issues},
			"pull requests": {always, nil, pulls},
			"both":          {always, always, pulls | issues | comments},
		} {
			t.Run(string(api)+"/"+name, func(t *testing.T) {
				t.Parallel()
				data := fullRepository()
				data.Repos[0].PullsOff, data.Repos[0].IssuesOff = test.pulls, test.issues
				b := newBench(t, api, data)
				repo := b.repo(data.Repos[0].Name)
				require.Equal(t, test.want.WithDependent(), repo.Signals.Disabled)
				if api == github.APIGraphQL {
					require.Equal(t, activity.EveryStream, repo.Signals.Streams)
				}
				b.client.Lookup(t.Context(), org, []activity.Repository{repo}, func(s github.LookupResult) {
					require.NoError(t, s.Err)
					require.Equal(t, test.want.WithDependent(), s.Repo.Signals.Disabled)
				})
			})
		}
	}
}

// TestForbiddenRepositories: a listing says that there are repositories which the credential may not see, and a look-up
// of one says that it is forbidden, not that it is not there; a transferred one has moved.
func TestForbiddenRepositories(t *testing.T) {
	t.Parallel()
	for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
		t.Run(string(api), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, api, fullRepository())
			found, err := b.discover()
			require.NoError(t, err)
			var repo activity.Repository
			for _, r := range found {
				repo = r
			}
			lookUp := func() (seen github.LookupResult) {
				b.client.Lookup(t.Context(), org, []activity.Repository{repo}, func(s github.LookupResult) { seen = s })
				require.Equal(t, repo.ID, seen.ID)
				require.Nil(t, seen.Repo)
				return seen
			}
			b.server.Update(func(d *githubtest.Dataset) { d.Repo(repo.Name).Forbidden = always })
			rest, err := b.discover()
			require.Len(t, rest, len(found)-1)
			incomplete, ok := errorAs[*github.IncompleteError](err)
			require.True(t, ok, "%T: %v", err, err)
			require.Equal(t, 1, incomplete.Missing)
			require.Equal(t, 1, incomplete.Forbidden)
			require.True(t, is[*transport.ForbiddenError](err), "%T: %v", err, err)
			seen := lookUp()
			require.True(t, is[*transport.ForbiddenError](seen.Err), "%T: %v", seen.Err, seen.Err)
			require.ErrorContains(t, seen.Err, "Resource protected by organization SAML enforcement")

			b.server.Update(func(d *githubtest.Dataset) {
				d.Repo(repo.Name).Forbidden, d.Repo(repo.Name).TransferredTo = nil, "elsewhere"
			})
			require.True(t, lookUp().Moved)
			b.server.Update(func(d *githubtest.Dataset) { d.RemoveRepo(repo.Name) })
			require.Equal(t, github.LookupResult{ID: repo.ID}, lookUp())
		})
	}
}
