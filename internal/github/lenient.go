// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// fieldErrors are the fields of a row that could not be decoded, by their names in JSON.
type fieldErrors map[string]error

// firstError returns one of the errors, the same each time; nil for none.
func (e fieldErrors) firstError() error {
	names := make([]string, 0, len(e))
	for name := range e {
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("%s: %w", names[0], e[names[0]])
}

// hasAny reports whether one of the fields is among them.
func (e fieldErrors) hasAny(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return e[name] != nil })
}

// hasOnly reports whether there are errors, and of no other fields.
func (e fieldErrors) hasOnly(names ...string) bool {
	for name := range e {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return len(e) > 0
}

var errNoRow = errors.New("a row that is not an object")

// decodeRow decodes an object into the struct that into points to. A field that cannot be decoded stays zero and is
// in the result. The error is that of a value that is no object.
//
// A value that cannot be decoded, such as a time in a year of five digits, must not lose the values beside it: everyone
// with push access can put one on GitHub. So a row is decoded field by field where it cannot be decoded as a whole.
func decodeRow(raw []byte, into any) (fieldErrors, error) {
	strict := json.Unmarshal(raw, into)
	if strict == nil {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return nil, errNoRow
	}
	value := reflect.ValueOf(into).Elem()
	value.SetZero()
	invalid := make(fieldErrors)
	decodeFields(fields, value, invalid)
	if len(invalid) == 0 { // by another spelling of a name
		return nil, strict
	}
	return invalid, nil
}

// decodeFields decodes fields into a struct, and adds those that cannot be decoded to invalid.
func decodeFields(fields map[string]json.RawMessage, value reflect.Value, invalid fieldErrors) {
	for i := range value.NumField() {
		field := value.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch raw, ok := fields[name]; {
		case field.Anonymous && name == "":
			decodeFields(fields, value.Field(i), invalid)
		case !ok || !field.IsExported():
		default:
			if err := json.Unmarshal(raw, value.Field(i).Addr().Interface()); err != nil {
				value.Field(i).SetZero()
				invalid[name] = printableError(err)
			}
		}
	}
}

// printableError returns an error with a text for logs: it quotes the value that could not be decoded.
func printableError(err error) error { return errors.New(transport.Printable(err.Error())) }

// reportInvalidRow reports a row that is dropped, or a part of one.
func (c *Client) reportInvalidRow(endpoint string, wrong fieldErrors) {
	c.transport.ReportInvalidValue(fmt.Errorf("%s: a value that cannot be decoded: %w", endpoint, wrong.firstError()))
}
