// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// graphqlError is an error in a response (https://spec.graphql.org/October2021/#sec-Errors).
type graphqlError struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Path    []any  `json:"path"`
	// Extensions have the type in some of GitHub's responses.
	Extensions struct {
		Code string `json:"code"`
	} `json:"extensions"`
}

// code returns the type of the error, such as "NOT_FOUND", wherever the response has it; empty for none.
func (e *graphqlError) code() string {
	if e.Type != "" {
		return e.Type
	}
	return e.Extensions.Code
}

// isUnder reports whether the error's path begins with a name.
func (e *graphqlError) isUnder(first string) bool { return len(e.Path) > 0 && e.Path[0] == first }

// isAtField reports whether the error's path ends with a name.
func (e *graphqlError) isAtField(last string) bool {
	return len(e.Path) > 0 && e.Path[len(e.Path)-1] == last
}

// isRefusal reports whether the credential may not read something.
func (e *graphqlError) isRefusal() bool {
	return e.code() == "FORBIDDEN" || e.code() == "INSUFFICIENT_SCOPES"
}

// isAtItem reports whether the error is about the i-th item of the list at a path, or about something in it.
func (e *graphqlError) isAtItem(list []string, i int) bool {
	if len(e.Path) <= len(list) || e.Path[len(list)] != float64(i) {
		return false
	}
	for k, name := range list {
		if e.Path[k] != name {
			return false
		}
	}
	return true
}

// isWholeRefused reports whether the error says that a field of the query itself is not found, or forbidden.
func isWholeRefused(e graphqlError) bool {
	return len(e.Path) == 1 && (e.code() == "NOT_FOUND" || e.isRefusal())
}

// partError returns the error of a missing part of a response.
func partError(doc document, e *graphqlError) error {
	response := transport.Response{Endpoint: doc.name, Status: http.StatusOK, Message: transport.Printable(e.Message)}
	switch e.code() {
	case "NOT_FOUND":
		return &transport.NotFoundError{Response: response}
	case "FORBIDDEN", "INSUFFICIENT_SCOPES":
		return &transport.ForbiddenError{Response: response, Legal: strings.Contains(e.Message, "access blocked")}
	default:
		return &transport.UnavailableError{Response: response}
	}
}

// hasErrorAt reports whether an error is about the i-th item of a list, or about something in it.
func hasErrorAt(errs []graphqlError, list []string, i int) bool {
	return slices.ContainsFunc(errs, func(e graphqlError) bool { return e.isAtItem(list, i) })
}

// itemError returns the error of the i-th item of a list, or of something in it, that another request may return; nil
// for none. An item that the credential may not read, or that is gone, has none.
func itemError(doc document, errs []graphqlError, list []string, i int) error {
	for k := range errs {
		if !errs[k].isAtItem(list, i) {
			continue
		}
		if err := partError(doc, &errs[k]); errors.As(err, new(*transport.UnavailableError)) {
			return err
		}
	}
	return nil
}

// forbiddenAt returns the error of the i-th item of a list that exists and that the credential may not see; nil for
// none.
func forbiddenAt(doc document, errs []graphqlError, list []string, i int) error {
	for k := range errs {
		if !errs[k].isAtItem(list, i) {
			continue
		}
		err := partError(doc, &errs[k])
		if forbidden, ok := errors.AsType[*transport.ForbiddenError](err); ok && !forbidden.Legal {
			return err
		}
	}
	return nil
}

// fieldUnavailable returns the error of what is null below a field although another request may return it: the null
// would be taken for an event that did not happen. What the credential may not read, or is gone, is null and stays
// so.
func fieldUnavailable(doc document, errs []graphqlError, field string) error {
	for i := range errs {
		e := &errs[i]
		if !slices.Contains(e.Path, any(field)) || e.isAtField("additions") || e.isAtField("deletions") {
			continue // lines are requested again, commit by commit
		}
		if err := partError(doc, e); errors.As(err, new(*transport.UnavailableError)) {
			return err
		}
	}
	return nil
}

// missingDataError returns the error of a missing part: the first of errs, or one that names what is missing.
func missingDataError(doc document, errs []graphqlError, what string) error {
	if len(errs) > 0 {
		return partError(doc, &errs[0])
	}
	return &transport.UnavailableError{
		Response: transport.Response{Endpoint: doc.name, Status: http.StatusOK},
		Err:      errors.New("no " + what),
	}
}

// firstErrorUnder returns the first error whose path begins with a name, or nothing.
func firstErrorUnder(errs []graphqlError, first string) []graphqlError {
	for i := range errs {
		if errs[i].isUnder(first) {
			return errs[i : i+1]
		}
	}
	return nil
}

// errorBelow returns the first error of a field or of something below it; nil for none.
func errorBelow(errs []graphqlError, name string) *graphqlError {
	for i := range errs {
		if slices.Contains(errs[i].Path, any(name)) {
			return &errs[i]
		}
	}
	return nil
}

// errorAtField returns the first error whose path ends with one of the names; nil for none.
func errorAtField(errs []graphqlError, names ...string) *graphqlError {
	for i := range errs {
		if slices.ContainsFunc(names, errs[i].isAtField) {
			return &errs[i]
		}
	}
	return nil
}
