// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// maxRequestTimeouts is how many time-outs the attempts of one request may last together.
const maxRequestTimeouts = 2

// Send sends a call until there is a usable response or the retries are used up, and reports the result to
// Settings.OnResult. It returns the status of the last response, 0 without one; without an error 304 means that what
// the ETag of the call validates has not changed. Its errors are the typed errors of this package, and those of a
// BodyError, or the cause of ctx.
func (c *Client) Send(ctx context.Context, call *Call) (status int, err error) {
	x := &exchange{Call: call}
	err = c.send(ctx, x)
	return x.status, err
}

// send sends an exchange as Send does a call.
func (c *Client) send(ctx context.Context, x *exchange) error {
	patience := scopeOf(ctx).Patience
	if err := patience.check(x.Endpoint); err != nil {
		return err
	}
	began := time.Now()
	err := c.sendWithRetries(ctx, x, began)
	if ctx.Err() == nil {
		hasOther := x.NoRetry || (x.CanShrink && IsTooLarge(err))
		patience.recordFailure(err, time.Since(began)-x.waited, !hasOther)
		c.reportResult(ctx, x, err)
	}
	return err
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
	c.settings.OnResult(RequestResult{Resource: x.Resource, RepoID: scopeOf(ctx).RepoID, Err: err})
}

// errRetryRefusal retries a request that was refused as a whole in a body with status 200.
var errRetryRefusal = errors.New("refused, retried once")

// sendWithRetries makes the attempts of a request, with exponential backoff and full jitter. Together they last at most
// maxRequestTimeouts time-outs.
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
		bound := maxRequestTimeouts * c.settings.Timeout
		if err != nil && bound > 0 && (inAttempts >= bound ||
			time.Since(began)-x.waited >= bound+c.settings.Retry.MaxInterval) {
			err = asPermanent(err)
		}
		return struct{}{}, err
	}
	retry := c.settings.Retry
	_, err := backoff.Retry(ctx, attempt,
		backoff.WithMaxTries(uint(scopeOf(ctx).Patience.maxAttempts(retry.MaxAttempts))),
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
		return nil // there was no further attempt: the caller has the response
	}
	return err
}

// asPermanent returns an error that ends the retries.
func asPermanent(err error) error {
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
	isExpected := x.ExpectsNotFound && errors.As(err, new(*NotFoundError))
	refused := (err == nil && x.info.IsRefused) || (isTransientRefusal(err) && !isExpected)
	switch {
	case refused && !x.refusalRetried && !x.TrustsRefusal && !x.NoRetry && !x.bypassLimits && !x.asApp():
		x.refusalRetried = true
		if err == nil {
			err = errRetryRefusal
		}
		return err
	case err == nil:
		return nil
	}
	hasSmaller := IsTooLarge(err) && (x.CanShrink || x.IsSplit)
	if errors.As(err, new(*UnavailableError)) && !x.NoRetry && !hasSmaller {
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
	return !x.asApp() && c.settings.Credential != nil && c.settings.Credential.invalidate(x.token)
}
