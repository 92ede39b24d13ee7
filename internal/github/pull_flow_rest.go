// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"slices"
	"strconv"
	"strings"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/flow"
)

const pullEndpoint = "/repos/{owner}/{repo}/pulls/{pull_number}"

// changeTypesREST are the changes that flow needs, by the names of REST's issue events
// (https://docs.github.com/rest/using-the-rest-api/issue-event-types).
var changeTypesREST = map[string]flow.ChangeType{
	"closed":             flow.Closed,
	"reopened":           flow.Reopened,
	"ready_for_review":   flow.ReadyForReview,
	"convert_to_draft":   flow.ConvertedToDraft,
	"converted_to_draft": flow.ConvertedToDraft, // as webhooks name it
	"review_requested":   flow.ReviewRequested,
	"review_dismissed":   flow.Dismissed,
}

// timelineRows is the format of a page of the events of a pull request, pullDetail that of a single pull request.
var (
	timelineRows = listFormat(isCompleteTimelineRow, "event", "created_at", "dismissed_review")
	pullDetail   = objectFormat(isCompletePullDetail, "additions", "deletions")
)

// isCompleteTimelineRow reports whether a row has what every event of a pull request has.
func isCompleteTimelineRow(r *gogithub.IssueEvent, wrong fieldErrors) bool {
	if !isCompleteIssueEvent(r, wrong) || r.GetEvent() != "review_dismissed" {
		return isCompleteIssueEvent(r, wrong)
	}
	d := r.DismissedReview
	return wrong.isPresent(d != nil && d.ReviewID != nil && d.State != nil, "dismissed_review")
}

// isCompletePullDetail reports whether the response has what every pull request has.
func isCompletePullDetail(r *gogithub.PullRequest, wrong fieldErrors) bool {
	return wrong.isPresent(r.Additions != nil, "additions") && wrong.isPresent(r.Deletions != nil, "deletions")
}

// restPullFlow returns the pull request of a row with its history, which it requests when something may have happened
// since the start of the flow. It returns nil when nothing has, and for one with a value that cannot be decoded.
func (r *reader) restPullFlow(
	ctx context.Context, row *gogithub.PullRequest, reviews []flow.Review,
) (*flow.PullRequest, error) {
	switch {
	case row.CreatedAt == nil:
		return nil, nil // the row is reported
	case row.Draft == nil:
		return nil, malformed(pullsEndpoint, "a pull request that is neither a draft nor none")
	}
	p := &flow.PullRequest{
		Repo: r.request.Repo.ID, Number: int64(row.GetNumber()), Author: restActor(row.GetUser()),
		Created: row.GetCreatedAt().Time, Updated: row.GetUpdatedAt().Time, Draft: row.GetDraft(),
		Open: row.GetState() == "open", Merged: row.GetMergedAt().Time, Reviews: reviews,
	}
	if !r.mayHaveFlow(p, row) {
		return nil, nil
	}
	var ok bool
	var err error
	if p.Changes, ok, err = r.requestPullEvents(ctx, row.GetNumber()); err != nil || !ok {
		return nil, err
	}
	if p.Merged.IsZero() || p.Merged.Before(r.pullFlowStart()) {
		return p, nil
	}
	if p.Lines, ok, err = r.requestPullLines(ctx, row.GetNumber()); err != nil || !ok {
		return nil, err
	}
	return p, nil
}

// mayHaveFlow reports whether a pull request may have been reviewed, closed or merged since the start of the flow. That
// it was closed and reopened its row does not say.
func (r *reader) mayHaveFlow(p *flow.PullRequest, row *gogithub.PullRequest) bool {
	start := r.pullFlowStart()
	isReviewed := slices.ContainsFunc(p.Reviews, func(review flow.Review) bool { return !review.At.Before(start) })
	switch {
	case isReviewed:
		return true
	case p.Open:
		return p.Updated.After(p.Created)
	case row.ClosedAt == nil:
		return true
	default:
		return !row.ClosedAt.Before(start) || !p.Merged.Before(start)
	}
}

// requestPullEvents requests the changes of a pull request
// (https://docs.github.com/rest/issues/events#list-issue-events). The second result is false when one of them cannot be
// decoded.
func (r *reader) requestPullEvents(ctx context.Context, pull int) ([]flow.Change, bool, error) {
	var changes []flow.Change
	for number := 1; number <= maxPages; number++ {
		rows, info, err := requestREST(ctx, r.client, restRequest{
			endpoint: issueEventsEndpoint, path: r.path("/issues/" + strconv.Itoa(pull) + "/events"),
			query: queryValues("per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
		}, timelineRows)
		if err != nil {
			return nil, false, err
		}
		for i, row := range rows {
			change := restChange(row)
			switch {
			case info.invalid[i] != nil && (change.Type != 0 || info.invalid[i]["event"] != nil):
				r.client.reportInvalidRow(issueEventsEndpoint, info.invalid[i])
				return nil, false, nil
			case change.Type != 0:
				changes = append(changes, change)
			}
		}
		if !info.next || len(rows) == 0 {
			return changes, true, nil
		}
	}
	return nil, false, errEndless(issueEventsEndpoint)
}

// restChange converts an event. That of another type has no type.
func restChange(row *gogithub.IssueEvent) flow.Change {
	change := flow.Change{Type: changeTypesREST[row.GetEvent()], At: row.GetCreatedAt().Time}
	if dismissed := row.DismissedReview; dismissed != nil {
		change.Review = dismissed.GetReviewID()
		change.Approved = strings.EqualFold(dismissed.GetState(), approvedState)
	}
	return change
}

// requestPullLines requests the lines that a pull request adds and removes, which no list has
// (https://docs.github.com/rest/pulls/pulls#get-a-pull-request). The second result is false when they cannot be
// decoded.
func (r *reader) requestPullLines(ctx context.Context, pull int) (int64, bool, error) {
	row, info, err := requestREST(ctx, r.client, restRequest{
		endpoint: pullEndpoint, path: r.path("/pulls/" + strconv.Itoa(pull)),
	}, pullDetail)
	if err != nil {
		return 0, false, err
	}
	if info.invalid[0] != nil {
		r.client.reportInvalidRow(pullEndpoint, info.invalid[0])
		return 0, false, nil
	}
	return clampSum(int64(row.GetAdditions()), int64(row.GetDeletions())), true, nil
}
