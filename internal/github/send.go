// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// call describes a request and how its response is decoded.
type call struct {
	// endpoint is the route template or the name of the query.
	endpoint string
	resource budget.Resource
	// price is the predicted price, in points.
	price int
	// etag makes the request conditional; empty for an unconditional one.
	etag string
	// newRequest makes the HTTP request, once for each attempt.
	newRequest func(ctx context.Context) (*http.Request, error)
	// decode decodes the body of a response with a status below 300.
	decode func(header http.Header, body []byte) error
	// points returns the price that the response was charged, after decode.
	points func() int
	// quota returns the quota in the body, after decode; zero when the body has none.
	quota func() budget.Quota

	callOptions
}

// callOptions are what a call does with a failure, with limits and with the credential.
type callOptions struct {
	// canShrink says that the caller has a smaller request: one that was too large is not retried as it is.
	canShrink bool
	// noRetry says that the caller has another request: there is one attempt.
	noRetry bool
	// isSplit says that the caller sends several smaller requests after a failure: a request that was too large is not
	// retried, and its failure counts only when those fail.
	isSplit bool
	// expectsNotFound says that "not found" is an ordinary result.
	expectsNotFound bool
	// trustsRefusal says that the first refusal is final, because the caller sends the request again later.
	trustsRefusal bool
	// bypassLimits sends the request whatever the budget and the circuit breaker say.
	bypassLimits bool
	// asApp says that the request has an authorization of its own: the client's credential is not added.
	asApp bool
}

// exchange is a call and the state of its attempts. One goroutine uses it.
type exchange struct {
	call

	// token authorized the last attempt. slot is the id of its reservation; empty without one.
	token, slot string
	// status is that of the last response. It is set before decode is called.
	status int
	// notModified says that the response to a conditional request was 304.
	notModified bool
	// waited is the time for which the attempts have waited for slots. It says nothing about GitHub's availability.
	waited time.Duration
	// sent says that an attempt was sent, paused that the circuit breaker forbade one.
	sent, paused bool
	// isRefused says that the last response refuses everything in the request, in a body with status 200.
	// refusalRetried says that a request was retried because of a refusal.
	isRefused, refusalRetried bool
}

// send sends a request until there is a usable response or the retries are used up, and reports the result. Its errors
// are the typed errors of this package, or the cause of ctx.
func (c *Client) send(ctx context.Context, x *exchange) error {
	patience := scopeOf(ctx).patience
	if err := patience.check(x.endpoint); err != nil {
		return err
	}
	began := time.Now()
	err := c.sendWithRetries(ctx, x, began)
	if ctx.Err() == nil {
		inOther := x.noRetry || (x.canShrink && isTooLarge(err))
		patience.recordFailure(err, time.Since(began)-x.waited, !inOther)
		c.reportResult(ctx, x, err)
	}
	return err
}

// hasFallback reports whether the caller has another request in place of one that failed with err.
func (x *exchange) hasFallback(err error) bool {
	return x.noRetry || x.isSplit || (x.canShrink && isTooLarge(err))
}

// reportResult calls OnResult. A request that was never sent is not reported, and one with a fallback only when that
// fails.
func (c *Client) reportResult(ctx context.Context, x *exchange, err error) {
	unavailable := errors.As(err, new(*UnavailableError))
	limit, limited := errors.AsType[*LimitError](err)
	switch {
	case x.bypassLimits || x.paused || !x.sent || (limited && limit.Deferred) || (unavailable && x.hasFallback(err)):
		return
	case !unavailable:
		err = nil
	}
	c.settings.OnResult(RequestResult{Resource: x.resource, RepoID: scopeOf(ctx).repo, Err: err})
}

// errRetryRefusal retries a request that was refused as a whole in a body with status 200.
var errRetryRefusal = errors.New("refused, retried once")

// sendWithRetries makes the attempts of a request, with exponential backoff and full jitter. Together they last at most
// questionPatience time-outs.
func (c *Client) sendWithRetries(ctx context.Context, x *exchange, began time.Time) error {
	refreshed := false
	inAttempts := time.Duration(0)
	attempt := func() (struct{}, error) {
		start, waited := time.Now(), x.waited
		err := c.attempt(ctx, x)
		inAttempts += time.Since(start) - (x.waited - waited)
		var credential *CredentialError
		if errors.As(err, &credential) && credential.Status == http.StatusUnauthorized && !refreshed && c.dropToken(x) {
			refreshed = true // an installation token may end early: one more attempt with a new one
			err = c.attempt(ctx, x)
		}
		err = x.markPermanent(err)
		most := questionPatience * c.settings.Timeout
		if err != nil && most > 0 && (inAttempts >= most ||
			time.Since(began)-x.waited >= most+c.settings.Retry.MaxInterval) {
			err = permanent(err)
		}
		return struct{}{}, err
	}
	retry := c.settings.Retry
	_, err := backoff.Retry(ctx, attempt,
		backoff.WithMaxTries(uint(scopeOf(ctx).patience.maxAttempts(retry.MaxAttempts))),
		backoff.WithMaxElapsedTime(0),
		backoff.WithBackOff(&backoff.ExponentialBackOff{
			// A factor of 1 draws from zero to twice the interval: full jitter over twice as much.
			InitialInterval: retry.InitialInterval / 2, MaxInterval: retry.MaxInterval / 2,
			RandomizationFactor: 1, Multiplier: 2,
		}))
	if permanent, ok := errors.AsType[*backoff.PermanentError](err); ok {
		err = permanent.Unwrap()
	}
	if errors.Is(err, errRetryRefusal) {
		return nil // it was not asked again: the caller has the answer
	}
	return err
}

// permanent makes an error end the retries.
func permanent(err error) error {
	if _, ok := errors.AsType[*backoff.PermanentError](err); ok {
		return err
	}
	return backoff.Permanent(err)
}

// markPermanent makes an error permanent that a retry of the same request does not change. GitHub refuses now and then
// what exists and is allowed: a refusal is final when it comes twice.
func (x *exchange) markPermanent(err error) error {
	if _, ok := errors.AsType[*backoff.PermanentError](err); ok {
		return err
	}
	isNormal := x.expectsNotFound && errors.As(err, new(*NotFoundError))
	refused := (err == nil && x.isRefused) || (isTransientRefusal(err) && !isNormal)
	switch {
	case refused && !x.refusalRetried && !x.trustsRefusal && !x.noRetry && !x.bypassLimits && !x.asApp:
		x.refusalRetried = true
		if err == nil {
			err = errRetryRefusal
		}
		return err
	case err == nil:
		return nil
	}
	isSmaller := isTooLarge(err) && (x.canShrink || x.isSplit)
	if errors.As(err, new(*UnavailableError)) && !x.noRetry && !isSmaller {
		return err
	}
	return backoff.Permanent(err)
}

// isTransientRefusal reports whether an error is a refusal that GitHub returns now and then for what exists and is
// allowed.
func isTransientRefusal(err error) bool {
	if missing, ok := errors.AsType[*NotFoundError](err); ok {
		return missing.Status == http.StatusNotFound || missing.Status == http.StatusGone
	}
	forbidden, ok := errors.AsType[*ForbiddenError](err)
	return ok && forbidden.Status == http.StatusForbidden
}

// dropToken invalidates the installation token of the last attempt. It reports whether the credential can make another.
func (c *Client) dropToken(x *exchange) bool {
	app, ok := c.settings.Credential.(*appCredential)
	if !ok || x.asApp {
		return false
	}
	app.invalidate(x.token)
	return true
}

// attempt sends the request once. Its time-out starts when it has a slot.
func (c *Client) attempt(ctx context.Context, x *exchange) error {
	var err error
	if x.token, err = c.token(ctx, x); err != nil {
		return backoff.Permanent(err) // the token's own request has been retried
	}
	if err := c.acquireSlot(ctx, x); err != nil {
		return err
	}
	defer c.slots.Release(1)
	if c.settings.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.settings.Timeout)
		defer cancel()
	}
	request, err := c.buildRequest(ctx, x)
	if err != nil {
		c.releaseSlot(ctx, x, budget.Quota{}, err)
		return err
	}
	x.sent, x.isRefused = true, false
	response, err := c.http.Do(request)
	if err != nil {
		c.releaseSlot(ctx, x, budget.Quota{}, errNoResponse)
		seen := Attempt{Endpoint: x.endpoint, Resource: x.resource, StatusClass: "error", IsProbe: x.bypassLimits}
		err = c.transportError(ctx, x, err)
		seen.Err = onlyUnavailable(err)
		c.settings.OnAttempt(seen)
		return err
	}
	defer response.Body.Close()
	c.observeDate(response.Header)
	body, err := readBounded(response.Body)
	return c.handleResponse(ctx, x, response, body, err)
}

// errNoResponse settles a request without a complete response. The error of the request itself may be the cause of its
// context: a limit of another request, which may apply to background requests only.
var errNoResponse = errors.New("no response")

// token returns the token that authorizes a request, empty when the request or the HTTP client authorizes itself.
func (c *Client) token(ctx context.Context, x *exchange) (string, error) {
	if x.asApp || c.settings.Credential == nil {
		return "", nil
	}
	return c.settings.Credential.token(ctx, x.bypassLimits)
}

func (c *Client) buildRequest(ctx context.Context, x *exchange) (*http.Request, error) {
	request, err := x.newRequest(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.endpoint, err)
	}
	request.Header.Set("X-Github-Api-Version", apiVersion)
	if c.settings.UserAgent != "" {
		request.Header.Set("User-Agent", c.settings.UserAgent)
	}
	if x.etag != "" {
		request.Header.Set("If-None-Match", x.etag)
	}
	if x.token != "" {
		request.Header.Set("Authorization", "Bearer "+x.token)
	}
	return request, nil
}

// onlyUnavailable returns err when it is an *UnavailableError, otherwise nil.
func onlyUnavailable(err error) error {
	if errors.As(err, new(*UnavailableError)) {
		return err
	}
	return nil
}

// transportError returns the error of a request without a complete response.
func (c *Client) transportError(ctx context.Context, x *exchange, err error) error {
	if parent := context.Cause(ctx); parent != nil && !errors.Is(parent, context.DeadlineExceeded) {
		return parent // the caller ended it; GitHub did not fail
	}
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) {
		err = wrapped.Unwrap() // the outermost error repeats the address
	}
	timeout := errors.Is(err, context.DeadlineExceeded)
	return &UnavailableError{Response: Response{Endpoint: x.endpoint}, Err: err, isTooLarge: timeout}
}

var errBodyTooLong = fmt.Errorf("the response has more than %d MiB", maxBody>>20)

func readBounded(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err == nil && len(data) > maxBody {
		return nil, errBodyTooLong
	}
	return data, err
}
