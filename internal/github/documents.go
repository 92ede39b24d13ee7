// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"embed"
	"strings"
	"text/template"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"
)

// The query documents. A test validates them against GitHub's published schema.
//
//go:embed queries
var documents embed.FS

// document is a query that can be sent.
type document struct {
	name string // of the operation
	text string
	// parsed is the syntax tree of text.
	parsed *ast.QueryDocument
}

// sharedFragments are the fragments that documents share.
var sharedFragments = mustParse("fragments", readDocument("fragments")).Fragments

var (
	discoverQuery    = mustDocument("Discover", readDocument("discover"))
	lookupQuery      = mustDocument("Lookup", readDocument("lookup"))
	countsQuery      = mustDocument("RepositoryCounts", readDocument("counts"))
	activityQuery    = mustDocument("Activity", readDocument("activity"))
	reviewsQuery     = mustDocument("Reviews", readDocument("reviews"))
	timelineQuery    = mustDocument("Timeline", readDocument("timeline"))
	linesQuery       = mustDocument("Lines", readDocument("lines"))
	teamsQuery       = mustDocument("Teams", readDocument("teams"))
	teamMembersQuery = mustDocument("TeamMembers", readDocument("team_members"))

	stocksQuery     = mustDocument("Stocks", readDocument("stocks"))
	openPullsQuery  = mustDocument("OpenPulls", readDocument("open_pulls"))
	pullStatesQuery = mustDocument("PullStates", readDocument("pull_states"))
	changesQuery    = mustDocument("Changes", readDocument("changes"))
	branchesQuery   = mustDocument("Branches", readDocument("branches"))
	// activitiesQuery has the query for each number of repositories, and comparisonsQuery that for each of branches.
	activitiesQuery  = newGroupQueries("Activities", maxGroupSize)
	comparisonsQuery = newGroupQueries("Comparisons", comparisonGroupSize)
)

// readDocument returns the text of an embedded document.
func readDocument(name string) string {
	text, err := documents.ReadFile("queries/" + name + ".graphql")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// mustDocument returns the document of a text with the shared fragments that it uses. It panics when the text is no
// valid document.
func mustDocument(name, text string) document {
	parsed := mustParse(name, text)
	for _, operation := range parsed.Operations {
		addFragments(parsed, operation.SelectionSet)
	}
	for _, fragment := range parsed.Fragments {
		addFragments(parsed, fragment.SelectionSet)
	}
	var printed strings.Builder
	formatter.NewFormatter(&printed).FormatQueryDocument(parsed)
	return document{name: name, text: printed.String(), parsed: parsed}
}

// mustParse parses a text that is embedded.
func mustParse(name, text string) *ast.QueryDocument {
	parsed, err := parser.ParseQuery(&ast.Source{Name: name, Input: text})
	if err != nil {
		panic(err) // it is embedded
	}
	return parsed
}

// addFragments adds to a document the shared fragments that a selection uses, and those that they use.
func addFragments(doc *ast.QueryDocument, set ast.SelectionSet) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			addFragments(doc, s.SelectionSet)
		case *ast.InlineFragment:
			addFragments(doc, s.SelectionSet)
		case *ast.FragmentSpread:
			shared := sharedFragments.ForName(s.Name)
			if shared != nil && doc.Fragments.ForName(s.Name) == nil {
				doc.Fragments = append(doc.Fragments, shared)
				addFragments(doc, shared.SelectionSet)
			}
		}
	}
}

// newGroupQueries makes the queries of a template for 1 to most items, by their number. In the text, an item is named
// by its index.
func newGroupQueries(name string, most int) map[int]document {
	source := template.Must(template.ParseFS(documents, "queries/"+strings.ToLower(name)+".graphql.tmpl"))
	queries := make(map[int]document, most)
	for n := 1; n <= most; n++ {
		indexes := make([]int, n)
		for i := range indexes {
			indexes[i] = i
		}
		var text strings.Builder
		if err := source.Execute(&text, indexes); err != nil {
			panic(err) // it is embedded
		}
		queries[n] = mustDocument(name, text.String())
	}
	return queries
}
