// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
)

// setting is a row of the document.
type setting struct{ key, kind, fallback, allowed, meaning, example string }

// block is a struct of settings: a table of the document. Its path has the item 0 of each list.
type block struct {
	path, meaning string
	settings      []setting
}

// reader reads the blocks of one component.
type reader struct {
	config   validator
	comments *sources
	examples examples
	blocks   []block
	inside   validator // of the block that is read
	probed   []probed
	errs     []error
}

// probed is a setting with the range that was found out.
type probed struct {
	probe
	value reflect.Value
	text  string
}

// describe returns the blocks of the component, the outer one first.
func (c described) describe(comments *sources, used examples) ([]block, error) {
	r, err := c.read(comments, used)
	if err != nil {
		return nil, err
	}
	return r.blocks, errors.Join(r.errs...)
}

func (c described) read(comments *sources, used examples) (*reader, error) {
	config, err := c.newConfig()
	if err != nil {
		return nil, err
	}
	if err := used.check(c.factory); err != nil {
		return nil, err
	}
	r := &reader{config: config.(validator), comments: comments, examples: used}
	r.readBlock("", "", reflect.ValueOf(config).Elem())
	return r, nil
}

// readBlock appends a block and those inside of it.
func (r *reader) readBlock(path, text string, value reflect.Value) {
	i := len(r.blocks)
	r.blocks = append(r.blocks, block{path: path, meaning: text})
	outer := r.inside
	r.inside = validatorOf(value)
	rows := r.readFields(path, value)
	r.inside = outer
	r.blocks[i].settings = rows
}

// readFields returns the rows of a struct, those of embedded structs included.
func (r *reader) readFields(path string, value reflect.Value) []setting {
	var rows []setting
	t := value.Type()
	for field := range t.Fields() {
		key, options, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		if key == "" && options != "squash" {
			continue
		}
		inner := value.FieldByIndex(field.Index)
		if options == "squash" && isOwn(field.Type) {
			rows = append(rows, r.readFields(path, inner)...)
			continue
		}
		comment, err := r.comments.comment(t, field.Name)
		if err != nil {
			r.errs = append(r.errs, err)
			continue
		}
		if options == "squash" {
			rows = append(rows, r.readItems(path, comment, inner)...)
			continue
		}
		rows = append(rows, r.readField(join(path, key), field.Name, comment, inner))
	}
	return rows
}

// readField returns the row of a field. A block of its own is read, and the row leads to it.
func (r *reader) readField(path, name, comment string, value reflect.Value) setting {
	text, defaultText := meaning(name, comment)
	inside := value
	if inside.Kind() == reflect.Pointer && isOwn(inside.Type().Elem()) {
		inside = inside.Elem()
	}
	isList := inside.Kind() == reflect.Slice && isOwn(inside.Type().Elem())
	row := setting{key: lastKey(path), kind: kindOf(value.Type()), fallback: defaultText, meaning: text}
	if row.fallback == "" && !isList {
		row.fallback = code(format(value))
	}
	switch {
	case isList:
		r.readBlock(path+"::0", text, inside.Index(0))
	case isOwn(inside.Type()) && hasKeys(inside.Type()):
		r.readBlock(path, text, inside)
	default:
		row.allowed = r.allowed(path, value)
		row.example = r.example(path)
	}
	return row
}

// hasKeys reports whether a block has a setting.
func hasKeys(t reflect.Type) bool {
	for field := range t.Fields() {
		if field.Tag.Get("mapstructure") != "" {
			return true
		}
	}
	return false
}

// readItems returns the rows of an embedded struct of another module: those that its comment lists.
func (r *reader) readItems(path, comment string, value reflect.Value) []setting {
	var rows []setting
	listed := items(comment)
	if len(listed) == 0 {
		r.errs = append(r.errs, fmt.Errorf("the comment of %s lists no key", value.Type()))
	}
	for _, of := range listed {
		full := join(path, of[0])
		field, ok := fieldByKey(value, of[0])
		if !ok {
			r.errs = append(r.errs, fmt.Errorf("%s has no key %s", value.Type(), of[0]))
			continue
		}
		text, defaultText := meaning("", of[1])
		row := setting{key: of[0], kind: kindOf(field.Type()), fallback: defaultText, meaning: text}
		if row.fallback == "" {
			row.fallback = code(format(field))
		}
		row.allowed, row.example = r.allowed(full, field), r.example(full)
		rows = append(rows, row)
	}
	return rows
}

// fieldByKey returns the field of a struct, or of those that it embeds, that has a key.
func fieldByKey(value reflect.Value, key string) (reflect.Value, bool) {
	for field := range value.Type().Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		inner := value.FieldByIndex(field.Index)
		if name == key {
			return inner, true
		}
		if options == "squash" {
			if found, ok := fieldByKey(inner, key); ok {
				return found, true
			}
		}
	}
	return reflect.Value{}, false
}

// allowed returns the range of a setting, and keeps how it was found out.
func (r *reader) allowed(path string, value reflect.Value) string {
	p := probe{config: r.config, block: r.inside, path: path}
	text := p.allowed(value)
	r.probed = append(r.probed, probed{probe: p, value: value, text: text})
	return text
}

// example returns the example of a setting.
func (r *reader) example(path string) string {
	text, ok := r.examples.find(path)
	if !ok {
		r.errs = append(r.errs, fmt.Errorf("examples.yaml has no %s", path))
	}
	return text
}

// kindOf returns the name of a setting's type.
func kindOf(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[component.ID]():
		return "component id"
	case t == reflect.TypeFor[configopaque.String]():
		return "secret"
	case t.Kind() == reflect.Slice:
		return "list of " + kindOf(t.Elem())
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "block"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return "int"
	default:
		return t.Kind().String()
	}
}

// format returns a default.
func format(value reflect.Value) string {
	switch v := value.Interface().(type) {
	case time.Duration:
		return shortDurations(v.String())
	case []time.Duration:
		return shortDurations(strings.ReplaceAll(fmt.Sprint(v), " ", ", "))
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	case string:
		if v == "" {
			return `""`
		}
		return v
	}
	switch value.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64:
		return fmt.Sprint(value.Interface())
	default:
		return ""
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "::" + key
}

func lastKey(path string) string { return path[strings.LastIndex(path, ":")+1:] }
