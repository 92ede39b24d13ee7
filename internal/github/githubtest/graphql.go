// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// SchemaSource is the part of GitHub's GraphQL schema that the server knows.
//
//go:embed schema.graphql
var SchemaSource string

var schema = sync.OnceValue(func() *ast.Schema {
	return gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphql", Input: SchemaSource})
})

// maxGraphQLBody bounds a request.
const maxGraphQLBody = 4 << 20

// graphqlRequest is a parsed request; refusal is set when it cannot be executed.
type graphqlRequest struct {
	doc     *ast.QueryDocument
	op      *ast.OperationDefinition
	vars    map[string]any
	price   price
	refused *response
}

func (g *graphqlRequest) refuse(a response) *graphqlRequest {
	g.refused = &a
	return g
}

// parseGraphQL reads, validates and prices a request.
func (s *Server) parseGraphQL(r *http.Request) *graphqlRequest {
	g := &graphqlRequest{}
	if r.Method != http.MethodPost {
		return g.refuse(notFoundResponse())
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxGraphQLBody))
	if err != nil {
		return g.refuse(errorResponse(http.StatusBadRequest, "Problems reading the request"))
	}
	var in struct {
		Query         string         `json:"query"`
		Variables     map[string]any `json:"variables"`
		OperationName string         `json:"operationName"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return g.refuse(errorResponse(http.StatusBadRequest, "Problems parsing JSON"))
	}
	return g.prepare(in.Query, in.OperationName, in.Variables, s.settings.MissingFields)
}

func (g *graphqlRequest) prepare(query, name string, vars map[string]any, lacking []string) *graphqlRequest {
	if strings.TrimSpace(query) == "" {
		return g.refuse(
			newResponse(
				http.StatusBadRequest,
				obj{"errors": []obj{{"message": "A query attribute must be specified and must be a string."}}},
			),
		)
	}
	doc, errs := gqlparser.LoadQueryWithRules(schema(), query, rules.NewDefaultRules())
	if len(errs) > 0 {
		return g.refuse(graphqlErrors(errs))
	}
	if missing := missingFields(doc, lacking); len(missing) > 0 {
		return g.refuse(newResponse(http.StatusOK, obj{"errors": missing}))
	}
	g.doc, g.op = doc, doc.Operations.ForName(name)
	if g.op == nil || g.op.Operation != ast.Query {
		return g.refuse(graphqlErrors(gqlerror.List{gqlerror.Errorf("No operation named %q", name)}))
	}
	v, err := validator.VariableValues(schema(), g.op, vars)
	if err != nil {
		return g.refuse(graphqlErrors(gqlerror.List{gqlerror.WrapIfUnwrapped(err)}))
	}
	g.vars = v
	g.price = priceOf(g.op, v)
	if e := g.price.err; e != nil {
		return g.refuse(newResponse(http.StatusOK, obj{"errors": []obj{e.json()}}))
	}
	return g
}

// missingFields are the errors of the fields of a document that the schema lacks.
func missingFields(doc *ast.QueryDocument, lacking []string) []obj {
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

// undefinedField is GitHub's error of a field that the schema lacks.
func undefinedField(typ, field string) obj {
	return obj{
		"message":    fmt.Sprintf("Field '%s' doesn't exist on type '%s'", field, typ),
		"extensions": obj{"code": "undefinedField", "typeName": typ, "fieldName": field},
	}
}

// unknownField is the validator's message for a field that the schema lacks.
var unknownField = regexp.MustCompile(`^Cannot query field "(\w+)" on type "(\w+)"`)

// graphqlErrors is the answer to a document that is not valid: HTTP 200 without data.
func graphqlErrors(errs gqlerror.List) response {
	var out []obj
	for _, e := range errs {
		j := obj{"message": e.Message}
		if found := unknownField.FindStringSubmatch(e.Message); found != nil {
			out = append(out, undefinedField(found[2], found[1]))
			continue
		}
		if len(e.Locations) > 0 {
			j["locations"] = e.Locations
		}
		if e.Rule != "" {
			j["extensions"] = obj{"rule": e.Rule}
		}
		out = append(out, j)
	}
	return newResponse(http.StatusOK, obj{"errors": out})
}

// describe records for the accounting what the request is about: its operation and the first owner and repository it
// names.
func (g *graphqlRequest) describe(v served.View, info *RequestInfo) {
	if g.op == nil {
		return
	}
	info.Operation, info.Variables = g.op.Name, g.vars
	for _, f := range rootFields(g.op.SelectionSet) {
		if info.Org != "" {
			return
		}
		a := args(f.ArgumentMap(g.vars))
		switch f.Name {
		case "organization":
			info.Org = a.str("login")
		case "repository":
			info.Org, info.Repo = a.str("owner"), a.str("name")
		case "node":
			g.describeNode(v, info, a.str("id"))
		case "nodes":
			for _, id := range a.strs("ids")[:min(1, len(a.strs("ids")))] {
				g.describeNode(v, info, id)
			}
		}
	}
}

func (g *graphqlRequest) describeNode(v served.View, info *RequestInfo, id string) {
	_, parts, ok := served.ParseNodeID(id)
	if !ok {
		return
	}
	if r := v.Index.RepoByID[atoi(parts[0])]; r != nil {
		info.Org, info.Repo = r.Owner, r.Name
	}
}

// rootFields are the fields of a selection, fragments spread out.
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

// respondGraphQL executes the request, charges it, and answers 200 with data, errors or both.
func (x *exchange) respondGraphQL() response {
	if x.gql.refused != nil {
		return *x.gql.refused
	}
	if !x.gql.price.dryRun {
		if a, ok := x.charge(x.gql.price.points()); !ok {
			return a
		}
	}
	e := &execution{exchange: x}
	data := e.run()
	out := obj{"data": data}
	if len(e.errs) > 0 {
		var errs []obj
		for _, err := range e.errs {
			errs = append(errs, err.json())
		}
		out["errors"] = errs
	}
	return newResponse(http.StatusOK, out)
}

// fieldError is an error of GraphQL's answer.
type fieldError struct {
	typ, message string
	path         []any
	at           *ast.Position
	// nulls is how much of the path becomes null beyond GraphQL's rules, 0 for nothing.
	nulls int
	// page makes the list of nodes or edges null that the value is in.
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
