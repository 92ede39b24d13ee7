// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

func enforced(c *clock, limits githubtest.Limits) func(*githubtest.Settings) {
	return func(set *githubtest.Settings) { set.Now, set.EnforceLimits, set.Limits = c.now, true, limits }
}

func TestPrimaryLimit(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusTooManyRequests} {
		c := &clock{at("12:00:00")}
		s := acme(t, enforced(c, githubtest.Limits{Core: 2, Status: status}))
		require.Equal(t, "1", get(t, s, "/orgs/acme").Header.Get("X-Ratelimit-Remaining"))
		last := get(t, s, "/orgs/acme")
		require.Equal(t, "0", last.Header.Get("X-Ratelimit-Remaining"))
		require.Equal(t, http.StatusOK, last.StatusCode)
		over := get(t, s, "/orgs/acme")
		require.Equal(t, status, over.StatusCode)
		require.Equal(t, strconv.FormatInt(at("13:00:00").Unix(), 10), over.Header.Get("X-Ratelimit-Reset"))
		require.Contains(t, string(over.body), "API rate limit exceeded")
		require.Equal(t, 2., dig(t, get(t, s, "/rate_limit").json(t), "resources", "core", "used"), "asking is free")
		require.Equal(t, http.StatusOK, ask(t, s, `{rateLimit{remaining}}`, nil).StatusCode, "another resource")
		c.Time = at("13:00:00")
		require.Equal(t, http.StatusOK, get(t, s, "/orgs/acme").StatusCode)
	}
}

func TestWindowOfALimit(t *testing.T) {
	t.Parallel()
	c := &clock{at("12:00:00")}
	s := acme(t, enforced(c, githubtest.Limits{Core: 1, Window: 20 * time.Second}))
	require.Equal(t, http.StatusOK, get(t, s, "/orgs/acme").StatusCode)
	over := get(t, s, "/orgs/acme")
	require.Equal(t, http.StatusForbidden, over.StatusCode)
	require.Equal(t, strconv.FormatInt(at("12:00:20").Unix(), 10), over.Header.Get("X-Ratelimit-Reset"))
	c.Time = at("12:00:20")
	require.Equal(t, http.StatusOK, get(t, s, "/orgs/acme").StatusCode)
}

func TestUnchangedAnswersNeedNoBudget(t *testing.T) {
	t.Parallel()
	s := acme(t, enforced(&clock{at("12:00:00")}, githubtest.Limits{Core: 2}))
	etag := get(t, s, "/orgs/acme").Header.Get("ETag")
	for range 5 {
		require.Equal(t, http.StatusNotModified, get(t, s, "/orgs/acme", "If-None-Match", etag).StatusCode)
	}
}

func TestGraphQLPrimaryLimit(t *testing.T) {
	t.Parallel()
	s := acme(t, enforced(&clock{at("12:00:00")}, githubtest.Limits{GraphQL: 5}))
	s.SetUsed("default", githubtest.ResourceGraphQL, 4)
	const query = `{organization(login:"acme"){repositories(first:100){nodes{issues(first:1){totalCount} ` +
		`pullRequests(first:1){totalCount}}}}rateLimit{remaining}}`
	over := ask(t, s, query, nil)
	require.Equal(t, http.StatusOK, over.StatusCode)
	require.Equal(t, "RATE_LIMITED", dig(t, over.json(t), "errors", 0, "type"))
	require.Equal(
		t, 0., dig(t, ask(t, s, `{rateLimit{remaining}}`, nil).json(t), "data", "rateLimit", "remaining"),
		"one point was left",
	)
}

func TestSecondaryLimit(t *testing.T) {
	t.Parallel()
	c := &clock{at("12:00:00")}
	s := acme(t, enforced(c, githubtest.Limits{CoreMinute: 2, Status: http.StatusTooManyRequests}))
	get(t, s, "/orgs/acme")
	get(t, s, "/orgs/acme")
	c.Time = at("12:00:20")
	over := get(t, s, "/orgs/acme")
	require.Equal(t, http.StatusTooManyRequests, over.StatusCode)
	require.Equal(t, "40", over.Header.Get("Retry-After"))
	require.NotEqual(t, "0", over.Header.Get("X-Ratelimit-Remaining"))
	c.Time = at("12:01:00")
	require.Equal(t, http.StatusOK, get(t, s, "/orgs/acme").StatusCode)
}

func TestConcurrencyLimit(t *testing.T) {
	t.Parallel()
	s := acme(t, enforced(&clock{at("12:00:00")}, githubtest.Limits{Concurrent: 3}))
	s.InjectFault(githubtest.Fault{Match: githubtest.Match{Route: "/meta"}, Effect: githubtest.Hang()})
	var arrived, gone sync.WaitGroup
	arrived.Add(3)
	s.OnRequest(func(r githubtest.RequestInfo) {
		if r.Route == "/meta" {
			arrived.Done()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		r := request(t, s, http.MethodGet, "/meta", nil).WithContext(ctx)
		gone.Go(func() {
			_, err := plain(t).Do(r) //nolint:bodyclose // there is none
			if err == nil {
				t.Error("answered")
			}
		})
	}
	arrived.Wait()
	require.Eventually(
		t, func() bool { return get(t, s, "/orgs/acme").StatusCode == http.StatusForbidden }, 5*time.Second,
		time.Millisecond,
	)
	cancel()
	gone.Wait()
	require.Eventually(
		t, func() bool { return get(t, s, "/orgs/acme").StatusCode == http.StatusOK }, 5*time.Second, time.Millisecond,
	)
}

func TestTokensOfOneUserShareABucket(t *testing.T) {
	t.Parallel()
	s := acme(t, func(set *githubtest.Settings) {
		set.Credentials = []githubtest.Credential{
			{Token: "a", Login: "ann"}, {Token: "b", Login: "ann"}, {Token: "c", Login: "ann", Bucket: "own"},
		}
	})
	remaining := func(token string) string {
		return get(t, s, "/orgs/acme", "Authorization", "Bearer "+token).Header.Get("X-Ratelimit-Remaining")
	}
	require.Equal(t, []string{"4999", "4998", "4999"}, []string{remaining("a"), remaining("b"), remaining("c")})
}

func TestEnterpriseServerHasNoLimits(t *testing.T) {
	t.Parallel()
	s := acme(t, func(set *githubtest.Settings) { set.NoRateLimits = true })
	r := get(t, s, "/api/v3/orgs/acme")
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Empty(t, r.Header.Get("X-Ratelimit-Remaining"))
	require.NotEmpty(t, r.Header.Get("X-Github-Request-Id"))
	require.Equal(t, http.StatusNotFound, get(t, s, "/api/v3/rate_limit").StatusCode)
	q := do(t, request(t, s, http.MethodPost, "/api/graphql", graphqlBody(`{rateLimit{cost} viewer{login}}`)))
	require.Equal(
		t, map[string]any{"rateLimit": nil, "viewer": map[string]any{"login": "octocat"}}, dig(t, q.json(t), "data"),
	)
}
