// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// obj is a JSON object.
type obj = map[string]any

// fieldError is an error in the response, in the place of the value of a field.
type fieldError struct {
	typ, message string
	path         []any
	at           *ast.Position
	// nulls is the length of the part of the path that becomes null beyond GraphQL's rules, 0 for none.
	nulls int
	// page makes the list of nodes or edges that contains the value null.
	page bool
}

func (e *fieldError) Error() string { return e.message }

func (e *fieldError) json() obj {
	j := obj{"message": e.message}
	if e.typ != "" {
		j["type"] = e.typ
	}
	if e.path != nil {
		j["path"] = slices.Clone(e.path)
	}
	if e.at != nil {
		j["locations"] = []obj{{"line": e.at.Line, "column": e.at.Column}}
	}
	return j
}

func notResolved(format string, a ...any) *fieldError {
	return &fieldError{typ: "NOT_FOUND", message: fmt.Sprintf("Could not resolve to "+format, a...)}
}

// forbiddenError is the error of a field that the credential may not read.
func forbiddenError() error {
	return &fieldError{typ: "FORBIDDEN", message: "Resource not accessible by personal access token"}
}

func badCursor(s string) error {
	return &fieldError{
		typ: "INVALID_CURSOR_ARGUMENTS", message: fmt.Sprintf("`%.64s` does not appear to be a valid cursor.", s),
	}
}
