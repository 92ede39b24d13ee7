// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func (n commitNode) field(e *execution, name string, a args) (any, error) {
	c := n.c
	switch name {
	case "additions", "deletions":
		if c.DiffUnavailable {
			return nil, &fieldError{
				typ: "SERVICE_UNAVAILABLE", message: "The " + name + " count for this commit is unavailable.",
				page: true,
			}
		}
		return map[string]int{"additions": c.Additions, "deletions": c.Deletions}[name], nil
	case "author":
		if c.NoAuthor {
			return nil, nil
		}
		return e.gitActorNode(c, c.Authored), nil
	case "committer":
		return e.gitActorNode(c, c.Committed), nil
	case "authors":
		return e.authors(c, a)
	case "parents":
		return e.parents(c, a)
	case "history":
		return e.historyConnection(c, a)
	case "repository":
		return repoNode{c.Repository}, nil
	default:
		return commitScalar(c, name), nil
	}
}

// commitScalar returns a field of a commit that is a scalar.
func commitScalar(c *served.Commit, name string) any {
	path := "/" + c.Repository.FullName() + "/commit/" + c.SHA
	switch name {
	case "id":
		return c.NodeID()
	case "oid":
		return c.SHA
	case "abbreviatedOid":
		return c.SHA[:min(7, len(c.SHA))]
	case "committedDate":
		return c.Committed
	case "authoredDate":
		return c.Authored
	case "message", "messageHeadline":
		return c.Message()
	case "url", "commitUrl":
		return served.WebURL + path
	case "resourcePath", "commitResourcePath":
		return path
	case "authoredByCommitter":
		return true
	case "committedViaWeb":
		return false
	default:
		return nil // pushedDate is always null today, changedFilesIfAvailable is not known
	}
}

// gitActorNode returns the author in git's record. The account of a bot is a User there, under its full login.
func (e *execution) gitActorNode(c *served.Commit, date time.Time) record {
	who := served.GitIdentity(e.Index, c.Login, c.AuthorName, c.AuthorEmail)
	return gitActorRecord(who, date, e.Index.Account(c.Login))
}

// gitActorRecord returns a GitActor with its account, nil for none.
func gitActorRecord(who served.GitActor, date time.Time, a *served.Account) record {
	var user any
	if a != nil {
		user = userNode{a, "User"}
	}
	return record{"GitActor", obj{
		"name": who.Name, "email": who.Email, "date": served.FormatTime(date), "user": user,
		"avatarUrl": served.AvatarURL(0),
	}}
}

func (e *execution) authors(c *served.Commit, a args) (any, error) {
	var rows []row
	add := func(n node) { rows = append(rows, row{key: fmt.Sprintf("%06d", len(rows)), node: n}) }
	if !c.NoAuthor {
		add(e.gitActorNode(c, c.Authored))
	}
	for _, login := range c.CoAuthors {
		add(gitActorRecord(served.GitIdentity(e.Index, &login, "", ""), c.Authored, e.Index.Account(&login)))
	}
	return connect("GitActorConnection", rows, a, false)
}

func (e *execution) parents(c *served.Commit, a args) (any, error) {
	var rows []row
	for i, p := range c.ParentCommits {
		rows = append(rows, row{key: fmt.Sprintf("%06d", i), node: commitNode{p}})
	}
	conn, err := connect("CommitConnection", rows, a, false)
	if err == nil {
		conn.total = func() int { return len(c.AllParentSHAs) }
	}
	return conn, err
}

// historyConnection returns the history of a commit. Its cursors are the commit and an index: "<oid> <n>".
func (e *execution) historyConnection(from *served.Commit, a args) (any, error) {
	since, err := a.time("since")
	if err != nil {
		return nil, err
	}
	until, err := a.time("until")
	if err != nil {
		return nil, err
	}
	skip, err := historyPlace(a.str("after"))
	if err != nil {
		return nil, err
	}
	want, _ := a.num("first")
	chosen := historyFilter(a.sub("author"), since, until)
	c := &connection{typ: "CommitHistoryConnection", previous: skip > 0, after: a.str("after")}
	c.total = func() int {
		n := 0
		for k := range e.Walk(from) {
			if chosen(k) {
				n++
			}
		}
		return n
	}
	c.cursor = func(r row) string { return from.SHA + " " + r.key }
	n := 0
	for k := range e.Walk(from) {
		if !chosen(k) {
			continue
		}
		if n >= skip+want {
			c.next = true
			break
		}
		if n >= skip {
			c.page = append(c.page, row{key: strconv.Itoa(n), node: commitNode{k}})
		}
		n++
	}
	return c, nil
}

// historyFilter returns the filter of the arguments of history; the times are inclusive, and zero for no bound.
func historyFilter(author args, since, until time.Time) func(*served.Commit) bool {
	emails := author.strs("emails")
	return func(c *served.Commit) bool {
		return !c.Committed.Before(since) && (until.IsZero() || !c.Committed.After(until)) &&
			(emails == nil || slices.Contains(emails, c.AuthorEmail))
	}
}

// historyPlace returns the index of the first commit after a cursor, 0 for an empty one.
func historyPlace(cursor string) (int, error) {
	if cursor == "" {
		return 0, nil
	}
	_, place, ok := strings.Cut(cursor, " ")
	n, err := strconv.Atoi(place)
	if !ok || err != nil || n < 0 {
		return 0, badCursor(cursor)
	}
	return n + 1, nil
}
