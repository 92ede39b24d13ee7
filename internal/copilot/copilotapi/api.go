// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package copilotapi sends the requests for Copilot usage reports with the client of the REST API. They have background
// priority in the budget of the credential, one attempt each, and no effect on the circuit breaker of the passes: a
// report that is not there is an ordinary response, whatever its status is.
package copilotapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// Settings configure an API.
type Settings struct {
	Client *transport.Client
	// Timeout is that of a request; 0 for that of the client.
	Timeout time.Duration
	// CheckPaused returns why the circuit breaker forbids requests now, nil when it allows them; a nil function never
	// forbids them.
	CheckPaused func() error
}

// API implements copilot.API. It is safe for concurrent use.
type API struct{ settings Settings }

var _ copilot.API = (*API)(nil)

// New makes an API.
func New(settings Settings) *API {
	if settings.CheckPaused == nil {
		settings.CheckPaused = func() error { return nil }
	}
	return &API{settings: settings}
}

// pausedRetryDelay is the wait while the circuit breaker, or a limit without an end, forbids requests.
const pausedRetryDelay = time.Minute

// Get implements copilot.API. Of a response with a status from 300 on, the body has nothing but GitHub's message.
func (a *API) Get(ctx context.Context, route, path string) (copilot.Response, error) {
	var response copilot.Response
	ctx = transport.WithScope(ctx, transport.Scope{Priority: budget.Background})
	_, err := a.settings.Client.Send(ctx, &transport.Call{
		Endpoint: route, Resource: budget.ResourceREST, Price: 1, Path: strings.TrimPrefix(path, "/"),
		Timeout: a.settings.Timeout, CallOptions: transport.CallOptions{NoRetry: true},
		Decode: func(r transport.Received) (transport.BodyInfo, error) {
			charged := transport.BodyInfo{Points: 1}
			if len(r.Body) > report.MaxLinksBody {
				return charged, fmt.Errorf("the response has more than %d MiB", report.MaxLinksBody>>20)
			}
			response = copilot.Response{Status: r.Status, Body: r.Body}
			return charged, nil
		},
	})
	if err == nil || ctx.Err() != nil {
		return response, err
	}
	if limit := a.limitOf(err); limit != nil {
		return copilot.Response{}, limit
	}
	if answered, ok := responseOf(err, route); ok {
		return answered, nil
	}
	return copilot.Response{}, err
}

// limitOf returns the error of a request that is not allowed now, nil for another error.
func (a *API) limitOf(err error) *copilot.LimitError {
	now := a.settings.Client.Now()
	if limit, ok := errors.AsType[*transport.LimitError](err); ok {
		retryAt := limit.RetryAt
		if !retryAt.After(now) {
			retryAt = now.Add(pausedRetryDelay)
		}
		return &copilot.LimitError{RetryAt: retryAt, Err: err}
	}
	unavailable, ok := errors.AsType[*transport.UnavailableError](err)
	if ok && unavailable.Status == 0 && a.settings.CheckPaused() != nil {
		return &copilot.LimitError{RetryAt: now.Add(pausedRetryDelay), Err: err}
	}
	return nil
}

// responseOf returns the response that an error is about; false when there was none, when it is that of another
// request such as one for a token, and when its body could not be used.
func responseOf(err error, route string) (copilot.Response, bool) {
	about := transport.Response{}
	if credential, ok := errors.AsType[*transport.CredentialError](err); ok {
		about = credential.Response
		about.Endpoint, about.Status = route, http.StatusUnauthorized
	} else if forbidden, ok := errors.AsType[*transport.ForbiddenError](err); ok {
		about = forbidden.Response
	} else if missing, ok := errors.AsType[*transport.NotFoundError](err); ok {
		about = missing.Response
	} else if unavailable, ok := errors.AsType[*transport.UnavailableError](err); ok {
		about = unavailable.Response
	}
	if about.Status < http.StatusMultipleChoices || about.Endpoint != route {
		return copilot.Response{}, false
	}
	body, encodeErr := json.Marshal(struct {
		Message string `json:"message"`
	}{about.Message})
	return copilot.Response{Status: about.Status, Body: body}, encodeErr == nil
}
