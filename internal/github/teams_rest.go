// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"net/url"
	"strconv"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const (
	teamsEndpoint       = "/orgs/{org}/teams"
	teamMembersEndpoint = "/orgs/{org}/teams/{team_slug}/members"
)

// teamRows is the format of a page of teams, memberRows that of a page of members. addTeam and addMember check the
// rows one by one.
var (
	teamRows   = listFormat(func(*gogithub.Team, fieldErrors) bool { return true }, "id", "slug", "privacy")
	memberRows = listFormat(func(*gogithub.User, fieldErrors) bool { return true }, "id", "login")
)

// listTeamsREST lists the teams (https://docs.github.com/rest/teams/teams#list-teams).
func (c *Client) listTeamsREST(ctx context.Context, org string) ([]Team, error) {
	var list []Team
	err := eachPage(ctx, c, restRequest{
		endpoint: teamsEndpoint, path: "orgs/" + url.PathEscape(org) + "/teams",
	}, teamRows, func(team *gogithub.Team) {
		list = c.addTeam(teamsEndpoint, list, Team{
			ID: team.GetID(), Slug: team.GetSlug(), Secret: team.GetPrivacy() != "closed",
		})
	})
	return list, err
}

// readMembersREST returns the members of a team and of its child teams
// (https://docs.github.com/rest/teams/members#list-team-members).
func (c *Client) readMembersREST(ctx context.Context, org, slug string) ([]activity.Actor, error) {
	var list []activity.Actor
	err := eachPage(ctx, c, restRequest{
		endpoint: teamMembersEndpoint,
		path:     "orgs/" + url.PathEscape(org) + "/teams/" + url.PathEscape(slug) + "/members",
	}, memberRows, func(user *gogithub.User) {
		list = c.addMember(teamMembersEndpoint, list, user.GetID(), user.GetLogin())
	})
	return list, err
}

// eachPage requests the pages of a list and calls use with each row.
func eachPage[T any](
	ctx context.Context, c *Client, request restRequest, as format[[]*T], use func(*T),
) error {
	request.noRefusalRetry = true
	for number := 1; number <= maxTeamPages; number++ {
		request.query = queryValues("per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number))
		rows, info, err := requestREST(ctx, c, request, as)
		if err != nil {
			return err
		}
		for i, row := range rows {
			if wrong := info.invalid[i]; wrong != nil {
				c.reportInvalidRow(request.endpoint, wrong)
				continue
			}
			use(row)
		}
		if !info.next {
			return nil
		}
	}
	return errEndless(request.endpoint)
}
