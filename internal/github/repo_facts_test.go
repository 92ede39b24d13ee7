// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// describedDataset has a repository with every property, an empty one, and a bare one.
func describedDataset() *githubtest.Dataset {
	d := dataset("full", "empty", "bare")
	commit(d, "full", ago(30*time.Hour))
	commit(d, "full", ago(20*time.Hour)).Branch = "next"
	commit(d, "bare", ago(time.Hour))
	full := d.Repo("full")
	full.Visibility, full.Private, full.Fork, full.Archived = "internal", true, true, true
	full.RepoDetails = githubtest.RepoDetails{
		Language: "C++", Template: true, Stars: 1234, Forks: 56, Watchers: 7, Size: 4096,
		Topics:     []string{"go", "other", "team-a"},
		Properties: map[string]any{"tier": "1", "areas": []string{"web", "api"}, "other": "x", "none": nil},
		Tags:       []githubtest.Tag{{Name: "v1", At: ago(29 * time.Hour)}, {Name: "v9", At: ago(-time.Hour)}},
		Releases: []githubtest.Release{
			{ID: 1, Tag: "v1", Login: "ada", CreatedAt: ago(30 * time.Hour), PublishedAt: ago(28 * time.Hour)},
			{
				ID: 2, Tag: "v2-rc", Login: "release[bot]", CreatedAt: ago(20 * time.Hour),
				PublishedAt: ago(19 * time.Hour),
				Prerelease:  true,
			},
			{ID: 3, Tag: "v0", CreatedAt: ago(40 * time.Hour), PublishedAt: ago(time.Hour)},
			{ID: 4, Tag: "draft", CreatedAt: ago(time.Hour)},
			{
				ID: 5, Tag: "gone", CreatedAt: ago(3 * time.Hour), PublishedAt: ago(3 * time.Hour),
				DeletedAt: ago(time.Hour),
			},
		},
	}
	return d
}

// newFactsBench makes a bench whose client reads some topics and properties.
func newFactsBench(t *testing.T, api github.API, forbidden ...string) *bench {
	t.Helper()
	b := newBench(t, api, describedDataset(), func(s *githubtest.Settings, _ *transport.Settings) {
		s.Credentials = []githubtest.Credential{{Token: githubtest.DefaultToken, Login: "l", Forbidden: forbidden}}
	})
	b.client = github.New(b.transport, github.Settings{
		API: api, Topics: []string{"team-a", "absent", "go"}, Properties: []string{"tier", "areas", "none"},
	})
	return b
}

// TestFactsOfListings checks that both APIs tell the same of repositories, and that lookups do.
func TestFactsOfListings(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newFactsBench(t, api)
		found, err := b.discover()
		require.NoError(t, err)
		full, empty, bare := found["full"].Facts, found["empty"].Facts, found["bare"].Facts
		require.Equal(t, activity.RepoFacts{
			Visibility: "internal", DefaultBranch: "main", Language: "C++", Archived: true, Fork: true,
			Template: true, TemplateKnown: true,
			Stars: activity.KnownNumber(1234), Forks: activity.KnownNumber(56), Size: activity.KnownNumber(4096 * 1024),
			CreatedAt: ago(9000 * time.Hour), PushedAt: ago(20 * time.Hour),
			Topics:          []activity.Topic{{Name: "absent"}, {Name: "go", Has: true}, {Name: "team-a", Has: true}},
			PropertiesKnown: true,
			Properties:      []activity.Property{{Name: "areas", Value: "api,web"}, {Name: "tier", Value: "1"}},
		}, full)
		require.Equal(t, activity.RepoArchived, full.State())
		require.Equal(t, activity.RepoEmpty, empty.State())
		require.Empty(t, empty.DefaultBranch, "it has none")
		require.Equal(t, activity.KnownNumber(0), empty.Size)
		require.Equal(t, activity.RepoActive, bare.State())
		require.Equal(t, activity.KnownNumber(0), bare.Stars, "none is not unknown")
		require.Empty(t, bare.Language)
		require.Equal(t, []activity.Topic{{Name: "absent"}, {Name: "go"}, {Name: "team-a"}}, bare.Topics)

		asked := b.repositories()
		for id, result := range b.lookUp(asked) {
			require.Equal(t, found[result.Repo.Name].Facts, result.Repo.Facts, id)
		}
	})
}

// TestFactsThatAreNotSelected checks that topics and properties are neither requested nor known by default.
func TestFactsThatAreNotSelected(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, describedDataset())
		facts := b.repo("full").Facts
		require.False(t, facts.PropertiesKnown)
		require.Empty(t, facts.Topics)
		require.Empty(t, facts.Properties)
	})
}

// counts returns the counts of the repositories by name.
func (b *bench) counts() map[string]activity.RepoCounts {
	b.t.Helper()
	found := make(map[string]activity.RepoCounts)
	repos := b.repositories()
	names := make(map[int64]string)
	for i := range repos {
		names[repos[i].ID] = repos[i].Name
	}
	b.client.ReadCounts(b.t.Context(), org, repos, func(repo int64, counts activity.RepoCounts) {
		require.NotContains(b.t, found, names[repo])
		found[names[repo]] = counts
	})
	return found
}

// TestCounts checks that both APIs count the same, and that drafts, deleted and future things do not count.
func TestCounts(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		zero := activity.KnownNumber(0)
		require.Equal(t, map[string]activity.RepoCounts{
			"full": {
				Watchers: activity.KnownNumber(7), Branches: activity.KnownNumber(2), Tags: activity.KnownNumber(1),
				Releases: activity.KnownNumber(3), LatestRelease: ago(28 * time.Hour),
			},
			"empty": {Watchers: zero, Branches: zero, Tags: zero, Releases: zero},
			"bare":  {Watchers: zero, Branches: activity.KnownNumber(1), Tags: zero, Releases: zero},
		}, newFactsBench(t, api).counts())
	})
}

// TestCountsThatAreForbidden checks that what a credential may not read is unknown, and the rest is known.
func TestCountsThatAreForbidden(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newFactsBench(t, api, "contents", "organization_custom_properties")
		want := activity.RepoCounts{Watchers: activity.KnownNumber(7)}
		if api == github.APIREST { // the list of tags needs the permission for metadata alone
			want.Tags = activity.KnownNumber(1)
		}
		require.Equal(t, want, b.counts()["full"])
		facts := b.repo("full").Facts
		require.False(t, facts.PropertiesKnown)
		require.Equal(t, activity.KnownNumber(1234), facts.Stars)
	})
}

// TestCountsOfManyRepositories checks the number of requests and points: one of GraphQL for a hundred repositories.
func TestCountsOfManyRepositories(t *testing.T) {
	t.Parallel()
	names := make([]string, 250)
	for i := range names {
		names[i] = fmt.Sprintf("repo-%03d", i)
	}
	b := newBench(t, github.APIGraphQL, dataset(names...))
	repos := b.repositories()
	before := len(b.server.Requests())
	read := 0
	b.client.ReadCounts(t.Context(), org, repos, func(int64, activity.RepoCounts) { read++ })
	require.Equal(t, len(names), read)
	requests := b.server.Requests()[before:]
	require.Len(t, requests, 3)
	require.Equal(t, [3]int{4, 4, 2}, [3]int{requests[0].Cost, requests[1].Cost, requests[2].Cost})
}
