// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// Response identifies the response that an error is about.
type Response struct {
	// Endpoint is the route template or the name of the query. It never has a secret in it.
	Endpoint string
	// Status is the HTTP status, 0 when there was no response.
	Status int
	// Message is GitHub's message, truncated and without control characters.
	Message string
	// RequestID is GitHub's id of the request, for its support.
	RequestID string
}

func (a *Response) text(what string) string {
	text := a.Endpoint + ": " + what
	if a.Status != 0 {
		text += fmt.Sprintf(" (status %d)", a.Status)
	}
	if a.Message != "" {
		text += ": " + a.Message
	}
	if a.RequestID != "" {
		text += " [request " + a.RequestID + "]"
	}
	return text
}

// LimitError says that a rate limit forbids requests until a moment
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
type LimitError struct {
	Response
	Resource budget.Resource
	// Secondary limits are those on concurrency and on requests a minute.
	Secondary bool
	// Deferred says that the request was not sent although no limit was exceeded: the remaining quota is spread over
	// the time to its reset, or reserved for requests with a higher priority.
	Deferred bool
	// RetryAt is when requests are allowed again.
	RetryAt time.Time
}

func (e *LimitError) Error() string {
	if e.Deferred {
		return e.text(fmt.Sprintf("request deferred until %s to pace the remaining %s rate limit",
			e.RetryAt.UTC().Format(time.RFC3339), e.Resource))
	}
	kind := "primary"
	if e.Secondary {
		kind = "secondary"
	}
	return e.text(fmt.Sprintf("%s rate limit of %s until %s", kind, e.Resource, e.RetryAt.UTC().Format(time.RFC3339)))
}

// NotFoundError says that something does not exist, or that the credential may not see it.
type NotFoundError struct{ Response }

func (e *NotFoundError) Error() string { return e.text("not found") }

// ForbiddenError says that the credential may not read something.
type ForbiddenError struct {
	Response
	// Legal is set when GitHub removed it for legal reasons (451): no credential may read it.
	Legal bool
	// Permissions are the alternatives of which the credential needs one, each a list of permissions; nil when the
	// response does not have them.
	Permissions [][]string
	// ownerRule says that the organization requires single sign-on.
	ownerRule bool
}

func (e *ForbiddenError) Error() string {
	if e.Legal {
		return e.text("unavailable for legal reasons")
	}
	return e.text("forbidden")
}

// LacksPermission reports whether the refusal is that the credential lacks a permission, and no rule of an
// organization's owner or of the law that another permission would not change. Missing are the permissions: those that
// the answer names, of several alternatives the one that has wanted or else the first; wanted alone where it names
// none.
func (e *ForbiddenError) LacksPermission(wanted string) (missing []string, ok bool) {
	if e.Legal || e.ownerRule || otherRefusal(e.Message) {
		return nil, false
	}
	for _, alternative := range e.Permissions {
		if slices.Contains(alternative, wanted) {
			return alternative, true
		}
	}
	if len(e.Permissions) > 0 {
		return e.Permissions[0], true
	}
	if wanted == "" || (e.Status == http.StatusForbidden && !strings.Contains(e.Message, notAccessible)) {
		return nil, false // REST names the permissions where it is about them
	}
	return []string{wanted}, true
}

// CredentialError says that GitHub does not accept the credential.
type CredentialError struct {
	Response
	Err error
}

func (e *CredentialError) Error() string {
	if e.Err != nil {
		return e.text("credential: " + e.Err.Error())
	}
	return e.text("credential refused")
}

func (e *CredentialError) Unwrap() error { return e.Err }

// UnavailableError says that there was no response, or not one that GitHub documents. A retry may help.
type UnavailableError struct {
	Response
	Err error
	// isTooLarge says that a smaller request may succeed.
	isTooLarge bool
}

func (e *UnavailableError) Error() string {
	if e.Err != nil {
		return e.text("unavailable: " + printable(e.Err.Error()))
	}
	return e.text("unavailable")
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// IncompleteError says that a listing was read to its end, and that some repositories in it are missing.
type IncompleteError struct {
	// Missing is their number, at least; Forbidden the number of those that the credential may not see.
	Missing, Forbidden int
	// Err is why one of them is missing: a *ForbiddenError only if all of them are forbidden.
	Err error
}

func (e *IncompleteError) Error() string {
	if e.Forbidden == e.Missing {
		return fmt.Sprintf("at least %d repositories of the listing are forbidden to the credential: %v", e.Missing,
			e.Err)
	}
	return fmt.Sprintf("%d repositories of the listing could not be read, %d of them forbidden: %v",
		e.Missing, e.Forbidden, e.Err)
}

// add counts a missing repository.
func (e *IncompleteError) add(err error) {
	e.Missing++
	forbidden := errors.As(err, new(*ForbiddenError))
	if forbidden {
		e.Forbidden++
	}
	if e.Err == nil || !forbidden {
		e.Err = err
	}
}

func (e *IncompleteError) Unwrap() error { return e.Err }

// maxMessage bounds the length of a message, in bytes.
const maxMessage = 300

// printable truncates a text from a response to one line without control characters, for logs.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, " "))
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "..."
	}
	return text
}
