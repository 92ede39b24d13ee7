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

// exchange is a request and how its answer is understood.
type exchange struct {
	endpoint string
	resource budget.Resource
	// newRequest makes the request, afresh for each attempt.
	newRequest func(ctx context.Context) (*http.Request, error)
	// decode decodes the body of an answer with a status below 300.
	decode func(header http.Header, body []byte) error
	// points is what the answer cost, known after read.
	points func() int
	// quota is what the body told of the limit, where the header does not.
	quota func() budget.Quota
	// price is what it is predicted to cost.
	price int
	// canShrink says that the caller has a smaller question: one that asked for too much is not repeated as it is.
	canShrink bool
	// noRetry says that it is sent once, because the caller has another question; split that the caller has several
	// smaller ones: it is not repeated when it asked for too much, and its failure counts only when theirs do.
	noRetry, isSplit bool
	// expectsNotFound says that "not found" is a normal answer, believed that any refusal is taken as it is: it is not asked
	// for once more, because the caller asks again later.
	expectsNotFound, trustsRefusal bool
	// bypassLimits requests are sent whatever holds others back.
	bypassLimits bool
	// asApp requests are not authorized by the client's credential.
	asApp bool
	// etag is the condition under which the answer is wanted; unchanged says that it is what it was.
	etag        string
	notModified bool
	// token authorized the last attempt, slot is the last attempt's among all that are on their way, empty without one.
	token, slot string
	// status is the last answer's, known to read.
	status int
	// waited is how long the attempts have waited for their places: that says nothing about GitHub.
	waited time.Duration
	// sent says that a request has left, paused that one must not.
	sent, paused bool
	// isRefused says that the last answer has a refusal of all that was asked for, in a body with a good status;
	// asked again that a refusal was met and the question repeated.
	isRefused, refusalRetried bool
}

// send asks until there is an answer, or it is clear that there will be none, and reports the outcome.
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

// hasFallback reports whether the caller has another question in place of one that failed.
func (x *exchange) hasFallback(err error) bool {
	return x.noRetry || x.isSplit || (x.canShrink && isTooLarge(err))
}

// reportResult tells how the question ended. One that never left says nothing about GitHub, and one that is asked in another
// way fails only when that does.
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

// errRetryRefusal repeats a question that was refused as a whole in a body with a good status.
var errRetryRefusal = errors.New("refused, asked once more")

// sendWithRetries sends the request and its repeats. Attempts that time out end before they have taken too long together.
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
		if err != nil && most > 0 && (inAttempts >= most || time.Since(began)-x.waited >= most+c.settings.Retry.MaxInterval) {
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

// permanent ends the repeats of a question.
func permanent(err error) error {
	if _, ok := errors.AsType[*backoff.PermanentError](err); ok {
		return err
	}
	return backoff.Permanent(err)
}

// markPermanent marks an error that is not to be met by asking the same again. GitHub refuses now and then what is there and
// allowed: a refusal is believed when it comes twice.
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

// isTransientRefusal reports whether an error is a refusal that GitHub gives now and then for what is there and allowed.
func isTransientRefusal(err error) bool {
	if missing, ok := errors.AsType[*NotFoundError](err); ok {
		return missing.Status == http.StatusNotFound || missing.Status == http.StatusGone
	}
	forbidden, ok := errors.AsType[*ForbiddenError](err)
	return ok && forbidden.Status == http.StatusForbidden
}

// dropToken makes the credential forget its token; false when it has none to forget.
func (c *Client) dropToken(x *exchange) bool {
	app, ok := c.settings.Credential.(*appCredential)
	if !ok || x.asApp {
		return false
	}
	app.invalidate(x.token)
	return true
}

// attempt sends the request once. Its time-out begins when it has a place.
func (c *Client) attempt(ctx context.Context, x *exchange) error {
	var err error
	if x.token, err = c.token(ctx, x); err != nil {
		return backoff.Permanent(err) // it was repeated as often as it may be
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
		c.releaseSlot(ctx, x, budget.Quota{}, errNoAnswer)
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

// errNoAnswer is what a request without a whole answer leaves behind. Its own error may be why its context ended: a limit that
// another request has met, which may be one for background requests only.
var errNoAnswer = errors.New("no answer")

// token is what authorizes a request, empty when nothing of ours does.
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

// onlyUnavailable is an error that says that there was no usable answer, otherwise nil.
func onlyUnavailable(err error) error {
	if errors.As(err, new(*UnavailableError)) {
		return err
	}
	return nil
}

// transportError is the error of a request without an answer.
func (c *Client) transportError(ctx context.Context, x *exchange, err error) error {
	if parent := context.Cause(ctx); parent != nil && !errors.Is(parent, context.DeadlineExceeded) {
		return parent // somebody wants to stop; that is nobody's fault
	}
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) {
		err = wrapped.Unwrap() // the outermost one repeats the address
	}
	timeout := errors.Is(err, context.DeadlineExceeded)
	return &UnavailableError{Response: Response{Endpoint: x.endpoint}, Err: err, isTooLarge: timeout}
}

var errTooLong = fmt.Errorf("the answer has more than %d MiB", maxBody>>20)

func readBounded(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err == nil && len(data) > maxBody {
		return nil, errTooLong
	}
	return data, err
}
