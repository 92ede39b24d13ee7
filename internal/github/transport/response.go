// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

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

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// notAnAPIMessage returns the hint for a response that is an HTML page: the endpoint is not that of an API.
func (c *Client) notAnAPIMessage() string {
	host := strings.ToLower(c.restAPI.BaseURL.Host)
	switch {
	case host == "github.com" || host == "www.github.com":
		return "a page and no data: the endpoint of github.com is https://api.github.com"
	case strings.HasSuffix(host, ".ghe.com"):
		return "a page and no data: the endpoint of " + host + " is https://api." + host
	default:
		return "a page and no data: the endpoint of an Enterprise Server ends in /api/v3"
	}
}

// explainNotFound adds the likely cause to the message of a 404, which GitHub's own message does not have.
func (c *Client) explainNotFound(x *exchange, about *Response) {
	if about.Status != http.StatusNotFound || about.Message == c.notAnAPIMessage() {
		return
	}
	hint := x.NotFoundHint
	if x.Resource == budget.ResourceGraphQL {
		hint = "there is no GraphQL API at " + c.graphql.EscapedPath() + ": check endpoint and graphql_endpoint"
	}
	if hint != "" {
		about.Message = strings.TrimPrefix(about.Message+": "+hint, ": ")
	}
}

// handleResponse classifies a response, settles its reservation and reports the attempt. bodyErr is the error of
// reading the body.
func (c *Client) handleResponse(
	ctx context.Context, x *exchange, response *http.Response, body []byte, bodyErr error,
) error {
	about := Response{
		Endpoint: x.Endpoint, Status: response.StatusCode,
		RequestID:      Printable(response.Header.Get("X-Github-Request-Id")),
		AcceptedScopes: Printable(response.Header.Get("X-Accepted-Oauth-Scopes")),
	}
	x.status = response.StatusCode
	if c.maybeNoAPI && bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		about.Message = c.notAnAPIMessage()
	}
	q := quotaOf(response.Header).Plausible(c.GitHubNow())
	err := c.classify(ctx, x, response, body, bodyErr, &about, &q)
	report := Attempt{
		Endpoint: x.Endpoint, Resource: x.Resource, StatusClass: fmt.Sprintf("%dxx", response.StatusCode/100),
		Points: x.info.Points, PredictedPoints: x.Price, Quota: q,
		IsProbe: x.bypassLimits, Err: onlyUnavailable(err),
		CredentialExpires: c.credentialExpiry(x, response.Header), Deprecation: deprecationOf(response.Header),
	}
	settled := err
	if bodyErr != nil {
		settled = errNoResponse
	}
	if x.asApp() { // the quota of the App's own token is not the installation's
		report.Quota = budget.Quota{}
	}
	report.Mispriced = err == nil && x.Resource == budget.ResourceGraphQL && !x.info.Quota.Reset.IsZero() &&
		report.Points != report.PredictedPoints
	if limit, ok := errors.AsType[*LimitError](settled); ok {
		report.SecondaryLimit = limit.Secondary
	}
	c.releaseSlot(ctx, x, q, settled)
	c.settings.OnAttempt(report)
	return err
}

// credentialExpiry returns when the credential expires; zero when the response does not have it, and for an App, whose
// tokens are replaced before they expire.
func (c *Client) credentialExpiry(x *exchange, header http.Header) time.Time {
	if x.asApp() || (c.settings.Credential != nil && c.settings.Credential.isApp()) {
		return time.Time{}
	}
	at, err := expiryOf(header)
	if err != nil {
		c.ReportInvalidValue(fmt.Errorf("%s: %w", x.Endpoint, err))
	}
	return at
}

// classify returns the error of a response, nil for a usable one. It sets the message of about, and q to the quota in
// the body when there is one.
func (c *Client) classify(
	ctx context.Context, x *exchange, response *http.Response, body []byte, bodyErr error, about *Response,
	q *budget.Quota,
) error {
	if bodyErr != nil {
		if errors.Is(bodyErr, errBodyTooLong) {
			return &UnavailableError{Response: *about, Err: bodyErr}
		}
		return c.transportError(ctx, x, bodyErr)
	}
	if x.isNotModified() {
		x.info.Points = 0
		return nil
	}
	if response.StatusCode >= 300 {
		return c.statusError(x, response.Header, body, about, *q)
	}
	info, err := x.Decode(Received{Status: x.status, Header: response.Header, Body: body})
	x.info = info
	if inBody := info.Quota.Plausible(c.GitHubNow()); !inBody.Reset.IsZero() {
		*q = inBody
	}
	return c.bodyError(x, response.Header, about, *q, err)
}

// bodyError returns the typed error of a body that Decode refused.
func (c *Client) bodyError(x *exchange, header http.Header, about *Response, q budget.Quota, err error) error {
	if err == nil {
		return nil
	}
	if limit, ok := errors.AsType[*LimitMessage](err); ok {
		about.Message = Printable(limit.Message)
		return c.limitError(x, header, q, *about, limit.Secondary)
	}
	if typed, ok := errors.AsType[BodyError](err); ok {
		about.Message = Printable(typed.Error())
		return typed.InResponse(*about)
	}
	return &UnavailableError{Response: *about, Err: err, TooLarge: errors.Is(err, ErrTooLarge)}
}

// limitError returns the error of an exceeded limit. Its RetryAt is zero when the response does not have the end.
func (c *Client) limitError(x *exchange, header http.Header, q budget.Quota, about Response,
	secondary bool,
) *LimitError {
	return &LimitError{
		Response: about, Resource: x.Resource, Secondary: secondary,
		RetryAt: limitEnd(header, q, !secondary, c.settings.RateLimit.ResetBuffer, c.GitHubNow()),
	}
}

// statusError returns the error of a status from 300 on. A limit is 403 or 429
// (https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api).
func (c *Client) statusError(x *exchange, header http.Header, body []byte, about *Response, q budget.Quota) error {
	var content struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &content) == nil { // other bodies have no message
		about.Message = Printable(content.Message)
	}
	switch status := about.Status; {
	case status == http.StatusTooManyRequests || (status == http.StatusForbidden &&
		isLimitResponse(header, content.Message)):
		secondary := header.Get("X-Ratelimit-Remaining") != "0" || IsSecondaryLimitMessage(content.Message)
		return c.limitError(x, header, q, *about, secondary)
	case status == http.StatusUnauthorized:
		return &CredentialError{Response: *about}
	case status == http.StatusForbidden:
		return &ForbiddenError{
			Response: *about, Permissions: acceptedPermissions(header), ownerRule: header.Get("X-Github-Sso") != "",
		}
	case status == http.StatusUnavailableForLegalReasons:
		return &ForbiddenError{Response: *about, Legal: true}
	case status == http.StatusNotFound || status == http.StatusGone || status == http.StatusConflict ||
		status == http.StatusUnprocessableEntity:
		c.explainNotFound(x, about)
		return &NotFoundError{Response: *about}
	default:
		isTooLarge := status == http.StatusBadGateway || status == http.StatusGatewayTimeout
		return &UnavailableError{Response: *about, TooLarge: isTooLarge}
	}
}

// isLimitResponse reports whether a 403 is that of an exceeded limit.
func isLimitResponse(header http.Header, message string) bool {
	return header.Get("X-Ratelimit-Remaining") == "0" || header.Get("Retry-After") != "" ||
		IsSecondaryLimitMessage(message) || strings.Contains(message, "rate limit exceeded")
}

// IsSecondaryLimitMessage reports whether a message of GitHub is that of an exceeded secondary limit.
func IsSecondaryLimitMessage(message string) bool {
	return strings.Contains(message, "secondary rate limit") || strings.Contains(message, "abuse detection")
}

// DecodeJSON decodes a body that is exactly one JSON value into what into points to.
func DecodeJSON(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("not the JSON that was expected: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("not the JSON that was expected: something follows it")
	}
	return nil
}

// errNoResponse settles a request without a complete response. The error of the request itself may be the cause of its
// context: a limit of another request, which may apply to background requests only.
var errNoResponse = errors.New("no response")

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
	return &UnavailableError{Response: Response{Endpoint: x.Endpoint}, Err: err, TooLarge: timeout}
}

// maxBody bounds a response, in bytes. The largest of GitHub have some hundred KiB.
const maxBody = 32 << 20

// errBodyTooLong is the error of a response that is not read to its end.
var errBodyTooLong = fmt.Errorf("the response has more than %d MiB", maxBody>>20)

// readBody reads a body of at most maxBody bytes.
func readBody(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err == nil && len(data) > maxBody {
		return nil, errBodyTooLong
	}
	return data, err
}
