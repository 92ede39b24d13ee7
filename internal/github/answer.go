// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

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
func (c *Client) explainNotFound(x *exchange, answer *Response) {
	if answer.Status != http.StatusNotFound || answer.Message == c.notAnAPIMessage() {
		return
	}
	var hint string
	switch {
	case x.resource == budget.ResourceGraphQL:
		hint = "there is no GraphQL API at " + c.graphql.EscapedPath() + ": check endpoint and graphql_endpoint"
	case x.endpoint == orgRepositoriesEndpoint:
		hint = notAnOrganization
	default:
		return
	}
	answer.Message = strings.TrimPrefix(answer.Message+": "+hint, ": ")
}

// notAnOrganization is the likely cause of a 404 for an organization.
const notAnOrganization = "no organization of this name that the credential may see; a user account is not an " +
	"organization"

// handleResponse classifies a response, settles its reservation and reports the attempt. bodyErr is the error of
// reading the body.
func (c *Client) handleResponse(
	ctx context.Context, x *exchange, response *http.Response, body []byte, bodyErr error,
) error {
	answer := Response{
		Endpoint: x.endpoint, Status: response.StatusCode,
		RequestID: printable(response.Header.Get("X-Github-Request-Id")),
	}
	x.status = response.StatusCode
	if c.maybeNoAPI && bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		answer.Message = c.notAnAPIMessage()
	}
	q := quotaOf(response.Header).Plausible(c.githubNow())
	err := c.classify(ctx, x, response, body, bodyErr, &answer, &q)
	seen := Attempt{
		Endpoint: x.endpoint, Resource: x.resource, StatusClass: fmt.Sprintf("%dxx", response.StatusCode/100),
		Points: x.points(), PredictedPoints: x.price, Remaining: q.Remaining, Limit: q.Limit, Reset: q.Reset,
		IsProbe: x.bypassLimits, Err: onlyUnavailable(err),
		CredentialExpires: c.credentialExpires(x, response.Header), Deprecation: deprecationOf(response.Header),
	}
	settled := err
	if bodyErr != nil {
		settled = errNoResponse
	}
	if x.asApp { // the quota of the App's own token is not the installation's
		seen.Remaining, seen.Limit, seen.Reset = 0, 0, time.Time{}
	}
	seen.Mispriced = err == nil && x.resource == budget.ResourceGraphQL && !x.quota().Reset.IsZero() &&
		seen.Points != seen.PredictedPoints
	if limit, ok := errors.AsType[*LimitError](settled); ok {
		seen.SecondaryLimit = limit.Secondary
	}
	c.releaseSlot(ctx, x, q, settled)
	c.settings.OnAttempt(seen)
	return err
}

// classify returns the error of a response, nil for a usable one. It completes answer, and q with the quota in the
// body.
func (c *Client) classify(
	ctx context.Context, x *exchange, response *http.Response, body []byte, bodyErr error, answer *Response,
	q *budget.Quota,
) error {
	if bodyErr != nil {
		if errors.Is(bodyErr, errBodyTooLong) {
			return &UnavailableError{Response: *answer, Err: bodyErr}
		}
		return c.transportError(ctx, x, bodyErr)
	}
	if x.notModified = x.etag != "" && response.StatusCode == http.StatusNotModified; x.notModified {
		return nil
	}
	if response.StatusCode >= 300 {
		return c.statusError(x, response.Header, body, answer, *q)
	}
	err := x.decode(response.Header, body)
	if inBody := x.quota().Plausible(c.githubNow()); !inBody.Reset.IsZero() {
		*q = inBody
	}
	return c.bodyError(x, response.Header, answer, *q, err)
}

// bodyError returns the typed error of a body that decode refused.
func (c *Client) bodyError(x *exchange, header http.Header, answer *Response, q budget.Quota, err error) error {
	var (
		limited *limitMessage
		refused *refusedMessage
		lacking *schemaMessage
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		answer.Message = printable(limited.message)
		return c.limitError(x, header, q, *answer, limited.secondary)
	case errors.As(err, &refused):
		answer.Message = printable(refused.message)
		return &ForbiddenError{Response: *answer}
	case errors.As(err, &lacking):
		answer.Message = printable(lacking.message)
		return lacking.schemaError(*answer)
	case errors.Is(err, errTooLarge):
		return &UnavailableError{Response: *answer, Err: err, isTooLarge: true}
	default:
		return &UnavailableError{Response: *answer, Err: err}
	}
}

// limitError returns the error of an exceeded limit. Its RetryAt is zero when the response does not have the end.
func (c *Client) limitError(x *exchange, header http.Header, q budget.Quota, answer Response,
	secondary bool,
) *LimitError {
	return &LimitError{
		Response: answer, Resource: x.resource, Secondary: secondary,
		RetryAt: limitEnd(header, q, !secondary, c.settings.RateLimit.ResetBuffer, c.githubNow()),
	}
}

// statusError returns the error of a status from 300 on. A limit is 403 or 429
// (https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api).
func (c *Client) statusError(x *exchange, header http.Header, body []byte, answer *Response, q budget.Quota) error {
	var content struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &content) == nil { // other bodies have no message
		answer.Message = printable(content.Message)
	}
	switch status := answer.Status; {
	case status == http.StatusTooManyRequests || (status == http.StatusForbidden &&
		isLimitResponse(header, content.Message)):
		secondary := header.Get("X-Ratelimit-Remaining") != "0" || isSecondaryMessage(content.Message)
		return c.limitError(x, header, q, *answer, secondary)
	case status == http.StatusUnauthorized:
		return &CredentialError{Response: *answer}
	case status == http.StatusForbidden:
		return &ForbiddenError{
			Response: *answer, Permissions: acceptedPermissions(header), ownerRule: header.Get("X-Github-Sso") != "",
		}
	case status == http.StatusUnavailableForLegalReasons:
		return &ForbiddenError{Response: *answer, Legal: true}
	case status == http.StatusNotFound || status == http.StatusGone || status == http.StatusConflict ||
		status == http.StatusUnprocessableEntity:
		c.explainNotFound(x, answer)
		return &NotFoundError{Response: *answer}
	default:
		isTooLarge := status == http.StatusBadGateway || status == http.StatusGatewayTimeout
		return &UnavailableError{Response: *answer, isTooLarge: isTooLarge}
	}
}

// isLimitResponse reports whether a 403 is that of an exceeded limit.
func isLimitResponse(header http.Header, message string) bool {
	return header.Get("X-Ratelimit-Remaining") == "0" || header.Get("Retry-After") != "" ||
		isSecondaryMessage(message) || strings.Contains(message, "rate limit exceeded")
}

// isSecondaryMessage reports whether a message is that of a secondary limit.
func isSecondaryMessage(message string) bool {
	return strings.Contains(message, "secondary rate limit") || strings.Contains(message, "abuse detection")
}

// limitMessage is an exceeded limit in a body with status 200, as GraphQL reports it.
type limitMessage struct {
	message   string
	secondary bool
}

func (e *limitMessage) Error() string { return e.message }

// refusedMessage is a refusal of the whole request in a body with status 200. A retry does not help.
type refusedMessage struct{ message string }

func (e *refusedMessage) Error() string { return e.message }

// errTooLarge marks a response that a smaller request may not get.
var errTooLarge = errors.New("the query asks for too much")

// decodeJSON decodes a body that is one JSON value.
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

// formatTime formats a time in whole seconds, as in GitHub's parameters.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
