// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// issueSource reads issues and their closings, by update time. Both count for the author of the issue.
var issueSource = streamSource{
	stream:        activity.StreamIssues,
	readREST:      issueFeed.read,
	isConditional: true,
	activity: &activitySource{
		selectFirst: func(_ *ReadRequest, v *activityVariables) { v.Issues = true },
		selectMember: func(req *ReadRequest, v *memberVariables) {
			v.memberIssues = memberIssues{Issues: true, IssuesSince: req.issuesSince()}
		},
		read: func(ctx context.Context, r *reader, data *repositoryActivity, errs []graphqlError) error {
			return r.readIssuesGraphQL(ctx, data, errs)
		},
		isBounded: func(*ReadRequest) bool { return false },
	},
	signal: func(n *repositoryNode, m latestUpdates, _ bool, s *activity.Signals) (ok bool) {
		s.Issues, ok = m.issues.get(n.ID, n.HasIssues)
		return ok
	},
}

// The numbers of issues in a page of GraphQL: of the first one beside commits and pull requests, which is one point
// together, of the following ones, and of the smallest one.
const (
	issuesPageSize     = 20
	issuesNextPageSize = 50
	minIssuesPageSize  = 5
)

// issueNode is an issue in a listing.
type issueNode struct {
	Number    int64        `json:"number"`
	CreatedAt time.Time    `json:"createdAt"`
	UpdatedAt time.Time    `json:"updatedAt"`
	Author    *account     `json:"author"`
	Closings  *closingList `json:"timelineItems"`

	invalid fieldErrors
}

// closingList has the newest hundred closings of an issue.
type closingList struct {
	PageInfo struct {
		HasPreviousPage bool `json:"hasPreviousPage"`
	} `json:"pageInfo"`
	Nodes []*struct {
		CreatedAt time.Time `json:"createdAt"`
	} `json:"nodes"`
}

// times returns when the issue was closed, once for each closing.
func (l *closingList) times() []time.Time {
	var times []time.Time
	for _, node := range l.Nodes {
		if node != nil {
			times = append(times, node.CreatedAt)
		}
	}
	return times
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *issueNode) UnmarshalJSON(raw []byte) (err error) {
	type plain issueNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// issueVariables select a page of issues that were updated at a time or later.
type issueVariables struct {
	Issues      bool    `json:"issues"`
	IssuesFirst int     `json:"issuesFirst"`
	IssuesAfter *string `json:"issuesAfter"`
	IssuesSince *string `json:"issuesSince"`
}

// memberIssues select the first issues of a repository in a query for several.
type memberIssues struct {
	Issues      bool    `json:"issues"`
	IssuesSince *string `json:"issuesSince"`
}

// newIssueEvents returns the events of an issue. Each closing is an event of its own.
func (r *reader) newIssueEvents(
	number int64, author activity.Actor, created time.Time, closings []time.Time,
) []activity.Event {
	events := []activity.Event{r.newEvent(activity.KindIssueOpened, activity.NumberID(number), author, created)}
	for _, at := range closings {
		events = append(events, r.newEvent(activity.KindIssueClosed, activity.OccurrenceID(number, at), author, at))
	}
	return events
}

// isAfterWindow reports whether an issue was updated after the end of the window: a later window has it.
func (r *reader) isAfterWindow(updated time.Time) bool {
	until := r.request.Until[activity.StreamIssues]
	return !until.IsZero() && updated.After(until)
}

// readIssuesGraphQL reads issues from their first page on, the one that was updated longest ago first: an issue that is
// updated meanwhile moves to a page that is still to be read.
func (r *reader) readIssuesGraphQL(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	v := r.newActivityVariables()
	v.Issues, v.IssuesFirst = true, issuesNextPageSize
	gapStart := r.request.GapStart[activity.StreamIssues]
	for range maxPages {
		if err := r.checkIssuePage(data, errs); err != nil {
			return err
		}
		page := data.Issues
		isLast, err := r.emitIssueNodes(ctx, page.Nodes)
		if err != nil {
			return err
		}
		cursor := page.PageInfo.EndCursor
		switch {
		case isLast || !page.PageInfo.HasNextPage:
			r.result.GapCoveredFrom[activity.StreamIssues] = gapStart
			return nil
		case !gapStart.IsZero(): // the gap is more than a page: backfill reads it
			gapStart = time.Time{}
			v.IssuesSince = new(formatTime(r.request.Since[activity.StreamIssues]))
		case v.IssuesAfter != nil && *v.IssuesAfter == cursor:
			return errEndless(activityQuery.name)
		default:
			v.IssuesAfter = &cursor
		}
		if data, errs, err = r.requestActivity(ctx, &v); err != nil {
			return err
		}
	}
	return errEndless(activityQuery.name)
}

// checkIssuePage returns the error of a page that lacks a part. A repository in which issues are switched off may have
// had them on at its discovery: an empty list would be wrong then.
func (r *reader) checkIssuePage(data *repositoryActivity, errs []graphqlError) error {
	switch {
	case string(data.HasIssues) == "false":
		return notInActivity("issues are switched off")
	case data.Issues == nil || data.Issues.Nodes == nil:
		return missingDataError(activityQuery, errs, "issues")
	}
	isIncomplete := func(n *issueNode) bool {
		return n == nil || (n.Closings == nil && n.invalid["timelineItems"] == nil)
	}
	if slices.ContainsFunc(data.Issues.Nodes, isIncomplete) {
		return missingDataError(activityQuery, errs, "issue at its index of the page")
	}
	return fieldUnavailable(activityQuery, errs, "issues")
}

// emitIssueNodes emits the events of a page, and reports whether the page reaches the end of the window. The events of
// the issues before one whose closings cannot be read are emitted with the error.
func (r *reader) emitIssueNodes(ctx context.Context, nodes []*issueNode) (isLast bool, err error) {
	var events []activity.Event
	var failed error
	for _, n := range nodes {
		if n.invalid != nil {
			r.client.reportInvalidRow(activityQuery.name, n.invalid)
			continue
		}
		if isLast = r.isAfterWindow(n.UpdatedAt); isLast {
			break
		}
		r.result.noteUpdate(activity.StreamIssues, n.UpdatedAt)
		closings := n.Closings.times()
		if n.Closings.PageInfo.HasPreviousPage {
			if closings, failed = r.requestClosings(ctx, int(n.Number)); failed != nil {
				break
			}
		}
		events = append(events, r.newIssueEvents(n.Number, n.Author.actor(), n.CreatedAt, closings)...)
		events = append(events, r.issueFlowEvents(n.Number, n.CreatedAt, closings)...)
	}
	if err := r.emitValid(events); err != nil {
		return isLast, err
	}
	return isLast, failed
}

const (
	issuesEndpoint      = "/repos/{owner}/{repo}/issues"
	issueEventsEndpoint = "/repos/{owner}/{repo}/issues/{issue_number}/events"
)

// issueRows is the format of a page of issues and pull requests, issueEventRows that of a page of an issue's events.
var (
	issueRows = listFormat(isCompleteIssue,
		"number", "user", "created_at", "updated_at", "closed_at", "state_reason", "pull_request", "html_url")
	issueEventRows = listFormat(isCompleteIssueEvent, "event", "created_at")
)

// isCompleteIssue reports whether a row has what every issue has.
func isCompleteIssue(r *gogithub.Issue, wrong fieldErrors) bool {
	return wrong.isPresent(r.Number != nil, "number") && wrong.isPresent(r.CreatedAt != nil, "created_at") &&
		wrong.isPresent(r.UpdatedAt != nil, "updated_at") && isCompleteUser(r.User)
}

// isCompleteIssueEvent reports whether a row has what every event of an issue has.
func isCompleteIssueEvent(r *gogithub.IssueEvent, wrong fieldErrors) bool {
	return wrong.isPresent(r.Event != nil, "event") && wrong.isPresent(r.CreatedAt != nil, "created_at")
}

// issueFeed is the listing of issues and pull requests
// (https://docs.github.com/rest/issues/issues#list-repository-issues).
var issueFeed = updateFeed[gogithub.Issue]{
	stream: activity.StreamIssues, endpoint: issuesEndpoint, path: "/issues", filter: []string{"state", "all"},
	rows:      issueRows,
	updatedAt: func(row *gogithub.Issue) *gogithub.Timestamp { return row.UpdatedAt },
	emit: func(ctx context.Context, r *reader, rows []*gogithub.Issue, invalid map[int]fieldErrors) error {
		return r.emitIssueRows(ctx, rows, invalid)
	},
}

// isPull reports whether a row is a pull request. Either field says so: without one of them it must not be taken for an
// issue.
func isPull(row *gogithub.Issue) bool {
	return row.IsPullRequest() || strings.Contains(row.GetHTMLURL(), "/pull/")
}

// emitIssueRows emits the events of those issues in a page that were updated in the window, or in the gap before it
// when that is read, too. A page that was requested with a validator may begin before. The events of the issues before
// one whose closings cannot be read are emitted with the error.
func (r *reader) emitIssueRows(ctx context.Context, rows []*gogithub.Issue, invalid map[int]fieldErrors) error {
	start := r.request.Since[activity.StreamIssues]
	if gap := r.request.GapStart[activity.StreamIssues]; !gap.IsZero() {
		start = gap
	}
	var events []activity.Event
	var failed error
	for i, row := range rows {
		if invalid[i] != nil {
			r.client.reportInvalidRow(issuesEndpoint, invalid[i])
			continue
		}
		if isPull(row) || row.UpdatedAt.Before(start) || r.isAfterWindow(row.UpdatedAt.Time) {
			continue
		}
		r.result.noteUpdate(activity.StreamIssues, row.UpdatedAt.Time)
		var closings []time.Time
		if row.ClosedAt != nil || row.GetStateReason() == "reopened" {
			if closings, failed = r.requestClosings(ctx, row.GetNumber()); failed != nil {
				break
			}
		}
		found := r.newIssueEvents(int64(row.GetNumber()), restActor(row.GetUser()), row.CreatedAt.Time, closings)
		events = append(events, found...)
		events = append(events, r.issueFlowEvents(int64(row.GetNumber()), row.CreatedAt.Time, closings)...)
	}
	if err := r.emitValid(events); err != nil {
		return err
	}
	return failed
}

// requestClosings requests the closings of an issue
// (https://docs.github.com/rest/issues/events#list-issue-events). Its row has the last one only.
func (r *reader) requestClosings(ctx context.Context, issue int) ([]time.Time, error) {
	var closings []time.Time
	for number := 1; number <= maxPages; number++ {
		rows, info, err := requestREST(ctx, r.client, restRequest{
			endpoint: issueEventsEndpoint, path: r.path("/issues/" + strconv.Itoa(issue) + "/events"),
			query: queryValues("per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
		}, issueEventRows)
		if err != nil {
			return nil, err
		}
		for i, row := range rows {
			if info.invalid[i] != nil {
				r.client.reportInvalidRow(issueEventsEndpoint, info.invalid[i])
			} else if row.GetEvent() == "closed" {
				closings = append(closings, row.GetCreatedAt().Time)
			}
		}
		if !info.next || len(rows) == 0 {
			return closings, nil
		}
	}
	return nil, errEndless(issueEventsEndpoint)
}
