// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilotapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const route = "/orgs/{org}/copilot/metrics/reports/users-28-day/latest"

// newAPI returns an API of a server, and the results that its client reports to the circuit breaker.
func newAPI(t *testing.T, url string, change func(*transport.Settings)) (*API, *[]transport.RequestResult) {
	t.Helper()
	results := new([]transport.RequestResult)
	settings := transport.Settings{
		Endpoint: url, Credential: transport.TokenCredential("secret"), Timeout: 10 * time.Second,
		Retry:     transport.RetrySettings{MaxAttempts: 5, InitialInterval: time.Hour, MaxInterval: time.Hour},
		RateLimit: budget.Policy{MaxConcurrentRequests: 4, SecondaryBackoff: time.Minute},
		OnResult:  func(r transport.RequestResult) { *results = append(*results, r) },
	}
	if change != nil {
		change(&settings)
	}
	client, err := transport.New(settings)
	require.NoError(t, err)
	return New(Settings{Client: client, CheckPaused: settings.CheckPaused}), results
}

// TestEveryStatusIsAResponse reads each state of a report with one request, without an effect on the circuit breaker.
func TestEveryStatusIsAResponse(t *testing.T) {
	t.Parallel()
	for state, want := range map[copilottest.State]report.State{
		"":                             report.StateReady,
		copilottest.NoContent:          report.StateNoContent,
		copilottest.DayRefused:         report.StateDayRefused,
		copilottest.NotFound:           report.StateNotFound,
		copilottest.Sentence:           report.StateNotice,
		copilottest.EmptyBody:          report.StateEmpty,
		copilottest.NoLinks:            report.StateEmpty,
		copilottest.BadGateway:         report.StateGenerating,
		copilottest.ServiceUnavailable: report.StateGenerating,
		copilottest.PolicyDisabled:     report.StatePolicyDisabled,
		copilottest.RoleRequired:       report.StateRoleRequired,
		copilottest.PermissionRequired: report.StatePermissionRequired,
		copilottest.OtherForbidden:     report.StateForbidden,
		copilottest.BadCredentials:     report.StateUnauthenticated,
		copilottest.ServerError:        report.StateFailed,
		copilottest.HTMLPage:           report.StateMalformed,
		copilottest.TruncatedBody:      report.StateMalformed,
	} {
		t.Run(want.String()+" "+string(state), func(t *testing.T) {
			t.Parallel()
			server := copilottest.Start(t, copilottest.Settings{})
			server.SetOrganization("acme", copilottest.Generate(3, 40, time.Now()))
			if state != "" {
				server.AddRule(copilottest.Rule{State: state})
			}
			api, results := newAPI(t, server.APIURL, nil)
			response, err := api.Get(t.Context(), route, "/orgs/acme/copilot/metrics/reports/users-28-day/latest")
			require.NoError(t, err)
			_, got := report.ReadLinks(response.Status, response.Body)
			require.Equal(t, want, got)
			require.Equal(t, 1, server.Count(""))
			for _, result := range *results {
				require.NoError(t, result.Err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	server := copilottest.Start(t, copilottest.Settings{})
	server.AddRule(copilottest.Rule{State: copilottest.RateLimited})
	api, _ := newAPI(t, server.APIURL, nil)
	for range 2 { // the second one is not sent
		_, err := api.Get(t.Context(), route, "/orgs/acme/copilot/metrics/reports/users-28-day/latest")
		limit, ok := errors.AsType[*copilot.LimitError](err)
		require.True(t, ok, "%v", err)
		require.True(t, limit.RetryAt.After(time.Now()))
		require.Equal(t, 1, server.Count(""))
	}
}

// TestPause shows that a request that the circuit breaker forbids is no failure of the report.
func TestPause(t *testing.T) {
	t.Parallel()
	server := copilottest.Start(t, copilottest.Settings{})
	api, _ := newAPI(t, server.APIURL, func(s *transport.Settings) {
		s.CheckPaused = func() error { return errors.New("cooldown") }
	})
	_, err := api.Get(t.Context(), route, "/orgs/acme")
	require.ErrorAs(t, err, new(*copilot.LimitError))
	require.Zero(t, server.Count(""))
}

// TestNoResponse lists what is an error: no connection, a body that is too large, and the end of the context.
func TestNoResponse(t *testing.T) {
	t.Parallel()
	large := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat(" ", report.MaxLinksBody+1)))
	}))
	t.Cleanup(large.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for _, url := range []string{large.URL, closed.URL} {
		api, results := newAPI(t, url, nil)
		_, err := api.Get(t.Context(), route, "/orgs/acme")
		require.Error(t, err)
		require.NotErrorAs(t, err, new(*copilot.LimitError))
		require.Empty(t, *results, "a failure counts for the circuit breaker")
	}
	api, _ := newAPI(t, large.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := api.Get(ctx, route, "/orgs/acme")
	require.ErrorIs(t, err, context.Canceled)
}
