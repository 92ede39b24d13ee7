// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"encoding/base64"
	"slices"
	"strings"
)

// row is an entry of a connection, with the key that orders it.
type row struct {
	key  string
	node node
	// err is the error in the place of the node, nil for none.
	err error
}

func (r row) value() any {
	if r.err != nil {
		return r.err
	}
	return r.node
}

// connection is a page of a list. Its cursors are values, not places: a row whose value changes while the list is
// scanned jumps, and a scan that has passed the new place misses it.
type connection struct {
	typ      string
	page     []row
	cursor   func(row) string
	next     bool
	previous bool
	total    func() int
	after    string
}

// connect sorts rows by their keys and returns the page that the arguments select.
func connect(typ string, rows []row, a args, desc bool) (*connection, error) {
	slices.SortFunc(rows, func(x, y row) int {
		if desc {
			x, y = y, x
		}
		return strings.Compare(x.key, y.key)
	})
	c := &connection{typ: typ, cursor: valueCursor, after: a.str("after")}
	total := len(rows)
	c.total = func() int { return total }
	beyond := func(key, cursor string) bool { return key > cursor != desc && key != cursor }
	if after := a.str("after"); after != "" {
		key, err := parseValueCursor(after)
		if err != nil {
			return nil, err
		}
		n := len(rows)
		rows = slices.DeleteFunc(rows, func(r row) bool { return !beyond(r.key, key) })
		c.previous = len(rows) < n
	}
	if before := a.str("before"); before != "" {
		key, err := parseValueCursor(before)
		if err != nil {
			return nil, err
		}
		n := len(rows)
		rows = slices.DeleteFunc(rows, func(r row) bool { return r.key == key || beyond(r.key, key) })
		c.next = len(rows) < n
	}
	c.cut(rows, a)
	return c, nil
}

// cut sets the page to the first or last rows.
func (c *connection) cut(rows []row, a args) {
	if n, ok := a.num("first"); ok {
		if len(rows) > n {
			rows, c.next = rows[:n], true
		}
	} else if n, ok := a.num("last"); ok {
		if len(rows) > n {
			rows, c.previous = rows[len(rows)-n:], true
		}
	} else {
		rows = nil
	}
	c.page = rows
}

const cursorPrefix = "cursor:v2:"

func valueCursor(r row) string {
	return base64.StdEncoding.EncodeToString([]byte(cursorPrefix + r.key))
}

func parseValueCursor(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	key, ok := strings.CutPrefix(string(b), cursorPrefix)
	if err != nil || !ok {
		return "", badCursor(s)
	}
	return key, nil
}

func (c *connection) typeName() string { return c.typ }

func (c *connection) field(e *execution, name string, _ args) (any, error) {
	switch name {
	case "nodes":
		return c.mapRows(row.value), nil
	case "edges":
		edge := strings.TrimSuffix(c.typ, "Connection") + "Edge"
		if c.typ == "CommitHistoryConnection" {
			edge = "CommitEdge"
		}
		return c.mapRows(func(r row) any { return record{edge, obj{"cursor": c.cursor(r), "node": r.value()}} }), nil
	case "totalCount":
		return c.total(), nil
	case "pageInfo":
		return c.pageInfo(e.Fault.Endless), nil
	default:
		return 0, nil // totalDiskUsage
	}
}

func (c *connection) mapRows(f func(row) any) []any {
	out := make([]any, 0, len(c.page))
	for _, r := range c.page {
		out = append(out, f(r))
	}
	return out
}

func (c *connection) pageInfo(endless bool) record {
	info := obj{"hasNextPage": c.next, "hasPreviousPage": c.previous, "startCursor": nil, "endCursor": nil}
	if len(c.page) > 0 {
		info["startCursor"], info["endCursor"] = c.cursor(c.page[0]), c.cursor(c.page[len(c.page)-1])
	}
	if endless {
		info["hasNextPage"] = true
		if len(c.page) == 0 && c.after != "" {
			info["endCursor"] = c.after
		}
	}
	return record{"PageInfo", info}
}
