// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

const probeEndpoint = "/rate_limit"

// Probe checks with one request whether GitHub responds. Limits and the circuit breaker do not defer it, and it costs
// nothing of any limit
// (https://docs.github.com/rest/rate-limit/rate-limit). A server without limits responds with 404, which is a
// success; any other refusal is an error.
func (c *Client) Probe(ctx context.Context) error {
	err := c.send(ctx, &exchange{call: call{
		endpoint: probeEndpoint, resource: budget.ResourceREST, callOptions: callOptions{
			noRetry:      true,
			bypassLimits: true,
		},
		newRequest: func(ctx context.Context) (*http.Request, error) {
			request, err := c.restAPI.NewRequest(http.MethodGet, "rate_limit", nil)
			if err != nil {
				return nil, err
			}
			return request.WithContext(ctx), nil
		},
		decode: func(_ http.Header, body []byte) error {
			var limits struct {
				Resources map[string]any `json:"resources"`
			}
			if err := decodeJSON(body, &limits); err != nil {
				return err
			}
			if len(limits.Resources) == 0 {
				return errors.New("a response without limits")
			}
			return nil
		},
		points: func() int { return 0 },
		quota:  func() budget.Quota { return budget.Quota{} },
	}})
	missing, ok := errors.AsType[*NotFoundError](err)
	if ok && missing.Status == http.StatusNotFound && strings.Contains(missing.Message, "not enabled") {
		return nil
	}
	return err
}
