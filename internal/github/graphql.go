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

// rateLimitData is in every query's answer; null where the server has no limits.
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

// queryOptions says how a query is sent.
type queryOptions struct {
	// smaller says that the query can be made smaller: it is not repeated when it asked for too much.
	smaller bool
	// once says that the query is not repeated at all; split that several smaller ones follow when it fails.
	once, split bool
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
func runQueryWithCost[T any](ctx context.Context, c *Client, q queryOptions, v variables) (T, []graphqlError, int,
	error,
) {

	doc := v.document()
	encoded, err := json.Marshal(v)
	if err != nil {
		var none T
		return none, nil, 0, fmt.Errorf("%s: %w", doc.name, err)
	}
	for {
		known, err := c.schema.document(doc, c.transport.Now())
		if err != nil {
			var none T
			return none, nil, 0, err
		}
		data, errs, cost, err := sendQuery[T](ctx, c, known, q, encoded)
		lacking, ok := errors.AsType[*SchemaError](err)
		if !ok {
			return data, errs, cost, err
		}
		again, fresh := c.schema.recordRefusal(known, lacking, c.transport.Now())
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
	var told rateLimitData
	var errs []graphqlError
	_, err = c.transport.Send(ctx, &transport.Call{
		Endpoint: doc.name, Resource: budget.ResourceGraphQL, Price: doc.price(encoded), Body: body,
		CallOptions: transport.CallOptions{CanShrink: q.smaller, NoRetry: q.once, IsSplit: q.split},
		Decode: func(r transport.Received) (info transport.BodyInfo, err error) {
			var fresh T
			told = rateLimitData{}
			errs, err = decodeGraphQL(r.Body, &fresh, &told)
			data = fresh
			if err == nil && told.decodeErr != nil {
				c.transport.ReportInvalidValue(
					fmt.Errorf("%s: the rate limit cannot be decoded: %w", doc.name, told.decodeErr))
			}
			return transport.BodyInfo{
				Points: told.cost(), Quota: told.quota(), IsRefused: err == nil && slices.ContainsFunc(errs, isOfWhole),
			}, err
		},
	})
	return data, errs, told.cost(), err
}

// mostCost bounds what is believed of a query's cost: the dearest that GitHub takes has half a million nodes.
const mostCost = 10_000

func (r *rateLimitData) cost() int {
	if r.RateLimit == nil {
		return 1
	}
	return min(max(0, r.RateLimit.Cost), mostCost)
}

func (r *rateLimitData) quota() budget.Quota {
	if r.RateLimit == nil {
		return budget.Quota{}
	}
	return budget.Quota{Remaining: r.RateLimit.Remaining, Limit: r.RateLimit.Limit, Reset: r.RateLimit.ResetAt}
}

// maxErrors bounds the errors of an answer: a page has at most some for each of its rows.
const maxErrors = 2000

// decodeGraphQL decodes an answer. Limits and questions that are too large are errors of the whole answer; what else
// is missing is left to the caller.
func decodeGraphQL(body []byte, into any, told *rateLimitData) ([]graphqlError, error) {
	var answer struct {
		Data   json.RawMessage `json:"data"`
		Errors []graphqlError  `json:"errors"`
	}
	if err := transport.DecodeJSON(body, &answer); err != nil {
		return nil, err
	}
	if len(answer.Errors) > maxErrors {
		return nil, fmt.Errorf("an answer with %d errors", len(answer.Errors))
	}
	hasData := len(answer.Data) > 0 && string(answer.Data) != "null"
	if hasData {
		if err := json.Unmarshal(answer.Data, told); err != nil {
			*told = rateLimitData{decodeErr: printableError(err)} // the headers count then
		}
	}
	if err := responseError(answer.Errors, hasData); err != nil {
		if hasData && errors.Is(err, transport.ErrTooLarge) {
			_ = json.Unmarshal(answer.Data, into) // who cannot ask for less uses what there is
		}
		return answer.Errors, err
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return nil, fmt.Errorf("not the data that was expected: %w", err)
	}
	err := checkNulls(answer.Data, answer.Errors)
	if err != nil {
		*told = rateLimitData{} // its part about the limit may be missing
	}
	return answer.Errors, err
}

// responseError is the error of an answer as a whole
// (https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api).
func responseError(errs []graphqlError, hasData bool) error {
	for i := range errs {
		e := &errs[i]
		switch {
		case e.kind() == "RATE_LIMITED" || e.kind() == "RATE_LIMIT":
			return &transport.LimitMessage{Message: e.Message, Secondary: transport.IsSecondaryLimitMessage(e.Message)}
		case transport.IsSecondaryLimitMessage(e.Message):
			return &transport.LimitMessage{Message: e.Message, Secondary: true}
		case e.kind() == "RESOURCE_LIMITS_EXCEEDED" || e.kind() == "MAX_NODE_LIMIT_EXCEEDED":
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
		return errors.New("an answer with neither data nor errors")
	case strings.Contains(errs[0].Message, "timeout") || strings.Contains(errs[0].Message, "Something went wrong"):
		return fmt.Errorf("%w: %s", transport.ErrTooLarge, transport.Printable(errs[0].Message))
	case errs[0].refused():
		return &transport.RefusedMessage{Message: errs[0].Message}
	default:
		return errors.New(transport.Printable(errs[0].Message))
	}
}

type pageInfo struct {
	HasNextPage bool   `json:"hasNextPage"`
	EndCursor   string `json:"endCursor"`
}
