// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/google/go-github/v66/github"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

const dataDir = "../../../testdata/open-telemetry"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:fix inline

// at is a moment of the small organization's day.
func at(clock string) time.Time {
	t, err := time.Parse(time.RFC3339, "2026-03-04T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return t
}

// small is an organization with two repositories; "api" has a bit of everything.
func small() *githubtest.Dataset {
	commit := func(sha, clock string) githubtest.Commit {
		return githubtest.Commit{
			Repo: "api", SHA: sha, Login: new("ann"), AuthoredAt: at(clock), CommittedAt: at(clock), Additions: 10,
			Deletions: 1, Parents: 1,
		}
	}
	return &githubtest.Dataset{
		Org: githubtest.Org{Login: "acme", From: at("00:00:00"), Until: at("12:00:00")},
		Repos: []githubtest.Repo{
			{Name: "api", DefaultBranch: "main", CreatedAt: at("00:00:00").AddDate(-1, 0, 0)},
			{
				Name: "empty", DefaultBranch: "main", CreatedAt: at("01:00:00").AddDate(-1, 0, 0),
				RepoState: githubtest.RepoState{Empty: true},
			},
		},
		Commits: []githubtest.Commit{
			commit("c1", "01:00:00"), commit("c2", "02:00:00"), commit("c3", "03:00:00"), commit("c4", "04:00:00"),
		},
		Pulls: []githubtest.Pull{
			{
				Repo: "api", Number: 1, Login: new("ann"), CreatedAt: at("01:30:00"), MergedAt: new(at("02:00:00")),
				ClosedAt: new(at("02:00:00")),
			},
			{Repo: "api", Number: 2, Login: new("renovate[bot]"), CreatedAt: at("02:30:00")},
			{Repo: "api", Number: 3, Login: new("bob"), CreatedAt: at("03:30:00"), ClosedAt: new(at("05:00:00"))},
		},
		Reviews: []githubtest.Review{
			{Repo: "api", Pull: 1, ID: 11, Login: new("bob"), SubmittedAt: new(at("01:50:00")), State: "APPROVED"},
			{Repo: "api", Pull: 2, ID: 12, Login: new("bob"), State: "PENDING"},
			{Repo: "api", Pull: 2, ID: 13, Login: new("ann"), SubmittedAt: new(at("06:00:00")), State: "COMMENTED"},
		},
		Comments: []githubtest.Comment{
			{Repo: "api", Issue: 1, ID: 21, Login: new("bob"), CreatedAt: at("01:40:00"), UpdatedAt: at("01:40:00")},
			{Repo: "api", Issue: 7, ID: 22, Login: new("ann"), CreatedAt: at("02:10:00"), UpdatedAt: at("07:00:00")},
			{Repo: "api", Issue: 7, ID: 23, Login: new("bob"), CreatedAt: at("03:10:00"), UpdatedAt: at("03:10:00")},
		},
	}
}

// clock is a time that a test moves.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// acme serves the small organization at noon, after it all happened.
func acme(t *testing.T, change func(*githubtest.Settings)) *githubtest.Server {
	t.Helper()
	set := githubtest.Settings{
		Datasets: []*githubtest.Dataset{small()}, Now: func() time.Time { return at("12:00:00") },
	}
	if change != nil {
		change(&set)
	}
	return githubtest.Start(t, set)
}

func openTelemetry(tb testing.TB) *githubtest.Dataset {
	tb.Helper()
	d, err := githubtest.LoadDataset(os.DirFS(dataDir))
	require.NoError(tb, err)
	return d
}

// plain is a client that does not follow redirects and keeps no connections.
func plain(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func request(t *testing.T, s *githubtest.Server, method, path string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+githubtest.DefaultToken)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

type response struct {
	*http.Response
	body []byte
}

func get(t *testing.T, s *githubtest.Server, path string, header ...string) response {
	t.Helper()
	return do(t, request(t, s, http.MethodGet, path, nil, header...))
}

func do(t *testing.T, r *http.Request) response {
	t.Helper()
	res, err := plain(t).Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return response{res, b}
}

func (r response) json(t *testing.T) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(r.body, &v), "%s", r.body)
	return v
}

// ask sends a GraphQL query.
func ask(t *testing.T, s *githubtest.Server, query string, vars map[string]any) response {
	t.Helper()
	b, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	require.NoError(t, err)
	return do(t, request(t, s, http.MethodPost, "/graphql", bytes.NewReader(b)))
}

// dig follows keys and places into a JSON value.
func dig(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			require.True(t, ok, "%v in %v", p, v)
			v = m[p]
		case int:
			l, ok := v.([]any)
			require.True(t, ok && p < len(l), "%v in %v", p, v)
			v = l[p]
		}
	}
	return v
}

// column is one field of each row.
func column(t *testing.T, rows any, path ...any) []any {
	t.Helper()
	list, ok := rows.([]any)
	require.True(t, ok, "%v", rows)
	out := []any{}
	for _, r := range list {
		out = append(out, dig(t, r, path...))
	}
	return out
}

func client(t *testing.T, s *githubtest.Server) *github.Client {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	c, err := github.NewClient(&http.Client{Transport: tr}).WithAuthToken(githubtest.DefaultToken).WithEnterpriseURLs(
		s.URL, s.URL,
	)
	require.NoError(t, err)
	return c
}

// serveControl serves a server with its control endpoints.
func serveControl(t *testing.T, s *githubtest.Server) *githubtest.Server {
	t.Helper()
	h := httptest.NewServer(s.Control())
	t.Cleanup(h.Close)
	s.URL = h.URL
	return s
}
