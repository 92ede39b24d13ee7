// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"embed"
	"strings"
	"text/template"

	"github.com/vektah/gqlparser/v2/ast"
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

var (
	discoverQuery    = mustDocument("Discover", readDocument("discover"))
	lookupQuery      = mustDocument("Lookup", readDocument("lookup"))
	countsQuery      = mustDocument("RepositoryCounts", readDocument("counts"))
	activityQuery    = mustDocument("Activity", readDocument("activity")+rowFragments())
	reviewsQuery     = mustDocument("Reviews", readDocument("reviews"))
	timelineQuery    = mustDocument("Timeline", readDocument("timeline")+readDocument("timeline_items"))
	linesQuery       = mustDocument("Lines", readDocument("lines"))
	teamsQuery       = mustDocument("Teams", readDocument("teams"))
	teamMembersQuery = mustDocument("TeamMembers", readDocument("team_members"))

	stocksQuery     = mustDocument("Stocks", readDocument("stocks"))
	openPullsQuery  = mustDocument("OpenPulls", readDocument("open_pulls"))
	pullStatesQuery = mustDocument("PullStates", readDocument("pull_states"))
	changesQuery    = mustDocument("Changes", readDocument("changes"))
	// activitiesQuery has the query for each number of repositories.
	activitiesQuery = newGroupQueries(maxGroupSize)
)

// readDocument returns the text of an embedded document.
func readDocument(name string) string {
	text, err := documents.ReadFile("queries/" + name + ".graphql")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// rowFragments returns the text of the fragments of the rows of all streams.
func rowFragments() string { return readDocument("fragments") + readDocument("timeline_items") }

// mustDocument parses the text of a document. It panics when the text is no valid document.
func mustDocument(name, text string) document {
	parsed, err := parser.ParseQuery(&ast.Source{Name: name, Input: text})
	if err != nil {
		panic(err) // it is embedded
	}
	return document{name: name, text: text, parsed: parsed}
}

// newGroupQueries makes the Activities queries for 1 to most repositories, by their number. In the text, a repository
// is named by its index.
func newGroupQueries(most int) map[int]document {
	source := template.Must(template.ParseFS(documents, "queries/activities.graphql.tmpl"))
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
		queries[n] = mustDocument("Activities", text.String()+rowFragments())
	}
	return queries
}
