// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// TestMispriced: an answer that cost something else than was predicted says so, and what it cost counts.
func TestMispriced(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	server := githubtest.NewServer(githubtest.Settings{Datasets: []*githubtest.Dataset{data}})
	t.Cleanup(server.Close)
	var seen []transport.Attempt
	dear := false
	requests, err := transport.New(transport.Settings{
		Endpoint: "https://api.github.example", Credential: transport.TokenCredential(githubtest.DefaultToken),
		OnAttempt: func(o transport.Attempt) { seen = append(seen, o) },
		HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			recorder := httptest.NewRecorder()
			server.ServeHTTP(recorder, r)
			response := recorder.Result()
			body, err := io.ReadAll(response.Body)
			if dear {
				require.Contains(t, string(body), `"cost":3`)
				body = bytes.Replace(body, []byte(`"cost":3`), []byte(`"cost":7`), 1)
			}
			response.Body = io.NopCloser(bytes.NewReader(body))
			return response, err
		})},
	})
	require.NoError(t, err)
	client := github.New(requests, github.Settings{})
	require.NoError(t, client.Discover(t.Context(), org, pages))
	dear = true
	require.NoError(t, client.Discover(t.Context(), org, pages))
	require.Len(t, seen, 2)
	require.Equal(t, []any{3, 3, false}, []any{seen[0].PredictedPoints, seen[0].Points, seen[0].Mispriced})
	require.Equal(t, []any{3, 7, true}, []any{seen[1].PredictedPoints, seen[1].Points, seen[1].Mispriced})
}

// TestAbsurdAnswers: a cost that no query has does not fill a counter, and a flood of errors is refused as a whole.
func TestAbsurdAnswers(t *testing.T) {
	t.Parallel()
	answer := `{"data":{"rateLimit":{"cost":9223372036854775807,"limit":5000,"remaining":4000,` +
		`"resetAt":"2026-03-11T13:00:00Z"},` +
		`"organization":{"repositories":{"pageInfo":{"hasNextPage":false},"nodes":[]}},` +
		`"pulls":{"repositories":{"nodes":[]}},"issues":{"repositories":{"nodes":[]}}}}`
	var seen []transport.Attempt
	requests, err := transport.New(transport.Settings{
		Endpoint: "https://api.github.example", OnAttempt: func(o transport.Attempt) { seen = append(seen, o) },
		HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{},
				Body: io.NopCloser(strings.NewReader(answer)),
			}, nil
		})},
	})
	require.NoError(t, err)
	client := github.New(requests, github.Settings{})
	require.NoError(t, client.Discover(t.Context(), org, pages))
	require.LessOrEqual(t, seen[0].Points, 10_000)
	answer = `{"data":{"organization":null},"errors":[` + strings.Repeat(`{"path":["organization"],"message":"x"},`,
		5000) + `{}]}`
	err = client.Discover(t.Context(), org, pages)
	require.True(t, is[*transport.UnavailableError](err), "%T: %v", err, err)
	require.Contains(t, err.Error(), "more than 2000 elements")
}
