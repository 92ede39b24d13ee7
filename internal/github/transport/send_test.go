// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// roundTrip responds to requests without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// scriptedServer responds to each request with the next of its responses, and to later ones with the last.
type scriptedServer struct {
	responses []response
	requests  []*http.Request
	results   []transport.RequestResult
	attempts  []transport.Attempt
}

type response struct {
	status int
	body   string
	header map[string]string
}

func (s *scriptedServer) client(t *testing.T) *transport.Client {
	t.Helper()
	client, err := transport.New(transport.Settings{
		Endpoint: "https://ghe.example.com/api/v3", Credential: transport.TokenCredential("token"),
		Retry: transport.RetrySettings{
			MaxAttempts: 3, InitialInterval: time.Microsecond, MaxInterval: time.Microsecond,
		},
		OnResult:  func(r transport.RequestResult) { s.results = append(s.results, r) },
		OnAttempt: func(a transport.Attempt) { s.attempts = append(s.attempts, a) },
		HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			next := s.responses[min(len(s.requests), len(s.responses)-1)]
			s.requests = append(s.requests, r)
			header := http.Header{}
			for name, value := range next.header {
				header.Set(name, value)
			}
			return &http.Response{
				StatusCode: next.status, Header: header, Body: io.NopCloser(strings.NewReader(next.body)), Request: r,
			}, nil
		})},
	})
	require.NoError(t, err)
	return client
}

// getCall returns a REST call whose body is a JSON value.
func getCall(options transport.CallOptions) *transport.Call {
	return &transport.Call{
		Endpoint: "/things/{id}", Resource: budget.ResourceREST, Price: 1, Path: "things/1", CallOptions: options,
		NotFoundHint: "no such thing",
		Decode: func(r transport.Received) (transport.BodyInfo, error) {
			var thing any
			return transport.BodyInfo{Points: 1}, transport.DecodeJSON(r.Body, &thing)
		},
	}
}

// TestSendRetries: how many attempts a call has, by the status and by what the caller does when it fails.
func TestSendRetries(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status   int
		options  transport.CallOptions
		attempts int
		reported bool // as a failure
	}{
		"success":                  {200, transport.CallOptions{}, 1, false},
		"server error":             {500, transport.CallOptions{}, 3, true},
		"another request":          {500, transport.CallOptions{NoRetry: true}, 1, false},
		"a smaller request":        {504, transport.CallOptions{CanShrink: true}, 1, false},
		"too large without one":    {504, transport.CallOptions{}, 3, true},
		"several smaller requests": {502, transport.CallOptions{IsSplit: true}, 1, false},
		"refused once":             {404, transport.CallOptions{}, 2, false},
		"refused and trusted":      {404, transport.CallOptions{NoRefusalRetry: true}, 1, false},
		"expected":                 {404, transport.CallOptions{ExpectsNotFound: true}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scriptedServer{responses: []response{{status: test.status, body: "{}"}}}
			status, err := s.client(t).Send(t.Context(), getCall(test.options))
			require.Equal(t, test.status, status)
			require.Equal(t, test.status != 200, err != nil, "%v", err)
			require.Len(t, s.requests, test.attempts)
			require.Len(t, s.attempts, test.attempts)
			var failures []error
			for _, result := range s.results {
				if result.Err != nil {
					failures = append(failures, result.Err)
				}
			}
			require.Equal(t, test.reported, len(failures) == 1, "%v", failures)
		})
	}
}

// TestSendTimeout: an attempt lasts as long as its call allows, otherwise as the settings do, whatever the time-out of
// the HTTP client is.
func TestSendTimeout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ ofCall, want time.Duration }{
		"of the settings":    {0, 20 * time.Second},
		"longer in the call": {30 * time.Second, 30 * time.Second},
		"less in the call":   {5 * time.Second, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, err := transport.New(transport.Settings{
					Endpoint: "https://ghe.example.com/api/v3", Credential: transport.TokenCredential("token"),
					Timeout: 20 * time.Second,
					HTTP: &http.Client{
						Timeout: 10 * time.Second,
						Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
							<-r.Context().Done()
							return nil, r.Context().Err()
						}),
					},
				})
				require.NoError(t, err)
				call, began := getCall(transport.CallOptions{NoRetry: true}), time.Now()
				call.Timeout = test.ofCall
				_, err = client.Send(t.Context(), call)
				require.Error(t, err)
				require.Equal(t, test.want, time.Since(began))
			})
		})
	}
}

// TestSendErrors: which typed error a response becomes.
func TestSendErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		response response
		want     error
		text     string
	}{
		"unauthorized": {response{status: 401, body: `{"message":"Bad credentials"}`}, &transport.CredentialError{}, "Bad"},
		"forbidden":    {response{status: 403, body: `{"message":"no"}`}, &transport.ForbiddenError{}, "status 403"},
		"limit": {response{
			status: 403, body: `{"message":"API rate limit exceeded"}`,
			header: map[string]string{"X-Ratelimit-Remaining": "0", "Retry-After": "7"},
		}, &transport.LimitError{}, "primary rate limit"},
		"secondary limit": {
			response{status: 429, header: map[string]string{"Retry-After": "7"}},
			&transport.LimitError{}, "secondary rate limit",
		},
		"legal": {response{status: 451}, &transport.ForbiddenError{}, "legal reasons"},
		"not found": {
			response{status: 404, body: `{"message":"Not Found"}`},
			&transport.NotFoundError{}, "Not Found: no such thing",
		},
		"no JSON":            {response{status: 200, body: `<html>`}, &transport.UnavailableError{}, "not the JSON"},
		"more than JSON":     {response{status: 200, body: `{} {}`}, &transport.UnavailableError{}, "something follows it"},
		"control characters": {response{status: 500, body: `{"message":"a\u0000b"}`}, &transport.UnavailableError{}, "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scriptedServer{responses: []response{test.response}}
			_, err := s.client(t).Send(t.Context(), getCall(transport.CallOptions{NoRetry: true}))
			require.Equal(t, fmt.Sprintf("%T", test.want), fmt.Sprintf("%T", err))
			require.ErrorContains(t, err, test.text)
			require.ErrorContains(t, err, "/things/{id}")
		})
	}
}

// schemaMessage is a BodyError of another package.
type schemaMessage struct{ error }

func (m schemaMessage) InResponse(r transport.Response) error {
	return fmt.Errorf("completed: %w", &transport.NotFoundError{Response: r})
}

// TestBodyErrors: what Send returns for an error of Decode.
func TestBodyErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want func(error) bool
	}{
		"limit": {&transport.LimitMessage{Message: "slow down", Secondary: true}, func(err error) bool {
			limit, ok := errors.AsType[*transport.LimitError](err)
			return ok && limit.Secondary && limit.Message == "slow down"
		}},
		"refused": {&transport.RefusedMessage{Message: "no"}, func(err error) bool {
			forbidden, ok := errors.AsType[*transport.ForbiddenError](err)
			return ok && forbidden.Message == "no" && forbidden.Status == 200
		}},
		"another package's": {schemaMessage{errors.New("no field")}, func(err error) bool {
			missing, ok := errors.AsType[*transport.NotFoundError](err)
			return ok && missing.Message == "no field" && strings.HasPrefix(err.Error(), "completed: ")
		}},
		"too large": {fmt.Errorf("%w: nodes", transport.ErrTooLarge), transport.IsTooLarge},
		"another": {errors.New("odd"), func(err error) bool {
			return errors.As(err, new(*transport.UnavailableError)) && !transport.IsTooLarge(err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scriptedServer{responses: []response{{status: 200, body: "{}"}}}
			call := getCall(transport.CallOptions{NoRetry: true})
			call.Decode = func(transport.Received) (transport.BodyInfo, error) {
				return transport.BodyInfo{Points: 3}, test.err
			}
			_, err := s.client(t).Send(t.Context(), call)
			require.True(t, test.want(err), "%T: %v", err, err)
			require.Equal(t, 3, s.attempts[0].Points, "the info of a refused body counts")
		})
	}
}

// TestSendConditionally: a response that has not changed costs nothing and is not decoded. Without an ETag it is an
// error.
func TestSendConditionally(t *testing.T) {
	t.Parallel()
	s := &scriptedServer{responses: []response{{status: 304}}}
	call := getCall(transport.CallOptions{})
	call.ETag = `"1"`
	status, err := s.client(t).Send(t.Context(), call)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotModified, status)
	require.Equal(t, `"1"`, s.requests[0].Header.Get("If-None-Match"))
	require.Zero(t, s.attempts[0].Points)
	_, err = s.client(t).Send(t.Context(), getCall(transport.CallOptions{}))
	require.Error(t, err)
}

// TestSendGraphQL: a query is a POST of its body, and one that is refused as a whole is sent twice.
func TestSendGraphQL(t *testing.T) {
	t.Parallel()
	s := &scriptedServer{responses: []response{{status: 200, body: "{}"}}}
	status, err := s.client(t).Send(t.Context(), &transport.Call{
		Endpoint: "Things", Resource: budget.ResourceGraphQL, Price: 2, Body: []byte(`{"query":"query Things { x }"}`),
		Decode: func(transport.Received) (transport.BodyInfo, error) {
			quota := budget.Quota{Limit: 5000, Remaining: 4000, Reset: time.Now().Add(time.Minute)}
			return transport.BodyInfo{Points: 5, Quota: quota, IsRefused: true}, nil
		},
	})
	require.NoError(t, err, "the caller has the response")
	require.Equal(t, http.StatusOK, status)
	require.Len(t, s.requests, 2)
	for i, r := range s.requests {
		require.Equal(t, "POST https://ghe.example.com/api/graphql", r.Method+" "+r.URL.String())
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		require.Equal(t, "Bearer token", r.Header.Get("Authorization"))
		require.True(t, s.attempts[i].Mispriced, "5 points instead of 2")
		require.Equal(t, 4000, s.attempts[i].Quota.Remaining)
	}
}

// TestPatience: after failures that lasted too long, the requests of a reading are not sent.
func TestPatience(t *testing.T) {
	t.Parallel()
	s := &scriptedServer{responses: []response{{status: 500}}}
	client := s.client(t)
	ctx := transport.WithScope(t.Context(), transport.Scope{RepoID: 7, Patience: client.NewPatience(1, true)})
	_, err := client.Send(ctx, getCall(transport.CallOptions{}))
	require.Error(t, err)
	require.Len(t, s.requests, 1, "brief: one attempt")
	require.Equal(t, int64(7), s.results[0].RepoID)
	_, err = client.Send(ctx, getCall(transport.CallOptions{}))
	require.Error(t, err)
	require.Len(t, s.requests, 2, "without a time-out there is no bound")
}
