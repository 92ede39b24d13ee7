// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addIssueRoutes(t *routeTable) {
	t.repo("/issues", "issues", (*exchange).listIssues)
	t.repo("/issues/{issue_number}/events", "issues", (*exchange).listIssueEvents)
}

// issueRow is a row of a list of issues: an issue or a pull request.
type issueRow struct {
	issue            *served.IssueState
	pull             *served.PullState
	number           int
	created, updated time.Time
	closed           bool
}

// issueRows returns the visible issues and pull requests.
func (x *exchange) issueRows() []issueRow {
	var rows []issueRow
	for _, is := range x.Issues(x.repository) {
		rows = append(rows, issueRow{
			issue: &is, number: is.Number, created: is.Created, updated: is.Updated, closed: is.Closed != nil,
		})
	}
	for _, p := range x.Pulls(x.repository) {
		rows = append(rows, issueRow{
			pull: &p, number: p.Number, created: p.Created, updated: p.Updated, closed: p.State != "OPEN",
		})
	}
	return rows
}

// listIssues lists issues and pull requests; since is inclusive and compared with the update time
// (https://docs.github.com/rest/issues/issues#list-repository-issues).
func (x *exchange) listIssues() response {
	q := x.request.URL.Query()
	since, err := timeParam(q.Get("since"))
	if err != nil {
		return errorResponse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	state, when := cmp.Or(q.Get("state"), "open"), func(r issueRow) time.Time { return r.created }
	if q.Get("sort") == "updated" {
		when = func(r issueRow) time.Time { return r.updated }
	}
	rows := slices.DeleteFunc(x.issueRows(), func(r issueRow) bool {
		return r.updated.Before(since) || state != "all" && (state == "closed") != r.closed
	})
	sortBy(
		rows, func(a, b issueRow) int { return when(a).Compare(when(b)) },
		func(r issueRow) int64 { return int64(r.number) }, q.Get("direction") != "asc",
	)
	return listRepo(x, rows, x.issueJSON)
}

// issueJSON returns an issue; that of a pull request has the field pull_request.
func (x *exchange) issueJSON(r issueRow) obj {
	api := fmt.Sprintf("%s/issues/%d", x.repoURL(x.repository), r.number)
	j := obj{
		"number": r.number, "state": map[bool]string{false: "open", true: "closed"}[r.closed], "state_reason": nil,
		"locked": false, "url": api, "body": nil, "labels": []obj{}, "assignees": []obj{},
		"author_association": "CONTRIBUTOR", "created_at": served.FormatTime(r.created),
		"updated_at": served.FormatTime(r.updated),
	}
	if p := r.pull; p != nil {
		html := fmt.Sprintf("%s/pull/%d", x.repository.WebURL(), p.Number)
		j["id"], j["node_id"], j["title"] = p.DatabaseID, p.NodeID(), p.Title()
		j["user"], j["html_url"] = x.userJSON(x.Index.Account(p.Login)), html
		j["closed_at"] = served.FormatOptionalTime(p.Closed)
		j["pull_request"] = obj{"url": fmt.Sprintf("%s/pulls/%d", x.repoURL(x.repository), p.Number), "html_url": html}
		return j
	}
	is := r.issue
	j["id"], j["node_id"] = is.DatabaseID, is.NodeID()
	j["title"] = fmt.Sprintf("Issue %d", is.Number)
	j["html_url"] = fmt.Sprintf("%s/issues/%d", x.repository.WebURL(), is.Number)
	j["user"], j["closed_at"] = x.userJSON(x.Index.Account(is.OpenedBy)), served.FormatOptionalTime(is.Closed)
	switch {
	case is.Closed != nil:
		j["state_reason"] = "completed"
	case is.IsReopened:
		j["state_reason"] = "reopened"
	}
	return j
}

// listIssueEvents lists the closings and reopenings of an issue, the oldest first
// (https://docs.github.com/rest/issues/events#list-issue-events).
func (x *exchange) listIssueEvents() response {
	is, ok := x.Issue(x.repository.IssueByNumber[int(served.ParseInt(x.pathVars["issue_number"]))])
	if !ok {
		return notFoundResponse()
	}
	type issueEvent struct {
		name string
		at   time.Time
	}
	var events []issueEvent
	for _, at := range is.Closings {
		events = append(events, issueEvent{"closed", at})
	}
	for _, at := range is.Reopenings {
		if x.IsVisible(at) {
			events = append(events, issueEvent{"reopened", at})
		}
	}
	slices.SortStableFunc(events, func(a, b issueEvent) int { return a.at.Compare(b.at) })
	return listRepo(x, events, func(e issueEvent) obj {
		id := dataset.NumericID("issue event", fmt.Sprintf("%d %s %d", is.DatabaseID, e.name, e.at.Unix()))
		return obj{
			"id": id, "node_id": served.NodeID(served.NodeClosing, x.repository.DatabaseID, id), "event": e.name,
			"created_at": served.FormatTime(e.at),
			"actor":      x.userJSON(x.Index.Account(is.OpenedBy)), "commit_id": nil, "commit_url": nil,
			"url": fmt.Sprintf("%s/issues/events/%d", x.repoURL(x.repository), id),
		}
	})
}
