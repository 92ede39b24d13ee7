// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// Call describes a request and how its response is decoded. Client.Send does not change it.
type Call struct {
	// Endpoint is the route template or the name of the query, for errors and metrics. It must not have a secret in it.
	Endpoint string
	// Resource is the API. A call of GraphQL is a POST of Body to the GraphQL endpoint; one of REST has no body.
	Resource budget.Resource
	// Price is the predicted price, in points.
	Price int
	// Method is that of a REST call; empty for GET.
	Method string
	// Path of a REST call is below the REST endpoint, without a leading slash and with the query.
	Path string
	// Body of a GraphQL call is a JSON object.
	Body []byte
	// ETag makes the request conditional; empty for an unconditional one.
	ETag string
	// Timeout is for one attempt; 0 for Settings.Timeout.
	Timeout time.Duration
	// NotFoundHint is appended to the message of a 404: its likely cause, which GitHub's message does not have.
	NotFoundHint string
	// Decode decodes a response with a status below 300, once for each attempt that has one. Its info counts with an
	// error, too. The error is a *LimitMessage, a BodyError, one that wraps ErrTooLarge, or else becomes an
	// *UnavailableError.
	Decode func(Received) (BodyInfo, error)

	CallOptions
}

// timeout returns the time-out of an attempt; 0 for none.
func (c *Client) timeout(call *Call) time.Duration { return cmp.Or(call.Timeout, c.settings.Timeout) }

// CallOptions say what the caller does when a call fails, which decides whether it is retried and reported.
type CallOptions struct {
	// CanShrink says that the caller has a smaller request: one that was too large is not retried as it is.
	CanShrink bool
	// NoRetry says that the caller has another request: there is one attempt.
	NoRetry bool
	// IsSplit says that the caller sends several smaller requests after a failure: a request that was too large is not
	// retried, and its failure counts only when those fail.
	IsSplit bool
	// ExpectsNotFound says that "not found" is an ordinary result.
	ExpectsNotFound bool
	// NoRefusalRetry says that a refusal (403, 404, 410, or a body that refuses everything) is final, because the
	// caller sends the request again later. Otherwise a refused request is sent a second time.
	NoRefusalRetry bool
}

// Received is a complete response with a status below 300.
type Received struct {
	Status int
	Header http.Header
	Body   []byte
}

// BodyInfo is what the body of a response says about the request itself.
type BodyInfo struct {
	// Points is the price that was charged.
	Points int
	// Quota is that of the resource; zero when the body has none, then the headers count.
	Quota budget.Quota
	// IsRefused says that the body, with status 200, refuses everything in the request. The request is retried once.
	IsRefused bool
}

// ErrTooLarge is wrapped by the error of a body that says that the request was too large: a smaller one may succeed.
var ErrTooLarge = errors.New("the query asks for too much")

// LimitMessage is the error of a body that reports an exceeded limit with status 200, as GraphQL does. Send returns a
// *LimitError for it.
type LimitMessage struct {
	Message string
	// Secondary is as in LimitError.
	Secondary bool
}

func (e *LimitMessage) Error() string { return e.Message }

// BodyError is the error of a body that becomes a typed error when the response is known.
type BodyError interface {
	error
	// InResponse returns the error that Send returns. The message of r is the text of the BodyError.
	InResponse(r Response) error
}

// RefusedMessage is the BodyError of a body that refuses the whole request with status 200. Send returns a
// *ForbiddenError for it.
type RefusedMessage struct{ Message string }

func (e *RefusedMessage) Error() string { return e.Message }

// InResponse implements BodyError.
func (e *RefusedMessage) InResponse(r Response) error { return &ForbiddenError{Response: r} }
