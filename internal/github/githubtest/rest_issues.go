// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
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

// listIssueEvents lists the closings and reopenings of an issue, or the changes of a pull request, the oldest first
// (https://docs.github.com/rest/issues/events#list-issue-events).
func (x *exchange) listIssueEvents() response {
	number := int(served.ParseInt(x.pathVars["issue_number"]))
	if p, ok := x.Pull(x.repository.PullByNumber[number]); ok {
		return listRepo(x, x.Changes(p.Pull), func(c served.Change) obj { return x.changeJSON(&p, c) })
	}
	is, ok := x.Issue(x.repository.IssueByNumber[number])
	if !ok {
		return notFoundResponse()
	}
	var events []served.Change
	for _, at := range is.Closings {
		events = append(events, served.Change{Name: served.ChangeClosed, At: at})
	}
	for _, at := range is.Reopenings {
		if x.IsVisible(at) {
			events = append(events, served.Change{Name: served.ChangeReopened, At: at})
		}
	}
	slices.SortStableFunc(events, func(a, b served.Change) int { return a.At.Compare(b.At) })
	return listRepo(x, events, func(e served.Change) obj { return x.issueEventJSON(is.DatabaseID, is.OpenedBy, e) })
}

// issueEventJSON returns an event of an issue or a pull request by its id and its author.
func (x *exchange) issueEventJSON(issue int64, author *string, e served.Change) obj {
	id := dataset.NumericID("issue event", fmt.Sprintf("%d %s %d", issue, e.Name, e.At.Unix()))
	return obj{
		"id": id, "node_id": served.NodeID(served.NodeClosing, x.repository.DatabaseID, id), "event": e.Name,
		"created_at": served.FormatTime(e.At), "actor": x.userJSON(x.Index.Account(author)),
		"commit_id": nil, "commit_url": nil, "url": fmt.Sprintf("%s/issues/events/%d", x.repoURL(x.repository), id),
	}
}

// changeJSON returns a change of a pull request
// (https://docs.github.com/rest/using-the-rest-api/issue-event-types).
func (x *exchange) changeJSON(p *served.PullState, c served.Change) obj {
	j := x.issueEventJSON(p.DatabaseID, p.Login, c)
	if r := c.Review; r != nil {
		j["dismissed_review"] = obj{
			"state": strings.ToLower(r.State), "review_id": r.ID, "dismissal_message": "",
		}
	}
	if r := c.Request; r != nil {
		j["review_requester"] = x.userJSON(x.Index.Account(p.Login))
		if r.Team != "" {
			j["requested_team"] = teamJSON(r, *p)
		} else {
			j["requested_reviewer"] = x.userJSON(x.Index.Account(&r.Login))
		}
	}
	return j
}
