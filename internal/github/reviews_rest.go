// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"strconv"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/flow"
)

const reviewsEndpoint = "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"

// reviewRows is the format of a page of reviews.
var reviewRows = listFormat(isCompleteReview, "id", "user", "submitted_at", "state")

// isCompleteReview reports whether a row has what every review has.
func isCompleteReview(r *gogithub.PullRequestReview, wrong fieldErrors) bool {
	return wrong.isPresent(r.ID != nil, "id") && wrong.isPresent(r.State != nil, "state") && isCompleteUser(r.User)
}

// requestRESTReviews requests the reviews of a pull request
// (https://docs.github.com/rest/pulls/reviews#list-reviews-for-a-pull-request).
func (r *reader) requestRESTReviews(ctx context.Context, pull int) ([]flow.Review, error) {
	var reviews []flow.Review
	for number := 1; number <= maxPages; number++ {
		rows, info, err := requestREST(ctx, r.client, restRequest{
			endpoint: reviewsEndpoint, path: r.path("/pulls/" + strconv.Itoa(pull) + "/reviews"),
			query: queryValues("per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
		}, reviewRows)
		if err != nil {
			return nil, err
		}
		reviews = append(reviews, r.restReviews(rows, info.invalid)...)
		if !info.next || len(rows) == 0 {
			return reviews, nil
		}
	}
	return nil, errEndless(reviewsEndpoint)
}

// restReviews converts reviews. It drops pending ones, and those that cannot be decoded.
func (r *reader) restReviews(rows []*gogithub.PullRequestReview, invalid map[int]fieldErrors) []flow.Review {
	reviews := make([]flow.Review, 0, len(rows))
	for i, row := range rows {
		if invalid[i] != nil {
			r.client.reportInvalidRow(reviewsEndpoint, invalid[i])
		}
		if row.SubmittedAt == nil || invalid[i] != nil && !invalid[i].hasOnly("state") {
			continue // pending: not submitted yet, or without what a review needs
		}
		reviews = append(reviews, flow.Review{
			ID: row.GetID(), Author: restActor(row.GetUser()), At: row.SubmittedAt.Time,
			Approves: row.GetState() == approvedState,
		})
	}
	return reviews
}
