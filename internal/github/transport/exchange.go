// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"net/http"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// exchange is a call and the state of its attempts. One goroutine uses it.
type exchange struct {
	*Call

	// bypassLimits sends the request whatever the budget and the circuit breaker say.
	bypassLimits bool
	// signAsApp returns the App's own token, which authorizes each attempt; nil for the client's credential.
	signAsApp func() (string, error)

	// token is that of the client's credential for the last attempt; empty for none.
	token string
	// reservation is the id of the last attempt's reservation; empty without one.
	reservation string
	// status is that of the last response; 0 before the first.
	status int
	// info is what the last response says about the request; the least price when its body was not decoded.
	info BodyInfo
	// waited is the time for which the attempts have waited for slots. It says nothing about GitHub's availability.
	waited time.Duration
	// sent says that an attempt was sent, paused that the circuit breaker forbade one.
	sent, paused bool
	// refusalRetried says that a request was retried because of a refusal.
	refusalRetried bool
}

// asApp reports whether the App's own token authorizes the request, not the client's credential.
func (x *exchange) asApp() bool { return x.signAsApp != nil }

// limitedResource is the resource whose limits count for a request.
func (x *exchange) limitedResource() budget.Resource {
	if x.asApp() {
		return budget.ResourceApp
	}
	return x.Resource
}

// leastPrice is what a response is charged whose body does not have the price.
func (x *exchange) leastPrice() int { return min(1, x.Price) }

// isNotModified reports whether the last response says that what the call's ETag validates has not changed.
func (x *exchange) isNotModified() bool { return x.ETag != "" && x.status == http.StatusNotModified }

// hasFallback reports whether the caller has another request in place of one that failed with err.
func (x *exchange) hasFallback(err error) bool {
	return x.NoRetry || x.IsSplit || (x.CanShrink && IsTooLarge(err))
}
