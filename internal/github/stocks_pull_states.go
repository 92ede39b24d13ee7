// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// pullStatesVariables are the variables of the PullStates query.
type pullStatesVariables struct {
	IDs []string `json:"ids"`
}

func (pullStatesVariables) document() document { return pullStatesQuery }

// pullStateNode is a pull request with what the listing does not have.
type pullStateNode struct {
	ID       string            `json:"id"`
	State    string            `json:"state"`
	Author   *account          `json:"author"`
	Requests *openPullList     `json:"reviewRequests"`
	Reviews  *reviewConnection `json:"reviews"`
}

// unknownRow is a row of a group that has to be completed.
type unknownRow struct {
	stock *pendingStock
	row   *openRow
	ended bool
}

// completeGroup requests what the listings do not have, for all repositories of a group together. A pull request that
// has ended meanwhile is left out.
func (s *stockReader) completeGroup(ctx context.Context, group []*pendingStock) {
	var unknown []*unknownRow
	for _, p := range group {
		for i := range p.rows {
			if !p.rows[i].isKnown {
				unknown = append(unknown, &unknownRow{stock: p, row: &p.rows[i]})
			}
		}
	}
	for some := range slices.Chunk(unknown, pullStatesSize) {
		s.completeRows(ctx, some)
	}
	ended := make(map[*openRow]bool)
	for _, u := range unknown {
		ended[u.row] = u.ended
	}
	for _, p := range group {
		var rows []openRow
		for i := range p.rows {
			if !ended[&p.rows[i]] {
				rows = append(rows, p.rows[i])
			}
		}
		p.rows = rows
	}
}

// completeRows completes some rows with one query, and in parts where that is too much.
func (s *stockReader) completeRows(ctx context.Context, rows []*unknownRow) {
	err := s.check(ctx, nil)
	var data struct {
		Nodes []*pullStateNode `json:"nodes"`
	}
	var errs []graphqlError
	if err == nil {
		v := pullStatesVariables{IDs: make([]string, len(rows))}
		for i, u := range rows {
			v.IDs[i] = u.row.nodeID
		}
		data, errs, err = runQuery[struct {
			Nodes []*pullStateNode `json:"nodes"`
		}](ctx, s.client, queryOptions{canShrink: len(rows) > 1}, v)
		if transport.IsTooLarge(err) && len(rows) > 1 {
			for part := range slices.Chunk(rows, smallerGroup(len(rows))) {
				s.completeRows(ctx, part)
			}
			return
		}
		_ = s.check(ctx, err)
	}
	if err == nil && len(data.Nodes) != len(rows) {
		err = missingDataError(pullStatesQuery, errs, "list of the requested nodes")
	}
	for i, u := range rows {
		failed := err
		if failed == nil {
			failed = s.completeRow(ctx, u, data.Nodes[i], errs, i)
		}
		if failed != nil {
			u.stock.result.PullsErr = failed
		}
	}
}

// completeRow completes a row from its node, and requests more reviews where those that came with it do not tell.
func (s *stockReader) completeRow(
	ctx context.Context, u *unknownRow, node *pullStateNode, errs []graphqlError, i int,
) error {
	for k := range errs {
		if errs[k].isAtItem(lookupPath, i) {
			err := partError(pullStatesQuery, &errs[k])
			if u.ended = isGone(err); u.ended {
				return nil
			}
			return err
		}
	}
	if node == nil || node.Requests == nil || node.Reviews == nil || node.ID != u.row.nodeID {
		return missingDataError(pullStatesQuery, nil, "pull request at its index")
	}
	u.ended = node.State != "OPEN"
	u.row.Awaited = max(0, node.Requests.TotalCount)
	reviews, author := node.Reviews, node.Author.actor()
	r := &reader{client: s.client, request: &ReadRequest{Org: s.org, Repo: u.stock.request.Repo}}
	for range maxPages {
		u.row.IsReviewed = hasReviewOfOthers(reviews.Nodes, author)
		if u.row.IsReviewed || !reviews.PageInfo.HasNextPage {
			return nil
		}
		var err error
		if reviews, err = r.requestReviews(ctx, node.ID, reviews.PageInfo.EndCursor); err != nil {
			return err
		}
	}
	return errEndless(reviewsQuery.name)
}

// hasReviewOfOthers reports whether one of the reviews is submitted, and not the author's own.
func hasReviewOfOthers(reviews []*reviewNode, author activity.Actor) bool {
	return slices.ContainsFunc(reviews, func(n *reviewNode) bool {
		return n != nil && n.SubmittedAt != nil && !n.Author.actor().IsSameAccount(author)
	})
}
