// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// format describes the body of a REST response: how it is decoded, and what it has at the least.
type format[T any] struct {
	// decodeFields decodes a body field by field that cannot be decoded as a whole; nil where that is an error.
	decodeFields func(body []byte, into *T) (map[int]fieldErrors, error)
	// maxRows bounds the elements of a list that is the body; 0 for a body that is an object.
	maxRows int
	// check refuses data that lacks what every response has, because a missing value would be taken for zero.
	check func(data T, info restPage) error
}

// decode decodes a body. The second result has the rows with a value that cannot be decoded, by index.
func (f *format[T]) decode(body []byte) (T, map[int]fieldErrors, error) {
	var data T
	if f.maxRows > 0 {
		if err := checkListLength(body, f.maxRows, 1); err != nil {
			return data, nil, err
		}
	}
	strict := transport.DecodeJSON(body, &data)
	if strict == nil || f.decodeFields == nil || !json.Valid(body) {
		return data, nil, strict
	}
	var lenient T
	invalid, err := f.decodeFields(body, &lenient)
	if err != nil {
		return data, nil, strict
	}
	return lenient, invalid, nil
}

// listFormat is the format of a list of rows. Fields are the JSON names that are used; an invalid value of another
// field does not matter. Without any, all are used.
func listFormat[T any](isComplete func(*T, fieldErrors) bool, fields ...string) format[[]*T] {
	return format[[]*T]{
		maxRows: perPage,
		decodeFields: func(body []byte, into *[]*T) (map[int]fieldErrors, error) {
			return decodeRows(body, into, fields)
		},
		check: func(rows []*T, info restPage) error { return checkRows(rows, info, isComplete) },
	}
}

// objectFormat is the format of a single object, whose invalid fields are those of row 0.
func objectFormat[T any](isComplete func(*T, fieldErrors) bool, fields ...string) format[*T] {
	return format[*T]{
		decodeFields: func(body []byte, into **T) (map[int]fieldErrors, error) {
			return decodeObject(body, into, fields)
		},
		check: func(row *T, info restPage) error {
			if !isComplete(row, info.invalid[0]) {
				return errIncomplete
			}
			return nil
		},
	}
}

var (
	errIncomplete = errors.New("a row without what every row has")
	errEmptyPage  = errors.New("an empty page that says there is another one")
)

// malformed returns the error of a response that does not have what was requested.
func malformed(endpoint, text string) error {
	return &transport.UnavailableError{Response: transport.Response{Endpoint: endpoint}, Err: errors.New(text)}
}

// checkRows refuses a list with an incomplete row, and an empty page that announces another one.
func checkRows[T any](rows []*T, info restPage, isComplete func(*T, fieldErrors) bool) error {
	if rows == nil {
		return errIncomplete
	}
	if len(rows) == 0 && info.next {
		return errEmptyPage
	}
	for i, row := range rows {
		if row == nil || !isComplete(row, info.invalid[i]) {
			return errIncomplete
		}
	}
	return nil
}

// decodeRows decodes a list row by row.
func decodeRows[T any](body []byte, into *[]*T, fields []string) (map[int]fieldErrors, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(body, &raws); err != nil || raws == nil {
		return nil, errNoRow
	}
	rows, invalid := make([]*T, len(raws)), make(map[int]fieldErrors)
	for i, raw := range raws {
		if bytes.Equal(raw, []byte("null")) {
			continue
		}
		rows[i] = new(T)
		wrong, err := decodeUsedFields(raw, rows[i], fields)
		if err != nil {
			return nil, err
		}
		if wrong != nil {
			invalid[i] = wrong
		}
	}
	*into = rows
	return invalid, nil
}

// decodeObject decodes an object as the only row.
func decodeObject[T any](body []byte, into **T, fields []string) (map[int]fieldErrors, error) {
	row := new(T)
	wrong, err := decodeUsedFields(body, row, fields)
	if err != nil {
		return nil, err
	}
	*into = row
	if wrong == nil {
		return nil, nil
	}
	return map[int]fieldErrors{0: wrong}, nil
}

// decodeUsedFields decodes a row. The errors of fields that are not used are dropped.
func decodeUsedFields[T any](raw []byte, into *T, fields []string) (fieldErrors, error) {
	wrong, err := decodeRow(raw, into)
	for name := range wrong {
		if len(fields) > 0 && !slices.Contains(fields, name) {
			delete(wrong, name)
		}
	}
	if len(wrong) == 0 {
		return nil, err
	}
	return wrong, err
}

// isPresent reports whether a row has a field: hasValue says so, or the value cannot be decoded, then the row is
// dropped later.
func (e fieldErrors) isPresent(hasValue bool, name string) bool { return hasValue || e[name] != nil }

// restPage is what a REST response says beside its rows.
type restPage struct {
	next bool // there is another page
	last int  // the number of the last page; 0 when the response does not have it
	// hiddenRows is GitHub's notice of rows that the credential may not see; empty when there are none.
	hiddenRows string
	// etag validates the page in a later request. unchanged says that the page is the one of the request's etag; it
	// then has no rows.
	etag      string
	unchanged bool
	// invalid has the rows with a value that cannot be decoded, by index; their other fields are decoded.
	invalid map[int]fieldErrors
}
