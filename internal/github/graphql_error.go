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

// graphqlError is an error in an answer
// (https://spec.graphql.org/October2021/#sec-Errors).
type graphqlError struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Path    []any  `json:"path"`
	// Extensions have the type in some of GitHub's answers.
	Extensions struct {
		Code string `json:"code"`
	} `json:"extensions"`
}

func (e *graphqlError) kind() string {
	if e.Type != "" {
		return e.Type
	}
	return e.Extensions.Code
}

// under reports whether the error's path begins with a name.
func (e *graphqlError) under(first string) bool { return len(e.Path) > 0 && e.Path[0] == first }

// atField reports whether the error's path ends with a name.
func (e *graphqlError) atField(last string) bool {
	return len(e.Path) > 0 && e.Path[len(e.Path)-1] == last
}

// refused reports whether the credential may not ask that.
func (e *graphqlError) refused() bool {
	return e.kind() == "FORBIDDEN" || e.kind() == "INSUFFICIENT_SCOPES"
}

// at reports whether the error is of the i-th of a list, or of something in it.
func (e *graphqlError) at(list []string, i int) bool {
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

// isOfWhole reports whether the error says that something that was asked for as a whole is not there, or not allowed.
func isOfWhole(e graphqlError) bool {
	return len(e.Path) == 1 && (e.kind() == "NOT_FOUND" || e.refused())
}

// partError returns the error of a missing part of a response.
func partError(doc document, e *graphqlError) error {
	answer := transport.Response{Endpoint: doc.name, Status: http.StatusOK, Message: transport.Printable(e.Message)}
	switch e.kind() {
	case "NOT_FOUND":
		return &transport.NotFoundError{Response: answer}
	case "FORBIDDEN", "INSUFFICIENT_SCOPES":
		return &transport.ForbiddenError{Response: answer, Legal: strings.Contains(e.Message, "access blocked")}
	default:
		return &transport.UnavailableError{Response: answer}
	}
}

// hasErrorAt reports whether an error is about the i-th item of a list, or about something in it.
func hasErrorAt(errs []graphqlError, list []string, i int) bool {
	return slices.ContainsFunc(errs, func(e graphqlError) bool { return e.at(list, i) })
}

// itemError returns the error of the i-th item of a list, or of something in it, that another request may return; nil
// for none. An item that the credential may not read, or that is gone, has none.
func itemError(doc document, errs []graphqlError, list []string, i int) error {
	for k := range errs {
		if !errs[k].at(list, i) {
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
		if !errs[k].at(list, i) {
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
		if !slices.Contains(e.Path, any(field)) || e.atField("additions") || e.atField("deletions") {
			continue // lines are asked for again, commit by commit
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
		if errs[i].under(first) {
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

func errorAt(errs []graphqlError, names ...string) *graphqlError {
	for i := range errs {
		if slices.ContainsFunc(names, errs[i].atField) {
			return &errs[i]
		}
	}
	return nil
}
