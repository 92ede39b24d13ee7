// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// repositoryRoute is what REST is asked for one repository with.
const repositoryRoute = "/repos/{owner}/{repo}"

// lookUp looks repositories up and returns their results: one for each, one at a time.
func (b *bench) lookUp(asked []activity.Repository) map[int64]github.LookupResult {
	b.t.Helper()
	told := make(map[int64]github.LookupResult)
	var handed sync.Mutex
	b.client.Lookup(b.t.Context(), org, asked, func(s github.LookupResult) {
		require.True(b.t, handed.TryLock())
		defer handed.Unlock()
		require.NotContains(b.t, told, s.ID)
		told[s.ID] = s
	})
	require.Len(b.t, told, len(asked))
	return told
}

// repositories are the repositories of an organization before anything happens to them.
func (b *bench) repositories() []activity.Repository {
	b.t.Helper()
	found, err := b.discover()
	require.NoError(b.t, err)
	var list []activity.Repository
	for _, r := range found {
		list = append(list, r)
	}
	slices.SortFunc(list, func(x, y activity.Repository) int { return int(x.ID - y.ID) })
	return list
}

// TestLookup distinguishes existing repositories, under any name, from those that are gone, by node id or by id alone.
func TestLookup(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for _, nodes := range []bool{true, false} {
			b := newBench(t, api, dataset("stays", "renamed", "removed", "transferred", "private", "blocked"),
				func(s *githubtest.Settings, _ *transport.Settings) {
					s.Credentials = []githubtest.Credential{{
						Token: githubtest.DefaultToken, Login: "l",
						PublicOnly: true,
					}}
				})
			asked := b.repositories()
			names := make(map[int64]string)
			for i := range asked {
				names[asked[i].ID] = asked[i].Name
				if !nodes {
					asked[i].NodeID = ""
				}
			}
			b.server.Update(func(d *githubtest.Dataset) {
				d.Org.Login = "Acme" // logins have no case
				d.Rename("renamed", "other")
				d.RemoveRepo("removed")
				d.Repo("transferred").TransferredTo = "elsewhere"
				d.Repo("private").Private = true
				d.Repo("blocked").Blocked = true
			})
			for id, s := range b.lookUp(asked) {
				require.NoError(t, s.Err, names[id])
				want := map[string]string{"stays": "stays", "renamed": "other"}[names[id]]
				if want == "" {
					require.Nil(t, s.Repo, names[id])
					continue
				}
				require.NotNil(t, s.Repo, names[id])
				require.Equal(t, want, s.Repo.Name)
				require.Equal(t, id, s.Repo.ID)
				require.NotEmpty(t, s.Repo.NodeID)
			}
		}
	})
}

// TestLookupTellsWhatDiscoveryTells of a repository.
func TestLookupTellsWhatDiscoveryTells(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, openTelemetry(t))
		b.now = b.now.AddDate(1, 0, 0)
		asked := b.repositories()
		told := b.lookUp(asked)
		for _, r := range asked {
			require.Equal(t, r, *told[r.ID].Repo)
		}
	})
}

// TestLookupCost: a request for a hundred nodes; one for each that is known by its id alone, and not for more than
// there may be.
func TestLookupCost(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, many(250))
	asked := b.repositories()
	b.server.ResetRequests()
	b.lookUp(asked)
	require.Equal(t, 3, b.requests("Lookup"))
	require.Len(t, b.server.Requests(), 3)
	require.LessOrEqual(t, b.server.PointsSpent("graphql"), 3*3)

	requests, err := transport.New(b.settings)
	require.NoError(t, err)
	b.client = github.New(requests, github.Settings{API: github.APIREST})
	b.server.ResetRequests()
	there, left := 0, 0
	for _, s := range b.lookUp(asked) {
		if s.Repo != nil {
			there++
			continue
		}
		require.True(t, is[*transport.UnavailableError](s.Err), "%T: %v", s.Err, s.Err)
		left++
	}
	require.Equal(t, 200, there)
	require.Equal(t, 50, left)
	require.Len(t, b.server.Requests(), 200)
}

// TestLookupOfSomeThatFail: the results of those have errors, and the others are complete.
func TestLookupOfSomeThatFail(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]githubtest.Effect{
		"an error":              githubtest.FieldError("nodes.1", "SERVICE_UNAVAILABLE", "Something broke."),
		"an error in it":        githubtest.FieldError("nodes.1.name", "SERVICE_UNAVAILABLE", "Something broke."),
		"no owner":              githubtest.FieldError("nodes.1.owner", "SERVICE_UNAVAILABLE", "Something broke."),
		"null without a reason": githubtest.NullAt("nodes.1"),
		"too much of the least": githubtest.ResourceLimitsExceeded("nodes.1"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIGraphQL, many(5))
			asked := b.repositories()
			b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Operation: "Lookup"}, Effect: do})
			told := b.lookUp(asked)
			for i, r := range asked {
				require.Equal(t, i == 1, told[r.ID].Err != nil, i)
				require.Equal(t, i == 1, told[r.ID].Repo == nil, i)
			}
		})
	}
}

// TestLookupHalves what is too much for one request.
func TestLookupHalves(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, many(200))
	asked := b.repositories()
	b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{
		Operation: "Lookup",
		Func: func(r githubtest.RequestInfo) bool {
			ids, _ := r.Variables["ids"].([]any)
			return len(ids) > 25
		},
	}, Effect: githubtest.GraphQLTimeout(502)})
	b.server.ResetRequests()
	for _, s := range b.lookUp(asked) {
		require.NotNil(t, s.Repo)
	}
	require.Equal(t, 2+8, b.requests("Lookup"))
}

// TestLookupThatFails: what has no response has an error, a limit ends the lookup, and nothing goes on for ever.
func TestLookupThatFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do   githubtest.Effect
		want func(error) bool
		most int // requests
	}{
		"limit":       {githubtest.SecondaryLimit(403, time.Minute), is[*transport.LimitError], 4},
		"credential":  {githubtest.Status(401), is[*transport.CredentialError], 4},
		"unavailable": {githubtest.Status(503), is[*transport.UnavailableError], 3 * (4 + 3)},
		"null":        {githubtest.StatusBody(200, nil, "null"), is[*transport.UnavailableError], 3 * (4 + 3)},
		"nothing": {
			githubtest.StatusBody(200, nil, `{"data":{"nodes":[]}}`), is[*transport.UnavailableError],
			3 * (4 + 3),
		},
		"another": {
			githubtest.StatusBody(200, nil,
				`{"id":77,"name":"x","data":{"nodes":[{"databaseId":77,"name":"x"}]}}`), is[*transport.UnavailableError],
			3 * (4 + 3),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachAPI(t, func(t *testing.T, api github.API) {
				b := newBench(t, api, many(60))
				asked := b.repositories()
				route := "Lookup"
				if api == github.APIREST {
					route = repositoryRoute
				}
				fault := b.server.InjectFault(githubtest.Fault{Match: matching(route), Effect: test.do})
				for _, s := range b.lookUp(asked) {
					require.Nil(t, s.Repo)
					require.True(t, test.want(s.Err), "%T: %v", s.Err, s.Err)
				}
				require.Positive(t, fault.Hits())
				require.LessOrEqual(t, fault.Hits(), test.most)
			})
		})
	}
}

// TestLookupRefusedAltogether: a credential that may not ask for nodes at all knows nothing of them.
func TestLookupRefusedAltogether(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, many(3))
	asked := b.repositories()
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Operation: "Lookup"},
		Effect: githubtest.StatusBody(200, nil,
			`{"errors": [{"type": "FORBIDDEN", "message": "Your token has not been granted the required scopes."}]}`),
	})
	for _, s := range b.lookUp(asked) {
		require.True(t, is[*transport.ForbiddenError](s.Err), "%T: %v", s.Err, s.Err)
	}
}

// TestLookupStops with its context.
func TestLookupStops(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, many(30))
		asked := b.repositories()
		ctx, cancel := context.WithCancel(t.Context())
		b.server.OnRequest(func(githubtest.RequestInfo) { cancel() })
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.Hang()})
		b.server.ResetRequests()
		b.client.Lookup(ctx, org, asked, func(s github.LookupResult) {
			require.ErrorIs(t, s.Err, context.Canceled, strconv.FormatInt(s.ID, 10))
		})
		require.LessOrEqual(t, len(b.server.Requests()), 4)
	})
}
