// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// forbiddenError is the error of a field that the credential may not read.
func forbiddenError() error {
	return &fieldError{typ: "FORBIDDEN", message: "Resource not accessible by personal access token"}
}

// repoNode is Repository.
type repoNode struct{ r *repoIndex }

func (repoNode) typeName() string { return "Repository" }

func (n repoNode) field(e *execution, name string, a args) (any, error) {
	if p := repoPermission(name); p != "" && e.cred.lacksPermission(p) {
		return nil, forbiddenError()
	}
	r := n.r
	switch name {
	case "owner":
		return e.ownerNode(r), nil
	case "defaultBranchRef":
		return e.ref(r, e.defaultBranch(r)), nil
	case "ref":
		return e.ref(r, strings.TrimPrefix(a.str("qualifiedName"), "refs/heads/")), nil
	case "refs":
		return e.refs(r, a)
	case "object":
		if c := e.resolve(r, cmp.Or(a.str("oid"), a.str("expression"))); c != nil {
			return commitNode{c}, nil
		}
		return nil, nil
	case "pullRequest":
		if p, ok := e.pull(r.byNumber[number(a)]); ok {
			return pullNode{p}, nil
		}
		return nil, notResolved("a PullRequest with the number of %d.", number(a))
	case "pullRequests":
		return e.pullRequests(r, a)
	case "issue":
		if is, ok := e.issue(r.issueNo[number(a)]); ok {
			return issueNode{is}, nil
		}
		return nil, notResolved("an Issue with the number of %d.", number(a))
	case "issues":
		return e.issueConnection(r, a)
	default:
		return e.repoScalar(r, name), nil
	}
}

func number(a args) int {
	n, _ := a.num("number")
	return n
}

func repoPermission(field string) string {
	switch field {
	case "issue", "issues":
		return "issues"
	case "pullRequest", "pullRequests":
		return "pull_requests"
	case "defaultBranchRef", "ref", "refs", "object":
		return "contents"
	default:
		return ""
	}
}

func (e *execution) repoScalar(r *repoIndex, name string) any {
	switch name {
	case "id":
		return nodeID(nodeRepo, r.id)
	case "databaseId":
		return r.id
	case "name":
		return r.Name
	case "nameWithOwner":
		return r.fullName()
	case "url":
		return repoHTML(r)
	case "resourcePath":
		return "/" + r.fullName()
	case "visibility":
		return strings.ToUpper(r.visibility)
	case "isArchived":
		return r.Archived
	case "isDisabled":
		return r.Disabled
	case "isEmpty":
		return e.isEmpty(r)
	case "isFork":
		return r.Fork
	case "isLocked":
		return r.Locked
	case "hasIssuesEnabled":
		return !e.issuesOff(r)
	case "hasPullRequestsEnabled":
		return !e.pullsOff(r)
	case "isPrivate":
		return r.private()
	case "createdAt":
		return r.created
	case "updatedAt":
		return e.repoUpdatedAt(r)
	case "pushedAt":
		return e.pushedAt(r)
	default:
		return nil // archivedAt
	}
}

func (e *execution) ownerNode(r *repoIndex) any {
	if o := e.ix.orgs[strings.ToLower(r.owner)]; o != nil {
		return orgNode{o}
	}
	return userNode{&account{login: r.owner, typ: "User", id: numericID("user", r.owner)}, "User"}
}

func (e *execution) ref(r *repoIndex, branch string) any {
	if e.head(r, branch) == nil {
		return nil
	}
	return refNode{r, branch}
}

func (e *execution) refs(r *repoIndex, a args) (any, error) {
	var rows []row
	if strings.TrimSuffix(a.str("refPrefix"), "/") == "refs/heads" {
		for _, name := range e.branchNames(r) {
			if strings.Contains(name, a.str("query")) {
				rows = append(rows, row{key: name, node: refNode{r, name}})
			}
		}
	}
	_, desc := a.order("")
	return connect("RefConnection", rows, a, desc || a.str("direction") == "DESC")
}

// pullRequests is ordered by number unless asked otherwise.
func (e *execution) pullRequests(r *repoIndex, a args) (any, error) {
	field, desc := a.order("CREATED_AT")
	states := a.strs("states")
	var rows []row
	for _, p := range e.pulls(r) {
		if states != nil && !slices.Contains(states, p.state) {
			continue
		}
		if base := a.str("baseRefName"); base != "" && base != r.DefaultBranch {
			continue
		}
		key := sortKey(p.created, int64(p.Number))
		switch field {
		case "UPDATED_AT":
			key = sortKey(p.updated, int64(p.Number))
		case "COMMENTS":
			key = fmt.Sprintf("%010d|%020d", len(e.comments(p.comments)), p.Number)
		}
		rows = append(rows, row{key: key, node: pullNode{p}})
	}
	return connect("PullRequestConnection", rows, a, desc)
}

func (e *execution) issueConnection(r *repoIndex, a args) (any, error) {
	field, desc := a.order("CREATED_AT")
	filter := a.sub("filterBy")
	since, err := filter.time("since")
	if err != nil {
		return nil, err
	}
	wanted := func(is issueState, states []string) bool { return states == nil || slices.Contains(states, is.state()) }
	var rows []row
	for _, is := range e.issues(r) {
		if is.updated.Before(since) || !wanted(is, a.strs("states")) || !wanted(is, filter.strs("states")) {
			continue
		}
		key := sortKey(is.created, int64(is.number))
		switch field {
		case "UPDATED_AT":
			key = sortKey(is.updated, int64(is.number))
		case "COMMENTS":
			key = fmt.Sprintf("%010d|%020d", len(e.comments(is.comments)), is.number)
		}
		rows = append(rows, row{key: key, node: issueNode{is}})
	}
	return connect("IssueConnection", rows, a, desc)
}

// refNode is Ref.
type refNode struct {
	r      *repoIndex
	branch string
}

func (refNode) typeName() string { return "Ref" }

func (n refNode) field(e *execution, name string, _ args) (any, error) {
	switch name {
	case "id":
		return nodeID(nodeRef, n.r.id, n.branch), nil
	case "name":
		return n.branch, nil
	case "prefix":
		return "refs/heads/", nil
	case "repository":
		return repoNode{n.r}, nil
	default: // target
		if c := e.head(n.r, n.branch); c != nil {
			return commitNode{c}, nil
		}
		return nil, nil
	}
}
