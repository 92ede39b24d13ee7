// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"strings"
)

// rootNode is Query.
type rootNode struct{}

func (rootNode) typeName() string { return "Query" }

func (rootNode) field(e *execution, name string, a args) (any, error) {
	switch name {
	case "organization":
		if o := e.org(a.str("login")); o != nil {
			return orgNode{o}, nil
		}
		return nil, notResolved("an Organization with the login of '%s'.", a.str("login"))
	case "repository":
		r, moved := e.view.repo(a.str("owner"), a.str("name"))
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
		return userNode{&account{login: login, typ: "User", id: numericID("user", login)}, "User"}, nil
	default:
		return e.rateLimitNode(), nil
	}
}

func (e *execution) visibleRepo(r *repoIndex) (any, error) {
	if r.Blocked {
		return nil, &fieldError{typ: "FORBIDDEN", message: "Repository access blocked"}
	}
	if e.forbidden(r) {
		return nil, &fieldError{typ: "FORBIDDEN", message: ssoMessage}
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
	kind, parts, ok := parseNodeID(id)
	if !ok {
		return missing
	}
	switch kind {
	case nodeOrg:
		if o := e.ix.orgsByID[atoi(parts[0])]; o != nil && e.org(o.Login) != nil {
			return orgNode{o}
		}
		return missing
	case nodeUser:
		if a := e.ix.byUserID[atoi(parts[0])]; a != nil && !a.deleted {
			return actorNode(a)
		}
		return missing
	}
	r := e.repoByID(atoi(parts[0]))
	if r == nil {
		return missing
	}
	if n := e.nodeBelow(r, kind, parts); n != nil {
		return n
	}
	return missing
}

func (e *execution) nodeBelow(r *repoIndex, kind string, parts []string) any {
	if kind == nodeRepo {
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
	case nodePull:
		if p, ok := e.pull(r.byNumber[int(n)]); ok {
			return pullNode{p}
		}
	case nodeIssue:
		if is, ok := e.issue(r.issueNo[int(n)]); ok {
			return issueNode{is}
		}
	case nodeCommit:
		if c := r.commits[parts[1]]; c != nil && e.commitVisible(c) {
			return commitNode{c}
		}
	case nodeRef:
		if e.head(r, parts[1]) != nil {
			return refNode{r, parts[1]}
		}
	case nodeComment:
		for _, c := range e.comments(r.comments) {
			if c.ID == n {
				return commentNode{c}
			}
		}
	case nodeReview:
		return e.reviewByID(r, n)
	}
	return nil
}

func (e *execution) reviewByID(r *repoIndex, id int64) any {
	for _, p := range r.pulls {
		for _, rv := range e.reviews(p) {
			if rv.ID == id {
				return reviewNode{rv}
			}
		}
	}
	return nil
}

// orgNode is Organization.
type orgNode struct{ o *orgIndex }

func (orgNode) typeName() string { return "Organization" }

func (n orgNode) field(e *execution, name string, a args) (any, error) {
	switch name {
	case "id":
		return nodeID(nodeOrg, n.o.id), nil
	case "databaseId":
		return n.o.id, nil
	case "login", "name":
		return n.o.Login, nil
	case "url":
		return htmlBase + "/" + n.o.Login, nil
	case "resourcePath":
		return "/" + n.o.Login, nil
	case "avatarUrl":
		return avatar(n.o.id), nil
	case "createdAt", "updatedAt":
		return n.o.created, nil
	default:
		return e.orgRepositories(n.o, a)
	}
}

func (e *execution) orgRepositories(o *orgIndex, a args) (any, error) {
	field, desc := a.order("CREATED_AT")
	var rows []row
	for _, r := range e.repos(o) {
		if repoChosen(r, a) && !r.Blocked {
			rows = append(rows, row{key: e.repoKey(r, field), node: repoNode{r}, err: e.forbiddenRow(r)})
		}
	}
	return connect("RepositoryConnection", rows, a, desc)
}

// forbiddenRow is the error that a list has in the place of a repository, nil for none.
func (e *execution) forbiddenRow(r *repoIndex) error {
	if !e.forbidden(r) {
		return nil
	}
	return &fieldError{typ: "FORBIDDEN", message: ssoMessage}
}

func (e *execution) repoKey(r *repoIndex, field string) string {
	switch field {
	case "NAME":
		return strings.ToLower(r.Name)
	case "PUSHED_AT":
		return sortKey(e.pushedAt(r), r.id)
	case "UPDATED_AT":
		return sortKey(e.repoUpdatedAt(r), r.id)
	default:
		return sortKey(r.created, r.id)
	}
}

func repoChosen(r *repoIndex, a args) bool {
	flag := func(name string, is bool) bool {
		want, ok := a[name].(bool)
		return !ok || want == is
	}
	privacy := map[bool]string{true: "PRIVATE", false: "PUBLIC"}[r.private()]
	return flag("isArchived", r.Archived) && flag("isFork", r.Fork) && flag("isLocked", r.Locked) &&
		(a.str("visibility") == "" || a.str("visibility") == strings.ToUpper(r.visibility)) &&
		(a.str("privacy") == "" || a.str("privacy") == privacy)
}

// userNode is an account as one of the types that it can be.
type userNode struct {
	a   *account
	typ string
}

// actorNode is an account as an Actor, null for none: a bot goes without its suffix.
func actorNode(a *account) any {
	if a == nil {
		return nil
	}
	return userNode{a, a.typ}
}

func (n userNode) typeName() string { return n.typ }

func (n userNode) field(_ *execution, name string, _ args) (any, error) {
	login := n.a.login
	if n.typ == "Bot" {
		login = cmp.Or(n.a.slug, strings.TrimSuffix(login, "[bot]"))
	}
	path := "/" + login
	if n.a.bot() {
		path = "/apps/" + strings.TrimSuffix(login, "[bot]")
	}
	switch name {
	case "id":
		return nodeID(nodeUser, n.a.id), nil
	case "databaseId":
		return n.a.id, nil
	case "login":
		return login, nil
	case "name":
		return nil, nil
	case "user": // of an enterprise's user
		return userNode{n.a, "User"}, nil
	case "url":
		return htmlBase + path, nil
	case "resourcePath":
		return path, nil
	case "avatarUrl":
		return avatar(n.a.id), nil
	default: // createdAt, updatedAt
		return "2020-01-01T00:00:00Z", nil
	}
}
