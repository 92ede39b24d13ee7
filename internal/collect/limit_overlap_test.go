// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// slowTransport responds after a while of the bubble's clock, so that requests overlap as much as they can.
type slowTransport struct {
	next http.RoundTripper

	mu                 sync.Mutex
	sent, flight, most int
}

func (s *slowTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.sent++
	s.flight++
	s.most = max(s.most, s.flight)
	before := time.Duration(s.sent%7+1) * 10 * time.Millisecond
	s.mu.Unlock()
	time.Sleep(before) //nolint:forbidigo // the bubble's clock
	response, err := s.next.RoundTrip(r)
	time.Sleep(50 * time.Millisecond) //nolint:forbidigo // the bubble's clock
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight--
	return response, err
}

// limitEffects are the responses by which GitHub reports a limit.
var limitEffects = map[string]githubtest.Effect{
	"primary, 403":              githubtest.PrimaryLimit(403),
	"primary, 429":              githubtest.PrimaryLimit(429),
	"secondary, with its end":   githubtest.SecondaryLimit(403, 90*time.Second),
	"secondary, 429":            githubtest.SecondaryLimit(429, 90*time.Second),
	"secondary, without an end": githubtest.SecondaryLimit(403, 0),
	"secondary, 200":            githubtest.SecondaryLimit(200, 0),
	"nothing but a 429":         githubtest.StatusBody(429, nil, ""),
	"RATE_LIMIT in GraphQL":     graphqlErrors("RATE_LIMIT", "API rate limit exceeded", ""),
}

// TestNoRequestAfterALimit: after a limit, whichever request meets it, only the requests in flight are still sent:
// fewer than an organization's concurrency, over both organizations that share the credential. No other one is sent
// before the limit ends.
func TestNoRequestAfterALimit(t *testing.T) {
	t.Parallel()
	for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
		for name, effect := range limitEffects {
			if api == github.APIREST && effect.Status == http.StatusOK {
				continue // REST says it with a status
			}
			for _, orgs := range []int{1, 2} {
				for _, skip := range []int{0, 1, 6, 25} {
					t.Run(fmt.Sprintf("%s, %s, %d organizations, after %d", api, name, orgs, skip), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) { testNoRequestAfterALimit(t, api, effect, orgs, skip) })
					})
				}
			}
		}
	}
}

// testNoRequestAfterALimit lets a request meet a limit after skip others.
func testNoRequestAfterALimit(t *testing.T, api github.API, effect githubtest.Effect, orgs, skip int) {
	t.Helper()
	const concurrency, repositories = 4, 40
	clock := newClock(noon)
	settings := githubtest.Settings{Now: clock.Now, Limits: githubtest.Limits{Core: 1_000_000, GraphQL: 1_000_000}}
	for n := range orgs {
		settings.Datasets = append(settings.Datasets, newChangedOrg(fmt.Sprint("org-", n), repositories))
	}
	server := githubtest.NewServer(settings)
	defer server.Close()
	shared, roundTripper := &budget.Local{}, &slowTransport{next: handlerTransport(server)}
	match := githubtest.Match{}
	if effect.Status == http.StatusOK {
		match.Resource = githubtest.ResourceGraphQL
		if skip > 1 { // each repository is a request
			server.InjectFault(
				githubtest.Fault{Match: githubtest.Match{Operation: "Activities"}, Effect: githubtest.Status(500)},
			)
		}
	}
	armed := server.InjectFault(githubtest.Fault{Match: match, Skip: skip, Effect: effect})
	var passes sync.WaitGroup
	for n := range orgs {
		requests, err := transport.New(transport.Settings{
			HTTP: &http.Client{Transport: roundTripper}, Endpoint: "http://api.github.example",
			Concurrency: concurrency, Budget: shared,
			Credential: transport.TokenCredential(githubtest.DefaultToken), Now: clock.Now,
			RateLimit: budget.Policy{SecondaryBackoff: time.Minute, MaxConcurrentRequests: 32},
		})
		require.NoError(t, err)
		client := github.New(requests, github.Settings{API: api})
		store := newCountingStore()
		collector := New(Settings{
			Org: settings.Datasets[n].Org.Login, Source: client, Store: store, Filter: allRepositoriesFilter(t),
			Concurrency: concurrency, Lookback: 24 * time.Hour, BackfillEnabled: true, Now: clock.Now,
		}, &Tallies{})
		passes.Go(func() {
			result, err := collector.Pass(t.Context(), 1)
			if err == nil && len(result.Failures) == 0 {
				t.Error("no limit was met")
			}
			for range 3 {
				_, _ = collector.Pass(t.Context(), 1)
			}
		})
	}
	passes.Wait()
	limits := 1
	if effect.Kind == githubtest.KindPrimary && api == github.APIGraphQL {
		limits = 2 // a primary one is of one API: that of REST is met besides
	}
	require.Positive(t, armed.Hits())
	require.LessOrEqual(t, armed.Hits(), limits*orgs*concurrency)
	require.LessOrEqual(t, roundTripper.most, orgs*concurrency)
	if skip == 25 && api == github.APIREST {
		require.Greater(t, roundTripper.most, concurrency/2, "requests overlap")
	}
}

// newChangedOrg returns an organization whose repositories all have an event of every kind in the last hour.
func newChangedOrg(login string, repositories int) *githubtest.Dataset {
	data := &githubtest.Dataset{Org: githubtest.Org{Login: login, From: noon.AddDate(0, 0, -60), Until: noon}}
	at := noon.Add(-time.Hour)
	for n := range repositories {
		name := fmt.Sprintf("repo-%02d", n)
		data.Repos = append(
			data.Repos, githubtest.Repo{Name: name, DefaultBranch: "main", CreatedAt: noon.AddDate(-1, 0, 0)},
		)
		for range 5 {
			addCommit(data, name, at)
		}
		addPull(data, name, 1, at, &at)
		addReview(data, name, 1, at)
		addComment(data, name, 1, at)
	}
	return data
}
