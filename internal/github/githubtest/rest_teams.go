// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addTeamRoutes(t *routeTable) {
	t.get("/orgs/{org}/teams", (*exchange).listTeams).permission = "members"
	t.get("/orgs/{org}/teams/{team_slug}/members", (*exchange).listTeamMembers).permission = "members"
	t.get("/orgs/{org}/teams/{team_slug}/teams", (*exchange).listChildTeams).permission = "members"
}

// listTeams lists the teams of the organization, the secret ones as well
// (https://docs.github.com/rest/teams/teams#list-teams).
func (x *exchange) listTeams() response {
	o := x.Org(x.pathVars["org"])
	if o == nil {
		return notFoundResponse()
	}
	return list(x, fmt.Sprintf("%s/organizations/%d/teams", x.baseURL, o.DatabaseID), o.Teams, x.teamJSON)
}

// team returns the team that the path names, nil for none.
func (x *exchange) team() *served.Team {
	o := x.Org(x.pathVars["org"])
	if o == nil {
		return nil
	}
	return x.Team(o, x.pathVars["team_slug"])
}

// listTeamMembers lists the members of a team, those of its child teams included
// (https://docs.github.com/rest/teams/members#list-team-members).
func (x *exchange) listTeamMembers() response {
	team := x.team()
	if team == nil {
		return notFoundResponse()
	}
	return list(x, x.teamAddress(team)+"/members", team.AllMembers(), func(a *served.Account) obj {
		return x.userJSON(a).(obj)
	})
}

// listChildTeams lists the immediate children of a team (https://docs.github.com/rest/teams/teams#list-child-teams).
func (x *exchange) listChildTeams() response {
	team := x.team()
	if team == nil {
		return notFoundResponse()
	}
	return list(x, x.teamAddress(team)+"/teams", team.Children, x.teamJSON)
}

// teamAddress returns the address of a team by ids, as GitHub's links have it.
func (x *exchange) teamAddress(team *served.Team) string {
	return fmt.Sprintf("%s/organizations/%d/team/%d", x.baseURL, team.Organization.DatabaseID, team.ID)
}

func (x *exchange) teamJSON(team *served.Team) obj {
	privacy := "closed"
	if team.Secret {
		privacy = "secret"
	}
	address := x.teamAddress(team)
	j := obj{
		"id": team.ID, "node_id": team.NodeID(), "name": team.Title(), "slug": team.Slug, "description": "",
		"privacy": privacy, "notification_setting": "notifications_enabled", "permission": "pull", "url": address,
		"html_url":    served.WebURL + "/orgs/" + team.Organization.Login + "/teams/" + team.Slug,
		"members_url": address + "/members{/member}", "repositories_url": address + "/repos", "parent": nil,
	}
	if team.ParentTeam != nil {
		parent := x.teamJSON(team.ParentTeam)
		delete(parent, "parent")
		j["parent"] = parent
	}
	return j
}
