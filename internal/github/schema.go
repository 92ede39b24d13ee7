// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// optionalFields are the fields of our documents that some servers' GraphQL schema lacks. A schema refuses a document
// that has an unknown field even behind @include(if: false), so such a field is left out of the text. In a document it
// is a leaf on a line of its own, and its Go field is a pointer: nil is not known.
var optionalFields = []string{
	// Enterprise Server has it from 3.21 on.
	"hasPullRequestsEnabled",
}

// schemaMemory is how long the client remembers what the schema lacks: an upgrade of the server may add it.
const schemaMemory = time.Hour

// SchemaError says that the server's GraphQL schema lacks something that a query needs. Repeating the query does not
// help.
type SchemaError struct {
	transport.Response
	// Type and Field name the missing field; empty when the message has another form.
	Type, Field string
	// missing are all fields that the response names.
	missing []missingField
}

func (e *SchemaError) Error() string {
	what := "a part"
	if e.Field != "" {
		what = "the field " + e.Type + "." + e.Field
	}
	return e.Describe("the GraphQL schema of the server lacks " + what +
		" of the query; github::api: rest does not need it")
}

// schemaMessage is the error of a body with which the server's schema refuses a document.
type schemaMessage struct {
	message string
	// missing are the fields that the schema lacks.
	missing []missingField
}

// missingField is a field that the schema lacks, with the type that should have it.
type missingField struct{ typ, field string }

func (e *schemaMessage) Error() string { return e.message }

// undefinedField is GitHub's message for a field that the schema lacks.
var undefinedField = regexp.MustCompile(`^Field '(\w{1,100})' doesn't exist on type '(\w{1,100})'`)

// schemaCodes are the codes of errors that say that the schema lacks a part of the document.
var schemaCodes = []string{"undefinedField", "undefinedType", "argumentNotAccepted"}

// schemaRefusal returns the *schemaMessage of a response that refuses the document; nil when its errors are others.
func schemaRefusal(errs []graphqlError) error {
	var refusal *schemaMessage
	for i := range errs {
		found := undefinedField.FindStringSubmatch(errs[i].Message)
		if found == nil && !slices.Contains(schemaCodes, errs[i].code()) {
			continue
		}
		if refusal == nil {
			refusal = &schemaMessage{message: errs[i].Message}
		}
		if found != nil {
			refusal.missing = append(refusal.missing, missingField{typ: found[2], field: found[1]})
		}
	}
	if refusal == nil {
		return nil
	}
	return refusal
}

// InResponse implements transport.BodyError: it returns a *SchemaError.
func (e *schemaMessage) InResponse(r transport.Response) error {
	err := &SchemaError{Response: r, missing: e.missing}
	for _, m := range e.missing {
		if err.Field == "" || !slices.Contains(optionalFields, m.field) { // what cannot be left out is the reason
			err.Type, err.Field = m.typ, m.field
		}
	}
	return err
}

// schemaGaps remembers what the server's schema lacks. Its zero value is ready; it is safe for concurrent use.
type schemaGaps struct {
	mu sync.Mutex
	// lacks has, of the optional fields that were refused, until when they are left out.
	lacks map[string]time.Time
	// refused has, by name, the documents that were refused for another reason.
	refused map[string]refusedDocument
	// trimmed has documents without optional fields, by those fields and the text.
	trimmed map[string]document
}

// refusedDocument is the refusal of a document, which is not sent again before until.
type refusedDocument struct {
	err   *SchemaError
	until time.Time
}

// usableDocument returns the document without the optional fields that the schema lacks, or the error that it was
// refused with.
func (s *schemaGaps) usableDocument(doc document, now time.Time) (document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.refused[doc.name]; ok && now.Before(last.until) {
		return doc, last.err
	}
	var without []string
	for _, field := range optionalFields {
		if now.Before(s.lacks[field]) && doc.selects(field) {
			without = append(without, field)
		}
	}
	if len(without) == 0 {
		return doc, nil
	}
	key := strings.Join(without, ",") + "\n" + doc.text
	if _, ok := s.trimmed[key]; !ok {
		if s.trimmed == nil {
			s.trimmed = make(map[string]document)
		}
		s.trimmed[key] = doc.without(without)
	}
	return s.trimmed[key], nil
}

// recordRefusal remembers a refusal. It reports whether the document can be sent without what is missing; otherwise
// fresh says that the refusal was not known.
func (s *schemaGaps) recordRefusal(doc document, err *SchemaError, now time.Time) (again, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := now.Add(schemaMemory)
	again = len(err.missing) > 0
	for _, m := range err.missing {
		optional := slices.Contains(optionalFields, m.field) && doc.selects(m.field)
		if again = again && optional; !optional {
			continue
		}
		if s.lacks == nil {
			s.lacks = make(map[string]time.Time)
		}
		s.lacks[m.field] = until
	}
	if again {
		return true, false
	}
	if s.refused == nil {
		s.refused = make(map[string]refusedDocument)
	}
	fresh = !now.Before(s.refused[doc.name].until)
	s.refused[doc.name] = refusedDocument{err: err, until: until}
	return false, fresh
}

// selects reports whether the document has the field on a line of its own.
func (d *document) selects(field string) bool {
	for line := range strings.Lines(d.text) {
		if strings.TrimSpace(line) == field {
			return true
		}
	}
	return false
}

// without returns the document without some of its optional fields.
func (d *document) without(fields []string) document {
	var text strings.Builder
	for line := range strings.Lines(d.text) {
		if !slices.Contains(fields, strings.TrimSpace(line)) {
			text.WriteString(line)
		}
	}
	return mustDocument(d.name, text.String())
}
