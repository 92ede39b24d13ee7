// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// SchemaSource is the part of GitHub's GraphQL schema that the server has.
//
//go:embed schema.graphql
var SchemaSource string

var schema = sync.OnceValue(func() *ast.Schema {
	return gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphql", Input: SchemaSource})
})

// missingFieldErrors returns the errors of the fields of a document that the schema lacks.
func missingFieldErrors(doc *ast.QueryDocument, lacking []string) []obj {
	var out []obj
	var visit func(set ast.SelectionSet)
	visit = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if s.ObjectDefinition != nil && slices.Contains(lacking, s.ObjectDefinition.Name+"."+s.Name) {
					out = append(out, undefinedField(s.ObjectDefinition.Name, s.Name))
				}
				visit(s.SelectionSet)
			case *ast.InlineFragment:
				visit(s.SelectionSet)
			}
		}
	}
	for _, op := range doc.Operations {
		visit(op.SelectionSet)
	}
	for _, f := range doc.Fragments {
		visit(f.SelectionSet)
	}
	return out
}

// undefinedField returns GitHub's error of a field that the schema lacks.
func undefinedField(typ, field string) obj {
	return obj{
		"message":    fmt.Sprintf("Field '%s' doesn't exist on type '%s'", field, typ),
		"extensions": obj{"code": "undefinedField", "typeName": typ, "fieldName": field},
	}
}

// unknownField matches the validator's message for a field that the schema lacks.
var unknownField = regexp.MustCompile(`^Cannot query field "(\w+)" on type "(\w+)"`)
