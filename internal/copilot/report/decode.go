// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Stats describe what was read of one or several files.
type Stats struct {
	Bytes, Rows int64
	// InvalidValues counts the values that were left out because they cannot be decoded, or cannot be: a negative
	// count. InvalidField is the path of the first, such as "totals_by_ide.loc_added_sum".
	InvalidValues int64
	InvalidField  string
}

// Add adds the stats of another file.
func (s *Stats) Add(other Stats) {
	s.Bytes += other.Bytes
	s.Rows += other.Rows
	s.addInvalid(other.InvalidValues, other.InvalidField)
}

func (s *Stats) addInvalid(count int64, field string) {
	if s.InvalidValues == 0 {
		s.InvalidField = field
	}
	s.InvalidValues += count
}

// ReadUsers calls use for each row of a users report. It returns the error of use as it is.
func ReadUsers(file io.Reader, limits Limits, use func(*User) error) (Stats, error) {
	return readRows(file, limits, use)
}

// ReadTeams calls use for each row of a user-teams report.
func ReadTeams(file io.Reader, limits Limits, use func(*TeamMember) error) (Stats, error) {
	return readRows(file, limits, use)
}

// ReadRepositories calls use for each row of a repos report.
func ReadRepositories(file io.Reader, limits Limits, use func(*Repository) error) (Stats, error) {
	return readRows(file, limits, use)
}

// AggregateHeader is what an aggregate report says of itself. Each field may be absent.
type AggregateHeader struct {
	Span Span
	// CreatedAt is when the file was made: GitHub makes the report of a window again when its numbers change.
	CreatedAt Timestamp
}

// ReadAggregates calls use for each day of an aggregate report, in the order of the file, which is that of no date. A
// file of either shape is accepted: the days of a window in day_totals, or one day.
func ReadAggregates(file io.Reader, limits Limits, use func(*Aggregate) error) (AggregateHeader, Stats, error) {
	var header AggregateHeader
	days := 0
	stats, err := readRows(file, limits, func(row *aggregateFile) error {
		if row.CreatedAt.After(header.CreatedAt.Time) {
			header.CreatedAt = row.CreatedAt
		}
		if row.DayTotals == nil {
			if row.Day == 0 {
				return nil
			}
			days++
			return use(&row.Aggregate)
		}
		header.Span = Span{row.Start, row.End}
		days++ // a window without a day in it is a report: data begins later
		for i := range *row.DayTotals {
			if err := use(&(*row.DayTotals)[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && days == 0 {
		err = &Error{Problem: ProblemNoDay, Row: stats.Rows}
	}
	return header, stats, err
}

func readRows[T any](file io.Reader, limits Limits, use func(*T) error) (Stats, error) {
	var stats Stats
	reader := NewReader(file, limits)
	var texts textCache
	for {
		raw, err := reader.Next()
		stats.Bytes, stats.Rows = reader.Bytes(), reader.Rows()
		if errors.Is(err, io.EOF) {
			return stats, nil
		}
		if err != nil {
			return stats, err
		}
		row := new(T)
		count, field, problem := decodeObject(raw, row, &texts)
		if problem != nil {
			problem.Row = stats.Rows
			return stats, problem
		}
		stats.addInvalid(count, field)
		if err := use(row); err != nil {
			return stats, err
		}
	}
}

// decodeObject decodes a JSON object into the struct that into points to. Values that cannot be decoded stay zero:
// it returns their number and the path of the first one.
func decodeObject(raw []byte, into any, texts *textCache) (int64, string, *Error) {
	value := reflect.ValueOf(into).Elem()
	d := decoder{scanner: scanner{data: raw}, texts: texts}
	isObject := d.peek() == '{'
	var err error
	if isObject {
		_, err = d.decode(planOf(value.Type()), value)
	} else {
		err = d.skipValue()
	}
	if err == nil && !d.isAtEnd() {
		err = d.syntaxError()
	}
	switch {
	case errors.Is(err, errNested):
		return 0, "", &Error{Problem: ProblemNesting}
	case err != nil:
		return 0, "", &Error{Problem: ProblemSyntax, Err: err}
	case !isObject:
		return 0, "", &Error{Problem: ProblemNoRow}
	}
	return d.invalid, d.firstInvalid, nil
}

// decoder decodes a row value by value. An error is one of the syntax, which ends the row.
type decoder struct {
	scanner
	texts        *textCache
	path         []string
	invalid      int64
	firstInvalid string
}

// addInvalid counts a value that cannot be decoded.
func (d *decoder) addInvalid() {
	if d.invalid == 0 {
		d.firstInvalid = strings.Join(d.path, ".")
	}
	d.invalid++
}

// decode decodes the next value, and reports whether there is something in it.
func (d *decoder) decode(p *plan, into reflect.Value) (bool, error) {
	switch first := d.peek(); {
	case p.form == formLeaf:
		return d.decodeLeaf(into)
	case first == 'n':
		return false, d.skipWord()
	case p.form == formText && first == '"':
		text, err := d.readString()
		if err == nil {
			into.SetString(d.texts.unquote(text))
		}
		return true, err
	case p.form == formObject && first == '{':
		into.SetZero()
		return true, d.readObject(func(name []byte) error { return d.decodeField(p, into, name) })
	case p.form == formPointer:
		target := reflect.New(into.Type().Elem())
		ok, err := d.decode(p.element, target.Elem())
		if ok {
			into.Set(target)
		}
		return ok, err
	case p.form == formList && first == '[':
		into.SetZero()
		return true, d.readArray(func() error { return d.decodeElement(p, into) })
	default:
		d.addInvalid()
		return false, d.skipValue()
	}
}

// decodeLeaf decodes a value that decodes itself.
func (d *decoder) decodeLeaf(into reflect.Value) (bool, error) {
	raw, err := d.readValue()
	if err != nil {
		return false, err
	}
	leaf := into.Addr().Interface().(json.Unmarshaler)
	if leaf.UnmarshalJSON(raw) == nil {
		return true, nil
	}
	into.SetZero()
	if optional, ok := leaf.(interface{ setInvalid() }); ok {
		optional.setInvalid()
	}
	d.addInvalid()
	return false, nil
}

func (d *decoder) decodeField(p *plan, into reflect.Value, name []byte) error {
	field, ok := p.fields[string(name)]
	if !ok {
		return d.skipValue()
	}
	d.path = append(d.path, field.name)
	_, err := d.decode(field.plan, into.FieldByIndex(field.index))
	d.path = d.path[:len(d.path)-1]
	return err
}

// decodeElement appends an element to a list. One that cannot be decoded is left out.
func (d *decoder) decodeElement(p *plan, list reflect.Value) error {
	size := list.Len()
	if size == list.Cap() {
		list.Grow(1)
	}
	list.SetLen(size + 1)
	element := list.Index(size)
	element.SetZero()
	ok, err := d.decode(p.element, element)
	if !ok {
		list.SetLen(size)
	}
	return err
}

// form is how a Go type stands in JSON.
type form uint8

const (
	formLeaf    form = iota // a json.Unmarshaler
	formText                // a string
	formObject              // a struct
	formList                // a slice
	formPointer             // a pointer: what is absent is nil
)

// plan is how a type is decoded. It is made once for each type.
type plan struct {
	form    form
	element *plan
	fields  map[string]planField
}

// planField is a field of a struct, embedded ones included, by its name in JSON.
type planField struct {
	name  string
	index []int
	plan  *plan
}

var plans sync.Map // reflect.Type to *plan

func planOf(t reflect.Type) *plan {
	if known, ok := plans.Load(t); ok {
		return known.(*plan)
	}
	p := newPlan(t)
	plans.Store(t, p)
	return p
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func newPlan(t reflect.Type) *plan {
	switch {
	case reflect.PointerTo(t).Implements(unmarshaler):
		return &plan{form: formLeaf}
	case t.Kind() == reflect.String:
		return &plan{form: formText}
	case t.Kind() == reflect.Slice:
		return &plan{form: formList, element: newPlan(t.Elem())}
	case t.Kind() == reflect.Pointer:
		return &plan{form: formPointer, element: newPlan(t.Elem())}
	default:
		p := &plan{form: formObject, fields: make(map[string]planField)}
		p.addFields(t, nil)
		return p
	}
}

func (p *plan) addFields(t reflect.Type, index []int) {
	for i := range t.NumField() {
		field := t.Field(i)
		at := append(slices.Clone(index), i)
		if field.Anonymous {
			p.addFields(field.Type, at)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if existing, ok := p.fields[name]; !ok || len(existing.index) > len(at) { // the outer one, as in encoding/json
			p.fields[name] = planField{name, at, newPlan(field.Type)}
		}
	}
}

// textCache has one copy of each short text of a file: names of features, models and users come again in every row.
type textCache struct{ texts map[string]string }

const (
	maxCachedTexts = 8 << 10
	maxCachedText  = 64 // bytes
)

// unquote returns the text of a JSON string.
func (c *textCache) unquote(raw []byte) string {
	if text, ok := c.texts[string(raw)]; ok {
		return text
	}
	text := string(raw[1 : len(raw)-1])
	if bytes.IndexByte(raw, '\\') >= 0 {
		var err error
		if text, err = unquote(raw); err != nil {
			return ""
		}
	}
	if len(raw) <= maxCachedText && len(c.texts) < maxCachedTexts {
		if c.texts == nil {
			c.texts = make(map[string]string)
		}
		c.texts[string(raw)] = text
	}
	return text
}
