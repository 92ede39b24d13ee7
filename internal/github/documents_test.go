// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package github

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// officialSchema is the schema that GitHub publishes as the npm package @octokit/graphql-schema.
func officialSchema(t *testing.T) *ast.Schema {
	t.Helper()
	path := os.Getenv("GX_GITHUB_SCHEMA")
	require.NotEmpty(t, path, "GX_GITHUB_SCHEMA is not set: run this test with `make test`, which fetches the schema")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: path, Input: string(text)})
	require.NoError(t, err)
	return schema
}

// TestGraphQLDocuments validates the query documents against the official schema, but for the fields that a schema may
// lack.
func TestGraphQLDocuments(t *testing.T) {
	t.Parallel()
	schema := officialSchema(t)
	for _, doc := range everyDocument() {
		t.Run(fmt.Sprint(doc.name, " ", len(doc.text)), func(t *testing.T) {
			t.Parallel()
			known := doc.without(optionalFields)
			parsed, errs := gqlparser.LoadQueryWithRules(schema, known.text, rules.NewDefaultRules())
			require.Empty(t, errs)
			require.NotNil(t, parsed.Operations.ForName(doc.name))
			for _, use := range deprecated(parsed) {
				t.Errorf("%s is deprecated", use)
			}
		})
	}
}

func everyDocument() []document {
	list := []document{
		discoverQuery, lookupQuery, countsQuery, activityQuery, reviewsQuery,
		linesQuery, stocksQuery, openPullsQuery, pullStatesQuery, changesQuery,
	}
	for n := 1; n <= maxGroupSize; n++ {
		list = append(list, activitiesQuery[n])
	}
	return list
}

// deprecated are the deprecated fields that a document uses.
func deprecated(doc *ast.QueryDocument) []string {
	var uses []string
	var visit func(set ast.SelectionSet)
	visit = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch s := selection.(type) {
			case *ast.Field:
				if s.Definition.Directives.ForName("deprecated") != nil {
					uses = append(uses, s.ObjectDefinition.Name+"."+s.Name)
				}
				visit(s.SelectionSet)
			case *ast.InlineFragment:
				visit(s.SelectionSet)
			}
		}
	}
	for _, operation := range doc.Operations {
		visit(operation.SelectionSet)
	}
	for _, fragment := range doc.Fragments {
		visit(fragment.SelectionSet)
	}
	return uses
}

// TestGraphQLSubset holds the scripted GitHub to the official schema: each type and field that it has is there, with
// the same type and arguments.
func TestGraphQLSubset(t *testing.T) {
	t.Parallel()
	official := officialSchema(t)
	subset, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: githubtest.SchemaSource})
	require.NoError(t, err)
	fields := 0
	for name, definition := range subset.Types {
		if definition.BuiltIn {
			continue
		}
		there := official.Types[name]
		require.NotNil(t, there, name)
		require.Equal(t, there.Kind, definition.Kind, name)
		for _, field := range definition.Fields {
			if field.Name == "__schema" || field.Name == "__type" || field.Name == "__typename" {
				continue
			}
			if slices.Contains(optionalFields, field.Name) {
				continue // GitHub's documentation has it, the package not yet
			}
			same := there.Fields.ForName(field.Name)
			require.NotNil(t, same, "%s.%s", name, field.Name)
			require.Equal(t, same.Type.String(), field.Type.String(), "%s.%s", name, field.Name)
			for _, argument := range field.Arguments {
				known := same.Arguments.ForName(argument.Name)
				require.NotNil(t, known, "%s.%s(%s)", name, field.Name, argument.Name)
				require.Equal(t, known.Type.String(), argument.Type.String(), "%s.%s(%s)", name, field.Name,
					argument.Name)
			}
			fields++
		}
	}
	require.Greater(t, fields, 100)
}
