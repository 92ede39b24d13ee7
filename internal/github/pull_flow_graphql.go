// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/flow"
)

// changeTypesGraphQL are the changes that flow needs, by their types in GraphQL.
var changeTypesGraphQL = map[string]flow.ChangeType{
	"ClosedEvent":          flow.Closed,
	"ReopenedEvent":        flow.Reopened,
	"ReadyForReviewEvent":  flow.ReadyForReview,
	"ConvertToDraftEvent":  flow.ConvertedToDraft,
	"ReviewRequestedEvent": flow.ReviewRequested,
	"ReviewDismissedEvent": flow.Dismissed,
}

// flowVariables select the flow of pull requests.
type flowVariables struct {
	PullFlow bool `json:"pullFlow"`
	// ChangeTypes are of GraphQL's PullRequestTimelineItemsItemType.
	ChangeTypes []string `json:"changeTypes"`
}

// newFlowVariables returns the variables that select the flow of pull requests, or do not. Requests for reviews matter
// to one clock only.
func newFlowVariables(rules flow.Rules, selected bool) flowVariables {
	types := []string{
		"CLOSED_EVENT", "REOPENED_EVENT", "READY_FOR_REVIEW_EVENT", "CONVERT_TO_DRAFT_EVENT", "REVIEW_DISMISSED_EVENT",
	}
	if rules.Clock == flow.ClockRequested {
		types = append(types, "REVIEW_REQUESTED_EVENT")
	}
	return flowVariables{PullFlow: selected, ChangeTypes: types}
}

// pullFlowFields are the fields of a pull request that flow needs besides.
type pullFlowFields struct {
	ClosedAt  *time.Time        `json:"closedAt"`
	IsDraft   *bool             `json:"isDraft"`
	Additions *int64            `json:"additions"`
	Deletions *int64            `json:"deletions"`
	Changes   *changeConnection `json:"timelineItems"`
}

// pullFlowFieldNames are their names.
var pullFlowFieldNames = []string{"closedAt", "isDraft", "additions", "deletions", "timelineItems"}

// changeConnection is a page of the changes of a pull request, the oldest first.
type changeConnection struct {
	PageInfo pageInfo        `json:"pageInfo"`
	Nodes    []*timelineNode `json:"nodes"`
}

// timelineNode is a change of a pull request. Review is nil where it was deleted.
type timelineNode struct {
	Type          string    `json:"__typename"`
	CreatedAt     time.Time `json:"createdAt"`
	PreviousState string    `json:"previousReviewState"`
	Review        *struct {
		FullDatabaseID json.Number `json:"fullDatabaseId"`
	} `json:"review"`

	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *timelineNode) UnmarshalJSON(raw []byte) (err error) {
	type plain timelineNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// missesPullFlow returns the error of a page that lacks what flow needs; nil when it lacks nothing.
func missesPullFlow(errs []graphqlError) error {
	for i := range errs {
		isField := slices.ContainsFunc(pullFlowFieldNames, func(name string) bool {
			return slices.Contains(errs[i].Path, any(name))
		})
		if isField && slices.Contains(errs[i].Path, any("pullRequests")) {
			return partError(activityQuery, &errs[i])
		}
	}
	return nil
}

// graphqlPullFlow returns the pull request of a row with its history, and requests the changes that its row lacks. It
// returns nil for one with a value that cannot be decoded.
func (r *reader) graphqlPullFlow(ctx context.Context, n *pullNode, reviews []flow.Review) (*flow.PullRequest, error) {
	switch {
	case n.invalid != nil:
		return nil, nil // reported with the row
	case n.Changes == nil || n.IsDraft == nil || n.Additions == nil || n.Deletions == nil:
		return nil, missingDataError(activityQuery, nil, "changes of a pull request")
	}
	p := &flow.PullRequest{
		Repo: r.request.Repo.ID, Number: n.Number, Author: n.Author.actor(), Created: n.CreatedAt, Updated: n.UpdatedAt,
		Draft: *n.IsDraft, Open: n.ClosedAt == nil && n.MergedAt == nil, Lines: clampSum(*n.Additions, *n.Deletions),
		Reviews: reviews,
	}
	if n.MergedAt != nil {
		p.Merged = *n.MergedAt
	}
	changes := n.Changes
	for range maxPages {
		page, err := r.graphqlChanges(changes.Nodes)
		if page == nil || err != nil {
			return nil, err
		}
		p.Changes = append(p.Changes, page...)
		if !changes.PageInfo.HasNextPage {
			return p, nil
		}
		if changes, err = r.requestChanges(ctx, n.ID, changes.PageInfo.EndCursor); err != nil {
			return nil, err
		}
	}
	return nil, errEndless(timelineQuery.name)
}

// graphqlChanges converts a page of changes. It returns nil when one of them cannot be decoded.
func (r *reader) graphqlChanges(nodes []*timelineNode) ([]flow.Change, error) {
	changes := make([]flow.Change, 0, len(nodes))
	for _, n := range nodes {
		if n == nil {
			return nil, missingDataError(timelineQuery, nil, "change of a pull request")
		}
		if n.invalid != nil {
			r.client.reportInvalidRow(timelineQuery.name, n.invalid)
			return nil, nil
		}
		change := flow.Change{Type: changeTypesGraphQL[n.Type], At: n.CreatedAt}
		if n.Review != nil {
			id, err := strconv.ParseInt(n.Review.FullDatabaseID.String(), 10, 64)
			if err != nil {
				r.client.transport.ReportInvalidValue(err)
				return nil, nil
			}
			change.Review, change.Approved = id, n.PreviousState == approvedState
		}
		if change.Type != 0 {
			changes = append(changes, change)
		}
	}
	return changes, nil
}

// timelineVariables are the variables of the Timeline query.
type timelineVariables struct {
	ID          string   `json:"id"`
	After       string   `json:"after"`
	ChangeTypes []string `json:"changeTypes"`
}

func (timelineVariables) document() document { return timelineQuery }

// requestChanges requests the page of a pull request's changes after a cursor.
func (r *reader) requestChanges(ctx context.Context, id, after string) (*changeConnection, error) {
	type timelineData struct {
		Node *struct {
			Changes *changeConnection `json:"timelineItems"`
		} `json:"node"`
	}
	types := newFlowVariables(r.client.settings.Flow, true).ChangeTypes
	v := timelineVariables{ID: id, After: after, ChangeTypes: types}
	data, errs, err := runQuery[timelineData](ctx, r.client, queryOptions{}, v)
	switch {
	case err != nil:
		return nil, err
	case len(errs) > 0 || data.Node == nil || data.Node.Changes == nil:
		return nil, missingDataError(timelineQuery, errs, "changes")
	}
	if next := data.Node.Changes.PageInfo; next.HasNextPage && next.EndCursor == after {
		return nil, errEndless(timelineQuery.name)
	}
	return data.Node.Changes, nil
}

// clampSum returns the sum of two numbers, each of them limited to what an event holds.
func clampSum(a, b int64) int64 {
	return int64(clampLines(int(a))) + int64(clampLines(int(b)))
}
