// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// Environment is what the execution of a request depends on.
type Environment struct {
	served.View

	// Viewer is the login of the credential.
	Viewer string
	// Quota is the state of the credential's rate limit; nil makes rateLimit null.
	Quota *Quota
	Fault Fault
}

// Quota is the state of a primary rate limit, in points.
type Quota struct {
	Limit, Used, Remaining int
	Reset                  time.Time
}

// Fault changes the response of a request. Its zero value changes nothing.
type Fault struct {
	// Path selects the values that become null, as PathMatches reads it; empty selects none.
	Path string
	// Silent makes them null without an error, even where the schema has no null.
	Silent bool
	// Type and Message are those of the error.
	Type, Message string
	// NullDepth is the length of the part of the path that becomes null besides; 0 leaves that to GraphQL's rules.
	NullDepth int
	// Endless makes each page say that there is a next one.
	Endless bool
}

// execution evaluates one request (https://spec.graphql.org/October2021/#sec-Execution).
type execution struct {
	Environment

	request *Request
	errs    []*fieldError
}

// node is an object of the schema.
type node interface {
	typeName() string
	// field returns the value of a field: nil, a scalar, a time, a node, a list, or an error in the place of a value.
	field(e *execution, name string, a args) (any, error)
}

// record is an object whose fields are all known.
type record struct {
	typ    string
	fields map[string]any
}

func (r record) typeName() string { return r.typ }

func (r record) field(_ *execution, name string, _ args) (any, error) { return r.fields[name], nil }
