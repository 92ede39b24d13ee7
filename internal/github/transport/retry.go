// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"net/http"

	"github.com/cenkalti/backoff/v5"
)

// errRetryRefusal retries a request that was refused as a whole in a body with status 200.
var errRetryRefusal = errors.New("refused, retried once")

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
	case refused && !x.refusalRetried && !x.NoRefusalRetry && !x.NoRetry && !x.bypassLimits && !x.asApp():
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
