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
	name   string // of the operation
	text   string
	parsed *ast.QueryDocument
}

var (
	discoverQuery = mustDocument("Discover", file("discover"))
	lookupQuery   = mustDocument("Lookup", file("lookup"))
	activityQuery = mustDocument("Activity", file("activity")+file("pages"))
	reviewsQuery  = mustDocument("Reviews", file("reviews"))
	linesQuery    = mustDocument("Lines", file("lines"))
	// activitiesQuery has the query for each number of repositories.
	activitiesQuery = activitiesOf(maxGroupSize)
)

func file(name string) string {
	text, err := documents.ReadFile("queries/" + name + ".graphql")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

func mustDocument(name, text string) document {
	parsed, err := parser.ParseQuery(&ast.Source{Name: name, Input: text})
	if err != nil {
		panic(err) // it is embedded
	}
	return document{name: name, text: text, parsed: parsed}
}

// activitiesOf makes the queries for up to so many repositories, each of which is named by its place.
func activitiesOf(most int) map[int]document {
	made := template.Must(template.ParseFS(documents, "queries/activities.graphql.tmpl"))
	queries := make(map[int]document, most)
	for n := 1; n <= most; n++ {
		places := make([]int, n)
		for i := range places {
			places[i] = i
		}
		var text strings.Builder
		if err := made.Execute(&text, places); err != nil {
			panic(err) // it is embedded
		}
		queries[n] = mustDocument("Activities", text.String()+file("pages"))
	}
	return queries
}
