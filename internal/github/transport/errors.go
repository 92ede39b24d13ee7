// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"
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
	// AcceptedScopes are the scopes of which a classic token needs one, as GitHub lists them; empty when it does not.
	AcceptedScopes string
}

// Describe returns the text of an error: the endpoint, what happened, and the facts of the response.
func (r *Response) Describe(what string) string {
	text := r.Endpoint + ": " + what
	if r.Status != 0 {
		text += fmt.Sprintf(" (status %d)", r.Status)
	}
	if r.Message != "" {
		text += ": " + r.Message
	}
	if r.RequestID != "" {
		text += " [request " + r.RequestID + "]"
	}
	return text
}

// LimitError says that a rate limit forbids requests until RetryAt
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
type LimitError struct {
	Response
	Resource budget.Resource
	// Secondary says that the limit is one on concurrency or on requests a minute, not the hourly one.
	Secondary bool
	// Deferred says that the request was not sent although no limit was exceeded: the remaining quota is spread over
	// the time to its reset, or reserved for requests with a higher priority.
	Deferred bool
	// RetryAt is when requests are allowed again, by the local clock.
	RetryAt time.Time
}

func (e *LimitError) Error() string {
	if e.Deferred {
		return e.Describe(fmt.Sprintf("request deferred until %s to pace the remaining %s rate limit",
			e.RetryAt.UTC().Format(time.RFC3339), e.Resource))
	}
	kind := "primary"
	if e.Secondary {
		kind = "secondary"
	}
	return e.Describe(fmt.Sprintf("%s rate limit of %s until %s",
		kind, e.Resource, e.RetryAt.UTC().Format(time.RFC3339)))
}

// NotFoundError says that something does not exist, or that the credential may not see it.
type NotFoundError struct{ Response }

func (e *NotFoundError) Error() string { return e.Describe("not found") }

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
		return e.Describe("unavailable for legal reasons")
	}
	return e.Describe("forbidden")
}

// CredentialError says that GitHub does not accept the credential.
type CredentialError struct {
	Response
	Err error
}

func (e *CredentialError) Error() string {
	if e.Err != nil {
		return e.Describe("credential: " + e.Err.Error())
	}
	return e.Describe("credential refused")
}

func (e *CredentialError) Unwrap() error { return e.Err }

// UnavailableError says that there was no response, or not one that GitHub documents. A retry may help.
type UnavailableError struct {
	Response
	Err error
	// TooLarge says that a smaller request may succeed.
	TooLarge bool
}

func (e *UnavailableError) Error() string {
	if e.Err != nil {
		return e.Describe("unavailable: " + Printable(e.Err.Error()))
	}
	return e.Describe("unavailable")
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// IsTooLarge reports whether err is that of a request that was too large: a smaller one may succeed.
func IsTooLarge(err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	return ok && unavailable.TooLarge
}

// maxMessage bounds the length of a message, in bytes.
const maxMessage = 300

// Printable truncates a text from a response to one line without control characters, for logs.
func Printable(text string) string {
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
