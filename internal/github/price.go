// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"encoding/json"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
)

// price predicts what the query costs of the primary limit: the requests that its connections need if each of them is
// full, divided by a hundred and rounded, at least one
// (https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#predicting-the-point-value-of-a-query).
// The response has the charged price.
func (d *document) price(encoded json.RawMessage) int {
	p := pricing{document: d.parsed}
	_ = json.Unmarshal(encoded, &p.variables) // those that were encoded are an object
	return max(1, (p.requests(d.parsed.Operations.ForName(d.name).SelectionSet, 1)+50)/100)
}

// pricing computes the price of a document with its variables, which are encoded.
type pricing struct {
	document  *ast.QueryDocument
	variables map[string]json.RawMessage
}

// requests returns how many requests the connections of a selection count as, which is made so many times.
func (p *pricing) requests(set ast.SelectionSet, times int) int {
	sum := 0
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			sum += p.field(s, times)
		case *ast.InlineFragment:
			sum += p.requests(s.SelectionSet, times)
		case *ast.FragmentSpread:
			sum += p.requests(p.document.Fragments.ForName(s.Name).SelectionSet, times)
		}
	}
	return sum
}

// field is requests for a field: a connection counts once for each time, and what it selects once for each of its rows.
// What is selected of objects by their ids counts once for each id.
func (p *pricing) field(f *ast.Field, times int) int {
	for _, d := range f.Directives {
		if d.Name == "include" && string(p.variables[d.Arguments[0].Value.Raw]) == "false" {
			return 0
		}
	}
	if ids := f.Arguments.ForName("ids"); ids != nil {
		return p.requests(f.SelectionSet, times*p.length(ids.Value))
	}
	first := f.Arguments.ForName("first")
	if first == nil {
		first = f.Arguments.ForName("last")
	}
	if ids := f.Arguments.ForName("ids"); ids != nil {
		times *= max(1, p.length(ids.Value))
	}
	if first == nil {
		return p.requests(f.SelectionSet, times)
	}
	return times + p.requests(f.SelectionSet, times*p.number(first.Value))
}

// length returns the length of a variable that is a list.
func (p *pricing) length(v *ast.Value) int {
	var list []json.RawMessage
	_ = json.Unmarshal(p.variables[v.Raw], &list) // empty for null
	return len(list)
}

// number returns a page size that the document has, or a variable.
func (p *pricing) number(v *ast.Value) int {
	if v.Kind == ast.Variable {
		n, _ := strconv.Atoi(string(p.variables[v.Raw])) // 0 for null
		return n
	}
	n, _ := strconv.Atoi(v.Raw)
	return n
}
