// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"cmp"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

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
	case "team":
		return e.team(n.o, a.str("slug"))
	case "teams":
		return e.teamConnection(n.o.Teams, a)
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

// forbiddenRow returns the error in the place of a repository in a list, nil for none.
func (e *execution) forbiddenRow(r *served.Repo) error {
	if !e.IsForbidden(r) {
		return nil
	}
	return &fieldError{typ: "FORBIDDEN", message: served.SSOMessage}
}

// repoKey returns the key of a repository in an order by a field.
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

// repoChosen reports whether the arguments of repositories select a repository.
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
