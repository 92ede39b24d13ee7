// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func (n repoNode) field(e *execution, name string, a args) (any, error) {
	if p := repoPermission(name); p != "" && e.Access.Lacks(p) {
		return nil, forbiddenError()
	}
	r := n.r
	switch name {
	case "owner":
		return e.ownerNode(r), nil
	case "defaultBranchRef":
		return e.ref(r, e.DefaultBranch(r)), nil
	case "ref":
		return e.ref(r, strings.TrimPrefix(a.str("qualifiedName"), "refs/heads/")), nil
	case "refs":
		return e.refs(r, a)
	case "object":
		if c := e.ResolveCommit(r, cmp.Or(a.str("oid"), a.str("expression"))); c != nil {
			return commitNode{c}, nil
		}
		return nil, nil
	case "pullRequest":
		if p, ok := e.Pull(r.PullByNumber[number(a)]); ok {
			return pullNode{p}, nil
		}
		return nil, notResolved("a PullRequest with the number of %d.", number(a))
	case "pullRequests":
		return e.pullRequests(r, a)
	case "issue":
		if is, ok := e.Issue(r.IssueByNumber[number(a)]); ok {
			return issueNode{is}, nil
		}
		return nil, notResolved("an Issue with the number of %d.", number(a))
	case "issues":
		return e.issueConnection(r, a)
	default:
		if detail, ok, err := e.repoDetail(r, name, a); ok {
			return detail, err
		}
		return e.repoScalar(r, name), nil
	}
}

// repoPermission returns the permission that a field of a repository needs, empty for none.
func repoPermission(field string) string {
	switch field {
	case "issue", "issues":
		return "issues"
	case "pullRequest", "pullRequests":
		return "pull_requests"
	case "defaultBranchRef", "ref", "refs", "object", "releases", "latestRelease":
		return "contents"
	default:
		return ""
	}
}

// repoScalar returns a field of a repository that is a scalar.
func (e *execution) repoScalar(r *served.Repo, name string) any {
	switch name {
	case "id":
		return r.NodeID()
	case "databaseId":
		return r.DatabaseID
	case "name":
		return r.Name
	case "nameWithOwner":
		return r.FullName()
	case "url":
		return r.WebURL()
	case "resourcePath":
		return "/" + r.FullName()
	case "visibility":
		return strings.ToUpper(r.ServedVisibility)
	case "isArchived":
		return r.Archived
	case "isDisabled":
		return r.Disabled
	case "isEmpty":
		return e.IsEmpty(r)
	case "isFork":
		return r.Fork
	case "isLocked":
		return r.Locked
	case "hasIssuesEnabled":
		return !e.AreIssuesOff(r)
	case "hasPullRequestsEnabled":
		return !e.ArePullsOff(r)
	case "isPrivate":
		return r.IsPrivate()
	case "createdAt":
		return r.Created
	case "updatedAt":
		return e.RepoUpdatedAt(r)
	case "pushedAt":
		return e.PushedAt(r)
	default:
		return nil // archivedAt
	}
}

// ownerNode returns the owner of a repository: an organization of the data, or else a user.
func (e *execution) ownerNode(r *served.Repo) any {
	if o := e.Index.OrgByLogin[strings.ToLower(r.Owner)]; o != nil {
		return orgNode{o}
	}
	return userNode{served.NewUser(r.Owner), "User"}
}

// ref returns a branch as a Ref, null for one that does not exist.
func (e *execution) ref(r *served.Repo, branch string) any {
	if e.Head(r, branch) == nil {
		return nil
	}
	return refNode{r, branch}
}

func (e *execution) refs(r *served.Repo, a args) (any, error) {
	var rows []row
	add := func(names []string) {
		for _, name := range names {
			if strings.Contains(name, a.str("query")) {
				rows = append(rows, row{key: name, node: refNode{r, name}})
			}
		}
	}
	switch strings.TrimSuffix(a.str("refPrefix"), "/") {
	case "refs/heads":
		add(e.BranchNames(r))
	case "refs/tags":
		add(e.TagNames(r))
	}
	_, desc := a.order("")
	return connect("RefConnection", rows, a, desc || a.str("direction") == "DESC")
}

// pullRequests returns the pull requests, by creation unless the query has another order.
func (e *execution) pullRequests(r *served.Repo, a args) (any, error) {
	field, desc := a.order("CREATED_AT")
	states := a.strs("states")
	var rows []row
	for _, p := range e.Pulls(r) {
		if states != nil && !slices.Contains(states, p.State) {
			continue
		}
		if base := a.str("baseRefName"); base != "" && base != r.DefaultBranch {
			continue
		}
		key := numberedKey(field, p.Created, p.Updated, p.Number, len(e.Comments(p.Comments)))
		rows = append(rows, row{key: key, node: pullNode{p}})
	}
	return connect("PullRequestConnection", rows, a, desc)
}

// numberedKey returns the key of an issue or a pull request in an order by a field, and then by number.
func numberedKey(field string, created, updated time.Time, number, comments int) string {
	switch field {
	case "UPDATED_AT":
		return served.SortKey(updated, int64(number))
	case "COMMENTS":
		return fmt.Sprintf("%010d|%020d", comments, number)
	default:
		return served.SortKey(created, int64(number))
	}
}

// issueConnection returns the issues, by creation unless the query has another order.
func (e *execution) issueConnection(r *served.Repo, a args) (any, error) {
	field, desc := a.order("CREATED_AT")
	filter := a.sub("filterBy")
	since, err := filter.time("since")
	if err != nil {
		return nil, err
	}
	wanted := func(is served.IssueState, states []string) bool {
		return states == nil || slices.Contains(states, is.State())
	}
	var rows []row
	for _, is := range e.Issues(r) {
		if is.Updated.Before(since) || !wanted(is, a.strs("states")) || !wanted(is, filter.strs("states")) {
			continue
		}
		key := numberedKey(field, is.Created, is.Updated, is.Number, len(e.Comments(is.Comments)))
		rows = append(rows, row{key: key, node: issueNode{is}})
	}
	return connect("IssueConnection", rows, a, desc)
}

func (n refNode) field(e *execution, name string, a args) (any, error) {
	switch name {
	case "compare":
		return e.compare(n, a.str("headRef")), nil
	case "id":
		return served.NodeID(served.NodeRef, n.r.DatabaseID, n.branch), nil
	case "name":
		return n.branch, nil
	case "prefix":
		return "refs/heads/", nil
	case "repository":
		return repoNode{n.r}, nil
	default: // target
		if c := e.Head(n.r, n.branch); c != nil {
			return commitNode{c}, nil
		}
		return nil, nil
	}
}
