// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// rateLimitData is the quota in the response of each query; nil where the server has no limits.
type rateLimitData struct {
	RateLimit *struct {
		Cost      int       `json:"cost"`
		Limit     int       `json:"limit"`
		Remaining int       `json:"remaining"`
		ResetAt   time.Time `json:"resetAt"`
	} `json:"rateLimit"`

	// decodeErr is why it cannot be decoded; nil when it can.
	decodeErr error
}

// queryOptions are the options of a query when it fails, as in transport.CallOptions.
type queryOptions struct {
	// canShrink says that the caller has a smaller query: one that was too large is not retried.
	canShrink bool
	// noRetry says that the query is not retried at all; isSplit that several smaller ones follow when it fails.
	noRetry, isSplit bool
}

// variables are the variables of a document, which encode themselves as JSON.
type variables interface{ document() document }

// graphqlRequest is the body of a request.
type graphqlRequest struct {
	OperationName string          `json:"operationName"`
	Query         string          `json:"query"`
	Variables     json.RawMessage `json:"variables"`
}

// runQuery sends the query of some variables and decodes its data into a T. The data may be partial: the errors have
// the missing parts. An error of the whole response may come with data, too.
func runQuery[T any](ctx context.Context, c *Client, q queryOptions, v variables) (T, []graphqlError, error) {
	data, errs, _, err := runQueryWithCost[T](ctx, c, q, v)
	return data, errs, err
}

// runQueryWithCost is runQuery with the cost of the response in points. It leaves out of the document what the
// server's schema lacks.
func runQueryWithCost[T any](
	ctx context.Context, c *Client, q queryOptions, v variables,
) (T, []graphqlError, int, error) {
	doc := v.document()
	encoded, err := json.Marshal(v)
	if err != nil {
		var none T
		return none, nil, 0, fmt.Errorf("%s: %w", doc.name, err)
	}
	for {
		usable, err := c.schema.usableDocument(doc, c.transport.Now())
		if err != nil {
			var none T
			return none, nil, 0, err
		}
		data, errs, cost, err := sendQuery[T](ctx, c, usable, q, encoded)
		lacking, ok := errors.AsType[*SchemaError](err)
		if !ok {
			return data, errs, cost, err
		}
		again, fresh := c.schema.recordRefusal(usable, lacking, c.transport.Now())
		if fresh {
			c.settings.OnSchemaError(lacking)
		}
		if !again {
			return data, errs, cost, err
		}
	}
}

// sendQuery sends a document as it is.
func sendQuery[T any](
	ctx context.Context, c *Client, doc document, q queryOptions, encoded json.RawMessage,
) (T, []graphqlError, int, error) {
	var data T
	body, err := json.Marshal(graphqlRequest{OperationName: doc.name, Query: doc.text, Variables: encoded})
	if err != nil {
		return data, nil, 0, fmt.Errorf("%s: %w", doc.name, err)
	}
	var limit rateLimitData
	var errs []graphqlError
	_, err = c.transport.Send(ctx, &transport.Call{
		Endpoint: doc.name, Resource: budget.ResourceGraphQL, Price: doc.price(encoded), Body: body,
		CallOptions: transport.CallOptions{CanShrink: q.canShrink, NoRetry: q.noRetry, IsSplit: q.isSplit},
		Decode: func(r transport.Received) (info transport.BodyInfo, err error) {
			var fresh T
			limit = rateLimitData{}
			errs, err = decodeGraphQL(r.Body, &fresh, &limit)
			data = fresh
			if err == nil && limit.decodeErr != nil {
				c.transport.ReportInvalidValue(
					fmt.Errorf("%s: the rate limit cannot be decoded: %w", doc.name, limit.decodeErr))
			}
			return transport.BodyInfo{
				Points: limit.cost(), Quota: limit.quota(),
				IsRefused: err == nil && slices.ContainsFunc(errs, isWholeRefused),
			}, err
		},
	})
	return data, errs, limit.cost(), err
}

// maxCost bounds the reported cost of a query, in points: the largest query that GitHub accepts has half a million
// nodes.
const maxCost = 10_000

// cost returns what the query cost, in points; 1 when the response does not have it.
func (r *rateLimitData) cost() int {
	if r.RateLimit == nil {
		return 1
	}
	return min(max(0, r.RateLimit.Cost), maxCost)
}

// quota returns the quota; zero when the response does not have it.
func (r *rateLimitData) quota() budget.Quota {
	if r.RateLimit == nil {
		return budget.Quota{}
	}
	return budget.Quota{Remaining: r.RateLimit.Remaining, Limit: r.RateLimit.Limit, Reset: r.RateLimit.ResetAt}
}

// maxErrors bounds the errors of a response: a page has at most some for each of its rows.
const maxErrors = 2000

// decodeGraphQL decodes the body of a response: its data into what into points to, its rate limit into limit. The error
// is about the whole response, such as an exceeded limit; a missing part is in the errors that it returns.
func decodeGraphQL(body []byte, into any, limit *rateLimitData) ([]graphqlError, error) {
	var response struct {
		Data   json.RawMessage `json:"data"`
		Errors []graphqlError  `json:"errors"`
	}
	if err := checkListLength(body, maxErrors, maxDepth); err != nil {
		return nil, err
	}
	if err := transport.DecodeJSON(body, &response); err != nil {
		return nil, err
	}
	if err := checkListLength(response.Data, perPage, maxDepth); err != nil {
		return nil, err
	}
	hasData := len(response.Data) > 0 && string(response.Data) != "null"
	if hasData {
		if err := json.Unmarshal(response.Data, limit); err != nil {
			*limit = rateLimitData{decodeErr: printableError(err)} // the headers count then
		}
	}
	if err := responseError(response.Errors, hasData); err != nil {
		if hasData && errors.Is(err, transport.ErrTooLarge) {
			_ = json.Unmarshal(response.Data, into) // a caller without a smaller query uses what there is
		}
		return response.Errors, err
	}
	if err := json.Unmarshal(response.Data, into); err != nil {
		return nil, fmt.Errorf("not the data that was expected: %w", err)
	}
	err := checkNulls(response.Data, response.Errors)
	if err != nil {
		*limit = rateLimitData{} // its part about the limit may be missing
	}
	return response.Errors, err
}

// responseError returns the error of a response as a whole; nil when only parts of it are missing
// (https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api).
func responseError(errs []graphqlError, hasData bool) error {
	for i := range errs {
		e := &errs[i]
		switch {
		case e.code() == "RATE_LIMITED" || e.code() == "RATE_LIMIT":
			return &transport.LimitMessage{Message: e.Message, Secondary: transport.IsSecondaryLimitMessage(e.Message)}
		case transport.IsSecondaryLimitMessage(e.Message):
			return &transport.LimitMessage{Message: e.Message, Secondary: true}
		case e.code() == "RESOURCE_LIMITS_EXCEEDED" || e.code() == "MAX_NODE_LIMIT_EXCEEDED":
			return fmt.Errorf("%w: %s", transport.ErrTooLarge, transport.Printable(e.Message))
		}
	}
	if err := schemaRefusal(errs); err != nil && !hasData {
		return err
	}
	switch {
	case hasData:
		return nil
	case len(errs) == 0:
		return errors.New("a response with neither data nor errors")
	case strings.Contains(errs[0].Message, "timeout") || strings.Contains(errs[0].Message, "Something went wrong"):
		return fmt.Errorf("%w: %s", transport.ErrTooLarge, transport.Printable(errs[0].Message))
	case errs[0].isRefusal():
		return &transport.RefusedMessage{Message: errs[0].Message}
	default:
		return errors.New(transport.Printable(errs[0].Message))
	}
}

// pageInfo is the position after a page of a connection (https://docs.github.com/graphql/reference/objects#pageinfo).
type pageInfo struct {
	HasNextPage bool   `json:"hasNextPage"`
	EndCursor   string `json:"endCursor"`
}
