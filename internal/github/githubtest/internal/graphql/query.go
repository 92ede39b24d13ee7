// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func (rootNode) field(e *execution, name string, a args) (any, error) {
	switch name {
	case "organization":
		if o := e.Org(a.str("login")); o != nil {
			return orgNode{o}, nil
		}
		return nil, notResolved("an Organization with the login of '%s'.", a.str("login"))
	case "repository":
		r, moved := e.RepoByName(a.str("owner"), a.str("name"))
		if follow, ok := a["followRenames"].(bool); r == nil || moved && ok && !follow {
			return nil, notResolved("a Repository with the name '%s/%s'.", a.str("owner"), a.str("name"))
		}
		return e.visibleRepo(r)
	case "node":
		return e.node(a.str("id")), nil
	case "nodes":
		out := []any{}
		for _, id := range a.strs("ids") {
			out = append(out, e.node(id))
		}
		return out, nil
	case "viewer":
		return userNode{served.NewUser(e.Viewer), "User"}, nil
	default:
		return e.rateLimitNode(), nil
	}
}

// visibleRepo returns a repository, or the error of one that is blocked or forbidden.
func (e *execution) visibleRepo(r *served.Repo) (any, error) {
	if r.Blocked {
		return nil, &fieldError{typ: "FORBIDDEN", message: "Repository access blocked"}
	}
	if e.IsForbidden(r) {
		return nil, &fieldError{typ: "FORBIDDEN", message: served.SSOMessage}
	}
	return repoNode{r}, nil
}

// rateLimitNode returns RateLimit, null where there are no limits.
func (e *execution) rateLimitNode() any {
	q := e.Quota
	if q == nil {
		return nil
	}
	return record{"RateLimit", obj{
		"cost": e.request.price.points(), "nodeCount": e.request.price.nodes, "limit": q.Limit,
		"remaining": q.Remaining, "used": q.Used, "resetAt": q.Reset,
	}}
}

// node returns the object of a global id, or the error that there is none.
func (e *execution) node(id string) any {
	missing := notResolved("a node with the global id of '%s'.", id)
	kind, parts, ok := served.ParseNodeID(id)
	if !ok {
		return missing
	}
	switch kind {
	case served.NodeOrg:
		if o := e.Index.OrgByID[served.ParseInt(parts[0])]; o != nil && e.Org(o.Login) != nil {
			return orgNode{o}
		}
		return missing
	case served.NodeTeam:
		if t := e.TeamByID(served.ParseInt(parts[0])); t != nil && !e.Access.Lacks(teamPermission) {
			return teamNode{t}
		}
		return missing
	case served.NodeUser:
		if a := e.Index.UserByID[served.ParseInt(parts[0])]; a != nil && !a.Deleted {
			return actorNode(a)
		}
		return missing
	}
	r := e.RepoByID(served.ParseInt(parts[0]))
	if r == nil {
		return missing
	}
	if n := e.nodeBelow(r, kind, parts); n != nil {
		return n
	}
	return missing
}

// nodeBelow returns the object of a global id in a repository, nil for none.
func (e *execution) nodeBelow(r *served.Repo, kind string, parts []string) any {
	if kind == served.NodeRepo {
		n, err := e.visibleRepo(r)
		if err != nil {
			return err
		}
		return n
	}
	if len(parts) < 2 {
		return nil
	}
	n := served.ParseInt(parts[1])
	switch kind {
	case served.NodePull:
		if p, ok := e.Pull(r.PullByNumber[int(n)]); ok {
			return pullNode{p}
		}
	case served.NodeIssue:
		if is, ok := e.Issue(r.IssueByNumber[int(n)]); ok {
			return issueNode{is}
		}
	case served.NodeCommit:
		if c := r.Commits[parts[1]]; c != nil && e.IsCommitVisible(c) {
			return commitNode{c}
		}
	case served.NodeRef:
		if e.Head(r, parts[1]) != nil {
			return refNode{r, parts[1]}
		}
	case served.NodeComment:
		for _, c := range e.Comments(r.Comments) {
			if c.ID == n {
				return commentNode{c}
			}
		}
	case served.NodeReview:
		return e.reviewByID(r, n)
	}
	return nil
}

func (e *execution) reviewByID(r *served.Repo, id int64) any {
	for _, p := range r.Pulls {
		for _, rv := range e.Reviews(p) {
			if rv.ID == id {
				return reviewNode{rv}
			}
		}
	}
	return nil
}
