// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// teamNode is Team.
type teamNode struct{ t *served.Team }

func (teamNode) typeName() string { return "Team" }

// teamPermission is the permission that a credential needs for teams.
const teamPermission = "members"

// teamConnection returns the teams that the arguments select, by name.
func (e *execution) teamConnection(teams []*served.Team, a args) (any, error) {
	if e.Access.Lacks(teamPermission) {
		return nil, forbiddenError()
	}
	_, desc := a.order("NAME")
	var rows []row
	for _, t := range teams {
		privacy := a.str("privacy")
		if privacy != "" && privacy != teamPrivacy(t) || a.flag("rootTeamsOnly") && t.ParentTeam != nil {
			continue
		}
		rows = append(rows, row{key: strings.ToLower(t.Title()) + "|" + t.Slug, node: teamNode{t}})
	}
	return connect("TeamConnection", rows, a, desc)
}

// team returns a team of an organization, null for one that does not exist.
func (e *execution) team(o *served.Org, slug string) (any, error) {
	if e.Access.Lacks(teamPermission) {
		return nil, forbiddenError()
	}
	if t := e.Team(o, slug); t != nil {
		return teamNode{t}, nil
	}
	return nil, nil
}

func teamPrivacy(t *served.Team) string {
	if t.Secret {
		return "SECRET"
	}
	return "VISIBLE"
}

func (n teamNode) field(e *execution, name string, a args) (any, error) {
	t := n.t
	switch name {
	case "id":
		return t.NodeID(), nil
	case "databaseId":
		return t.ID, nil
	case "slug":
		return t.Slug, nil
	case "name":
		return t.Title(), nil
	case "privacy":
		return teamPrivacy(t), nil
	case "organization":
		return orgNode{t.Organization}, nil
	case "parentTeam":
		if t.ParentTeam == nil {
			return nil, nil
		}
		return teamNode{t.ParentTeam}, nil
	case "childTeams":
		return e.teamConnection(t.Children, a)
	default:
		return n.members(a)
	}
}

// members returns the members of the kind that the argument membership names.
func (n teamNode) members(a args) (any, error) {
	accounts := n.t.AllMembers()
	switch a.str("membership") {
	case "IMMEDIATE":
		accounts = n.t.Immediate
	case "CHILD_TEAM":
		accounts = n.t.ChildMembers()
	}
	field, desc := a.order("CREATED_AT")
	var rows []row
	for _, account := range accounts {
		key := fmt.Sprintf("%020d", account.ID)
		if field == "LOGIN" {
			key = strings.ToLower(account.Login)
		}
		rows = append(rows, row{key: key, node: userNode{account, "User"}})
	}
	return connect("TeamMemberConnection", rows, a, desc)
}
