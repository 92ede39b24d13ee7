// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// commitNode is Commit.
type commitNode struct{ c *commitIndex }

func (commitNode) typeName() string { return "Commit" }

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
		return e.gitActorNode(c, c.authored), nil
	case "committer":
		return e.gitActorNode(c, c.committed), nil
	case "authors":
		return e.authors(c, a)
	case "parents":
		return e.parents(c, a)
	case "history":
		return e.historyConnection(c, a)
	case "repository":
		return repoNode{c.repo}, nil
	default:
		return commitScalar(c, name), nil
	}
}

func commitScalar(c *commitIndex, name string) any {
	path := "/" + c.repo.fullName() + "/commit/" + c.SHA
	switch name {
	case "id":
		return nodeID(nodeCommit, c.repo.id, c.SHA)
	case "oid":
		return c.SHA
	case "abbreviatedOid":
		return c.SHA[:min(7, len(c.SHA))]
	case "committedDate":
		return c.committed
	case "authoredDate":
		return c.authored
	case "message", "messageHeadline":
		return c.message()
	case "url", "commitUrl":
		return htmlBase + path
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

// gitActorNode is who git recorded. A bot's account is a User here, with its full name.
func (e *execution) gitActorNode(c *commitIndex, date time.Time) record {
	who := e.gitAuthor(c)
	return gitActorRecord(who, date, e.ix.account(c.Login))
}

func gitActorRecord(who gitActor, date time.Time, a *account) record {
	var user any
	if a != nil {
		user = userNode{a, "User"}
	}
	return record{"GitActor", obj{
		"name": who.name, "email": who.email, "date": formatTime(date), "user": user, "avatarUrl": avatar(0),
	}}
}

func (e *execution) authors(c *commitIndex, a args) (any, error) {
	var rows []row
	add := func(n node) { rows = append(rows, row{key: fmt.Sprintf("%06d", len(rows)), node: n}) }
	if !c.NoAuthor {
		add(e.gitActorNode(c, c.authored))
	}
	for _, login := range c.CoAuthors {
		add(gitActorRecord(gitIdentity(e.ix, &login, "", ""), c.authored, e.ix.account(&login)))
	}
	return connect("GitActorConnection", rows, a, false)
}

func (e *execution) parents(c *commitIndex, a args) (any, error) {
	var rows []row
	for i, p := range c.parents {
		rows = append(rows, row{key: fmt.Sprintf("%06d", i), node: commitNode{p}})
	}
	conn, err := connect("CommitConnection", rows, a, false)
	if err == nil {
		conn.total = func() int { return len(c.shas) }
	}
	return conn, err
}

// historyConnection is what git log shows. Its cursors are a hash and a place: "<oid> <n>".
func (e *execution) historyConnection(from *commitIndex, a args) (any, error) {
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
		for k := range e.walk(from) {
			if chosen(k) {
				n++
			}
		}
		return n
	}
	c.cursor = func(r row) string { return from.SHA + " " + r.key }
	n := 0
	for k := range e.walk(from) {
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

func historyFilter(author args, since, until time.Time) func(*commitIndex) bool {
	emails := author.strs("emails")
	return func(c *commitIndex) bool {
		return !c.committed.Before(since) && (until.IsZero() || !c.committed.After(until)) &&
			(emails == nil || slices.Contains(emails, c.AuthorEmail))
	}
}

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
