// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/flow"
)

// reviewConnection is a page of the reviews of a pull request.
type reviewConnection struct {
	PageInfo pageInfo      `json:"pageInfo"`
	Nodes    []*reviewNode `json:"nodes"`
}

// reviewNode is a review. SubmittedAt is nil while it is pending.
type reviewNode struct {
	FullDatabaseID json.Number `json:"fullDatabaseId"`
	SubmittedAt    *time.Time  `json:"submittedAt"`
	State          string      `json:"state"`
	Author         *account    `json:"author"`

	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *reviewNode) UnmarshalJSON(raw []byte) (err error) {
	type plain reviewNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// reviewsVariables are the variables of the Reviews query.
type reviewsVariables struct {
	ID    string `json:"id"`
	After string `json:"after"`
}

func (reviewsVariables) document() document { return reviewsQuery }

// graphqlReviews returns the reviews of a pull request, and requests those that its row lacks.
func (r *reader) graphqlReviews(ctx context.Context, n *pullNode) ([]flow.Review, error) {
	var reviews []flow.Review
	page := n.Reviews
	for range maxPages {
		reviews = append(reviews, r.convertReviews(page.Nodes)...)
		if !page.PageInfo.HasNextPage {
			return reviews, nil
		}
		var err error
		if page, err = r.requestReviews(ctx, n.ID, page.PageInfo.EndCursor); err != nil {
			return nil, err
		}
	}
	return nil, errEndless(reviewsQuery.name)
}

// requestReviews requests the page of a pull request's reviews after a cursor.
func (r *reader) requestReviews(ctx context.Context, id, after string) (*reviewConnection, error) {
	type reviewsData struct {
		Node *struct {
			Reviews *reviewConnection `json:"reviews"`
		} `json:"node"`
	}
	data, errs, err := runQuery[reviewsData](ctx, r.client, queryOptions{}, reviewsVariables{ID: id, After: after})
	if err != nil {
		return nil, err
	}
	if data.Node == nil || data.Node.Reviews == nil {
		return nil, missingDataError(reviewsQuery, errs, "reviews")
	}
	if err := fieldUnavailable(reviewsQuery, errs, "reviews"); err != nil {
		return nil, err
	}
	if next := data.Node.Reviews.PageInfo; next.HasNextPage && next.EndCursor == after {
		return nil, errEndless(reviewsQuery.name)
	}
	return data.Node.Reviews, nil
}

// convertReviews converts reviews. It drops pending ones, and those that cannot be decoded.
func (r *reader) convertReviews(nodes []*reviewNode) []flow.Review {
	reviews := make([]flow.Review, 0, len(nodes))
	for _, n := range nodes {
		if n == nil || (n.SubmittedAt == nil && n.invalid == nil) {
			continue // pending: not submitted yet
		}
		if n.invalid != nil {
			r.client.reportInvalidRow(reviewsQuery.name, n.invalid)
		}
		if n.SubmittedAt == nil || n.invalid != nil && !n.invalid.hasOnly("state") {
			continue
		}
		id, err := strconv.ParseInt(n.FullDatabaseID.String(), 10, 64)
		if err != nil {
			r.client.transport.ReportInvalidValue(err)
			continue
		}
		reviews = append(reviews, flow.Review{
			ID: id, Author: n.Author.actor(), At: *n.SubmittedAt, Approves: n.State == approvedState,
		})
	}
	return reviews
}
