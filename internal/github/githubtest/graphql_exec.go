// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// node is an object of the schema. A field is nil, a scalar, a time, a node, a list, or an error.
type node interface {
	typeName() string
	field(e *execution, name string, a args) (any, error)
}

// execution evaluates one request (https://spec.graphql.org/October2021/#sec-Execution).
type execution struct {
	*exchange
	errs []*fieldError
}

// run is the data of the answer.
func (e *execution) run() any {
	root := map[string]any{}
	data, ok := e.executeSelection(rootNode{}, []ast.SelectionSet{e.gql.op.SelectionSet}, nil)
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

// nullify makes what a path leads to null, as far as it exists.
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

// collectFields merges the selections that apply to a type.
func (e *execution) collectFields(typ string, sets []ast.SelectionSet) []selected {
	var out []selected
	var visit func(ast.SelectionSet)
	visit = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if !isSkipped(s.Directives, e.gql.vars) {
					out = addSelected(out, s)
				}
			case *ast.InlineFragment:
				if !isSkipped(s.Directives, e.gql.vars) && typeApplies(s.TypeCondition, typ) {
					visit(s.SelectionSet)
				}
			case *ast.FragmentSpread:
				if !isSkipped(s.Directives, e.gql.vars) && typeApplies(s.Definition.TypeCondition, typ) {
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

func addSelected(out []selected, f *ast.Field) []selected {
	if i := slices.IndexFunc(out, func(s selected) bool { return s.key == f.Alias }); i >= 0 {
		out[i].fields = append(out[i].fields, f)
		return out
	}
	return append(out, selected{key: f.Alias, fields: []*ast.Field{f}})
}

func typeApplies(condition, typ string) bool {
	if condition == "" || condition == typ {
		return true
	}
	return slices.ContainsFunc(schema().PossibleTypes[condition], func(d *ast.Definition) bool { return d.Name == typ })
}

// executeSelection evaluates an object; not ok means that null must go further up.
func (e *execution) executeSelection(n node, sets []ast.SelectionSet, path []any) (map[string]any, bool) {
	out := map[string]any{}
	for _, s := range e.collectFields(n.typeName(), sets) {
		f := s.fields[0]
		if f.Name == "__typename" {
			out[s.key] = n.typeName()
			continue
		}
		if e.gql.price.dryRun && path == nil && f.Name != "rateLimit" {
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

// resolveField asks the object for a field, unless a fault has an answer.
func (e *execution) resolveField(n node, f *ast.Field, path []any) any {
	if err := e.faultAt(path); err != nil {
		return err
	}
	v, err := n.field(e, f.Name, f.ArgumentMap(e.gql.vars))
	if err != nil {
		return err
	}
	return v
}

// faultAt is the error that a fault makes at a path, nil for none.
func (e *execution) faultAt(path []any) error {
	if e.fault == nil || e.fault.Path == "" || !pathMatches(e.fault.Path, path) {
		return nil
	}
	switch e.fault.Kind {
	case KindNull, KindResourceLimits, KindFieldError:
		return faultError{e.fault}
	default:
		return nil
	}
}

// faultError is an error that a fault makes.
type faultError struct{ effect *Effect }

func (f faultError) Error() string { return f.effect.Message }

// completeValue turns a value into what the answer has for its type.
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

// recordError records an error and answers null; where the type forbids null, the parent becomes null.
func (e *execution) recordError(t *ast.Type, err error, f *ast.Field, path []any) (any, bool) {
	var fe *fieldError
	var fault faultError
	switch {
	case errors.As(err, &fault):
		if fault.effect.Kind == KindNull {
			return nil, true
		}
		fe = &fieldError{typ: fault.effect.Type, message: fault.effect.Message, nulls: fault.effect.NullDepth}
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

// pageOfPath is the length of the path up to the innermost list.
func pageOfPath(path []any) int {
	for i := len(path) - 1; i > 0; i-- {
		if _, ok := path[i].(int); ok {
			return i
		}
	}
	return 0
}

// pathMatches compares a path with a pattern of response keys, list places and *; ** in front is any beginning.
func pathMatches(pattern string, path []any) bool {
	tail, anywhere := strings.CutPrefix(pattern, "**.")
	parts := strings.Split(tail, ".")
	if anywhere && len(path) > len(parts) {
		path = path[len(path)-len(parts):]
	}
	return slices.EqualFunc(
		parts, path, func(part string, element any) bool { return part == "*" || part == pathElement(element) },
	)
}

func pathElement(v any) string {
	if n, ok := v.(int); ok {
		return strconv.Itoa(n)
	}
	return fmt.Sprint(v)
}
