// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"slices"
	"strconv"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// openPullRows is the format of a page of open pull requests.
var openPullRows = listFormat(isCompleteOpenPull,
	"number", "user", "created_at", "updated_at", "draft", "requested_reviewers", "requested_teams")

// isCompleteOpenPull reports whether a row has what every open pull request has.
func isCompleteOpenPull(r *gogithub.PullRequest, wrong fieldErrors) bool {
	return isCompletePull(r, wrong) && wrong.isPresent(r.Draft != nil, "draft") &&
		wrong.isPresent(r.RequestedReviewers != nil, "requested_reviewers") &&
		wrong.isPresent(r.RequestedTeams != nil, "requested_teams")
}

// readREST reads the stocks of repositories one by one.
func (s *stockReader) readREST(ctx context.Context, requests []StockRequest) {
	for i := range requests {
		if s.requests >= maxStockRequestsREST {
			return
		}
		request, result := &requests[i], StockResult{RepoID: requests[i].Repo.ID}
		repoCtx := s.scoped(ctx, request.Repo.ID)
		if request.Pulls {
			result.Pulls, result.PullsErr = s.pullStockREST(repoCtx, request)
		}
		if request.Issues {
			result.Issues, result.IssuesErr = s.issueStockREST(repoCtx, request)
		}
		s.onResult(result)
	}
}

// requestStockPage requests a page of a repository's listing, unless no more requests may be sent.
func requestStockPage[T any](
	ctx context.Context, s *stockReader, request *StockRequest, endpoint, path string, page int, as format[[]*T],
	pairs ...string,
) ([]*T, restPage, error) {
	if err := s.check(ctx, nil); err != nil {
		return nil, restPage{}, err
	}
	s.requests++
	query := slices.Concat(pairs, []string{"per_page", strconv.Itoa(perPage), "page", strconv.Itoa(page)})
	rows, info, err := requestREST(ctx, s.client, restRequest{
		endpoint: endpoint, path: repoPath(s.org, &request.Repo, path), query: queryValues(query...),
	}, as)
	if err != nil {
		_ = s.check(ctx, err)
		return nil, info, err
	}
	for _, wrong := range info.invalid { // what cannot be decoded would be missing in the stock
		return nil, info, malformed(endpoint, "a row that cannot be decoded: "+wrong.firstError().Error())
	}
	return rows, info, nil
}

// pullStockREST lists the open pull requests, and requests the reviews of those that were updated since the former
// reading and had none by others.
func (s *stockReader) pullStockREST(ctx context.Context, request *StockRequest) (*activity.PullStock, error) {
	rows, authors, err := s.listOpenREST(ctx, request)
	if err != nil {
		return nil, err
	}
	if len(rows) > maxOpenPullsREST {
		return &activity.PullStock{IsTooLarge: true}, nil
	}
	awaited := make([]int, len(rows)) // the listing has the present number
	for i := range rows {
		awaited[i] = rows[i].Awaited
	}
	settleRows(rows, &request.Former)
	reviewed := make(map[int64]bool)
	for i := range request.Former.Pulls {
		reviewed[request.Former.Pulls[i].Number] = request.Former.Pulls[i].IsReviewed
	}
	for i := range rows {
		row := &rows[i]
		row.Awaited, row.IsReviewed = awaited[i], reviewed[row.Number] // a review stays
		if row.isKnown || row.IsReviewed {
			continue
		}
		if row.IsReviewed, err = s.isReviewedREST(ctx, request, row.Number, authors[i]); err != nil {
			return nil, err
		}
	}
	return stockOf(rows), nil
}

// listOpenREST lists the open pull requests with their authors, the oldest first, until there are too many.
func (s *stockReader) listOpenREST(
	ctx context.Context, request *StockRequest,
) (rows []openRow, authors []activity.Actor, err error) {
	for number := 1; ; number++ {
		page, info, err := requestStockPage(ctx, s, request, pullsEndpoint, "/pulls", number, openPullRows,
			"state", "open", "sort", "created", "direction", "asc")
		if err != nil {
			return nil, nil, err
		}
		for _, row := range page {
			rows = append(rows, openRow{OpenPull: openPullOfRow(row)})
			authors = append(authors, restActor(row.GetUser()))
		}
		if !info.next || len(rows) > maxOpenPullsREST {
			return rows, authors, nil
		}
	}
}

// openPullOfRow converts a row.
func openPullOfRow(row *gogithub.PullRequest) activity.OpenPull {
	return activity.OpenPull{
		Number: int64(row.GetNumber()), Created: wholeSeconds(row.GetCreatedAt().Time),
		Updated: wholeSeconds(row.GetUpdatedAt().Time), IsDraft: row.GetDraft(),
		Awaited: len(row.RequestedReviewers) + len(row.RequestedTeams),
	}
}

// isReviewedREST reports whether a pull request has a review by anybody but its author.
func (s *stockReader) isReviewedREST(
	ctx context.Context, request *StockRequest, number int64, author activity.Actor,
) (bool, error) {
	path := "/pulls/" + strconv.FormatInt(number, 10) + "/reviews"
	for page := 1; page <= maxPages; page++ {
		reviews, info, err := requestStockPage(ctx, s, request, reviewsEndpoint, path, page, reviewRows)
		if err != nil {
			return false, err
		}
		for _, row := range reviews {
			if row.SubmittedAt != nil && !restActor(row.GetUser()).IsSameAccount(author) {
				return true, nil
			}
		}
		if !info.next {
			return false, nil
		}
	}
	return false, errEndless(reviewsEndpoint)
}

// issueStockREST counts the open issues in the listing that has pull requests as well, the oldest first
// (https://docs.github.com/rest/issues/issues#list-repository-issues): REST has no number of issues alone.
func (s *stockReader) issueStockREST(ctx context.Context, request *StockRequest) (*activity.IssueStock, error) {
	stock := &activity.IssueStock{}
	for number := 1; number <= maxOpenIssuesREST/perPage; number++ {
		page, info, err := requestStockPage(ctx, s, request, issuesEndpoint, "/issues", number, issueRows,
			"state", "open", "sort", "created", "direction", "asc")
		if err != nil {
			return nil, err
		}
		for _, row := range page {
			if isPull(row) {
				continue
			}
			if stock.Open == 0 {
				stock.Oldest = wholeSeconds(row.GetCreatedAt().Time)
			}
			stock.Open++
		}
		if !info.next {
			return stock, nil
		}
	}
	return &activity.IssueStock{IsTooLarge: true}, nil
}
