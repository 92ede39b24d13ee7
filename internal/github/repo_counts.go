// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// MaxCountsREST and MaxCounts are how many repositories are worth their requests in one call of ReadCounts, with REST
// alone and with GraphQL: one of REST is five requests, a hundred of GraphQL are one.
const (
	MaxCountsREST = 5
	MaxCounts     = 1000
)

// countsPageSize is the number of repositories in one query.
const countsPageSize = 100

// ReadCounts requests the counts of repositories, in the background, and calls onResult once for each that was read,
// one at a time. What the credential may not read is unknown. It never fails: a repository that is not reported is
// requested again some other time.
func (c *Client) ReadCounts(
	ctx context.Context, org string, repos []activity.Repository,
	onResult func(repo int64, counts activity.RepoCounts),
) {
	ctx = transport.WithScope(ctx, transport.Scope{Priority: budget.Background})
	if c.settings.API == APIREST {
		c.readCountsREST(ctx, org, repos, onResult)
		return
	}
	known := slices.DeleteFunc(slices.Clone(repos), func(r activity.Repository) bool { return r.NodeID == "" })
	for part := range slices.Chunk(known, countsPageSize) {
		if !c.readCountsOf(ctx, part, onResult) {
			return
		}
	}
}

// CountsLimit returns how many repositories are worth their requests in one call of ReadCounts.
func (c *Client) CountsLimit() int {
	if c.settings.API == APIREST {
		return MaxCountsREST
	}
	return MaxCounts
}

// countsVariables are the variables of the RepositoryCounts query.
type countsVariables struct {
	IDs []string `json:"ids"`
}

func (countsVariables) document() document { return countsQuery }

// countsData is the data of the RepositoryCounts query.
type countsData struct {
	Nodes []*struct {
		DatabaseID int64       `json:"databaseId"`
		Watchers   *totalCount `json:"watchers"`
	} `json:"nodes"`
	Contents []*contentCounts `json:"contents"`
}

// contentCounts are the counts that need the permission for contents.
type contentCounts struct {
	Branches *totalCount `json:"branches"`
	Tags     *totalCount `json:"tags"`
	Releases *totalCount `json:"releases"`
	Latest   *struct {
		PublishedAt time.Time `json:"publishedAt"`
	} `json:"latestRelease"`
}

// totalCount is a connection of which the number of rows is used.
type totalCount struct {
	TotalCount *int64 `json:"totalCount"`
}

// number returns the number of rows; unknown for nil.
func (t *totalCount) number() activity.Number {
	if t == nil {
		return activity.Number{}
	}
	return numberOf(t.TotalCount, 1)
}

// readCountsOf requests some repositories with one query, or with two when that was too much. It reports whether other
// queries may succeed.
func (c *Client) readCountsOf(
	ctx context.Context, part []activity.Repository, onResult func(int64, activity.RepoCounts),
) bool {
	ids := make([]string, len(part))
	for i := range part {
		ids[i] = part[i].NodeID
	}
	options := queryOptions{canShrink: len(part) > 1, noRetry: true}
	found, errs, err := runQuery[countsData](ctx, c, options, countsVariables{IDs: ids})
	if transport.IsTooLarge(err) && len(part) > 1 {
		half := len(part) / 2
		return c.readCountsOf(ctx, part[:half], onResult) && c.readCountsOf(ctx, part[half:], onResult)
	}
	if err != nil || len(found.Nodes) != len(part) || len(found.Contents) != len(part) {
		return false
	}
	for i, node := range found.Nodes {
		if node == nil || node.DatabaseID != part[i].ID || isCountUnavailable(errs, i) {
			continue
		}
		counts := activity.RepoCounts{Watchers: node.Watchers.number()}
		if contents := found.Contents[i]; contents != nil {
			counts.Branches, counts.Tags = contents.Branches.number(), contents.Tags.number()
			counts.Releases = contents.Releases.number()
			if contents.Latest != nil {
				counts.LatestRelease = factTime(contents.Latest.PublishedAt)
			}
		}
		onResult(part[i].ID, counts)
	}
	return true
}

// isCountUnavailable reports whether GitHub could not count something in the i-th repository that another request may
// return.
func isCountUnavailable(errs []graphqlError, i int) bool {
	return itemError(countsQuery, errs, []string{"nodes"}, i) != nil ||
		itemError(countsQuery, errs, []string{"contents"}, i) != nil
}

// The endpoints of counts (https://docs.github.com/rest/branches/branches#list-branches,
// https://docs.github.com/rest/repos/repos#list-repository-tags,
// https://docs.github.com/rest/releases/releases#list-releases and #get-the-latest-release).
const (
	branchesEndpoint      = "/repos/{owner}/{repo}/branches"
	tagsEndpoint          = "/repos/{owner}/{repo}/tags"
	releasesEndpoint      = "/repos/{owner}/{repo}/releases"
	latestReleaseEndpoint = "/repos/{owner}/{repo}/releases/latest"
)

// readCountsREST requests repositories with REST, several at once, until a request fails.
func (c *Client) readCountsREST(
	ctx context.Context, org string, repos []activity.Repository, onResult func(int64, activity.RepoCounts),
) {
	results := make([]*activity.RepoCounts, len(repos))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(listingConcurrency)
	for i := range repos {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() (err error) {
			results[i], err = c.requestCounts(groupCtx, org, &repos[i])
			return err
		})
	}
	_ = group.Wait() // what was read counts
	for i, counts := range results {
		if counts != nil {
			onResult(repos[i].ID, *counts)
		}
	}
}

// requestCounts requests the counts of a repository.
func (c *Client) requestCounts(
	ctx context.Context, org string, repo *activity.Repository,
) (*activity.RepoCounts, error) {
	counts := &activity.RepoCounts{}
	row, _, err := requestREST(ctx, c, restRequest{
		endpoint: repositoryEndpoint, path: repoPath(org, repo, ""), noRetry: true, noRefusalRetry: true,
	}, repositoryObject)
	if err == nil {
		counts.Watchers = intOf(row.SubscribersCount)
	}
	if err = ignoreRefusal(err); err != nil {
		return nil, err
	}
	for _, count := range []struct {
		endpoint, below string
		into            *activity.Number
	}{
		{branchesEndpoint, "/branches", &counts.Branches},
		{tagsEndpoint, "/tags", &counts.Tags},
		{releasesEndpoint, "/releases", &counts.Releases},
	} {
		if *count.into, err = c.requestCount(ctx, count.endpoint, repoPath(org, repo, count.below)); err != nil {
			return nil, err
		}
	}
	if counts.Releases == activity.KnownNumber(0) {
		return counts, nil
	}
	counts.LatestRelease, err = c.requestLatestRelease(ctx, repoPath(org, repo, "/releases/latest"))
	if err != nil {
		return nil, err
	}
	return counts, nil
}

// ignoreRefusal returns the error, but nil where the credential may not read something or it does not exist.
func ignoreRefusal(err error) error {
	if errors.As(err, new(*transport.ForbiddenError)) || errors.As(err, new(*transport.NotFoundError)) {
		return nil
	}
	return err
}

// countedRow is a row of which only the existence is used.
type countedRow struct{}

// countedRows is the format of a page with one row of a list that is counted.
var countedRows = listFormat(func(*countedRow, fieldErrors) bool { return true })

// requestCount returns the number of rows of a list: that of its pages with one row each.
func (c *Client) requestCount(ctx context.Context, endpoint, path string) (activity.Number, error) {
	rows, info, err := requestREST(ctx, c, restRequest{
		endpoint: endpoint, path: path, query: queryValues("per_page", "1"), noRetry: true, noRefusalRetry: true,
	}, countedRows)
	switch {
	case err != nil:
		return activity.Number{}, ignoreRefusal(err)
	case info.last > 0:
		return activity.KnownNumber(uint64(info.last)), nil
	case info.next:
		return activity.Number{}, nil // GitHub does not report the number of the last page
	default:
		return activity.KnownNumber(uint64(len(rows))), nil
	}
}

// releaseRow is a release.
type releaseRow struct {
	PublishedAt *time.Time `json:"published_at"`
}

// releaseObject is the format of a release.
var releaseObject = objectFormat(func(*releaseRow, fieldErrors) bool { return true })

// requestLatestRelease returns the publication of the latest release; zero without one.
func (c *Client) requestLatestRelease(ctx context.Context, path string) (time.Time, error) {
	row, _, err := requestREST(ctx, c, restRequest{
		endpoint: latestReleaseEndpoint, path: path, noRetry: true, noRefusalRetry: true, expectsNotFound: true,
	}, releaseObject)
	if err != nil || row.PublishedAt == nil {
		return time.Time{}, ignoreRefusal(err)
	}
	return factTime(*row.PublishedAt), nil
}
