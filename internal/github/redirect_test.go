// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// otherRepository is another server that notes what reaches it.
type otherRepository struct {
	*httptest.Server

	mu       sync.Mutex
	requests []string
}

func newOtherRepository(t *testing.T) *otherRepository {
	t.Helper()
	s := &otherRepository{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *otherRepository) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// TestEveryRequestKeepsItsCredentialAtHome: no listing, no query and no request for a token follows a redirect to
// another host, be it only another port of the same one, and the errors tell no secret.
func TestEveryRequestKeepsItsCredentialAtHome(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		eachAPI(t, func(t *testing.T, api github.API) {
			elsewhere := newOtherRepository(t)
			b := appBench(t, api)
			b.server.Update(func(d *githubtest.Dataset) {
				full := fullRepository()
				d.Commits, d.Pulls, d.Reviews, d.Comments = full.Commits, full.Pulls, full.Reviews, full.Comments
			})
			repo := b.repo("one")
			b.server.InjectFault(githubtest.Fault{Effect: githubtest.RedirectTo(status, elsewhere.URL+"/steal")})
			_, outcome := b.read(everything(repo))
			require.Len(t, outcome.Failed, activity.NumStreams)
			for _, err := range outcome.Failed {
				require.True(t, is[*transport.UnavailableError](err), "%T: %v", err, err)
				require.NotContains(t, err.Error(), "ghs_")
			}
			b.advance(2 * time.Hour) // a new token has to be asked for
			_, err := b.discover()
			require.True(t, is[*transport.UnavailableError](err), "%T: %v", err, err)
			require.NotContains(t, err.Error(), "eyJ")
			require.Empty(t, elsewhere.seen())
		})
	}
}

// TestRedirectToAnotherScheme or to a name that looks like the host is not followed either.
func TestRedirectToAnotherScheme(t *testing.T) {
	t.Parallel()
	for _, target := range []func(home *url.URL) string{
		func(home *url.URL) string { return "https://" + home.Host + "/repositories/1" },
		func(home *url.URL) string { return "http://" + home.Host + ".example.com/repositories/1" },
		func(home *url.URL) string { return "http://" + home.Host + "@127.0.0.2:1/repositories/1" },
		func(*url.URL) string { return "file:///etc/passwd" },
		func(*url.URL) string { return "//127.0.0.2:1/repositories/1" },
	} {
		b := newBench(t, github.APIREST, dataset("one"))
		home, err := url.Parse(b.server.URL)
		require.NoError(t, err)
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.RedirectTo(301, target(home))})
		_, err = b.discover()
		require.True(t, is[*transport.UnavailableError](err), "%T: %v", err, err)
		require.NotContains(t, err.Error(), githubtest.DefaultToken)
	}
}

// TestALoopOfRedirectsEnds after few requests.
func TestALoopOfRedirectsEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIREST, dataset("one"), func(_ *githubtest.Settings,
		g *transport.Settings,
	) {
		g.Retry.MaxAttempts = 1
	})
	fault := b.server.InjectFault(githubtest.Fault{Effect: githubtest.RedirectLoop()})
	_, err := b.discover()
	require.True(t, is[*transport.UnavailableError](err), "%T: %v", err, err)
	require.LessOrEqual(t, fault.Hits(), 7)
}

// TestTransferredRepository is read by its redirect, commit by commit and review by review, as long as the credential
// may see the new owner.
func TestTransferredRepository(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, fullRepository())
		repo := b.repo("one")
		want := users(b.all(everything(repo)))
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").TransferredTo = "elsewhere" })
		require.Equal(t, want, users(b.all(everything(repo))))
		found, err := b.discover()
		require.NoError(t, err)
		require.NotContains(t, found, "one", "it is another organization's now")
	})
}

// TestRepositoryThatReusesAName is another one: GraphQL asks by id, and finds the renamed one.
func TestRepositoryThatReusesAName(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, fullRepository())
	repo := b.repo("one")
	b.server.Update(func(d *githubtest.Dataset) {
		d.Rename("one", "moved")
		d.Repos = append(d.Repos, githubtest.Repo{Name: "one", ID: 4711, DefaultBranch: "main", CreatedAt: noon})
	})
	require.Len(t, b.all(since(repo, ago(24*time.Hour), activity.StreamCommits, activity.StreamPulls)), 4)
	require.NotEqual(t, repo.ID, b.repo("one").ID)
	require.Equal(t, repo.ID, b.repo("moved").ID)
}

// TestEndpoints: the REST base and the GraphQL address that follows from it, with and without a slash at the end.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	for base, want := range map[string][2]string{
		"https://api.github.com":  {"https://api.github.com/orgs/acme/repos", "https://api.github.com/graphql"},
		"https://api.github.com/": {"https://api.github.com/orgs/acme/repos", "https://api.github.com/graphql"},
		"https://ghe.example.com/api/v3": {
			"https://ghe.example.com/api/v3/orgs/acme/repos",
			"https://ghe.example.com/api/graphql",
		},
		"https://ghe.example.com/api/v3/": {
			"https://ghe.example.com/api/v3/orgs/acme/repos",
			"https://ghe.example.com/api/graphql",
		},
		"https://api.octo.ghe.com": {
			"https://api.octo.ghe.com/orgs/acme/repos",
			"https://api.octo.ghe.com/graphql",
		},
		"http://127.0.0.1:8080/api/v3//": {
			"http://127.0.0.1:8080/api/v3/orgs/acme/repos",
			"http://127.0.0.1:8080/api/graphql",
		},
	} {
		for i, api := range []github.API{github.APIREST, github.APIGraphQL} {
			asked := ""
			requests, err := transport.New(transport.Settings{Endpoint: base, HTTP: &http.Client{
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					asked, _, _ = strings.Cut(r.URL.String(), "?")
					require.Equal(t, "2022-11-28", r.Header.Get("X-Github-Api-Version"))
					require.Empty(t, r.Header.Get("Authorization"), "the client authenticates by itself")
					return nil, http.ErrHandlerTimeout
				}),
			}})
			require.NoError(t, err)
			client := github.New(requests, github.Settings{API: api})
			require.Error(t, client.Discover(t.Context(), org, pages))
			require.Equal(t, want[i], asked, base)
		}
	}
	for _, base := range []string{"", "api.github.com", "/api/v3", "http://", "://x"} {
		_, err := transport.New(transport.Settings{Endpoint: base})
		require.Error(t, err, base)
	}
	_, err := transport.New(transport.Settings{Endpoint: "https://api.github.com", GraphQLEndpoint: "graphql"})
	require.Error(t, err)
}

// TestRedirectShowsTheTarget, and of it no more than what says where it leads to.
func TestRedirectShowsTheTarget(t *testing.T) {
	t.Parallel()
	for _, api := range []github.API{github.APIREST, github.APIGraphQL} {
		for target, want := range map[string]string{
			"https://ghe.example.com/x?token=hunter2": "redirect from http:// to https://ghe.example.com is not " +
				"followed: configure the endpoint with https://",
			"https://me:hunter2@sso.example.com/login": "another host, https://sso.example.com, is not followed",
		} {
			requests, err := transport.New(transport.Settings{Endpoint: "http://ghe.example.com", HTTP: &http.Client{
				Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					return &http.Response{
						StatusCode: http.StatusMovedPermanently,
						Header:     http.Header{"Location": {target}}, Body: http.NoBody,
					}, nil
				}),
			}})
			require.NoError(t, err)
			client := github.New(requests, github.Settings{API: api})
			err = client.Discover(t.Context(), org, pages)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "hunter2")
		}
	}
}

// TestNoSuchAddress: the status alone does not say what is wrong.
func TestNoSuchAddress(t *testing.T) {
	t.Parallel()
	for api, want := range map[github.API]string{
		github.APIREST: "not found (status 404): Not Found: no organization of this name that the credential may " +
			"see; a user account is not",
		github.APIGraphQL: "not found (status 404): Not Found: there is no GraphQL API at /api/graphql: check " +
			"endpoint and graphql_endpoint",
	} {
		requests, err := transport.New(transport.Settings{
			Endpoint: "https://ghe.example.com/api/v3",
			HTTP: &http.Client{
				Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					return &http.Response{
						StatusCode: http.StatusNotFound,
						Body:       io.NopCloser(strings.NewReader(`{"message": "Not Found"}`)),
					}, nil
				}),
			},
		})
		require.NoError(t, err)
		client := github.New(requests, github.Settings{API: api})
		err = client.Discover(t.Context(), org, pages)
		require.True(t, is[*transport.NotFoundError](err), "%T: %v", err, err)
		require.ErrorContains(t, err, want)
	}
}

// TestAPageForPeople: an endpoint of an Enterprise Server without /api/v3 is named in the error.
func TestAPageForPeople(t *testing.T) {
	t.Parallel()
	for base, told := range map[string]string{
		"https://ghe.example.com": "ends in /api/v3", "https://ghe.example.com/api/v3": "",
		"https://api.github.com": "",
		"https://github.com":     "of github.com is https://api.github.com",
		"https://acme.ghe.com":   "is https://api.acme.ghe.com",
	} {
		for _, api := range []github.API{github.APIREST, github.APIGraphQL} {
			for _, status := range []int{200, 404, 406} {
				requests, err := transport.New(transport.Settings{Endpoint: base, HTTP: &http.Client{
					Transport: roundTrip(func(*http.Request) (*http.Response, error) {
						return &http.Response{
							StatusCode: status,
							Body:       io.NopCloser(strings.NewReader("\n<!DOCTYPE html><p>Sign in to GitHub</p>")),
						}, nil
					}),
				}})
				require.NoError(t, err)
				client := github.New(requests, github.Settings{API: api})
				err = client.Discover(t.Context(), org, pages)
				require.Error(t, err)
				require.Equal(t, told != "", strings.Contains(err.Error(), "a page and no data"), err)
				require.ErrorContains(t, err, told)
			}
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
