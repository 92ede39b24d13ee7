// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addCommentRoutes(t *routeTable) {
	t.repo("/issues/comments", "issues", (*exchange).listComments)
	t.repo("/issues/{issue_number}/comments", "issues", (*exchange).listIssueComments)
}

// listComments lists the comments on issues and pull requests, by id unless sorted; since is inclusive and compared
// with the update time (https://docs.github.com/rest/issues/comments#list-issue-comments-for-a-repository).
func (x *exchange) listComments() response {
	q := x.request.URL.Query()
	since, err := timeParam(q.Get("since"))
	if err != nil {
		return errorResponse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	all := slices.DeleteFunc(
		x.Comments(x.repository.Comments), func(c *served.Comment) bool { return x.CommentUpdatedAt(c).Before(since) },
	)
	id := func(c *served.Comment) int64 { return c.ID }
	switch q.Get("sort") {
	case "created":
		sortBy(
			all, func(a, b *served.Comment) int { return a.Created.Compare(b.Created) }, id,
			q.Get("direction") != "asc",
		)
	case "updated":
		sortBy(
			all, func(a, b *served.Comment) int { return x.CommentUpdatedAt(a).Compare(x.CommentUpdatedAt(b)) }, id,
			q.Get("direction") != "asc",
		)
	}
	return listRepo(x, all, x.commentJSON)
}

func (x *exchange) listIssueComments() response {
	n := int(served.ParseInt(x.pathVars["issue_number"]))
	since, err := timeParam(x.request.URL.Query().Get("since"))
	if err != nil {
		return errorResponse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	var all []*served.Comment
	if p, ok := x.Pull(x.repository.PullByNumber[n]); ok {
		all = p.Comments
	} else if is, ok := x.Issue(x.repository.IssueByNumber[n]); ok {
		all = is.Comments
	} else {
		return notFoundResponse()
	}
	all = slices.DeleteFunc(x.Comments(all), func(c *served.Comment) bool {
		return x.CommentUpdatedAt(c).Before(since)
	})
	return listRepo(x, all, x.commentJSON)
}

// commentJSON returns a comment (https://docs.github.com/rest/issues/comments).
func (x *exchange) commentJSON(c *served.Comment) obj {
	api := x.repoURL(c.Repository)
	return obj{
		"id": c.ID, "node_id": c.NodeID(),
		"user":       x.userJSON(x.Index.Account(c.Login)),
		"body":       "A comment.",
		"created_at": served.FormatTime(c.Created), "updated_at": served.FormatTime(x.CommentUpdatedAt(c)),
		"author_association": "CONTRIBUTOR",
		"url":                fmt.Sprintf("%s/issues/comments/%d", api, c.ID),
		"issue_url":          fmt.Sprintf("%s/issues/%d", api, c.Issue),
		"html_url":           c.WebURL(),
	}
}
