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

// maxRequestTimeouts is after how many time-outs, which the attempts of one request have lasted together, no other
// attempt begins.
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

// sendWithRetries makes the attempts of a request, with exponential backoff and full jitter. No further one begins once
// they have lasted maxRequestTimeouts time-outs together.
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
		bound := maxRequestTimeouts * c.timeout(x.Call)
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

// dropToken invalidates the installation token of the last attempt. It reports whether the credential can make another.
func (c *Client) dropToken(x *exchange) bool {
	return !x.asApp() && c.settings.Credential != nil && c.settings.Credential.invalidate(x.token)
}
