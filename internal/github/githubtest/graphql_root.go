// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// rootNode is Query.
type rootNode struct{}

func (rootNode) typeName() string { return "Query" }

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
		login := cmp.Or(e.cred.Login, e.cred.name())
		return userNode{served.NewUser(login), "User"}, nil
	default:
		return e.rateLimitNode(), nil
	}
}

func (e *execution) visibleRepo(r *served.Repo) (any, error) {
	if r.Blocked {
		return nil, &fieldError{typ: "FORBIDDEN", message: "Repository access blocked"}
	}
	if e.IsForbidden(r) {
		return nil, &fieldError{typ: "FORBIDDEN", message: served.SSOMessage}
	}
	return repoNode{r}, nil
}

// rateLimitNode is null where there are no limits.
func (e *execution) rateLimitNode() any {
	if e.s.settings.NoRateLimits {
		return nil
	}
	q := e.s.limits.quota(e.bucketKey(), e.s.now())
	return record{"RateLimit", obj{
		"cost": e.gql.price.points(), "nodeCount": e.gql.price.nodes, "limit": q.limit, "remaining": q.remaining,
		"used": q.used, "resetAt": q.reset,
	}}
}

// node is the object of a global id, or the error that there is none.
func (e *execution) node(id string) any {
	missing := notResolved("a node with the global id of '%s'.", id)
	kind, parts, ok := served.ParseNodeID(id)
	if !ok {
		return missing
	}
	switch kind {
	case served.NodeOrg:
		if o := e.Index.OrgByID[atoi(parts[0])]; o != nil && e.Org(o.Login) != nil {
			return orgNode{o}
		}
		return missing
	case served.NodeUser:
		if a := e.Index.UserByID[atoi(parts[0])]; a != nil && !a.Deleted {
			return actorNode(a)
		}
		return missing
	}
	r := e.RepoByID(atoi(parts[0]))
	if r == nil {
		return missing
	}
	if n := e.nodeBelow(r, kind, parts); n != nil {
		return n
	}
	return missing
}

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
	n := atoi(parts[1])
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

// orgNode is Organization.
type orgNode struct{ o *served.Org }

func (orgNode) typeName() string { return "Organization" }

func (n orgNode) field(e *execution, name string, a args) (any, error) {
	switch name {
	case "id":
		return n.o.NodeID(), nil
	case "databaseId":
		return n.o.DatabaseID, nil
	case "login", "name":
		return n.o.Login, nil
	case "url":
		return served.WebURL + "/" + n.o.Login, nil
	case "resourcePath":
		return "/" + n.o.Login, nil
	case "avatarUrl":
		return served.AvatarURL(n.o.DatabaseID), nil
	case "createdAt", "updatedAt":
		return n.o.Created, nil
	default:
		return e.orgRepositories(n.o, a)
	}
}

func (e *execution) orgRepositories(o *served.Org, a args) (any, error) {
	field, desc := a.order("CREATED_AT")
	var rows []row
	for _, r := range e.Repos(o) {
		if repoChosen(r, a) && !r.Blocked {
			rows = append(rows, row{key: e.repoKey(r, field), node: repoNode{r}, err: e.forbiddenRow(r)})
		}
	}
	return connect("RepositoryConnection", rows, a, desc)
}

// forbiddenRow is the error that a list has in the place of a repository, nil for none.
func (e *execution) forbiddenRow(r *served.Repo) error {
	if !e.IsForbidden(r) {
		return nil
	}
	return &fieldError{typ: "FORBIDDEN", message: served.SSOMessage}
}

func (e *execution) repoKey(r *served.Repo, field string) string {
	switch field {
	case "NAME":
		return strings.ToLower(r.Name)
	case "PUSHED_AT":
		return served.SortKey(e.PushedAt(r), r.DatabaseID)
	case "UPDATED_AT":
		return served.SortKey(e.RepoUpdatedAt(r), r.DatabaseID)
	default:
		return served.SortKey(r.Created, r.DatabaseID)
	}
}

func repoChosen(r *served.Repo, a args) bool {
	flag := func(name string, is bool) bool {
		want, ok := a[name].(bool)
		return !ok || want == is
	}
	privacy := map[bool]string{true: "PRIVATE", false: "PUBLIC"}[r.IsPrivate()]
	return flag("isArchived", r.Archived) && flag("isFork", r.Fork) && flag("isLocked", r.Locked) &&
		(a.str("visibility") == "" || a.str("visibility") == strings.ToUpper(r.ServedVisibility)) &&
		(a.str("privacy") == "" || a.str("privacy") == privacy)
}

// userNode is an account as one of the types that it can be.
type userNode struct {
	a   *served.Account
	typ string
}

// actorNode is an account as an Actor, null for none: a bot goes without its suffix.
func actorNode(a *served.Account) any {
	if a == nil {
		return nil
	}
	return userNode{a, a.Type}
}

func (n userNode) typeName() string { return n.typ }

func (n userNode) field(_ *execution, name string, _ args) (any, error) {
	login := n.a.Login
	if n.typ == "Bot" {
		login = cmp.Or(n.a.Slug, strings.TrimSuffix(login, "[bot]"))
	}
	path := "/" + login
	if n.a.IsBot() {
		path = "/apps/" + strings.TrimSuffix(login, "[bot]")
	}
	switch name {
	case "id":
		return n.a.NodeID(), nil
	case "databaseId":
		return n.a.ID, nil
	case "login":
		return login, nil
	case "name":
		return nil, nil
	case "user": // of an enterprise's user
		return userNode{n.a, "User"}, nil
	case "url":
		return served.WebURL + path, nil
	case "resourcePath":
		return path, nil
	case "avatarUrl":
		return served.AvatarURL(n.a.ID), nil
	default: // createdAt, updatedAt
		return "2020-01-01T00:00:00Z", nil
	}
}
