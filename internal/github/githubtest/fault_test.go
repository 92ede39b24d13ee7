// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

func graphqlBody(query string) io.Reader {
	b, _ := json.Marshal(map[string]any{"query": query})
	return bytes.NewReader(b)
}

// broken serves with a fault for everything.
func broken(t *testing.T, e githubtest.Effect) *githubtest.Server {
	t.Helper()
	s := acme(t, nil)
	s.InjectFault(githubtest.Fault{Effect: e})
	return s
}

func TestStatusFaults(t *testing.T) {
	t.Parallel()
	for _, code := range []int{401, 403, 404, 409, 410, 422, 429, 451, 500, 502, 503, 504} {
		r := get(t, broken(t, githubtest.Status(code)), "/orgs/acme")
		require.Equal(t, code, r.StatusCode)
		require.NotEmpty(t, dig(t, r.json(t), "message"))
	}
	r := get(t, broken(t, githubtest.StatusBody(403, http.Header{"x-github-sso": {"required"}}, "sso")), "/orgs/acme")
	require.Equal(t, "required", r.Header.Get("X-Github-Sso"))
	require.Equal(t, "sso", string(r.body))
}

func TestLimitFaults(t *testing.T) {
	t.Parallel()
	for _, code := range []int{403, 429} {
		r := get(t, broken(t, githubtest.PrimaryLimit(code)), "/orgs/acme")
		require.Equal(t, code, r.StatusCode)
		require.Equal(t, "0", r.Header.Get("X-Ratelimit-Remaining"))
		r = get(t, broken(t, githubtest.SecondaryLimit(code, 30*time.Second)), "/orgs/acme")
		require.Equal(t, code, r.StatusCode)
		require.Equal(t, "30", r.Header.Get("Retry-After"))
		require.Equal(t, "5000", r.Header.Get("X-Ratelimit-Remaining"))
	}
	r := ask(t, broken(t, githubtest.PrimaryLimit(0)), `{viewer{login}}`, nil)
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Equal(t, "RATE_LIMITED", dig(t, r.json(t), "errors", 0, "type"))
	r = ask(t, broken(t, githubtest.SecondaryLimit(200, 0)), `{viewer{login}}`, nil)
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Contains(t, string(r.body), "secondary rate limit")
	r = ask(t, broken(t, githubtest.SecondaryLimit(403, time.Minute)), `{viewer{login}}`, nil)
	require.Equal(t, http.StatusForbidden, r.StatusCode)
}

func TestConnectionFaults(t *testing.T) {
	t.Parallel()
	read := func(e githubtest.Effect) (int, []byte, error) {
		s := broken(t, e)
		res, err := plain(t).Do(request(t, s, http.MethodGet, "/orgs/acme", nil))
		if err != nil {
			return 0, nil, err
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		return res.StatusCode, b, err
	}
	_, _, err := read(githubtest.ConnectionReset())
	require.Error(t, err)
	_, b, err := read(githubtest.WrongLength())
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.True(t, json.Valid(b))
	status, b, err := read(githubtest.TruncatedJSON())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.False(t, json.Valid(b))
	_, b, err = read(githubtest.SlowBody(time.Millisecond))
	require.NoError(t, err)
	require.True(t, json.Valid(b))
	_, b, err = read(githubtest.HugeBody(3 << 20))
	require.NoError(t, err)
	require.Greater(t, len(b), 3<<20)
	status, b, err = read(githubtest.HTML(200))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(b), "<html>")
}

func TestHang(t *testing.T) {
	t.Parallel()
	s := broken(t, githubtest.Hang())
	ctx, cancel := context.WithCancel(t.Context())
	s.OnRequest(func(githubtest.RequestInfo) { cancel() })
	r := request(t, s, http.MethodPost, "/graphql", graphqlBody(`{viewer{login}}`))
	_, err := plain(t).Do(r.WithContext(ctx)) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.Canceled)
	closing := broken(t, githubtest.Hang())
	closing.OnRequest(func(githubtest.RequestInfo) { closing.Close() })
	_, err = plain(t).Do(request(t, closing, http.MethodGet, "/orgs/acme", nil)) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, io.EOF)
}

func TestRedirectFaults(t *testing.T) {
	t.Parallel()
	s := broken(t, githubtest.RedirectLoop())
	require.Equal(t, s.URL+"/api/v3/orgs/acme?x=1", get(t, s, "/api/v3/orgs/acme?x=1").Header.Get("Location"))
	hop := get(t, broken(t, githubtest.RedirectTo(307, "https://example.com/x")), "/orgs/acme")
	require.Equal(t, 307, hop.StatusCode)
	require.Equal(t, "https://example.com/x", hop.Header.Get("Location"))
}

func TestEndlessPages(t *testing.T) {
	t.Parallel()
	s := broken(t, githubtest.NextLinkLoop())
	r := get(t, s, "/repos/acme/api/commits?page=9")
	require.Contains(t, r.Header.Get("Link"), `page=10>; rel="next"`)
	info := dig(
		t,
		ask(t, s, `{organization(login:"acme"){repositories(first:5){pageInfo{hasNextPage endCursor}}}}`, nil).json(t),
		"data", "organization", "repositories", "pageInfo",
	)
	require.Equal(t, true, dig(t, info, "hasNextPage"))
	require.NotEmpty(t, dig(t, info, "endCursor"))
}

func TestGraphQLFaults(t *testing.T) {
	t.Parallel()
	const query = `{organization(login:"acme"){repositories(first:2){nodes{name pushedAt ` +
		`issues(first:1){totalCount}}}}}`
	nodes := func(e githubtest.Effect) (any, any) {
		j := ask(t, broken(t, e), query, nil).json(t)
		return dig(t, j, "data", "organization", "repositories", "nodes"), dig(t, j, "errors")
	}
	got, errs := nodes(githubtest.NullAt("organization.repositories.nodes.0"))
	require.Nil(t, dig(t, got, 0))
	require.NotNil(t, dig(t, got, 1))
	require.Nil(t, errs)
	got, errs = nodes(githubtest.FieldError("organization.repositories.nodes.1.issues", "FORBIDDEN", "no"))
	require.NotNil(t, dig(t, got, 0))
	require.Nil(t, dig(t, got, 1), "null spreads to the repository")
	require.Equal(t, []any{"organization", "repositories", "nodes", 1., "issues"}, dig(t, errs, 0, "path"))
	got, errs = nodes(githubtest.FieldError("**.pushedAt", "X", "no"))
	require.Equal(t, []any{nil, nil}, column(t, got, "pushedAt"), "null where it may be")
	require.Len(t, errs, 2)
	page := githubtest.FieldError("**.pushedAt", "X", "no")
	page.NullDepth = 3
	got, _ = nodes(page)
	require.Nil(t, got)
	got, errs = nodes(githubtest.ResourceLimitsExceeded("organization.repositories.nodes.*.issues"))
	require.Equal(t, []any{nil, nil}, got)
	require.Equal(t, "RESOURCE_LIMITS_EXCEEDED", dig(t, errs, 0, "type"))
	r := ask(t, broken(t, githubtest.GraphQLTimeout(504)), query, nil)
	require.Equal(t, 504, r.StatusCode)
	require.Contains(t, dig(t, r.json(t), "errors", 0, "message"), "timeout")
}

func TestFaultsChoose(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	third := s.InjectFault(
		githubtest.Fault{
			Match: githubtest.Match{Org: "ACME", Repo: "api", Route: "/repos/{owner}/{repo}/commits", Query: "page=2"},
			Skip:  1, Every: 2, Times: 1, Effect: githubtest.Status(500),
		},
	)
	page := func() int { return get(t, s, "/repos/acme/api/commits?page=2").StatusCode }
	require.Equal(t, []int{200, 200, 500, 200, 200, 200}, []int{page(), page(), page(), page(), page(), page()})
	require.Equal(t, 200, get(t, s, "/repos/acme/api/commits").StatusCode)
	require.Equal(t, 1, third.Hits())
	named := s.InjectFault(githubtest.Fault{Match: githubtest.Match{Operation: "Who"}, Effect: githubtest.Status(502)})
	require.Equal(t, 502, ask(t, s, `query Who{viewer{login}}`, nil).StatusCode)
	require.Equal(t, 200, ask(t, s, `query Else{viewer{login}}`, nil).StatusCode)
	named.Disarm()
	require.Equal(t, 200, ask(t, s, `query Who{viewer{login}}`, nil).StatusCode)
	s.InjectFault(
		githubtest.Fault{
			Match:  githubtest.Match{Func: func(r githubtest.RequestInfo) bool { return r.Seq%2 == 0 }},
			Effect: githubtest.Status(503),
		},
	)
	s.ClearFaults()
	require.Equal(
		t, 1,
		s.CountRequests(
			func(r githubtest.RequestInfo) bool { return r.Fault == githubtest.KindStatus && r.Status == 500 },
		),
	)
	s.ResetRequests()
	require.Empty(t, s.Requests())
	require.Zero(t, s.PointsSpent(githubtest.ResourceCore))
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	s.OnRequest(func(githubtest.RequestInfo) {
		s.Update(func(d *githubtest.Dataset) { d.Pull("api", 2).TouchedAt = []time.Time{at("09:00:00")} })
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, path := range []string{
				"/orgs/acme/repos", "/repos/acme/api/pulls?state=all",
				"/repos/acme/api/stats/contributors",
			} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "token "+githubtest.DefaultToken)
				res, err := plain(t).Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				if err := errors.Join(err, res.Body.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, 24, s.CountRequests(func(r githubtest.RequestInfo) bool { return r.Status/100 == 2 }))
}

func TestControl(t *testing.T) {
	t.Parallel()
	s := githubtest.NewServer(
		githubtest.Settings{Datasets: []*githubtest.Dataset{small()}, Now: func() time.Time { return at("12:00:00") }},
	)
	h := serveControl(t, s)
	send := func(method, path, body string) int {
		return do(t, request(t, h, method, path, strings.NewReader(body))).StatusCode
	}
	require.Equal(
		t, 204,
		send(
			http.MethodPost, "/_control/fault",
			`{"match":{"route":"/orgs/{org}"},"times":1,"do":{"kind":"secondary_limit","status":429,`+
				`"retry_after":"30s"}}`,
		),
	)
	limited := get(t, h, "/orgs/acme")
	require.Equal(t, []string{"429", "30"}, []string{limited.Status[:3], limited.Header.Get("Retry-After")})
	require.Equal(t, 204, send(http.MethodDelete, "/_control/fault", ""))
	require.Equal(t, 400, send(http.MethodPost, "/_control/fault", `{"do":{"kind":"meteor"}}`))
	require.Equal(t, 400, send(http.MethodPost, "/_control/fault", `{"when":1}`))
	require.Equal(t, 400, send(http.MethodPost, "/_control/hold", ""))
	require.Equal(t, 204, send(http.MethodPost, "/_control/hold?until=2026-03-04T03:00:00Z", ""))
	require.Equal(t, "c3", dig(t, get(t, h, "/repos/acme/api/commits").json(t), 0, "sha"))
	require.Equal(t, 204, send(http.MethodPost, "/_control/release", ""))
	require.Equal(t, "c4", dig(t, get(t, h, "/repos/acme/api/commits").json(t), 0, "sha"))
	stats := get(t, h, "/_control/stats").json(t)
	require.Equal(t, 3., dig(t, stats, "requests"))
	require.Equal(t, 1., dig(t, stats, "faults"))
}
