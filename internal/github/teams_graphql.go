// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// teamsVariables are the variables of the Teams query.
type teamsVariables struct {
	Org     string  `json:"org"`
	First   int     `json:"first"`
	After   *string `json:"after"`
	Privacy *string `json:"privacy"`
}

func (teamsVariables) document() document { return teamsQuery }

// teamsData is the data of the Teams query.
type teamsData struct {
	Organization *struct {
		Teams struct {
			PageInfo pageInfo    `json:"pageInfo"`
			Nodes    []*teamNode `json:"nodes"`
		} `json:"teams"`
	} `json:"organization"`
}

// teamNode is a team in the response (https://docs.github.com/graphql/reference/objects#team).
type teamNode struct {
	ID         string `json:"id"`
	DatabaseID int64  `json:"databaseId"`
	Slug       string `json:"slug"`
	Privacy    string `json:"privacy"`
}

// listTeamsGraphQL lists the teams. A page of a hundred costs a point.
func (c *Client) listTeamsGraphQL(ctx context.Context, req TeamsRequest) ([]Team, error) {
	v := teamsVariables{Org: req.Org, First: perPage}
	if !req.Secret {
		v.Privacy = new("VISIBLE")
	}
	var list []Team
	for range maxTeamPages {
		found, errs, err := runQuery[teamsData](ctx, c, queryOptions{}, v)
		if err != nil {
			return nil, err
		}
		if found.Organization == nil || found.Organization.Teams.Nodes == nil {
			return nil, missingDataError(teamsQuery, firstErrorUnder(errs, "organization"), "list of teams")
		}
		for i, node := range found.Organization.Teams.Nodes {
			if node == nil {
				if err := itemError(teamsQuery, errs, teamNodesPath, i); err != nil {
					return nil, err // a team that is not listed would be taken for a deleted one
				}
				continue
			}
			list = c.addTeam(teamsQuery.name, list, Team{
				ID: node.DatabaseID, NodeID: node.ID, Slug: node.Slug, Secret: node.Privacy != "VISIBLE",
			})
		}
		info := &found.Organization.Teams.PageInfo
		if !info.HasNextPage {
			return list, nil
		}
		if info.EndCursor == "" || v.After != nil && info.EndCursor == *v.After {
			break
		}
		v.After = &info.EndCursor
	}
	return nil, errEndless(teamsQuery.name)
}

// teamNodesPath leads to the teams of a page.
var teamNodesPath = []string{"organization", "teams", "nodes"}

// teamMemberVariables are the variables of the TeamMembers query.
type teamMemberVariables struct {
	IDs        []string `json:"ids"`
	Membership string   `json:"membership"`
	First      int      `json:"first"`
	After      *string  `json:"after"`
}

func (teamMemberVariables) document() document { return teamMembersQuery }

// teamMemberData is the data of the TeamMembers query.
type teamMemberData struct {
	Nodes []*teamMemberNode `json:"nodes"`
}

// teamMemberNode is a team with a page of its members.
type teamMemberNode struct {
	ID      string `json:"id"`
	Members *struct {
		PageInfo pageInfo   `json:"pageInfo"`
		Nodes    []*account `json:"nodes"`
	} `json:"members"`
}

// membershipOf returns which members are read.
func membershipOf(req *TeamsRequest) string {
	if req.Nested {
		return "ALL"
	}
	return "IMMEDIATE"
}

// readMembersGraphQL passes on the members of teams. A query that is too large is repeated for half of its teams.
func (c *Client) readMembersGraphQL(
	ctx context.Context, req TeamsRequest, teams []Team, pass func(TeamMembers) error,
) error {
	size := maxTeamsPerQuery
	for len(teams) > 0 {
		part := teams[:min(size, len(teams))]
		v := teamMemberVariables{Membership: membershipOf(&req), First: perPage}
		for _, team := range part {
			v.IDs = append(v.IDs, team.NodeID)
		}
		found, errs, err := runQuery[teamMemberData](ctx, c, queryOptions{canShrink: len(part) > 1}, v)
		if len(part) > 1 && transport.IsTooLarge(err) {
			size = (len(part) + 1) / 2
			continue
		}
		if err == nil && len(found.Nodes) != len(part) {
			err = missingDataError(teamMembersQuery, firstErrorUnder(errs, "nodes"), "list of the requested teams")
		}
		teams = teams[len(part):]
		for i, team := range part {
			result := TeamMembers{Team: team, Err: err}
			if err == nil {
				result = c.teamResult(ctx, v, team, found.Nodes[i], errs, i)
			}
			if err := pass(result); err != nil {
				return err
			}
		}
	}
	return nil
}

// teamResult returns the members of the i-th team of a response, with those of further pages.
func (c *Client) teamResult(
	ctx context.Context, v teamMemberVariables, team Team, node *teamMemberNode, errs []graphqlError, i int,
) TeamMembers {
	result := TeamMembers{Team: team}
	v.IDs = []string{team.NodeID}
	for range maxTeamPages {
		var next string
		result.Members, next, result.Err = c.addMembers(result.Members, node, errs, i)
		if result.Err != nil || next == "" {
			return result
		}
		if v.After != nil && *v.After == next {
			break
		}
		v.After = &next
		found, pageErrs, err := runQuery[teamMemberData](ctx, c, queryOptions{}, v)
		if err == nil && len(found.Nodes) != 1 {
			err = missingDataError(teamMembersQuery, firstErrorUnder(pageErrs, "nodes"), "team")
		}
		if err != nil {
			result.Err = err
			return result
		}
		node, errs, i = found.Nodes[0], pageErrs, 0
	}
	result.Err = errEndless(teamMembersQuery.name)
	return result
}

// addMembers adds the members of the i-th team of a response. It returns the cursor of the next page, empty for none.
func (c *Client) addMembers(
	list []activity.Actor, node *teamMemberNode, errs []graphqlError, i int,
) (members []activity.Actor, next string, err error) {
	for k := range errs {
		if errs[k].isAtItem(lookupPath, i) {
			return nil, "", partError(teamMembersQuery, &errs[k])
		}
	}
	if node == nil || node.Members == nil || node.Members.Nodes == nil {
		return nil, "", missingDataError(teamMembersQuery, nil, "members of the team")
	}
	for _, member := range node.Members.Nodes {
		if member != nil {
			list = c.addMember(teamMembersQuery.name, list, member.id(), member.Login)
		}
	}
	if !node.Members.PageInfo.HasNextPage {
		return list, "", nil
	}
	if node.Members.PageInfo.EndCursor == "" {
		return nil, "", errEndless(teamMembersQuery.name)
	}
	return list, node.Members.PageInfo.EndCursor, nil
}
