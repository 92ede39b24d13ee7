// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// branchEndpoint is the address of a single branch (https://docs.github.com/rest/branches/branches#get-a-branch).
const branchEndpoint = branchesEndpoint + "/{branch}"

// restBranch is the used part of a branch.
type restBranch struct {
	Name   string     `json:"name"`
	Commit objectName `json:"commit"`
}

// isComplete reports whether the branch has a name and a commit.
func (b *restBranch) isComplete(fieldErrors) bool { return b.Name != "" && isObjectName(b.Commit.SHA) }

// row returns the branch as a row.
func (b *restBranch) row() branchRow { return branchRow{name: b.Name, head: b.Commit.SHA} }

// restComparison is the used part of a comparison.
type restComparison struct {
	Status  string        `json:"status"`
	Ahead   *int64        `json:"ahead_by"`
	Behind  *int64        `json:"behind_by"`
	Base    objectName    `json:"base_commit"`
	Commits []*objectName `json:"commits"`
}

// branchRows is the format of a page of branches, branchObject that of one, and aheadFormat that of what one has and
// the default branch has not.
var (
	branchRows   = listFormat((*restBranch).isComplete)
	branchObject = objectFormat((*restBranch).isComplete)
	aheadFormat  = format[*restComparison]{check: checkAhead}
)

// checkAhead refuses a comparison without its numbers, or without a commit that one of them counts.
func checkAhead(c *restComparison, info restPage) error {
	if c == nil || !slices.Contains(comparisonStatuses, c.Status) || c.Ahead == nil || c.Behind == nil {
		return errIncomplete
	}
	if *c.Ahead > 0 && len(c.Commits) == 0 {
		return errIncomplete
	}
	return checkObjectNames(c.Commits, info)
}

// readREST lists the branches of a repository, and compares those that are due, one by one.
func (r *branchReader) readREST(ctx context.Context, request *BranchesRequest) {
	if !r.canGoOn(ctx, nil) {
		return
	}
	ctx = r.scoped(ctx, request.Repo.ID)
	reading, err := r.listREST(ctx, request)
	if err != nil {
		reading = newFailedReading(request, err)
		r.canGoOn(ctx, err)
	}
	for _, i := range reading.due {
		if !r.canGoOn(ctx, nil) {
			break
		}
		r.left--
		c, err := r.compareREST(ctx, request, reading.result.Branches.Head, reading.result.Branches.List[i].Head)
		if err == nil || isIncomparable(err) {
			reading.record(i, c)
			continue
		}
		reading.recordError(err)
		r.canGoOn(ctx, err)
	}
	r.report(ctx, reading)
}

// listREST lists the first branches of a repository (https://docs.github.com/rest/branches/branches#list-branches), and
// looks up the default branch.
func (r *branchReader) listREST(ctx context.Context, request *BranchesRequest) (*branchReading, error) {
	repo := &request.Repo
	list, info, err := requestREST(ctx, r.client, restRequest{
		endpoint: branchesEndpoint, path: repoPath(r.org, repo, "/branches"),
		query: queryValues("per_page", strconv.Itoa(perPage)),
	}, branchRows)
	if err != nil {
		return nil, err
	}
	rows := make([]branchRow, len(list))
	for i, row := range list {
		rows[i] = row.row()
	}
	if len(rows) == 0 {
		return r.newBranchReading(request, branchRow{}, nil, false), nil
	}
	name := repo.Signals.Branch
	if name == "" {
		row, _, err := requestREST(ctx, r.client, restRequest{
			endpoint: repositoryEndpoint, path: repoPath(r.org, repo, ""),
		}, repositoryObject)
		if err != nil {
			return nil, err
		}
		name = row.GetDefaultBranch()
	}
	if i := slices.IndexFunc(rows, func(row branchRow) bool { return row.name == name }); i >= 0 {
		return r.newBranchReading(request, rows[i], rows, info.next), nil
	}
	trunk, _, err := requestREST(ctx, r.client, restRequest{
		endpoint: branchEndpoint, path: repoPath(r.org, repo, "/branches/"+escapeSegments(name)),
	}, branchObject)
	if err != nil {
		return nil, err
	}
	return r.newBranchReading(request, trunk.row(), rows, info.next), nil
}

// escapeSegments escapes the parts of a name between its slashes.
func escapeSegments(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// compareREST compares a commit with one of the default branch. The first page begins with the oldest commit
// (https://docs.github.com/rest/commits/commits#compare-two-commits).
func (r *branchReader) compareREST(
	ctx context.Context, request *BranchesRequest, base, head string,
) (*comparison, error) {
	found, _, err := requestREST(ctx, r.client, restRequest{
		endpoint: compareEndpoint, path: repoPath(r.org, &request.Repo, "/compare/"+base+"..."+head),
		query: queryValues("per_page", "1", "page", "1"), expectsNotFound: true,
	}, aheadFormat)
	if err != nil {
		return nil, err
	}
	c := &comparison{base: found.Base.SHA, head: head, ahead: *found.Ahead, behind: *found.Behind}
	if len(found.Commits) > 0 {
		c.first = found.Commits[0].date()
	}
	return c, nil
}
