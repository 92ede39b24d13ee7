// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"
	"slices"
	"strconv"
)

// pullNode is PullRequest.
type pullNode struct{ p pullState }

func (pullNode) typeName() string { return "PullRequest" }

func (n pullNode) field(e *execution, name string, a args) (any, error) {
	p := n.p
	switch name {
	case "author":
		return actorNode(e.ix.account(p.Login)), nil
	case "mergedBy":
		if p.merged == nil {
			return nil, nil
		}
		return actorNode(e.ix.account(p.merger())), nil
	case "repository":
		return repoNode{p.repo}, nil
	case "reviews":
		return e.reviewConnection(p, a)
	case "comments":
		return e.commentConnection(p.comments, a)
	default:
		return pullScalar(p, name), nil
	}
}

func pullScalar(p pullState, name string) any {
	path := fmt.Sprintf("/%s/pull/%d", p.repo.fullName(), p.Number)
	switch name {
	case "id":
		return nodeID(nodePull, p.repo.id, p.Number)
	case "databaseId":
		return p.id
	case "fullDatabaseId":
		return strconv.FormatInt(p.id, 10)
	case "number":
		return p.Number
	case "title":
		return p.title()
	case "url":
		return htmlBase + path
	case "resourcePath":
		return path
	case "state":
		return p.state
	case "isDraft":
		return p.Draft
	case "merged":
		return p.state == "MERGED"
	case "closed":
		return p.state != "OPEN"
	case "createdAt":
		return p.created
	case "updatedAt":
		return p.updated
	case "mergedAt":
		return formatOptionalTime(p.merged)
	case "closedAt":
		return formatOptionalTime(p.closed)
	case "baseRefName":
		return p.repo.DefaultBranch
	case "headRefName":
		return p.headBranch()
	default:
		return 0 // additions, deletions, changedFiles
	}
}

func (e *execution) reviewConnection(p pullState, a args) (any, error) {
	states := a.strs("states")
	var rows []row
	for _, r := range e.reviews(p.pullIndex) {
		author := e.ix.account(r.Login)
		if states != nil && !slices.Contains(states, r.State) || a.str("author") != "" &&
			(author == nil || author.login != a.str("author")) {
			continue
		}
		rows = append(rows, row{key: r.key(), node: reviewNode{r}})
	}
	return connect("PullRequestReviewConnection", rows, a, false)
}

func (e *execution) commentConnection(all []*commentIndex, a args) (any, error) {
	field, desc := a.order("")
	var rows []row
	for _, c := range e.comments(all) {
		key := sortKey(c.created, c.ID)
		if field == "UPDATED_AT" {
			key = sortKey(e.commentUpdated(c), c.ID)
		}
		rows = append(rows, row{key: key, node: commentNode{c}})
	}
	return connect("IssueCommentConnection", rows, a, desc)
}

// reviewNode is PullRequestReview.
type reviewNode struct{ r *reviewIndex }

func (reviewNode) typeName() string { return "PullRequestReview" }

func (n reviewNode) field(e *execution, name string, _ args) (any, error) {
	r := n.r
	path := fmt.Sprintf("/%s/pull/%d#pullrequestreview-%d", r.pull.repo.fullName(), r.Pull, r.ID)
	switch name {
	case "id":
		return nodeID(nodeReview, r.pull.repo.id, r.ID), nil
	case "databaseId":
		return databaseID(r.ID), nil
	case "fullDatabaseId":
		return strconv.FormatInt(r.ID, 10), nil
	case "state":
		return r.State, nil
	case "submittedAt":
		return formatOptionalTime(r.submitted), nil
	case "createdAt", "updatedAt":
		if r.submitted == nil {
			return r.pull.created, nil
		}
		return *r.submitted, nil
	case "author":
		return actorNode(e.ix.account(r.Login)), nil
	case "url":
		return htmlBase + path, nil
	case "resourcePath":
		return path, nil
	case "body":
		return "", nil
	case "pullRequest":
		p, _ := e.pull(r.pull)
		return pullNode{p}, nil
	default: // repository
		return repoNode{r.pull.repo}, nil
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
type issueNode struct{ is issueState }

func (issueNode) typeName() string { return "Issue" }

func (n issueNode) field(e *execution, name string, a args) (any, error) {
	is := n.is
	path := fmt.Sprintf("/%s/issues/%d", is.repo.fullName(), is.number)
	switch name {
	case "id":
		return nodeID(nodeIssue, is.repo.id, is.number), nil
	case "databaseId":
		return is.id, nil
	case "fullDatabaseId":
		return strconv.FormatInt(is.id, 10), nil
	case "number":
		return is.number, nil
	case "title":
		return fmt.Sprintf("Issue %d", is.number), nil
	case "url":
		return htmlBase + path, nil
	case "resourcePath":
		return path, nil
	case "state":
		return is.state(), nil
	case "closed":
		return is.closed != nil, nil
	case "closedAt":
		return formatOptionalTime(is.closed), nil
	case "timelineItems":
		return e.timelineConnection(is, a)
	case "createdAt":
		return is.created, nil
	case "updatedAt":
		return is.updated, nil
	case "author":
		return actorNode(e.ix.account(is.login)), nil
	case "comments":
		return e.commentConnection(is.comments, a)
	default: // repository
		return repoNode{is.repo}, nil
	}
}

// timelineConnection has the closings of an issue; of other items in its timeline the data has none.
func (e *execution) timelineConnection(is issueState, a args) (any, error) {
	var rows []row
	if types := a.strs("itemTypes"); types == nil || slices.Contains(types, "CLOSED_EVENT") {
		for i, at := range is.closings {
			closing := record{"ClosedEvent", obj{
				"id": nodeID(nodeClosing, is.repo.id, fmt.Sprintf("%d:%d", is.number, i)), "createdAt": at,
				"actor": actorNode(e.ix.account(is.login)),
			}}
			rows = append(rows, row{key: sortKey(at, int64(i)), node: closing})
		}
	}
	return connect("IssueTimelineItemsConnection", rows, a, false)
}

// commentNode is IssueComment.
type commentNode struct{ c *commentIndex }

func (commentNode) typeName() string { return "IssueComment" }

func (n commentNode) field(e *execution, name string, _ args) (any, error) {
	c := n.c
	switch name {
	case "id":
		return nodeID(nodeComment, c.repo.id, c.ID), nil
	case "databaseId":
		return databaseID(c.ID), nil
	case "fullDatabaseId":
		return strconv.FormatInt(c.ID, 10), nil
	case "author":
		return actorNode(e.ix.account(c.Login)), nil
	case "body":
		return "A comment.", nil
	case "createdAt":
		return c.created, nil
	case "updatedAt":
		return e.commentUpdated(c), nil
	case "lastEditedAt":
		return e.editedAt(c), nil
	case "url":
		return c.html(), nil
	case "resourcePath":
		return c.html()[len(htmlBase):], nil
	case "pullRequest", "issue":
		return e.commentSubject(c, name), nil
	default: // repository
		return repoNode{c.repo}, nil
	}
}

func (e *execution) editedAt(c *commentIndex) any {
	t := e.commentUpdated(c)
	if t.Equal(c.created) {
		return nil
	}
	return t
}

// commentSubject is the pull request or the issue of a comment; GitHub has an Issue for a pull request, too.
func (e *execution) commentSubject(c *commentIndex, name string) any {
	if p, ok := e.pull(c.pull); ok {
		if name == "pullRequest" {
			return pullNode{p}
		}
		return issueNode{issueState{
			issueIndex: &issueIndex{number: p.Number, id: p.id, repo: p.repo, comments: p.comments},
			created:    p.created, updated: p.updated, login: p.Login,
		}}
	}
	if is, ok := e.issue(c.issue); ok && name == "issue" {
		return issueNode{is}
	}
	return nil
}
