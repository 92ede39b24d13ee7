// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// rootFields returns the fields of a selection and of its fragments, without those below them.
func rootFields(set ast.SelectionSet) []*ast.Field {
	var out []*ast.Field
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			out = append(out, s)
		case *ast.InlineFragment:
			out = append(out, rootFields(s.SelectionSet)...)
		case *ast.FragmentSpread:
			out = append(out, rootFields(s.Definition.SelectionSet)...)
		}
	}
	return out
}

// isSkipped reports whether @skip or @include leave out a selection.
func isSkipped(directives ast.DirectiveList, vars map[string]any) bool {
	for _, d := range directives {
		on := args(d.ArgumentMap(vars)).flag("if")
		if d.Name == "skip" && on || d.Name == "include" && !on {
			return true
		}
	}
	return false
}

// typeApplies reports whether a type meets the condition of a fragment.
func typeApplies(condition, typ string) bool {
	if condition == "" || condition == typ {
		return true
	}
	return slices.ContainsFunc(schema().PossibleTypes[condition], func(d *ast.Definition) bool { return d.Name == typ })
}
