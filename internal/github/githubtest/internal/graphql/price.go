// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Bounds of a query
// (https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#node-limit).
const (
	maxNodes    = 500_000
	maxPage     = 100
	maxNodeArgs = 100
)

// price is the price of a query: the requests that its connections need, and the nodes that it can return
// (https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#predicting-the-point-value-of-a-query).
type price struct {
	requests, nodes int
	dryRun          bool
	err             *fieldError
}

// points returns the requests divided by a hundred, rounded, at least one.
func (p price) points() int { return max(1, (p.requests+50)/100) }

// priceOf returns the price of an operation with the values of its variables.
func priceOf(op *ast.OperationDefinition, vars map[string]any) price {
	w := pricing{vars: vars}
	w.addSelection(op.SelectionSet, 1, nil)
	if w.err == nil && w.nodes > maxNodes {
		w.err = &fieldError{typ: "MAX_NODE_LIMIT_EXCEEDED", message: fmt.Sprintf(
			"This query requests up to %d possible nodes which exceeds the maximum limit of %d.", w.nodes, maxNodes)}
	}
	return w.price
}

type pricing struct {
	price
	vars map[string]any
}

// addSelection adds up a selection that is read times times.
func (w *pricing) addSelection(set ast.SelectionSet, times int, path []any) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			w.addField(s, times, append(slices.Clip(path), s.Alias))
		case *ast.InlineFragment:
			w.addSelection(s.SelectionSet, times, path)
		case *ast.FragmentSpread:
			w.addSelection(s.Definition.SelectionSet, times, path)
		}
	}
}

func (w *pricing) addField(f *ast.Field, times int, path []any) {
	if isSkipped(f.Directives, w.vars) || f.Definition == nil {
		return
	}
	a := args(f.ArgumentMap(w.vars))
	switch {
	case f.Name == "rateLimit":
		w.dryRun = w.dryRun || a.flag("dryRun")
	case f.Name == "nodes" && len(f.Arguments) > 0:
		ids := len(a.strs("ids"))
		if ids > maxNodeArgs {
			w.refuse(
				path, "ARGUMENT_LIMIT",
				fmt.Sprintf("You may not provide more than %d node ids; you provided %d.", maxNodeArgs, ids),
			)
		}
		w.nodes = saturate(w.nodes + ids)
		times = saturate(times * max(1, ids))
	case strings.HasSuffix(f.Definition.Type.Name(), "Connection"):
		times = w.addConnection(f, a, times, path)
	}
	w.addSelection(f.SelectionSet, times, path)
}

// addConnection adds up a connection that is read `times` times, and returns how many times its rows are.
func (w *pricing) addConnection(f *ast.Field, a args, times int, path []any) int {
	size, given := w.pageBound(f, a, path)
	if !given {
		for _, sub := range rootFields(f.SelectionSet) {
			if sub.Name == "nodes" || sub.Name == "edges" {
				w.refuse(path, "MISSING_PAGINATION_BOUNDARIES",
					fmt.Sprintf("You must provide a `first` or `last` value to properly paginate the `%s` connection.",
						f.Name))
			}
		}
		return times
	}
	w.requests = saturate(w.requests + times)
	w.nodes = saturate(w.nodes + saturate(times*size))
	return saturate(times * size)
}

// pageBound returns the largest size of a page of a connection, and false without first and last.
func (w *pricing) pageBound(f *ast.Field, a args, path []any) (int, bool) {
	for _, name := range []string{"first", "last"} {
		n, ok := a.num(name)
		if !ok {
			continue
		}
		if n > maxPage {
			w.refuse(path, "EXCESSIVE_PAGINATION", fmt.Sprintf(
				"Requesting %d records on the `%s` connection exceeds the `%s` limit of %d records.", n, f.Name, name,
				maxPage))
		}
		if n < 1 {
			w.refuse(
				path, "INVALID_PAGINATION",
				fmt.Sprintf("`%s` on the `%s` connection cannot be less than one.", name, f.Name),
			)
		}
		return max(1, min(n, maxPage)), true
	}
	return 0, false
}

// refuse records the error of a query that is too large; the first one counts.
func (w *pricing) refuse(path []any, typ, message string) {
	if w.err == nil {
		w.err = &fieldError{typ: typ, message: message, path: path}
	}
}

// saturate limits a product of page sizes, so that the next one does not overflow.
func saturate(n int) int { return min(max(n, 0), 1<<40) }
