// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package graphql is the GraphQL API of the scripted GitHub. request.go validates a query, price.go prices it,
// execute.go evaluates it, and connection.go cuts pages out of lists; these know nothing of GitHub's objects. Each
// object of the schema is a node of objects.go, with its fields in the file of its name.
package graphql

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// maxBody is the length of a request's body that is read, in bytes.
const maxBody = 4 << 20

// Request is a parsed, validated and priced request. It is not executed when it has a Refusal.
type Request struct {
	// Refusal is the response instead of an execution, nil for a valid request.
	Refusal *Refusal

	op    *ast.OperationDefinition
	vars  map[string]any
	price price
}

// Refusal is a response without data: errors of GraphQL or, without any, the message of a REST error.
type Refusal struct {
	Status  int
	Message string
	Errors  []map[string]any
}

// Parse reads a request. missingFields has the fields that the schema lacks, as "Type.field".
func Parse(r *http.Request, missingFields []string) *Request {
	if r.Method != http.MethodPost {
		return refused(Refusal{Status: http.StatusNotFound, Message: "Not Found"})
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return refused(Refusal{Status: http.StatusBadRequest, Message: "Problems reading the request"})
	}
	var in struct {
		Query         string         `json:"query"`
		Variables     map[string]any `json:"variables"`
		OperationName string         `json:"operationName"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return refused(Refusal{Status: http.StatusBadRequest, Message: "Problems parsing JSON"})
	}
	if strings.TrimSpace(in.Query) == "" {
		return refused(Refusal{Status: http.StatusBadRequest, Errors: []map[string]any{
			{"message": "A query attribute must be specified and must be a string."},
		}})
	}
	return prepare(in.Query, in.OperationName, in.Variables, missingFields)
}

// refused returns a request that is not executed.
func refused(r Refusal) *Request { return &Request{Refusal: &r} }

// refusedWith returns a request that is answered with errors and HTTP 200.
func refusedWith(errs ...map[string]any) *Request {
	return refused(Refusal{Status: http.StatusOK, Errors: errs})
}

// prepare validates and prices the operation of a document.
func prepare(query, operation string, vars map[string]any, missingFields []string) *Request {
	doc, errs := knownDocuments.load(query)
	if len(errs) > 0 {
		return refusedWith(validationErrors(errs)...)
	}
	if missing := missingFieldErrors(doc, missingFields); len(missing) > 0 {
		return refusedWith(missing...)
	}
	op := doc.Operations.ForName(operation)
	if op == nil || op.Operation != ast.Query {
		return refusedWith(validationErrors(gqlerror.List{gqlerror.Errorf("No operation named %q", operation)})...)
	}
	values, err := validator.VariableValues(schema(), op, vars)
	if err != nil {
		return refusedWith(validationErrors(gqlerror.List{gqlerror.WrapIfUnwrapped(err)})...)
	}
	g := &Request{op: op, vars: values, price: priceOf(op, values)}
	if e := g.price.err; e != nil {
		g.Refusal = &Refusal{Status: http.StatusOK, Errors: []map[string]any{e.json()}}
	}
	return g
}

// validationErrors returns the errors of a document that is not valid.
func validationErrors(errs gqlerror.List) []map[string]any {
	var out []map[string]any
	for _, e := range errs {
		j := map[string]any{"message": e.Message}
		if found := unknownField.FindStringSubmatch(e.Message); found != nil {
			out = append(out, undefinedField(found[2], found[1]))
			continue
		}
		if len(e.Locations) > 0 {
			j["locations"] = e.Locations
		}
		if e.Rule != "" {
			j["extensions"] = map[string]any{"rule": e.Rule}
		}
		out = append(out, j)
	}
	return out
}

// Points returns the price of the query in points, 0 for a dry run.
func (g *Request) Points() int {
	if g.price.dryRun {
		return 0
	}
	return g.price.points()
}

// IsDryRun reports whether the query asks for its price only.
func (g *Request) IsDryRun() bool { return g.price.dryRun }

// Subject is what a request is about. Org and Repo are those that its first field with an owner names.
type Subject struct {
	Operation string
	Variables map[string]any
	Org, Repo string
}

// Subject returns what the request is about; it is empty for one that could not be parsed.
func (g *Request) Subject(index *served.Index) Subject {
	if g.op == nil {
		return Subject{}
	}
	s := Subject{Operation: g.op.Name, Variables: g.vars}
	for _, f := range rootFields(g.op.SelectionSet) {
		if s.Org != "" {
			break
		}
		a := args(f.ArgumentMap(g.vars))
		switch f.Name {
		case "organization":
			s.Org = a.str("login")
		case "repository":
			s.Org, s.Repo = a.str("owner"), a.str("name")
		case "node":
			s.setNode(index, a.str("id"))
		case "nodes":
			for _, id := range a.strs("ids")[:min(1, len(a.strs("ids")))] {
				s.setNode(index, id)
			}
		}
	}
	return s
}

// setNode sets the repository of a global id.
func (s *Subject) setNode(index *served.Index, id string) {
	_, parts, ok := served.ParseNodeID(id)
	if !ok {
		return
	}
	if r := index.RepoByID[served.ParseInt(parts[0])]; r != nil {
		s.Org, s.Repo = r.Owner, r.Name
	}
}
