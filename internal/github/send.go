package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

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
	quota func() quota
	// once sends the request only once, because the caller has a better way than repeating it.
	once bool
	// bare requests are not authorized by the client's credential.
	bare bool
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
		var unavailable *UnavailableError
		if err != nil && (x.once || !errors.As(err, &unavailable)) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
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

// renew makes the credential forget its token; false when it has none to forget.
func (c *Client) renew(x *exchange) bool {
	app, ok := c.settings.Credential.(*appCredential)
	if !ok || x.bare {
		return false
	}
	app.forget()
	return true
}

// attempt sends the request once.
func (c *Client) attempt(ctx context.Context, x *exchange) error {
	if c.settings.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.settings.Timeout)
		defer cancel()
	}
	request, err := c.request(ctx, x)
	if err != nil {
		return err
	}
	if err := c.places.Acquire(ctx, 1); err != nil {
		return err
	}
	defer c.places.Release(1)
	if err := c.gate.pass(x.resource, x.endpoint, c.settings.Now()); err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		c.settings.Observe(Observation{Endpoint: x.endpoint, Resource: x.resource, StatusClass: "error"})
		return c.unreachable(ctx, x, err)
	}
	defer response.Body.Close()
	c.noteDate(response.Header)
	body, err := bounded(response.Body)
	return c.understand(ctx, x, response, body, err)
}

func (c *Client) request(ctx context.Context, x *exchange) (*http.Request, error) {
	request, err := x.make(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.endpoint, err)
	}
	request.Header.Set("X-Github-Api-Version", apiVersion)
	if c.settings.UserAgent != "" {
		request.Header.Set("User-Agent", c.settings.UserAgent)
	}
	if x.bare || c.settings.Credential == nil {
		return request, nil
	}
	token, err := c.settings.Credential.token(ctx)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return request, nil
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

// understand makes an error of an answer that is none, and observes it.
func (c *Client) understand(ctx context.Context, x *exchange, response *http.Response, body []byte, bodyErr error) error {
	answer := Answer{
		Endpoint: x.endpoint, Status: response.StatusCode, RequestID: printable(response.Header.Get("X-Github-Request-Id")),
	}
	q := quotaOf(response.Header)
	err := c.judge(ctx, x, response, body, bodyErr, &answer, &q)
	seen := Observation{
		Endpoint: x.endpoint, Resource: x.resource, StatusClass: fmt.Sprintf("%dxx", response.StatusCode/100),
		Points: x.points(), Remaining: q.remaining, Limit: q.limit, Reset: q.reset,
	}
	if limit, ok := errors.AsType[*LimitError](err); ok {
		c.gate.close(limit)
		seen.SecondaryLimit = limit.Secondary
	} else if err == nil {
		c.gate.note(x.resource, q)
	}
	c.settings.Observe(seen)
	return err
}

func (c *Client) judge(
	ctx context.Context, x *exchange, response *http.Response, body []byte, bodyErr error, answer *Answer, q *quota,
) error {
	if bodyErr != nil {
		if errors.Is(bodyErr, errTooLong) {
			return &UnavailableError{Answer: *answer, Err: bodyErr}
		}
		return c.unreachable(ctx, x, bodyErr)
	}
	if response.StatusCode >= 300 {
		return c.refusal(x, response.Header, body, answer, *q)
	}
	err := x.read(response.Header, body)
	if told := x.quota(); !told.reset.IsZero() {
		*q = told
	}
	return c.misread(x, response.Header, answer, *q, err)
}

// misread completes the error of a body that could not be understood.
func (c *Client) misread(x *exchange, header http.Header, answer *Answer, q quota, err error) error {
	var limited *limitMessage
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		answer.Message = printable(limited.message)
		return c.limit(x, header, q, *answer, limited.secondary)
	case errors.Is(err, errTooMuch):
		return &UnavailableError{Answer: *answer, Err: err, tooMuch: true}
	default:
		return &UnavailableError{Answer: *answer, Err: err}
	}
}

func (c *Client) limit(x *exchange, header http.Header, q quota, answer Answer, secondary bool) *LimitError {
	return &LimitError{
		Answer: answer, Resource: x.resource, Secondary: secondary,
		RetryAt: c.gate.retryAt(header, q, !secondary, c.settings.Now()),
	}
}

// refusal is the error of a status from 300 on. A limit is 403 or 429
// (https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api).
func (c *Client) refusal(x *exchange, header http.Header, body []byte, answer *Answer, q quota) error {
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &said) // what is no JSON has no message
	answer.Message = printable(said.Message)
	switch status := answer.Status; {
	case status == http.StatusTooManyRequests || (status == http.StatusForbidden && limitsSaid(header, said.Message)):
		secondary := header.Get("X-Ratelimit-Remaining") != "0" || secondarySaid(said.Message)
		return c.limit(x, header, q, *answer, secondary)
	case status == http.StatusUnauthorized:
		return &CredentialError{Answer: *answer}
	case status == http.StatusForbidden:
		return &ForbiddenError{Answer: *answer}
	case status == http.StatusUnavailableForLegalReasons:
		return &ForbiddenError{Answer: *answer, Legal: true}
	case status == http.StatusNotFound || status == http.StatusGone || status == http.StatusConflict ||
		status == http.StatusUnprocessableEntity:
		return &NotFoundError{Answer: *answer}
	default:
		tooMuch := status == http.StatusBadGateway || status == http.StatusGatewayTimeout
		return &UnavailableError{Answer: *answer, tooMuch: tooMuch}
	}
}

func limitsSaid(header http.Header, message string) bool {
	return header.Get("X-Ratelimit-Remaining") == "0" || header.Get("Retry-After") != "" ||
		secondarySaid(message) || strings.Contains(message, "rate limit exceeded")
}

func secondarySaid(message string) bool {
	return strings.Contains(message, "secondary rate limit") || strings.Contains(message, "abuse detection")
}

// limitMessage is a limit that was said in a body with a good status, as GraphQL does.
type limitMessage struct {
	message   string
	secondary bool
}

func (e *limitMessage) Error() string { return e.message }

// errTooMuch says that a smaller question may be answered.
var errTooMuch = errors.New("the query asks for too much")

// decodeJSON decodes a whole body.
func decodeJSON(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("not the JSON that was expected: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("not the JSON that was expected: something follows it")
	}
	return nil
}

// stamp is a time in whole seconds, as GitHub's parameters are.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
