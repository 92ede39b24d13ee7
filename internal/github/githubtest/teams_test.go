// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-github/v66/github"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// acmeTeams is acme with a team, its child, and a secret one.
func acmeTeams(t *testing.T) *githubtest.Server {
	t.Helper()
	s := acme(t, func(set *githubtest.Settings) {
		set.Credentials = []githubtest.Credential{
			{Token: githubtest.DefaultToken, Login: "ann"},
			{Token: "lacking", Login: "bob", Forbidden: []string{"members"}},
		}
	})
	s.Update(func(d *githubtest.Dataset) {
		d.Teams = []githubtest.Team{
			{Slug: "platform", Name: "Platform", Members: []string{"ann"}},
			{Slug: "storage", Parent: "platform", Members: []string{"bob", "gone"}},
			{Slug: "hidden", Secret: true, Members: []string{"carol"}},
		}
		d.DeleteUser("gone")
		require.NoError(t, d.Validate())
	})
	return s
}

func TestTeamsWithREST(t *testing.T) {
	t.Parallel()
	s := acmeTeams(t)
	c := client(t, s)
	teams, _, err := c.Teams.ListTeams(t.Context(), "acme", nil)
	require.NoError(t, err)
	var slugs, privacy []string
	for _, team := range teams {
		slugs, privacy = append(slugs, team.GetSlug()), append(privacy, team.GetPrivacy())
	}
	require.Equal(t, []string{"hidden", "platform", "storage"}, slugs)
	require.Equal(t, []string{"secret", "closed", "closed"}, privacy)
	require.Equal(t, "platform", teams[2].GetParent().GetSlug())
	require.Equal(t, []string{"ann", "bob"}, restMembers(t, c, "platform"), "with those of the child team")
	require.Equal(t, []string{"bob"}, restMembers(t, c, "storage"))
	children, _, err := c.Teams.ListChildTeamsByParentSlug(t.Context(), "acme", "platform", nil)
	require.NoError(t, err)
	require.Len(t, children, 1)

	id := teams[1].GetID()
	s.Update(func(d *githubtest.Dataset) { d.RenameTeam("platform", "base") })
	require.Equal(t, []string{"ann", "bob"}, restMembers(t, c, "base"))
	renamed, _, err := c.Teams.GetTeamBySlug(t.Context(), "acme", "base")
	require.Error(t, err, "not served")
	require.Nil(t, renamed)
	teams, _, err = c.Teams.ListTeams(t.Context(), "acme", nil)
	require.NoError(t, err)
	require.Equal(t, id, teams[0].GetID(), "a renamed team keeps its id")
	s.Update(func(d *githubtest.Dataset) { d.RemoveTeam("base") })
	_, r, err := c.Teams.ListTeamMembersBySlug(t.Context(), "acme", "base", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusNotFound, r.StatusCode)
	require.Equal(t, []string{"bob"}, restMembers(t, c, "storage"), "it has no parent any more")
}

// restMembers returns the logins of the members of a team, sorted.
func restMembers(t *testing.T, c *github.Client, slug string) []string {
	t.Helper()
	members, _, err := c.Teams.ListTeamMembersBySlug(t.Context(), "acme", slug, nil)
	require.NoError(t, err)
	var logins []string
	for _, m := range members {
		logins = append(logins, m.GetLogin())
	}
	slices.Sort(logins)
	return logins
}

const teamsQuery = `query Teams($privacy: TeamPrivacy, $membership: TeamMembershipType) {
	organization(login: "acme") { teams(first: 10, privacy: $privacy) { totalCount nodes {
		slug privacy parentTeam { slug } childTeams(first: 5) { nodes { slug } }
		members(first: 10, membership: $membership, orderBy: {field: LOGIN, direction: ASC}) {
			nodes { login databaseId }
		}
	} } }
}`

func TestTeamsWithGraphQL(t *testing.T) {
	t.Parallel()
	s := acmeTeams(t)
	for membership, want := range map[string][]any{
		"ALL": {"ann", "bob"}, "IMMEDIATE": {"ann"}, "CHILD_TEAM": {"bob"},
	} {
		j := ask(t, s, teamsQuery, map[string]any{"privacy": "VISIBLE", "membership": membership}).json(t)
		require.Nil(t, dig(t, j, "errors"))
		teams := dig(t, j, "data", "organization", "teams", "nodes")
		require.Equal(t, []any{"platform", "storage"}, column(t, teams, "slug"))
		require.Equal(t, want, column(t, dig(t, teams, 0, "members", "nodes"), "login"), membership)
		require.Equal(t, "platform", dig(t, teams, 1, "parentTeam", "slug"))
		require.Equal(t, []any{"storage"}, column(t, dig(t, teams, 0, "childTeams", "nodes"), "slug"))
	}
	j := ask(t, s, teamsQuery, nil).json(t)
	require.Equal(t, []any{"SECRET", "VISIBLE", "VISIBLE"},
		column(t, dig(t, j, "data", "organization", "teams", "nodes"), "privacy"))
}

// TestTeamsWithoutPermission: both APIs refuse a credential that may not read members.
func TestTeamsWithoutPermission(t *testing.T) {
	t.Parallel()
	s := acmeTeams(t)
	r := get(t, s, "/orgs/acme/teams", "Authorization", "Bearer lacking")
	require.Equal(t, http.StatusForbidden, r.StatusCode)
	require.Equal(t, "members=read", r.Header.Get("X-Accepted-Github-Permissions"))
	body, err := json.Marshal(map[string]any{"query": teamsQuery})
	require.NoError(t, err)
	query := request(t, s, http.MethodPost, "/graphql", bytes.NewReader(body))
	query.Header.Set("Authorization", "Bearer lacking")
	j := do(t, query).json(t)
	require.Nil(t, dig(t, j, "data", "organization"))
	require.Equal(t, "FORBIDDEN", dig(t, j, "errors", 0, "type"))
	require.Equal(t, []any{"organization", "teams"}, dig(t, j, "errors", 0, "path"))
}

// TestInvalidTeams: a dataset with teams that GitHub cannot have is refused.
func TestInvalidTeams(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ teams, want string }{
		"twice":          {`{"slug":"a"}` + "\n" + `{"slug":"a"}`, `team "a" is empty or comes twice`},
		"unknown parent": {`{"slug":"a","parent":"b"}`, `unknown parent "b"`},
		"secret parent":  {`{"slug":"a","parent":"b"}` + "\n" + `{"slug":"b","secret":true}`, "secret parent"},
		"a circle":       {`{"slug":"a","parent":"b"}` + "\n" + `{"slug":"b","parent":"a"}`, "above itself"},
	} {
		_, err := githubtest.LoadDataset(files(map[string]string{"teams.jsonl": c.teams}))
		require.ErrorContains(t, err, c.want, name)
	}
	d, err := githubtest.LoadDataset(files(map[string]string{"teams.jsonl": `{"slug":"a","members":["ann"]}`}))
	require.NoError(t, err)
	require.Equal(t, []string{"ann"}, d.Team("a").Members)
}
