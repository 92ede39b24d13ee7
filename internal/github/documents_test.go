// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package github

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
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
		timelineQuery, linesQuery, teamsQuery, teamMembersQuery, stocksQuery, openPullsQuery, pullStatesQuery,
		changesQuery, branchesQuery,
	}
	for n := 1; n <= maxGroupSize; n++ {
		list = append(list, activitiesQuery[n])
	}
	for n := 1; n <= comparisonGroupSize; n++ {
		list = append(list, comparisonsQuery[n])
	}
	return list
}

// embeddedDocuments are the syntax trees of the files of documents, without the fragments that they share.
func embeddedDocuments(t *testing.T) map[string]*ast.QueryDocument {
	t.Helper()
	files, err := documents.ReadDir("queries")
	require.NoError(t, err)
	found := make(map[string]*ast.QueryDocument)
	for _, file := range files {
		if name, ok := strings.CutSuffix(file.Name(), ".graphql"); ok {
			found[name] = mustParse(name, readDocument(name))
		}
	}
	return found
}

// TestEveryDocument: the documents that are validated are those of all files and templates.
func TestEveryDocument(t *testing.T) {
	t.Parallel()
	validated := make(map[string]bool)
	for _, doc := range everyDocument() {
		validated[doc.name] = true
	}
	files, err := documents.ReadDir("queries")
	require.NoError(t, err)
	embedded := make(map[string]bool)
	for _, file := range files {
		text, err := documents.ReadFile("queries/" + file.Name())
		require.NoError(t, err)
		for _, found := range regexp.MustCompile(`(?m)^query (\w+)`).FindAllStringSubmatch(string(text), -1) {
			embedded[found[1]] = true
		}
	}
	require.Equal(t, embedded, validated)
}

// TestSharedFields: a list of more than three fields stands once in the documents.
func TestSharedFields(t *testing.T) {
	t.Parallel()
	places := make(map[string][]string)
	var visit func(place string, set ast.SelectionSet)
	visit = func(place string, set ast.SelectionSet) {
		var fields []string
		for _, selection := range set {
			switch s := selection.(type) {
			case *ast.Field:
				fields = append(fields, s.Name)
				visit(place+"."+s.Alias, s.SelectionSet)
			case *ast.InlineFragment:
				fields = append(fields, s.TypeCondition)
				visit(place+"."+s.TypeCondition, s.SelectionSet)
			}
		}
		if len(fields) > 3 {
			slices.Sort(fields)
			list := strings.Join(fields, " ")
			places[list] = append(places[list], place)
		}
	}
	for file, doc := range embeddedDocuments(t) {
		for _, operation := range doc.Operations {
			visit(file, operation.SelectionSet)
		}
		for _, fragment := range doc.Fragments {
			visit(file+"."+fragment.Name, fragment.SelectionSet)
		}
	}
	for list, at := range places {
		require.Len(t, at, 1, "make a fragment of: %s", list)
	}
	require.Greater(t, len(places), 5)
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
