// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const repositoryContributorsEndpoint = "/repos/{owner}/{repo}/contributors"

// errNoContributors is the error of a response that is no list.
var errNoContributors = errors.New("not the list that was expected")

// CountContributors returns how many accounts have commits on the default branch: the number of the last page of the
// list of contributors, with one on a page (https://docs.github.com/rest/repos/repos#list-repository-contributors).
// Authors without an account are not in the list. The number is not known where GitHub refuses the list, because the
// history is too large for it.
func (c *Client) CountContributors(ctx context.Context, org string, repo activity.Repository) (activity.Number, error) {
	var count uint64
	ctx = transport.WithScope(ctx, transport.Scope{RepoID: repo.ID})
	_, err := c.transport.Send(ctx, &transport.Call{
		Endpoint: repositoryContributorsEndpoint, Resource: budget.ResourceREST, Price: 1,
		Path:        repoPath(org, &repo, "/contributors?per_page=1"),
		CallOptions: transport.CallOptions{NoRefusalRetry: true},
		Decode: func(r transport.Received) (info transport.BodyInfo, err error) {
			info.Points, count = 1, 0
			if r.Status == http.StatusNoContent { // an empty repository
				return info, nil
			}
			var rows []json.RawMessage
			if err := transport.DecodeJSON(r.Body, &rows); err != nil || rows == nil {
				return info, errors.Join(errNoContributors, err)
			}
			page := parseLinkHeaders(r.Header.Values("Link"))
			count = uint64(max(page.last, len(rows)))
			return info, nil
		},
	})
	if forbidden, ok := errors.AsType[*transport.ForbiddenError](err); ok && !forbidden.Legal &&
		isTooLargeToList(forbidden.Message) {
		return activity.Number{}, nil
	}
	if err != nil {
		return activity.Number{}, err
	}
	return activity.KnownNumber(count), nil
}

// isTooLargeToList reports whether a refusal is about the size of the list, so that no credential would get it.
func isTooLargeToList(message string) bool {
	return strings.Contains(message, "too large to list contributors")
}
