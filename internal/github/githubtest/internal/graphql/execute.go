// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// Execute evaluates a request that has no Refusal, and returns the body of the response: data, errors or both.
func (g *Request) Execute(env Environment) map[string]any {
	e := &execution{Environment: env, request: g}
	body := map[string]any{"data": e.run()}
	if len(e.errs) > 0 {
		var errs []map[string]any
		for _, err := range e.errs {
			errs = append(errs, err.json())
		}
		body["errors"] = errs
	}
	return body
}

// run returns the data of the response.
func (e *execution) run() any {
	root := map[string]any{}
	data, ok := e.executeSelection(rootNode{}, []ast.SelectionSet{e.request.op.SelectionSet}, nil)
	if !ok {
		return nil
	}
	root["data"] = data
	for _, err := range e.errs {
		if err.nulls > 0 {
			nullify(root, append([]any{"data"}, err.path[:min(err.nulls, len(err.path))]...))
		}
	}
	return root["data"]
}

// nullify makes the value at a path null, if there is one.
func nullify(v any, path []any) {
	switch c := v.(type) {
	case map[string]any:
		key := fmt.Sprint(path[0])
		if _, ok := c[key]; !ok {
			return
		}
		if len(path) == 1 {
			c[key] = nil
			return
		}
		nullify(c[key], path[1:])
	case []any:
		i, ok := path[0].(int)
		if !ok || i >= len(c) {
			return
		}
		if len(path) == 1 {
			c[i] = nil
			return
		}
		nullify(c[i], path[1:])
	}
}

// selected is a response key with the fields that share it.
type selected struct {
	key    string
	fields []*ast.Field
}

// collectFields returns the fields of selections that apply to a type, by their response keys.
func (e *execution) collectFields(typ string, sets []ast.SelectionSet) []selected {
	var out []selected
	var visit func(ast.SelectionSet)
	visit = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if !isSkipped(s.Directives, e.request.vars) {
					out = addSelected(out, s)
				}
			case *ast.InlineFragment:
				if !isSkipped(s.Directives, e.request.vars) && typeApplies(s.TypeCondition, typ) {
					visit(s.SelectionSet)
				}
			case *ast.FragmentSpread:
				if !isSkipped(s.Directives, e.request.vars) && typeApplies(s.Definition.TypeCondition, typ) {
					visit(s.Definition.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		visit(set)
	}
	return out
}

// addSelected adds a field to those with the same response key.
func addSelected(out []selected, f *ast.Field) []selected {
	if i := slices.IndexFunc(out, func(s selected) bool { return s.key == f.Alias }); i >= 0 {
		out[i].fields = append(out[i].fields, f)
		return out
	}
	return append(out, selected{key: f.Alias, fields: []*ast.Field{f}})
}

// executeSelection evaluates an object. With false, the object must become null.
func (e *execution) executeSelection(n node, sets []ast.SelectionSet, path []any) (map[string]any, bool) {
	out := map[string]any{}
	for _, s := range e.collectFields(n.typeName(), sets) {
		f := s.fields[0]
		if f.Name == "__typename" {
			out[s.key] = n.typeName()
			continue
		}
		if e.request.price.dryRun && path == nil && f.Name != "rateLimit" {
			continue
		}
		at := append(slices.Clip(path), any(s.key))
		v, ok := e.completeValue(f.Definition.Type, e.resolveField(n, f, at), s.fields, at)
		if !ok {
			return nil, false
		}
		out[s.key] = v
	}
	return out, true
}

// resolveField returns the value of a field of an object, or the error of a fault.
func (e *execution) resolveField(n node, f *ast.Field, path []any) any {
	if err := e.faultAt(path); err != nil {
		return err
	}
	v, err := n.field(e, f.Name, f.ArgumentMap(e.request.vars))
	if err != nil {
		return err
	}
	return v
}

// faultAt returns the error of the fault at a path, nil for none.
func (e *execution) faultAt(path []any) error {
	if e.Fault.Path == "" || !PathMatches(e.Fault.Path, path) {
		return nil
	}
	return faultError{e.Fault}
}

// faultError is the error of a fault.
type faultError struct{ fault Fault }

func (f faultError) Error() string { return f.fault.Message }

// completeValue turns a value into JSON of its type. With false, the null of an error spreads to the parent.
func (e *execution) completeValue(t *ast.Type, v any, fields []*ast.Field, path []any) (any, bool) {
	if err, ok := v.(error); ok {
		return e.recordError(t, err, fields[0], path)
	}
	switch v := v.(type) {
	case nil:
		return nil, !t.NonNull
	case []any:
		return e.completeList(t, v, fields, path)
	case node:
		sets := make([]ast.SelectionSet, 0, len(fields))
		for _, f := range fields {
			sets = append(sets, f.SelectionSet)
		}
		m, ok := e.executeSelection(v, sets, path)
		if !ok {
			return nil, !t.NonNull
		}
		return m, true
	case time.Time:
		return served.FormatTime(v), true
	default:
		return v, true
	}
}

// completeList completes each element of a list; see completeValue.
func (e *execution) completeList(t *ast.Type, list []any, fields []*ast.Field, path []any) (any, bool) {
	out := make([]any, 0, len(list))
	for i, v := range list {
		at := append(slices.Clip(path), any(i))
		if err := e.faultAt(at); err != nil {
			v = err
		}
		c, ok := e.completeValue(t.Elem, v, fields, at)
		if !ok {
			return nil, !t.NonNull
		}
		out = append(out, c)
	}
	return out, true
}

// recordError records an error and returns null; with false, the type has no null, and the parent becomes null.
func (e *execution) recordError(t *ast.Type, err error, f *ast.Field, path []any) (any, bool) {
	var fe *fieldError
	var fault faultError
	switch {
	case errors.As(err, &fault):
		if fault.fault.Silent {
			return nil, true
		}
		fe = &fieldError{typ: fault.fault.Type, message: fault.fault.Message, nulls: fault.fault.NullDepth}
	case !errors.As(err, &fe):
		fe = &fieldError{message: err.Error()}
	}
	c := *fe
	c.path, c.at = path, f.Position
	if c.page {
		c.nulls = pageOfPath(path)
	}
	e.errs = append(e.errs, &c)
	return nil, !t.NonNull
}

// pageOfPath returns the length of the path of the innermost list.
func pageOfPath(path []any) int {
	for i := len(path) - 1; i > 0; i-- {
		if _, ok := path[i].(int); ok {
			return i
		}
	}
	return 0
}
