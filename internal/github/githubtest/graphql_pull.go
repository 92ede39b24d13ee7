// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// pullNode is PullRequest.
type pullNode struct{ p served.PullState }

func (pullNode) typeName() string { return "PullRequest" }

func (n pullNode) field(e *execution, name string, a args) (any, error) {
	p := n.p
	switch name {
	case "author":
		return actorNode(e.Index.Account(p.Login)), nil
	case "mergedBy":
		if p.Merged == nil {
			return nil, nil
		}
		return actorNode(e.Index.Account(p.Merger())), nil
	case "repository":
		return repoNode{p.Repository}, nil
	case "reviews":
		return e.reviewConnection(p, a)
	case "comments":
		return e.commentConnection(p.Comments, a)
	default:
		return pullScalar(p, name), nil
	}
}

func pullScalar(p served.PullState, name string) any {
	path := fmt.Sprintf("/%s/pull/%d", p.Repository.FullName(), p.Number)
	switch name {
	case "id":
		return p.NodeID()
	case "databaseId":
		return p.DatabaseID
	case "fullDatabaseId":
		return strconv.FormatInt(p.DatabaseID, 10)
	case "number":
		return p.Number
	case "title":
		return p.Title()
	case "url":
		return served.WebURL + path
	case "resourcePath":
		return path
	case "state":
		return p.State
	case "isDraft":
		return p.Draft
	case "merged":
		return p.State == "MERGED"
	case "closed":
		return p.State != "OPEN"
	case "createdAt":
		return p.Created
	case "updatedAt":
		return p.Updated
	case "mergedAt":
		return served.FormatOptionalTime(p.Merged)
	case "closedAt":
		return served.FormatOptionalTime(p.Closed)
	case "baseRefName":
		return p.Repository.DefaultBranch
	case "headRefName":
		return p.HeadBranch()
	default:
		return 0 // additions, deletions, changedFiles
	}
}

func (e *execution) reviewConnection(p served.PullState, a args) (any, error) {
	states := a.strs("states")
	var rows []row
	for _, r := range e.Reviews(p.Pull) {
		author := e.Index.Account(r.Login)
		if states != nil && !slices.Contains(states, r.State) || a.str("author") != "" &&
			(author == nil || author.Login != a.str("author")) {
			continue
		}
		rows = append(rows, row{key: r.SortKey(), node: reviewNode{r}})
	}
	return connect("PullRequestReviewConnection", rows, a, false)
}

func (e *execution) commentConnection(all []*served.Comment, a args) (any, error) {
	field, desc := a.order("")
	var rows []row
	for _, c := range e.Comments(all) {
		key := served.SortKey(c.Created, c.ID)
		if field == "UPDATED_AT" {
			key = served.SortKey(e.CommentUpdatedAt(c), c.ID)
		}
		rows = append(rows, row{key: key, node: commentNode{c}})
	}
	return connect("IssueCommentConnection", rows, a, desc)
}

// reviewNode is PullRequestReview.
type reviewNode struct{ r *served.Review }

func (reviewNode) typeName() string { return "PullRequestReview" }

func (n reviewNode) field(e *execution, name string, _ args) (any, error) {
	r := n.r
	path := fmt.Sprintf("/%s/pull/%d#pullrequestreview-%d", r.OfPull.Repository.FullName(), r.Pull, r.ID)
	switch name {
	case "id":
		return r.NodeID(), nil
	case "databaseId":
		return databaseID(r.ID), nil
	case "fullDatabaseId":
		return strconv.FormatInt(r.ID, 10), nil
	case "state":
		return r.State, nil
	case "submittedAt":
		return served.FormatOptionalTime(r.Submitted), nil
	case "createdAt", "updatedAt":
		if r.Submitted == nil {
			return r.OfPull.Created, nil
		}
		return *r.Submitted, nil
	case "author":
		return actorNode(e.Index.Account(r.Login)), nil
	case "url":
		return served.WebURL + path, nil
	case "resourcePath":
		return path, nil
	case "body":
		return "", nil
	case "pullRequest":
		p, _ := e.Pull(r.OfPull)
		return pullNode{p}, nil
	default: // repository
		return repoNode{r.OfPull.Repository}, nil
	}
}

// databaseID is null for ids that a signed 32-bit number cannot hold
// (https://docs.github.com/graphql/reference/pulls#pullrequestreview).
func databaseID(id int64) any {
	if id > 1<<31-1 {
		return nil
	}
	return id
}

// issueNode is Issue.
type issueNode struct{ is served.IssueState }

func (issueNode) typeName() string { return "Issue" }

func (n issueNode) field(e *execution, name string, a args) (any, error) {
	is := n.is
	path := fmt.Sprintf("/%s/issues/%d", is.Repository.FullName(), is.Number)
	switch name {
	case "id":
		return is.NodeID(), nil
	case "databaseId":
		return is.DatabaseID, nil
	case "fullDatabaseId":
		return strconv.FormatInt(is.DatabaseID, 10), nil
	case "number":
		return is.Number, nil
	case "title":
		return fmt.Sprintf("Issue %d", is.Number), nil
	case "url":
		return served.WebURL + path, nil
	case "resourcePath":
		return path, nil
	case "state":
		return is.State(), nil
	case "closed":
		return is.Closed != nil, nil
	case "closedAt":
		return served.FormatOptionalTime(is.Closed), nil
	case "timelineItems":
		return e.timelineConnection(is, a)
	case "createdAt":
		return is.Created, nil
	case "updatedAt":
		return is.Updated, nil
	case "author":
		return actorNode(e.Index.Account(is.OpenedBy)), nil
	case "comments":
		return e.commentConnection(is.Comments, a)
	default: // repository
		return repoNode{is.Repository}, nil
	}
}

// timelineConnection has the closings of an issue; of other items in its timeline the data has none.
func (e *execution) timelineConnection(is served.IssueState, a args) (any, error) {
	var rows []row
	if types := a.strs("itemTypes"); types == nil || slices.Contains(types, "CLOSED_EVENT") {
		for i, at := range is.Closings {
			id := served.NodeID(served.NodeClosing, is.Repository.DatabaseID, fmt.Sprintf("%d:%d", is.Number, i))
			closing := record{"ClosedEvent", obj{
				"id": id, "createdAt": at, "actor": actorNode(e.Index.Account(is.OpenedBy)),
			}}
			rows = append(rows, row{key: served.SortKey(at, int64(i)), node: closing})
		}
	}
	return connect("IssueTimelineItemsConnection", rows, a, false)
}

// commentNode is IssueComment.
type commentNode struct{ c *served.Comment }

func (commentNode) typeName() string { return "IssueComment" }

func (n commentNode) field(e *execution, name string, _ args) (any, error) {
	c := n.c
	switch name {
	case "id":
		return c.NodeID(), nil
	case "databaseId":
		return databaseID(c.ID), nil
	case "fullDatabaseId":
		return strconv.FormatInt(c.ID, 10), nil
	case "author":
		return actorNode(e.Index.Account(c.Login)), nil
	case "body":
		return "A comment.", nil
	case "createdAt":
		return c.Created, nil
	case "updatedAt":
		return e.CommentUpdatedAt(c), nil
	case "lastEditedAt":
		return e.editedAt(c), nil
	case "url":
		return c.WebURL(), nil
	case "resourcePath":
		return c.WebURL()[len(served.WebURL):], nil
	case "pullRequest", "issue":
		return e.commentSubject(c, name), nil
	default: // repository
		return repoNode{c.Repository}, nil
	}
}

func (e *execution) editedAt(c *served.Comment) any {
	t := e.CommentUpdatedAt(c)
	if t.Equal(c.Created) {
		return nil
	}
	return t
}

// commentSubject is the pull request or the issue of a comment; GitHub has an Issue for a pull request, too.
func (e *execution) commentSubject(c *served.Comment, name string) any {
	if p, ok := e.Pull(c.OfPull); ok {
		if name == "pullRequest" {
			return pullNode{p}
		}
		issue := &served.Issue{
			Number: p.Number, DatabaseID: p.DatabaseID, Repository: p.Repository, Comments: p.Comments,
		}
		return issueNode{served.IssueState{Issue: issue, Created: p.Created, Updated: p.Updated, OpenedBy: p.Login}}
	}
	if is, ok := e.Issue(c.OfIssue); ok && name == "issue" {
		return issueNode{is}
	}
	return nil
}
