// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

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

// timelineConnection returns the closings of an issue; the data has no other items of a timeline.
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

func (e *execution) editedAt(c *served.Comment) any {
	t := e.CommentUpdatedAt(c)
	if t.Equal(c.Created) {
		return nil
	}
	return t
}

// commentSubject returns the pull request or the issue of a comment; GitHub has an Issue for a pull request, too.
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
