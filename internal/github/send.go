package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/cenkalti/backoff/v5"
)

// exchange is a request and how its answer is understood.
type exchange struct {
	endpoint string
	resource Resource
	// make makes the request, afresh for each attempt.
	make func(ctx context.Context) (*http.Request, error)
	// read decodes the body of an answer with a status below 300.
	read func(header http.Header, body []byte) error
	// points is what the answer cost, known after read.
	points func() int
	// quota is what the body told of the limit, where the header does not.
	quota func() Quota
	// price is what it is predicted to cost.
	price int
	// smaller says that the caller has a smaller question: one that asked for too much is not repeated as it is.
	smaller bool
	// once says that it is sent once, because the caller has another question.
	once bool
	// probe requests are sent whatever holds others back.
	probe bool
	// bare requests are not authorized by the client's credential.
	bare bool
	// etag is the condition under which the answer is wanted; unchanged says that it is what it was.
	etag      string
	unchanged bool
	// token authorized the last attempt, place is the last attempt's among all that are on their way, empty without one.
	token, place string
	// status is the last answer's, known to read.
	status int
}

// send asks until there is an answer, or it is clear that there will be none.
func (c *Client) send(ctx context.Context, x *exchange) error {
	refreshed := false
	attempt := func() (struct{}, error) {
		err := c.attempt(ctx, x)
		var credential *CredentialError
		if errors.As(err, &credential) && credential.Status == http.StatusUnauthorized && !refreshed && c.renew(x) {
			refreshed = true // an installation token may end early: one more attempt with a new one
			err = c.attempt(ctx, x)
		}
		return struct{}{}, x.final(err)
	}
	retry := c.settings.Retry
	_, err := backoff.Retry(ctx, attempt,
		backoff.WithMaxTries(uint(retry.MaxAttempts)),
		backoff.WithMaxElapsedTime(0),
		backoff.WithBackOff(&backoff.ExponentialBackOff{
			// A factor of 1 draws from zero to twice the interval: full jitter over twice as much.
			InitialInterval: retry.InitialInterval / 2, MaxInterval: retry.MaxInterval / 2,
			RandomizationFactor: 1, Multiplier: 2,
		}))
	if permanent, ok := errors.AsType[*backoff.PermanentError](err); ok {
		return permanent.Unwrap()
	}
	return err
}

// final marks an error that is not to be met by asking the same again.
func (x *exchange) final(err error) error {
	if _, ok := errors.AsType[*backoff.PermanentError](err); ok || err == nil {
		return err
	}
	unavailable, ok := errors.AsType[*UnavailableError](err)
	if !ok || x.once || (x.smaller && unavailable.tooMuch) {
		return backoff.Permanent(err)
	}
	return err
}

// renew makes the credential forget its token; false when it has none to forget.
func (c *Client) renew(x *exchange) bool {
	app, ok := c.settings.Credential.(*appCredential)
	if !ok || x.bare {
		return false
	}
	app.forget(x.token)
	return true
}

// attempt sends the request once. Its time-out begins when it has a place.
func (c *Client) attempt(ctx context.Context, x *exchange) error {
	var err error
	if x.token, err = c.token(ctx, x); err != nil {
		return backoff.Permanent(err) // it was repeated as often as it may be
	}
	if err := c.enter(ctx, x); err != nil {
		return err
	}
	defer c.places.Release(1)
	if c.settings.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.settings.Timeout)
		defer cancel()
	}
	request, err := c.request(ctx, x)
	if err != nil {
		c.leave(ctx, x, Quota{}, err)
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		c.leave(ctx, x, Quota{}, errNoAnswer)
		seen := Observation{Endpoint: x.endpoint, Resource: x.resource, StatusClass: "error", Probe: x.probe}
		err = c.unreachable(ctx, x, err)
		if ctx.Err() == nil || timedOut(ctx) {
			seen.Trouble = err
		}
		c.settings.Observe(seen)
		return err
	}
	defer response.Body.Close()
	c.noteDate(response.Header)
	body, err := bounded(response.Body)
	return c.understand(ctx, x, response, body, err)
}

// errNoAnswer is what a request without a whole answer leaves behind. Its own error may be why its context ended: a limit that
// another request has met, which may be one for background requests only.
var errNoAnswer = errors.New("no answer")

// token is what authorizes a request, empty when nothing of ours does.
func (c *Client) token(ctx context.Context, x *exchange) (string, error) {
	if x.bare || c.settings.Credential == nil {
		return "", nil
	}
	if x.probe {
		ctx = context.WithValue(ctx, probing{}, true)
	}
	return c.settings.Credential.token(ctx)
}

// probing marks the context of a token that a probe needs: what holds other requests back must not hold that back either.
type probing struct{}

func (c *Client) request(ctx context.Context, x *exchange) (*http.Request, error) {
	request, err := x.make(ctx)
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

// timedOut reports whether the attempt's own time-out ended it, and nobody's wish to stop.
func timedOut(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), context.DeadlineExceeded)
}

// unreachable is the error of a request without an answer.
func (c *Client) unreachable(ctx context.Context, x *exchange, err error) error {
	if parent := context.Cause(ctx); parent != nil && !errors.Is(parent, context.DeadlineExceeded) {
		return parent // somebody wants to stop; that is nobody's fault
	}
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) {
		err = wrapped.Unwrap() // the outermost one repeats the address
	}
	timeout := errors.Is(err, context.DeadlineExceeded)
	return &UnavailableError{Answer: Answer{Endpoint: x.endpoint}, Err: err, tooMuch: timeout}
}

var errTooLong = fmt.Errorf("the answer has more than %d MiB", maxBody>>20)

func bounded(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err == nil && len(data) > maxBody {
		return nil, errTooLong
	}
	return data, err
}
