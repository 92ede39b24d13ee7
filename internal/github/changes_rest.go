// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"slices"
	"strconv"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// changeRows is the format of a page of pull requests, of which the states and the branches count.
var changeRows = listFormat(isCompleteChange, "number", "draft", "created_at", "merged_at", "head", "base")

// isCompleteChange reports whether a row has what every pull request has.
func isCompleteChange(r *gogithub.PullRequest, wrong fieldErrors) bool {
	return wrong.isPresent(r.Number != nil, "number") && wrong.isPresent(r.CreatedAt != nil, "created_at") &&
		wrong.isPresent(r.Head != nil, "head") && wrong.isPresent(r.Base != nil, "base")
}

// readREST reads the pull requests of a repository.
func (r *changesReader) readREST(ctx context.Context, repo *activity.Repository) {
	if !r.canGoOn(ctx, nil) {
		return
	}
	result := ChangesResult{RepoID: repo.ID}
	ctx = transport.WithScope(ctx, transport.Scope{RepoID: repo.ID})
	if result.Err = r.readOpenREST(ctx, repo, &result.Changes); result.Err == nil && r.details.MaxRows > 0 {
		var rows []activity.VCSChange
		rows, _, result.Err = r.listREST(ctx, repo, 1, "state", "closed", "sort", "updated", "direction", "desc")
		r.addRows(&result.Changes, rows, false)
	}
	r.report(ctx, result)
}

// readOpenREST lists the open pull requests.
func (r *changesReader) readOpenREST(ctx context.Context, repo *activity.Repository, c *activity.Changes) error {
	var open []activity.VCSChange
	hasMore := true
	for page := 1; hasMore && page <= maxChangePages; page++ {
		rows, next, err := r.listREST(ctx, repo, page, "state", "open", "sort", "created", "direction", "desc")
		if err != nil {
			return err
		}
		open, hasMore = append(open, rows...), next
	}
	r.addOpen(c, open, !hasMore)
	return nil
}

// listREST requests a page of pull requests (https://docs.github.com/rest/pulls/pulls#list-pull-requests). Closed ones
// that were not merged are left out. It reports whether there is another page.
func (r *changesReader) listREST(
	ctx context.Context, repo *activity.Repository, page int, pairs ...string,
) ([]activity.VCSChange, bool, error) {
	query := slices.Concat(pairs, []string{"per_page", strconv.Itoa(perPage), "page", strconv.Itoa(page)})
	rows, info, err := requestREST(ctx, r.client, restRequest{
		endpoint: pullsEndpoint, path: repoPath(r.org, repo, "/pulls"), query: queryValues(query...),
	}, changeRows)
	if err != nil {
		return nil, false, err
	}
	for _, wrong := range info.invalid { // what cannot be decoded would be missing in the number
		return nil, false, malformed(pullsEndpoint, "a row that cannot be decoded: "+wrong.firstError().Error())
	}
	list := make([]activity.VCSChange, 0, len(rows))
	for _, row := range rows {
		change := activity.VCSChange{
			Number: int64(row.GetNumber()), State: openState(row.GetDraft()),
			Created: wholeSeconds(row.GetCreatedAt().Time),
			Head:    transport.Printable(row.GetHead().GetRef()), Base: transport.Printable(row.GetBase().GetRef()),
			IsFork: row.GetHead().GetRepo().GetID() != row.GetBase().GetRepo().GetID(),
		}
		switch {
		case row.MergedAt != nil:
			change.State, change.Since = activity.ChangeMerged, wholeSeconds(row.GetMergedAt().Time)
		case row.GetState() == "closed":
			continue
		}
		list = append(list, change)
	}
	return list, info.next, nil
}
