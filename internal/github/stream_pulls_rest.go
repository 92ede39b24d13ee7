// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"strconv"
	"time"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
)

const pullsEndpoint = "/repos/{owner}/{repo}/pulls"

// pullRows is the format of a page of pull requests.
var pullRows = listFormat(isCompletePull, "number", "user", "created_at", "updated_at", "merged_at")

// isCompletePull reports whether a row has what every pull request has.
func isCompletePull(r *gogithub.PullRequest, wrong fieldErrors) bool {
	return wrong.isPresent(r.Number != nil, "number") && wrong.isPresent(r.CreatedAt != nil, "created_at") &&
		wrong.isPresent(r.UpdatedAt != nil, "updated_at") && isCompleteUser(r.User)
}

// readPullsREST reads the listing by update time, which must be requested in descending order
// (https://docs.github.com/rest/pulls/pulls#list-pull-requests).
func (r *reader) readPullsREST(ctx context.Context) error {
	former, first := r.usableValidator(activity.StreamPulls), Validator{}
	err := r.scanPulls(ctx, func(ctx context.Context, cursor string) (pullPage, string, error) {
		number, _ := strconv.Atoi(cursor) // empty is the first page
		number = max(1, number)
		rows, info, err := requestREST(ctx, r.client, restRequest{
			endpoint: pullsEndpoint, path: r.path("/pulls"), etag: former.ETag,
			query: queryValues("state", "all", "sort", "updated", "direction", "desc",
				"per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
		}, pullRows)
		if err != nil {
			return nil, "", err
		}
		if info.unchanged {
			first = former
		} else if number == 1 { // an update moves a row to its top
			first = Validator{}
			if r.isSettled(rows) {
				first.ETag = info.etag
			}
		}
		former.ETag = ""
		if !info.next {
			return r.restPullPage(rows, info.invalid), "", nil
		}
		return r.restPullPage(rows, info.invalid), strconv.Itoa(number + 1), nil
	})
	if err == nil {
		r.setValidator(activity.StreamPulls, first)
	}
	return err
}

// isSettled reports whether the newest change of a first page is final.
func (r *reader) isSettled(rows []*gogithub.PullRequest) bool {
	return len(rows) == 0 || rows[0].GetUpdatedAt().Before(r.client.transport.GitHubNow().Add(-settleAfter))
}

// restPullPage converts a page. It drops rows that cannot be ordered.
func (r *reader) restPullPage(rows []*gogithub.PullRequest, invalid map[int]fieldErrors) pullPage {
	list := make(pullPage, 0, len(rows))
	for i, row := range rows {
		if invalid[i] != nil {
			r.client.reportInvalidRow(pullsEndpoint, invalid[i])
			if row.Number == nil || row.UpdatedAt == nil {
				continue // it cannot be ordered, or has no reviews to request
			}
			row.CreatedAt, row.MergedAt = nil, nil // its reviews are read, and it is left out
		}
		list = append(list, pullRow{
			updatedAt: row.GetUpdatedAt().Time,
			events: func(ctx context.Context) ([]activity.Event, error) {
				return r.restPullEvents(ctx, row)
			},
		})
	}
	return list
}

// restPullEvents returns the events of a pull request, and requests its reviews and what its flow needs for theirs.
func (r *reader) restPullEvents(ctx context.Context, row *gogithub.PullRequest) ([]activity.Event, error) {
	var merged *time.Time
	if row.MergedAt != nil {
		merged = &row.MergedAt.Time
	}
	var events []activity.Event
	if row.CreatedAt != nil {
		events = r.newPullEvents(int64(row.GetNumber()), restActor(row.GetUser()), row.GetCreatedAt().Time, merged)
	}
	reviews, err := r.requestRESTReviews(ctx, row.GetNumber())
	if err != nil {
		return nil, err
	}
	events = append(events, r.reviewEvents(reviews)...)
	return r.withPullFlow(events, func() (*flow.PullRequest, error) { return r.restPullFlow(ctx, row, reviews) })
}
