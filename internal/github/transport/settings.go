// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// Settings configure a Client.
type Settings struct {
	// HTTP is the base client: TLS, proxy, tracing. It may authenticate by itself. Its redirect policy and
	// its time-out are replaced.
	HTTP *http.Client
	// Endpoint is the REST base URL: https://api.github.com, https://HOST/api/v3 (Enterprise Server) or
	// https://api.SUB.ghe.com (data residency), with a trailing slash or without. GraphQLEndpoint follows from it when
	// it is empty.
	Endpoint, GraphQLEndpoint string
	// Credential authenticates requests; nil when HTTP does.
	Credential Credential
	// Timeout is for one attempt of a request, body included; 0 for none.
	Timeout   time.Duration
	Retry     RetrySettings
	RateLimit budget.Policy
	// Concurrency is how many requests of this client may be in flight. After a limit was exceeded no more than that
	// are still sent. 0 for RateLimit.MaxConcurrentRequests.
	Concurrency int
	// Budget is that of the credential, shared by all clients that use it; nil for one of this client alone.
	Budget budget.Budget
	// OnResult is called when a request that was sent has ended, with all its retries. It must not block.
	OnResult func(RequestResult)
	// OnAttempt is called once for each attempt that was sent. It must not block.
	OnAttempt func(Attempt)
	// CheckPaused returns why the circuit breaker forbids requests now; nil when it allows them. Probes are sent
	// anyway.
	CheckPaused func() error
	// OnInvalidValue is called for each invalid value in a response; it is ignored otherwise.
	OnInvalidValue func(error)
	Now            func() time.Time
	// Sleep waits for d by the clock of Now, or until ctx ends; nil for a timer.
	Sleep     func(ctx context.Context, d time.Duration) error
	UserAgent string
}

// RetrySettings configure retries: exponential backoff with full jitter.
type RetrySettings struct {
	MaxAttempts                  int
	InitialInterval, MaxInterval time.Duration
}

// RequestResult is the result of a request, its retries, and the smaller requests in place of it.
type RequestResult struct {
	Resource budget.Resource
	// RepoID is the repository that the request was about; 0 for the organization.
	RepoID int64
	// Err is why there was no usable response; nil when there was one. A refusal and a limit are usable.
	Err error
}

// Attempt describes one attempt that was sent.
type Attempt struct {
	// Endpoint is the route template or the name of the query.
	Endpoint string
	// StatusClass is 2xx to 5xx, or "error" when there was no response.
	StatusClass string
	Resource    budget.Resource
	// Points is what it cost of the primary limit, PredictedPoints what it was predicted to cost. Mispriced says that
	// the response of a query has another price.
	Points          int
	PredictedPoints int
	Mispriced       bool
	// Err is why this attempt had no usable response; nil when it had one, or when the caller ended it. It may be
	// retried.
	Err error
	// IsProbe says that the request was one of Client.Probe.
	IsProbe bool
	// SecondaryLimit says that a secondary limit was exceeded.
	SecondaryLimit bool
	// CredentialExpires is when the credential expires; zero when the response does not have it, as for the
	// installation of an App.
	CredentialExpires time.Time
	// Deprecation has the deprecation headers of the response; empty when it has none.
	Deprecation string
	// Quota is that of the primary limit; zero when the response does not have it.
	Quota budget.Quota
}

// withDefaults sets optional settings and returns the REST and GraphQL endpoints. Its error names an endpoint that is
// not an absolute URL.
func (s Settings) withDefaults() (Settings, *url.URL, *url.URL, error) {
	if s.HTTP == nil {
		s.HTTP = &http.Client{}
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Sleep == nil {
		s.Sleep = wakeup.Sleep
	}
	if s.OnAttempt == nil {
		s.OnAttempt = func(Attempt) {}
	}
	if s.OnResult == nil {
		s.OnResult = func(RequestResult) {}
	}
	if s.Budget == nil {
		s.Budget = &budget.Local{}
	}
	if s.CheckPaused == nil {
		s.CheckPaused = func() error { return nil }
	}
	if s.OnInvalidValue == nil {
		s.OnInvalidValue = func(error) {}
	}
	s.RateLimit.MaxConcurrentRequests = max(1, s.RateLimit.MaxConcurrentRequests)
	if s.Concurrency <= 0 {
		s.Concurrency = s.RateLimit.MaxConcurrentRequests
	}
	s.Retry.MaxAttempts = max(1, s.Retry.MaxAttempts)
	rest, err := url.Parse(strings.TrimRight(s.Endpoint, "/") + "/")
	if err != nil || rest.Host == "" {
		return s, nil, nil, errors.New("endpoint: not an absolute URL")
	}
	graphql, err := graphqlURL(rest, s.GraphQLEndpoint)
	return s, rest, graphql, err
}

// graphqlURL derives the GraphQL endpoint
// (https://docs.github.com/enterprise-server/graphql/guides/forming-calls-with-graphql#the-graphql-endpoint).
func graphqlURL(rest *url.URL, given string) (*url.URL, error) {
	if given != "" {
		u, err := url.Parse(given)
		if err != nil || u.Host == "" {
			return nil, errors.New("graphql_endpoint: not an absolute URL")
		}
		return u, nil
	}
	u := *rest
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/v3") + "/graphql"
	return &u, nil
}
