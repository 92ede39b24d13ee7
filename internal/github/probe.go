package github

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

const probeEndpoint = "/rate_limit"

// Probe asks once whether GitHub answers, whatever holds other requests back. The question costs nothing of any limit
// (https://docs.github.com/rest/rate-limit/rate-limit). A server without limits says so with 404, which is an answer; any
// other refusal is none.
func (c *Client) Probe(ctx context.Context) error {
	err := c.send(ctx, &exchange{
		endpoint: probeEndpoint, resource: budget.ResourceREST, noRetry: true, bypassLimits: true,
		newRequest: func(ctx context.Context) (*http.Request, error) {
			request, err := c.rest.NewRequest(http.MethodGet, "rate_limit", nil)
			if err != nil {
				return nil, err
			}
			return request.WithContext(ctx), nil
		},
		decode: func(_ http.Header, body []byte) error {
			var said struct {
				Resources map[string]any `json:"resources"`
			}
			if err := decodeJSON(body, &said); err != nil {
				return err
			}
			if len(said.Resources) == 0 {
				return errors.New("an answer without limits")
			}
			return nil
		},
		points: func() int { return 0 },
		quota:  func() budget.Quota { return budget.Quota{} },
	})
	missing, ok := errors.AsType[*NotFoundError](err)
	if ok && missing.Status == http.StatusNotFound && strings.Contains(missing.Message, "not enabled") {
		return nil
	}
	return err
}
