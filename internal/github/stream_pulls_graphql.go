// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
)

// pullNode is a pull request in a listing, with its first reviews.
type pullNode struct {
	ID        string            `json:"id"`
	Number    int64             `json:"number"`
	CreatedAt time.Time         `json:"createdAt"`
	MergedAt  *time.Time        `json:"mergedAt"`
	UpdatedAt time.Time         `json:"updatedAt"`
	Author    *account          `json:"author"`
	Reviews   *reviewConnection `json:"reviews"`
	pullFlowFields

	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *pullNode) UnmarshalJSON(raw []byte) (err error) {
	type plain pullNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// hasMore reports whether the row lacks reviews, or changes that flow needs.
func (n *pullNode) hasMore() bool {
	return n.Reviews != nil && n.Reviews.PageInfo.HasNextPage || n.Changes != nil && n.Changes.PageInfo.HasNextPage
}

// readPullsGraphQL reads pull requests from their first page on.
func (r *reader) readPullsGraphQL(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	first := data
	return r.scanPulls(ctx, func(ctx context.Context, cursor string) (pullPage, string, error) {
		data, dataErrs := first, errs
		first = nil
		var err error
		if data == nil {
			data, dataErrs, err = r.requestPullPage(ctx, cursor)
		}
		if err == nil && r.wantsPullFlow() {
			if missing := missesPullFlow(dataErrs); missing != nil {
				r.failPullFlow(missing)
				data, dataErrs, err = r.requestPullPage(ctx, cursor)
			}
		}
		if err != nil {
			return nil, "", err
		}
		return r.graphqlPullPage(data, dataErrs)
	})
}

// requestPullPage requests the page of pull requests at a cursor, and the page without their flow where that fails with
// it.
func (r *reader) requestPullPage(ctx context.Context, cursor string) (*repositoryActivity, []graphqlError, error) {
	v := r.newActivityVariables()
	v.Pulls, v.PullsFirst, v.PullFlow = true, pullsNextPageSize, r.wantsPullFlow()
	if cursor != "" {
		v.PullsAfter = &cursor
	}
	data, errs, err := r.requestActivity(ctx, &v)
	if v.PullFlow && canSplit(err) {
		r.failPullFlow(err)
		v.PullFlow = false
		return r.requestActivity(ctx, &v)
	}
	return data, errs, err
}

// graphqlPullPage converts a page, and returns the next cursor. The error is that of a page that lacks a part.
func (r *reader) graphqlPullPage(data *repositoryActivity, errs []graphqlError) (pullPage, string, error) {
	if string(data.HasPulls) == "false" {
		return nil, "", errPullsOff()
	}
	if data.Pulls == nil || data.Pulls.Nodes == nil {
		return nil, "", missingDataError(activityQuery, errs, "pull requests")
	}
	if err := fieldUnavailable(activityQuery, errs, "pullRequests"); err != nil {
		return nil, "", err
	}
	rows := make(pullPage, 0, len(data.Pulls.Nodes))
	for _, n := range data.Pulls.Nodes {
		if n == nil || (n.Reviews == nil && n.invalid["reviews"] == nil) {
			return nil, "", missingDataError(activityQuery, errs, "pull request at its index of the page")
		}
		if n.invalid != nil {
			r.client.reportInvalidRow(activityQuery.name, n.invalid)
			if n.invalid["updatedAt"] != nil {
				continue // it has no place in the order
			}
		}
		rows = append(rows, pullRow{
			updatedAt: n.UpdatedAt, isComplete: !n.hasMore(),
			events: func(ctx context.Context) ([]activity.Event, error) { return r.graphqlPullEvents(ctx, n) },
		})
	}
	if info := data.Pulls.PageInfo; info.HasNextPage {
		return rows, info.EndCursor, nil
	}
	return rows, "", nil
}

// graphqlPullEvents returns the events of a pull request, of its reviews and of its flow, and requests what its row
// lacks.
func (r *reader) graphqlPullEvents(ctx context.Context, n *pullNode) ([]activity.Event, error) {
	var events []activity.Event
	if n.invalid == nil || n.invalid.hasOnly(append([]string{"reviews"}, pullFlowFieldNames...)...) {
		events = r.newPullEvents(n.Number, n.Author.actor(), n.CreatedAt, n.MergedAt)
	}
	if n.Reviews == nil {
		return events, nil
	}
	reviews, err := r.graphqlReviews(ctx, n)
	if err != nil {
		return nil, err
	}
	events = append(events, r.reviewEvents(reviews)...)
	return r.withPullFlow(events, func() (*flow.PullRequest, error) { return r.graphqlPullFlow(ctx, n, reviews) })
}
