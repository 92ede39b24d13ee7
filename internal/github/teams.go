// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	// maxTeamPages bounds the pages of the list of teams, and those of the members of a team.
	maxTeamPages = 1000
	// maxTeamsPerQuery is the number of teams in a query for members.
	maxTeamsPerQuery = 50
)

// Team is a team in the list of an organization.
type Team struct {
	ID     int64
	NodeID string
	Slug   string
	// Secret says that only its members can see the team on GitHub. A team is secret unless GitHub says otherwise.
	Secret bool
}

// TeamsRequest says which members of an organization's teams are read.
type TeamsRequest struct {
	Org string
	// Secret lists secret teams, too.
	Secret bool
	// Nested counts the members of child teams as members. With REST alone they always count: GitHub has no other list
	// (https://docs.github.com/rest/teams/members#list-team-members).
	Nested bool
}

// TeamMembers are the members of a team, or why they could not be read.
type TeamMembers struct {
	Team    Team
	Members []activity.Actor // by id
	Err     error
}

// ListTeams returns the teams of an organization that the credential can see, with background priority. It needs one
// request for each hundred of them.
func (c *Client) ListTeams(ctx context.Context, req TeamsRequest) ([]Team, error) {
	ctx = transport.WithScope(ctx, transport.Scope{Priority: budget.Background})
	var teams []Team
	var err error
	if c.settings.API == APIREST {
		teams, err = c.listTeamsREST(ctx, req.Org)
	} else if teams, err = c.listTeamsGraphQL(ctx, req); errors.As(err, new(*SchemaError)) && req.Nested {
		teams, err = c.listTeamsREST(ctx, req.Org)
	}
	if err != nil {
		return nil, err
	}
	seen := make(map[int64]bool, len(teams)) // a list that shifts between two pages repeats teams
	return slices.DeleteFunc(teams, func(t Team) bool {
		drop := seen[t.ID] || t.Secret && !req.Secret
		seen[t.ID] = true
		return drop
	}), nil
}

// ReadTeamMembers calls onResult with the members of each team, one at a time, with background priority. GraphQL needs
// one request for each fifty teams, and one for each further hundred members of a team; REST one for each team and each
// further hundred. A limit, a credential that is refused, and an error of onResult end it.
func (c *Client) ReadTeamMembers(
	ctx context.Context, req TeamsRequest, teams []Team, onResult func(TeamMembers) error,
) error {
	ctx = transport.WithScope(ctx, transport.Scope{Priority: budget.Background})
	pass := func(result TeamMembers) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		isLimit := errors.As(result.Err, new(*transport.LimitError))
		if isLimit || errors.As(result.Err, new(*transport.CredentialError)) {
			return result.Err
		}
		result.Members = uniqueAccounts(result.Members)
		return onResult(result)
	}
	byNode := func(t Team) bool { return c.settings.API != APIREST && t.NodeID != "" }
	var single, nodes []Team
	for _, team := range teams {
		if byNode(team) {
			nodes = append(nodes, team)
		} else {
			single = append(single, team)
		}
	}
	if err := c.readMembersGraphQL(ctx, req, nodes, pass); err != nil {
		return err
	}
	for _, team := range single {
		members, err := c.readMembersREST(ctx, req.Org, team.Slug)
		if err := pass(TeamMembers{Team: team, Members: members, Err: err}); err != nil {
			return err
		}
	}
	return nil
}

// uniqueAccounts returns each account once, by id.
func uniqueAccounts(list []activity.Actor) []activity.Actor {
	slices.SortFunc(list, func(a, b activity.Actor) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(list, func(a, b activity.Actor) bool { return a.ID == b.ID })
}

// addTeam adds a team of a response; one without what every team has is reported and left out.
func (c *Client) addTeam(endpoint string, list []Team, team Team) []Team {
	if team.ID <= 0 || !isValidSlug(team.Slug) {
		c.transport.ReportInvalidValue(fmt.Errorf("%s: a team with the id %d and the slug %.64q",
			endpoint, team.ID, team.Slug))
		return list
	}
	return append(list, team)
}

// maxSlug bounds the length of a team's slug, in bytes.
const maxSlug = 255

func isValidSlug(slug string) bool {
	return slug != "" && len(slug) <= maxSlug && activity.IsPrintable(slug)
}

// addMember adds a member of a response; one without what every account has is reported and left out.
func (c *Client) addMember(endpoint string, list []activity.Actor, id int64, login string) []activity.Actor {
	actor := newActor(id, login, false)
	err := actor.Validate()
	if err == nil && actor.ID == 0 {
		err = fmt.Errorf("member %.64q without an id", login)
	}
	if err != nil {
		c.transport.ReportInvalidValue(fmt.Errorf("%s: %w", endpoint, err))
		return list
	}
	return append(list, actor)
}
