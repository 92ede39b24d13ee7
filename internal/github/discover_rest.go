// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"net/http"
	"strconv"
	"sync"

	gogithub "github.com/google/go-github/v66/github"
	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const orgRepositoriesEndpoint = "/orgs/{org}/repos"

// notAnOrganization is the likely cause of a 404 for an organization.
const notAnOrganization = "no organization of this name that the credential may see; a user account is not an " +
	"organization"

// discoverREST reads the first page, which has the number of the last one, and then the others from the last one
// down, several at once. A repository that is deleted meanwhile moves others only to pages that are still to be read,
// except for those in flight.
func (c *Client) discoverREST(ctx context.Context, org string, page func([]activity.Repository) error) error {
	l := &restListing{client: c, org: org, page: page}
	info, _, err := l.readPage(ctx, 1)
	if err != nil {
		return err
	}
	switch last := info.last; {
	case last == 0 && info.next:
		err = l.readForward(ctx)
	case last > maxPages:
		err = errEndless(orgRepositoriesEndpoint)
	default:
		err = l.readBackward(ctx, last)
	}
	if err == nil && l.incomplete.Missing > 0 {
		return &l.incomplete
	}
	return err
}

// restListing is one discovery with REST.
type restListing struct {
	client *Client
	org    string

	mu   sync.Mutex // held while page is called
	page func([]activity.Repository) error
	// incomplete counts the repositories that GitHub did not return, as one: it does not report how many.
	incomplete IncompleteError
}

// readPage reads a page and passes it on. It returns the number of its repositories.
func (l *restListing) readPage(ctx context.Context, number int) (restPage, int, error) {
	repositories, info, err := l.client.requestOrgRepositories(ctx, l.org, number)
	if err != nil {
		return info, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if info.hiddenRows != "" && l.incomplete.Missing == 0 {
		l.incomplete.add(&transport.ForbiddenError{
			Response: transport.Response{
				Endpoint: orgRepositoriesEndpoint, Status: http.StatusOK, Message: info.hiddenRows,
			},
		})
	}
	return info, len(repositories), l.page(repositories)
}

// readBackward reads the pages from the last one down to the second.
func (l *restListing) readBackward(ctx context.Context, last int) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(listingConcurrency)
	for number := last; number >= 2 && groupCtx.Err() == nil; number-- {
		group.Go(func() error {
			_, _, err := l.readPage(groupCtx, number)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// readForward reads page after page where GitHub does not report the number of the last one.
func (l *restListing) readForward(ctx context.Context) error {
	for number := 2; number <= maxPages; number++ {
		info, rows, err := l.readPage(ctx, number)
		if err != nil {
			return err
		}
		if !info.next || rows == 0 {
			return nil
		}
	}
	return errEndless(orgRepositoriesEndpoint)
}

// requestOrgRepositories requests a page of the listing
// (https://docs.github.com/rest/repos/repos#list-organization-repositories).
func (c *Client) requestOrgRepositories(
	ctx context.Context, org string, number int,
) ([]activity.Repository, restPage, error) {
	rows, info, err := requestREST(ctx, c, restRequest{
		endpoint: orgRepositoriesEndpoint, path: "orgs/" + org + "/repos", notFoundHint: notAnOrganization,
		query: queryValues("type", "all", "sort", "created", "direction", "asc",
			"per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
	}, repositoryRows)
	if err != nil {
		return nil, info, err
	}
	list := make([]activity.Repository, 0, len(rows))
	for i, row := range rows {
		if wrong := info.invalid[i]; wrong != nil {
			c.reportInvalidRow(orgRepositoriesEndpoint, wrong)
		}
		if c.isValidRepository(row.GetID(), row.GetName()) {
			list = append(list, c.repositoryOfRow(row, info.invalid[i]))
		}
	}
	return list, info, nil
}

// repositoryRow is a repository in a REST response.
type repositoryRow struct {
	gogithub.Repository

	// HasPullRequests is nil where the server does not have the field.
	HasPullRequests *bool `json:"has_pull_requests"`
	// SizeKiB is the size in KiB.
	SizeKiB *int64 `json:"size"`
}

// repositoryFields are the fields of a repositoryRow that are used.
var repositoryFields = []string{
	"id", "node_id", "name", "archived", "fork", "private", "pushed_at", "owner",
	"has_issues", "has_pull_requests", "default_branch",
	"visibility", "language", "is_template", "stargazers_count", "forks_count", "size", "created_at", "topics",
}

// repositoryRows is the format of a page of repositories.
var repositoryRows = listFormat((*repositoryRow).isComplete, repositoryFields...)

// isComplete reports whether the row has what every repository has.
func (r *repositoryRow) isComplete(wrong fieldErrors) bool {
	return wrong.isPresent(r.ID != nil, "id") && wrong.isPresent(r.NodeID != nil, "node_id") &&
		wrong.isPresent(r.Name != nil, "name") && wrong.isPresent(r.Archived != nil, "archived") &&
		wrong.isPresent(r.Fork != nil, "fork") && wrong.isPresent(r.Private != nil, "private") &&
		wrong.isPresent(r.DefaultBranch != nil, "default_branch")
}

// repositoryOfRow converts a row. The push time and the default branch are the only signals that REST has, and they
// are unknown where a value cannot be decoded.
func repositoryOfRow(row *repositoryRow, wrong fieldErrors) activity.Repository {
	repo := activity.Repository{
		ID: row.GetID(), NodeID: row.GetNodeID(), Name: row.GetName(),
		Archived: row.GetArchived(), Fork: row.GetFork(), Private: row.GetPrivate(),
		FlagsUnknown: wrong.hasAny("archived", "fork", "has_issues", "has_pull_requests"),
		Signals: activity.Signals{
			Streams: activity.StreamsOf(activity.StreamCommits), PushedAt: row.GetPushedAt().Time,
			Archived: row.GetArchived(),
			Disabled: disabledStreams(row.HasPullRequests, row.HasIssues),
			Branch:   transport.Printable(row.GetDefaultBranch()),
		},
	}
	if wrong != nil && !wrong.hasOnly(factRowFields...) {
		repo.Signals.Streams = 0
	}
	return repo
}
