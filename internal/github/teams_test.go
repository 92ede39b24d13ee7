// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	teamsRoute       = "/orgs/{org}/teams"
	teamMembersRoute = "/orgs/{org}/teams/{team_slug}/members"
)

// teamData has a team with a child, a large one and a secret one.
func teamData() *githubtest.Dataset {
	data := dataset("one")
	var everybody []string
	for i := range 230 {
		everybody = append(everybody, fmt.Sprintf("user-%d", i))
	}
	data.Teams = []githubtest.Team{
		{Slug: "platform", Members: []string{"ada"}},
		{Slug: "storage", Parent: "platform", Members: []string{"ada", "bob"}},
		{Slug: "empty"},
		{Slug: "everybody", Members: everybody},
		{Slug: "hidden", Secret: true, Members: []string{"carol"}},
	}
	return data
}

// readTeams returns the members of the teams that are listed, as "team: logins", sorted.
func (b *bench) readTeams(req github.TeamsRequest) []string {
	b.t.Helper()
	req.Org = org
	teams, err := b.client.ListTeams(b.t.Context(), req)
	require.NoError(b.t, err)
	var list []string
	require.NoError(b.t, b.client.ReadTeamMembers(b.t.Context(), req, teams, func(m github.TeamMembers) error {
		require.NoError(b.t, m.Err)
		var logins []string
		for _, member := range m.Members {
			require.NotZero(b.t, member.ID)
			logins = append(logins, member.Login)
		}
		slices.Sort(logins)
		if len(logins) > 10 {
			logins = []string{strconv.Itoa(len(logins))}
		}
		list = append(list, m.Team.Slug+": "+strings.Join(logins, " "))
		return nil
	}))
	slices.Sort(list)
	return list
}

// TestTeams: both APIs return the same members. Secret teams are there on request alone.
func TestTeams(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, teamData())
		visible := []string{"empty: ", "everybody: 230", "platform: ada bob", "storage: ada bob"}
		require.Equal(t, visible, b.readTeams(github.TeamsRequest{Nested: true}))
		if api == github.APIGraphQL {
			require.Equal(t, []int{1, 3}, []int{b.operations("Teams"), b.operations("TeamMembers")},
				"a page of teams, their members, and two further pages of a large team")
			require.Equal(t, 4, b.server.PointsSpent(githubtest.ResourceGraphQL))
			require.Equal(t, []string{"empty: ", "everybody: 230", "platform: ada", "storage: ada bob"},
				b.readTeams(github.TeamsRequest{}), "without those of child teams")
		} else {
			require.Equal(t, []int{1, 6}, []int{b.requests(teamsRoute), b.requests(teamMembersRoute)})
		}
		require.Equal(t, slices.Insert(visible, 2, "hidden: carol"),
			b.readTeams(github.TeamsRequest{Nested: true, Secret: true}))
	})
}

// operations counts the requests of a query.
func (b *bench) operations(name string) int {
	return b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Operation == name })
}

// TestManyTeams: teams come in pages, and their members in queries for several teams.
func TestManyTeams(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i := range 120 {
			team := githubtest.Team{Slug: fmt.Sprintf("team-%03d", i), Members: []string{fmt.Sprintf("user-%d", i)}}
			data.Teams = append(data.Teams, team)
		}
		b := newBench(t, api, data)
		list := b.readTeams(github.TeamsRequest{Nested: true})
		require.Len(t, list, 120)
		require.Equal(t, "team-119: user-119", list[119])
		if api == github.APIGraphQL {
			require.Equal(t, []int{2, 3}, []int{b.operations("Teams"), b.operations("TeamMembers")})
		} else {
			require.Equal(t, []int{2, 120}, []int{b.requests(teamsRoute), b.requests(teamMembersRoute)})
		}
	})
}

// TestTeamsAreForbidden: a credential that may not read members gets the permission that it lacks.
func TestTeamsAreForbidden(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, teamData())
		b.server.AddCredential(githubtest.Credential{Token: githubtest.DefaultToken, Forbidden: []string{"members"}})
		_, err := b.client.ListTeams(t.Context(), github.TeamsRequest{Org: org, Nested: true})
		forbidden, ok := errors.AsType[*transport.ForbiddenError](err)
		require.True(t, ok, "%v", err)
		missing, lacks := forbidden.LacksPermission("members")
		require.True(t, lacks)
		require.Equal(t, []string{"members"}, missing)
	})
}

// TestTeamsWithoutScope: GitHub refuses the whole query to a classic token without the scope.
func TestTeamsWithoutScope(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, teamData())
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Operation: "Teams"},
		Effect: githubtest.StatusBody(http.StatusOK, nil, `{"errors": [{"type": "INSUFFICIENT_SCOPES", "message": "Your `+
			`token has not been granted the required scopes to execute this query. The 'slug' field requires one of `+
			`the following scopes: ['read:org']"}]}`),
	})
	_, err := b.client.ListTeams(t.Context(), github.TeamsRequest{Org: org, Nested: true})
	forbidden, ok := errors.AsType[*transport.ForbiddenError](err)
	require.True(t, ok, "%v", err)
	_, lacks := forbidden.LacksPermission("members")
	require.True(t, lacks)
	require.ErrorContains(t, err, "read:org")
}

// TestFailedTeams: a team that fails is reported with its error, and the others are read.
func TestFailedTeams(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, teamData())
		req := github.TeamsRequest{Org: org, Nested: true}
		teams, err := b.client.ListTeams(t.Context(), req)
		require.NoError(t, err)
		b.server.Update(func(d *githubtest.Dataset) { d.RemoveTeam("storage") })
		failed := make(map[string]error)
		require.NoError(t, b.client.ReadTeamMembers(t.Context(), req, teams, func(m github.TeamMembers) error {
			failed[m.Team.Slug] = m.Err
			return nil
		}))
		require.Len(t, failed, 4)
		require.ErrorAs(t, failed["storage"], new(*transport.NotFoundError), "deleted since it was listed")
		delete(failed, "storage")
		for slug, err := range failed {
			require.NoError(t, err, slug)
		}
	})
}

// TestTeamQueryThatIsTooLarge: GitHub times out with many teams in a query, and answers with fewer.
func TestTeamQueryThatIsTooLarge(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, teamData())
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Operation: "TeamMembers"}, Times: 1,
		Effect: githubtest.GraphQLTimeout(http.StatusBadGateway),
	})
	require.Len(t, b.readTeams(github.TeamsRequest{Nested: true}), 4)
	require.Equal(t, 5, b.operations("TeamMembers"), "four teams, two teams twice, and the pages of the large one")
}

// TestTeamsOfInvalidValues: rows without what every row has are reported, and the others are used.
func TestTeamsOfInvalidValues(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIREST, teamData())
	b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Route: teamsRoute},
		Effect: githubtest.ValueAt("0.slug", `"a\nb"`),
	})
	b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Route: teamMembersRoute},
		Effect: githubtest.ValueAt("0.id", `"one"`),
	})
	require.Equal(t, []string{"everybody: 227", "platform: ada", "storage: ada"},
		b.readTeams(github.TeamsRequest{Nested: true}))
}

// TestUnknownPrivacy: a team is secret unless GitHub says otherwise.
func TestUnknownPrivacy(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIREST, teamData())
	b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Route: teamsRoute},
		Effect: githubtest.ValueAt("1.privacy", `"unlisted"`),
	})
	require.Equal(t, []string{"empty: ", "platform: ada bob", "storage: ada bob"},
		b.readTeams(github.TeamsRequest{Nested: true}))
}

// TestEndlessTeams: a list that never ends is an error.
func TestEndlessTeams(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, teamData())
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Operation: "Teams"}, Effect: githubtest.NextLinkLoop(),
	})
	_, err := b.client.ListTeams(t.Context(), github.TeamsRequest{Org: org, Nested: true})
	require.ErrorContains(t, err, "repeats itself")
}
