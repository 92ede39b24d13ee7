// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

func TestGraphQLReadsEverything(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	j := ask(t, s, `query Page($org: String!, $with: Boolean!) {
		organization(login: $org) {
			repositories(first: 10, orderBy: {field: NAME, direction: ASC}) {
				totalCount edges { cursor node { ...repo } }
			}
		}
	}
	fragment repo on Repository {
		title: name isEmpty pushedAt databaseId
		defaultBranchRef { target { oid ... on Commit { history(first: 2) {
			totalCount nodes { oid additions parents { totalCount } author { user { login } } }
		} } } }
		pullRequests(first: 1, orderBy: {field: UPDATED_AT, direction: DESC}) {
			nodes {
				number updatedAt state author { __typename login } reviews(first: 5) { nodes { state submittedAt } }
			}
		}
		issues(first: 1, orderBy: {field: UPDATED_AT, direction: DESC}) @include(if: $with) {
			nodes { number updatedAt comments(first: 5) { nodes { databaseId updatedAt lastEditedAt } } }
		}
		skipped: name @skip(if: $with)
	}`, map[string]any{"org": "acme", "with": true}).json(t)
	require.Nil(t, dig(t, j, "errors"))
	repos := dig(t, j, "data", "organization", "repositories")
	require.Equal(t, []any{"api", "empty"}, column(t, dig(t, repos, "edges"), "node", "title"))
	api := dig(t, repos, "edges", 0, "node")
	require.NotContains(t, api, "skipped")
	require.Equal(t, "c4", dig(t, api, "defaultBranchRef", "target", "oid"))
	require.Equal(t, map[string]any{"totalCount": 4., "nodes": []any{
		map[string]any{
			"oid": "c4", "additions": 10., "parents": map[string]any{"totalCount": 1.},
			"author": map[string]any{"user": map[string]any{"login": "ann"}},
		},
		map[string]any{
			"oid": "c3", "additions": 10., "parents": map[string]any{"totalCount": 1.},
			"author": map[string]any{"user": map[string]any{"login": "ann"}},
		},
	}}, dig(t, api, "defaultBranchRef", "target", "history"))
	require.Equal(t, map[string]any{
		"number": 2., "updatedAt": "2026-03-04T06:00:00Z", "state": "OPEN",
		"author": map[string]any{"__typename": "Bot", "login": "renovate"},
		"reviews": map[string]any{
			"nodes": []any{
				map[string]any{"state": "COMMENTED", "submittedAt": "2026-03-04T06:00:00Z"},
				map[string]any{"state": "PENDING", "submittedAt": nil},
			},
		},
	}, dig(t, api, "pullRequests", "nodes", 0))
	require.Equal(t, "2026-03-04T07:00:00Z", dig(t, api, "issues", "nodes", 0, "updatedAt"), "an edit moves its issue")
	require.Nil(t, dig(t, repos, "edges", 1, "node", "defaultBranchRef"))
	require.Equal(t, "Page", s.Requests()[0].Operation)
	require.Equal(t, "acme", s.Requests()[0].Org)
}

func TestGraphQLBotIsAUserInGit(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	s.Update(func(d *githubtest.Dataset) {
		d.Commits[3].Login, d.Commits[3].CoAuthors = new("renovate[bot]"), []string{"bob"}
		d.Commits[2].Login = nil
		d.Commits[1].NoAuthor = true
	})
	j := ask(t, s, `{repository(owner:"acme",name:"api"){object(expression:"main"){... on `+
		`Commit{history(first:3){nodes{author{user{__typename login}} authors(first:5){nodes{user{login}}}}}}}}}`,
		nil).json(
		t,
	)
	nodes := dig(t, j, "data", "repository", "object", "history", "nodes")
	require.Equal(
		t, map[string]any{"user": map[string]any{"__typename": "User", "login": "renovate[bot]"}},
		dig(t, nodes, 0, "author"),
	)
	require.Equal(t, []any{"renovate[bot]", "bob"}, column(t, dig(t, nodes, 0, "authors", "nodes"), "user", "login"))
	require.Equal(t, map[string]any{"user": nil}, dig(t, nodes, 1, "author"))
	require.Nil(t, dig(t, nodes, 2, "author"))
}

func TestPrice(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	page := func(fields string) string {
		return `{organization(login:"acme"){repositories(first:100){nodes{name ` + fields +
			`}}}rateLimit{cost nodeCount}}`
	}
	probes := `pullRequests(first:1){nodes{updatedAt}} issues(first:1){nodes{updatedAt}}`
	for _, c := range []struct {
		query       string
		cost, nodes float64
	}{
		{page(``), 1, 100},
		{page(probes), 2, 300},
		{
			page(probes + ` defaultBranchRef{target{... on Commit{history(first:1){nodes{oid parents{totalCount}}}}}}`),
			3, 400,
		},
		{
			page(`defaultBranchRef{target{... on Commit{history(first:100){nodes{authors(first:1){nodes{name}}}}}}}`),
			101, 20100,
		},
		{
			`{repository(owner:"acme",name:"api"){defaultBranchRef{target{... on ` +
				`Commit{history(first:100){nodes{additions}}}}}}rateLimit{cost nodeCount}}`,
			1, 100,
		},
		{
			`query($n:Int=50){organization(login:"acme"){repositories(first:100){nodes{...f}}}rateLimit{cost ` +
				`nodeCount}} fragment f on Repository{issues(first:$n){nodes{comments(first:60){nodes{id}}}}}`,
			51, 305100,
		},
	} {
		rate := dig(t, ask(t, s, c.query, nil).json(t), "data", "rateLimit")
		require.Equal(t, map[string]any{"cost": c.cost, "nodeCount": c.nodes}, rate, c.query)
	}
	require.Equal(t, 1+2+3+101+1+51, s.PointsSpent(githubtest.ResourceGraphQL))
	dry := ask(t, s, `{rateLimit(dryRun:true){cost used} `+page(probes)[1:len(page(probes))-len(
		`rateLimit{cost nodeCount}}`)]+`}`, nil).json(
		t,
	)
	require.Equal(
		t, map[string]any{"rateLimit": map[string]any{"cost": 2., "used": 159.}}, dig(t, dry, "data"),
		"prices, and does nothing",
	)
	require.Equal(t, 159, s.PointsSpent(githubtest.ResourceGraphQL))
}

func TestGraphQLRefusals(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	many := `"` + strings.Repeat(`x","`, 100) + `x"`
	for query, want := range map[string]string{
		`{organization(login:"acme"){repositories(first:101){nodes{id}}}}`:                                                       "EXCESSIVE_PAGINATION",
		`{organization(login:"acme"){repositories{nodes{id}}}}`:                                                                  "MISSING_PAGINATION_BOUNDARIES",
		`{organization(login:"acme"){repositories(first:100){nodes{issues(first:100){nodes{comments(first:100){nodes{id}}}}}}}}`: "MAX_NODE_LIMIT_EXCEEDED",
		`{nodes(ids:[` + many +
			`]){id}}`: "ARGUMENT_LIMIT",
		`{organization(login:"acme"){repositories(first:1,after:"x"){nodes{id}}}}`: "INVALID_CURSOR_ARGUMENTS",
		`{organization(login:"nobody"){id}}`:                                       "NOT_FOUND",
		`{repository(owner:"acme",name:"api"){pullRequest(number:9){id}}}`:         "NOT_FOUND",
		`{organization(login:"acme"){stars}}`: "doesn't exist on type " +
			"'Organization'",
		`{organization(`: `Expected Name`,
		`query($l:String!){organization(login:$l){id}}`: `must be defined`,
		`{repository(owner:"acme",name:"api"){defaultBranchRef{target{... on ` +
			`Commit{history(first:1,since:"x"){nodes{oid}}}}}}}`: "not a valid time",
	} {
		r := ask(t, s, query, nil)
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.NotEmpty(t, dig(t, r.json(t), "errors"), query)
		require.Contains(t, string(r.body), want)
	}
	require.Equal(
		t, http.StatusBadRequest, do(t, request(t, s, http.MethodPost, "/graphql", strings.NewReader("{"))).StatusCode,
	)
	require.Equal(t, http.StatusNotFound, get(t, s, "/graphql").StatusCode)
}

func TestRowsJumpDuringAScan(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	s.OnRequest(func(r githubtest.RequestInfo) { // pull request 1, the last one, is touched before the second page
		if r.Seq == 2 {
			s.Update(func(d *githubtest.Dataset) {
				d.Pull("api", 1).TouchedAt = append(d.Pull("api", 1).TouchedAt, at("11:00:00"))
			})
		}
	})
	const query = `query($after:String){repository(owner:"acme",name:"api"){pullRequests(first:2,after:$after,` +
		`orderBy:{field:UPDATED_AT,direction:DESC}){pageInfo{hasNextPage endCursor}nodes{number}}}}`
	first := dig(t, ask(t, s, query, nil).json(t), "data", "repository", "pullRequests")
	require.Equal(t, []any{2., 3.}, column(t, dig(t, first, "nodes"), "number"))
	second := dig(
		t, ask(t, s, query, map[string]any{"after": dig(t, first, "pageInfo", "endCursor")}).json(t), "data",
		"repository", "pullRequests",
	)
	require.Empty(t, dig(t, second, "nodes"), "the row jumped behind the cursor")
	require.Equal(t, false, dig(t, second, "pageInfo", "hasNextPage"))
	again := dig(t, ask(t, s, query, nil).json(t), "data", "repository", "pullRequests")
	require.Equal(t, []any{1., 2.}, column(t, dig(t, again, "nodes"), "number"))
}

func TestGraphQLPagesMeetREST(t *testing.T) {
	t.Parallel()
	s := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{openTelemetry(t)}})
	const query = `query($after:String){repository(owner:"open-telemetry",` +
		`name:"opentelemetry-go"){defaultBranchRef{target{... on Commit{history(first:9,after:$after){totalCount ` +
		`pageInfo{hasNextPage endCursor}nodes{oid}}}}}}}`
	var oids []any
	vars := map[string]any{}
	for more := true; more; {
		h := dig(t, ask(t, s, query, vars).json(t), "data", "repository", "defaultBranchRef", "target", "history")
		oids = append(oids, column(t, dig(t, h, "nodes"), "oid")...)
		more = dig(t, h, "pageInfo", "hasNextPage").(bool)
		vars["after"] = dig(t, h, "pageInfo", "endCursor")
		require.Equal(t, 94., dig(t, h, "totalCount"))
	}
	require.Equal(
		t, column(t, get(t, s, "/repos/open-telemetry/opentelemetry-go/commits?per_page=100").json(t), "sha"), oids,
	)
}

func TestNodesByID(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	j := ask(t, s, `{repository(owner:"acme",name:"api"){id owner{id} defaultBranchRef{id target{id}} `+
		`pullRequest(number:1){id author{... on User{id}} reviews(first:1){nodes{id}} comments(last:1){nodes{id}}} `+
		`issue(number:7){id}}}`, nil).json(
		t,
	)
	r := dig(t, j, "data", "repository")
	ids := []any{
		dig(t, r, "id"), dig(t, r, "owner", "id"), dig(t, r, "defaultBranchRef", "id"),
		dig(t, r, "defaultBranchRef", "target", "id"),
		dig(t, r, "pullRequest", "id"), dig(t, r, "pullRequest", "author", "id"),
		dig(t, r, "pullRequest", "reviews", "nodes", 0, "id"),
		dig(t, r, "pullRequest", "comments", "nodes", 0, "id"), dig(t, r, "issue", "id"), "R_nonsense",
	}
	got := ask(t, s, `query($ids:[ID!]!){nodes(ids:$ids){__typename id}}`, map[string]any{"ids": ids}).json(t)
	types := []string{
		"Repository", "Organization", "Ref", "Commit", "PullRequest", "User", "PullRequestReview", "IssueComment",
		"Issue",
	}
	for i, typ := range types {
		require.Equal(t, map[string]any{"__typename": typ, "id": ids[i]}, dig(t, got, "data", "nodes", i))
	}
	require.Nil(t, dig(t, got, "data", "nodes", len(types)))
	require.Equal(t, []any{"nodes", float64(len(types))}, dig(t, got, "errors", 0, "path"))
}

func TestForbiddenIssuesNullTheRepository(t *testing.T) {
	t.Parallel()
	s := acme(t, func(set *githubtest.Settings) {
		set.Credentials = []githubtest.Credential{
			{Token: githubtest.DefaultToken, Login: "ann", Forbidden: []string{"issues"}},
		}
	})
	j := ask(t, s, `{organization(login:"acme"){a:repositories(first:1){nodes{name issues(first:1){totalCount}}} `+
		`b:repositories(first:1){nodes{name}}}}`, nil).json(
		t,
	)
	org := dig(t, j, "data", "organization")
	require.Equal(t, []any{nil}, dig(t, org, "a", "nodes"))
	require.Equal(t, []any{"api"}, column(t, dig(t, org, "b", "nodes"), "name"))
	require.Equal(t, "FORBIDDEN", dig(t, j, "errors", 0, "type"))
	require.Equal(t, []any{"organization", "a", "nodes", 0., "issues"}, dig(t, j, "errors", 0, "path"))
}

func TestUnavailableDiffNullsItsPage(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	s.Update(func(d *githubtest.Dataset) { d.Commits[1].DiffUnavailable = true })
	const query = `query($n:Int!,$stats:Boolean!){repository(owner:"acme",name:"api"){defaultBranchRef{target{... on ` +
		`Commit{history(first:$n){pageInfo{endCursor}nodes{oid additions@include(if:$stats)}}}}}}}`
	history := func(n int, stats bool) (any, any) {
		j := ask(t, s, query, map[string]any{"n": n, "stats": stats}).json(t)
		return dig(t, j, "data", "repository", "defaultBranchRef", "target", "history"), dig(t, j, "errors")
	}
	h, errs := history(4, true)
	require.Nil(t, dig(t, h, "nodes"))
	require.NotNil(t, dig(t, h, "pageInfo", "endCursor"))
	require.Equal(t, "SERVICE_UNAVAILABLE", dig(t, errs, 0, "type"))
	h, errs = history(4, false)
	require.Nil(t, errs)
	require.Equal(t, []any{"c4", "c3", "c2", "c1"}, column(t, dig(t, h, "nodes"), "oid"))
	h, _ = history(2, true)
	require.Equal(t, []any{10., 10.}, column(t, dig(t, h, "nodes"), "additions"))
}

func TestGraphQLFollowsRenames(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	s.Update(func(d *githubtest.Dataset) { d.Rename("api", "core") })
	const query = `query($f:Boolean){repository(owner:"acme",name:"api",followRenames:$f){name}}`
	require.Equal(t, "core", dig(t, ask(t, s, query, nil).json(t), "data", "repository", "name"))
	require.Nil(t, dig(t, ask(t, s, query, map[string]any{"f": false}).json(t), "data", "repository"))
}

func FuzzGraphQL(f *testing.F) {
	f.Add(`{organization(login:"acme"){repositories(first:1){nodes{name issues(first:1){nodes{id}}}}}}`, `{}`)
	f.Add(
		`query($a:String){repository(owner:"acme",name:"api"){pullRequests(last:2,before:$a){edges{cursor}}}}`,
		`{"a":"Y3Vyc29yOnYyOg=="}`,
	)
	f.Add(`{nodes(ids:["R_MQ","PR_MTox","C_MTpjMQ"]){...on Commit{history(first:1,after:"x 9"){nodes{oid}}}}}`, `null`)
	f.Add(`query A{viewer{login}} query B{rateLimit(dryRun:true){cost}}`, `{}`)
	s := githubtest.NewServer(githubtest.Settings{Datasets: []*githubtest.Dataset{small()}})
	f.Fuzz(func(t *testing.T, query, vars string) {
		body, err := json.Marshal(map[string]any{"query": query, "variables": json.RawMessage(vars)})
		if err != nil {
			body = fmt.Appendf(nil, `{"query":%q,"variables":%s}`, query, vars)
		}
		r := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
		r.Header.Set("Authorization", "bearer "+githubtest.DefaultToken)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()))
	})
}
