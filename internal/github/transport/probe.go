// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

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
	err := c.send(ctx, &exchange{bypassLimits: true, Call: &Call{
		Endpoint: probeEndpoint, Resource: budget.ResourceREST, Path: "rate_limit",
		CallOptions: CallOptions{NoRetry: true},
		Decode: func(r Received) (BodyInfo, error) {
			var limits struct {
				Resources map[string]any `json:"resources"`
			}
			if err := DecodeJSON(r.Body, &limits); err != nil {
				return BodyInfo{}, err
			}
			if len(limits.Resources) == 0 {
				return BodyInfo{}, errors.New("a response without limits")
			}
			return BodyInfo{}, nil
		},
	}})
	missing, ok := errors.AsType[*NotFoundError](err)
	if ok && missing.Status == http.StatusNotFound && strings.Contains(missing.Message, "not enabled") {
		return nil
	}
	return err
}
