// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// apiVersion is the version of the REST API that the decoders are for
// (https://docs.github.com/rest/about-the-rest-api/api-versions).
const apiVersion = "2022-11-28"

// attempt sends the request once and reports it to Settings.OnAttempt. Its time-out starts when it has a slot. An error
// that ends the retries is a *backoff.PermanentError.
func (c *Client) attempt(ctx context.Context, x *exchange) error {
	var err error
	if x.token, err = c.token(ctx, x); err != nil {
		return backoff.Permanent(err) // the token's own request has been retried
	}
	if err := c.acquireSlot(ctx, x); err != nil {
		return err
	}
	defer c.slots.Release(1)
	if timeout := c.timeout(x.Call); timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	request, err := c.buildRequest(ctx, x)
	if err != nil {
		c.releaseSlot(ctx, x, budget.Quota{}, err)
		return err
	}
	x.sent, x.status, x.info = true, 0, BodyInfo{Points: x.leastPrice()}
	response, err := c.http.Do(request)
	if err != nil {
		c.releaseSlot(ctx, x, budget.Quota{}, errNoResponse)
		report := Attempt{Endpoint: x.Endpoint, Resource: x.Resource, StatusClass: "error", IsProbe: x.bypassLimits}
		err = c.transportError(ctx, x, err)
		report.Err = onlyUnavailable(err)
		c.settings.OnAttempt(report)
		return err
	}
	defer response.Body.Close()
	c.observeDate(response.Header)
	body, err := readBody(response.Body)
	return c.handleResponse(ctx, x, response, body, err)
}

// token returns the token of the client's credential for a request; empty when it is sent as the App, and when the HTTP
// client authorizes it.
func (c *Client) token(ctx context.Context, x *exchange) (string, error) {
	if x.asApp() || c.settings.Credential == nil {
		return "", nil
	}
	return c.settings.Credential.token(ctx, x.bypassLimits)
}

// buildRequest makes the HTTP request of an attempt.
func (c *Client) buildRequest(ctx context.Context, x *exchange) (*http.Request, error) {
	request, err := c.newRequest(ctx, x.Call)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.Endpoint, err)
	}
	token := x.token
	if x.asApp() {
		if token, err = x.signAsApp(); err != nil {
			return nil, fmt.Errorf("%s: %w", x.Endpoint, err)
		}
	}
	request.Header.Set("X-Github-Api-Version", apiVersion)
	if c.settings.UserAgent != "" {
		request.Header.Set("User-Agent", c.settings.UserAgent)
	}
	if x.ETag != "" {
		request.Header.Set("If-None-Match", x.ETag)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request, nil
}

// newRequest makes the HTTP request of a call, without the headers that all requests have.
func (c *Client) newRequest(ctx context.Context, call *Call) (*http.Request, error) {
	if call.Resource == budget.ResourceGraphQL {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.graphql.String(), bytes.NewReader(call.Body))
		if err == nil {
			request.Header.Set("Content-Type", "application/json")
		}
		return request, err
	}
	method := call.Method
	if method == "" {
		method = http.MethodGet
	}
	request, err := c.restAPI.NewRequest(method, call.Path, nil)
	if err != nil {
		return nil, err
	}
	return request.WithContext(ctx), nil
}
