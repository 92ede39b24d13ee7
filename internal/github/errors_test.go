// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	orgReposRoute = "/orgs/{org}/repos"
	commitsRoute  = "/repos/{owner}/{repo}/commits"
)

// discoverQuery is what an API lists repositories with.
func discoverQuery(api github.API) string {
	if api == github.APIGraphQL {
		return "Discover"
	}
	return orgReposRoute
}

// matching chooses requests by their route or operation.
func matching(route string) githubtest.Match {
	return githubtest.Match{Func: func(r githubtest.RequestInfo) bool {
		return r.Route == route ||
			r.Operation == route
	}}
}

// TestServerErrorsAreRepeatedAtMostMaxAttempts, when the listing is of repositories as when it is of their activity.
func TestServerErrorsAreRepeatedAtMostMaxAttempts(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for _, attempts := range []int{1, 2, 4} {
			data := dataset("one")
			pull(data, 1, ago(time.Hour))
			b := newBench(t, api, data, func(_ *githubtest.Settings,
				g *transport.Settings,
			) {
				g.Retry.MaxAttempts = attempts
			})
			repo := b.repo("one")
			for _, route := range []string{discoverQuery(api), pullsQuery(api)} {
				b.server.ResetRequests()
				fault := b.server.InjectFault(githubtest.Fault{Match: matching(route), Effect: githubtest.Status(503)})
				var err error
				if route == discoverQuery(api) {
					_, err = b.discover()
				} else {
					_, outcome := b.read(since(repo, ago(24*time.Hour), activity.StreamPulls))
					err = outcome.Failed[activity.StreamPulls]
				}
				var unavailable *transport.UnavailableError
				require.ErrorAs(t, err, &unavailable)
				require.Equal(t, 503, unavailable.Status)
				require.Equal(t, attempts, b.requests(route), route)
				fault.Disarm()
			}
		}
	})
}

// TestAServerErrorThatPassesIsForgotten: the attempt that succeeds counts.
func TestAServerErrorThatPassesIsForgotten(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for name, effect := range map[string]githubtest.Effect{
			"500": githubtest.Status(500), "502": githubtest.Status(502), "503": githubtest.Status(503),
			"504":   githubtest.Status(504),
			"reset": githubtest.ConnectionReset(), "truncated": githubtest.TruncatedJSON(),
			"HTML":         githubtest.HTML(200),
			"wrong length": githubtest.WrongLength(),
		} {
			data := dataset("one")
			pull(data, 1, ago(time.Hour))
			b := newBench(t, api, data)
			b.server.InjectFault(githubtest.Fault{Match: matching(discoverQuery(api)), Times: 1, Effect: effect})
			b.server.InjectFault(githubtest.Fault{Match: matching(pullsQuery(api)), Times: 1, Effect: effect})
			require.Len(t, b.all(since(b.repo("one"), ago(24*time.Hour), activity.StreamPulls)), 1, name)
		}
	})
}

// TestRefusalsOfQueries: what GitHub says with a status to a GraphQL query has the type that it has in REST, and is not
// repeated when repeating does not help. What may pass is asked for once more.
func TestRefusalsOfQueries(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		effect githubtest.Effect
		want   func(error) bool
		asked  int // 0 for as often as any
	}{
		"401":          {githubtest.Status(401), is[*transport.CredentialError], 1},
		"403":          {githubtest.Status(403), is[*transport.ForbiddenError], 2},
		"404":          {githubtest.Status(404), is[*transport.NotFoundError], 2},
		"451":          {githubtest.Status(451), is[*transport.ForbiddenError], 1},
		"500":          {githubtest.Status(500), is[*transport.UnavailableError], 0},
		"reset":        {githubtest.ConnectionReset(), is[*transport.UnavailableError], 0},
		"truncated":    {githubtest.TruncatedJSON(), is[*transport.UnavailableError], 0},
		"HTML":         {githubtest.HTML(200), is[*transport.UnavailableError], 0},
		"HTML of 502":  {githubtest.HTML(502), is[*transport.UnavailableError], 0},
		"wrong length": {githubtest.WrongLength(), is[*transport.UnavailableError], 0},
		"huge":         {githubtest.HugeBody(33 << 20), is[*transport.UnavailableError], 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := dataset("one")
			pull(data, 1, ago(time.Hour))
			b := newBench(t, github.APIGraphQL, data)
			repo := b.repo("one")
			for _, route := range []string{"Discover", "Activity"} {
				b.server.ResetRequests()
				fault := b.server.InjectFault(githubtest.Fault{
					Match:  githubtest.Match{Operation: route},
					Effect: test.effect,
				})
				_, err := b.discover()
				if route == "Activity" {
					_, outcome := b.read(since(repo, ago(24*time.Hour), activity.StreamPulls))
					err = outcome.Failed[activity.StreamPulls]
				}
				require.Error(t, err)
				require.True(t, test.want(err), "%T: %v", err, err)
				require.NotContains(t, err.Error(), githubtest.DefaultToken)
				require.NotContains(t, err.Error(), b.server.URL)
				if test.asked > 0 {
					require.Equal(t, test.asked, b.requests(route))
				}
				fault.Disarm()
			}
		})
	}
}

// is reports whether an error is of a type.
func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// TestAHangingServerIsUnavailable after the time-out of each attempt, however many requests wait for their turn.
func TestAHangingServerIsUnavailable(t *testing.T) {
	t.Parallel()
	eachAPIInBubble(t, func(t *testing.T, api github.API) {
		b := newBubbleBench(t, api, dataset("one"), func(_ *githubtest.Settings, g *transport.Settings) {
			g.Timeout, g.Retry.MaxAttempts, g.RateLimit.MaxConcurrentRequests = 100*time.Millisecond, 1, 1
		})
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.Hang()})
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() {
				errs <- b.client.Discover(t.Context(), org, func([]activity.Repository) error { return nil })
			}()
		}
		for range cap(errs) {
			err := <-errs
			require.True(t, is[*transport.UnavailableError](err), "%T: %v", err, err)
		}
	})
}

// TestABodyThatNeverEndsIsUnavailable: the time-out is for the body as well.
func TestABodyThatNeverEndsIsUnavailable(t *testing.T) {
	t.Parallel()
	eachAPIInBubble(t, func(t *testing.T, api github.API) {
		b := newBubbleBench(t, api, dataset("one"), func(_ *githubtest.Settings, g *transport.Settings) {
			g.Timeout, g.Retry.MaxAttempts = 100*time.Millisecond, 1
		})
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.SlowBody(time.Second)})
		_, err := b.discover()
		require.True(t, is[*transport.UnavailableError](err), "%T: %v", err, err)
		b.server.ClearFaults()
		_, err = b.discover()
		require.NoError(t, err)
	})
}

// TestRequestsAtOnceAreBounded over both APIs together, whichever caller sends them.
func TestRequestsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i := range 60 {
			commit(data, "one", ago(time.Duration(i)*time.Minute))
		}
		comment(data, 1, ago(time.Hour))
		var mu sync.Mutex
		now, most := 0, 0
		b := newBench(t, api, data, func(_ *githubtest.Settings, g *transport.Settings) {
			g.RateLimit.MaxConcurrentRequests = 3
			inner := g.HTTP.Transport
			g.HTTP.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				defer func() { mu.Lock(); now--; mu.Unlock() }()
				return inner.RoundTrip(r)
			})
		})
		request := everything(b.repo("one"))
		var everybody sync.WaitGroup
		for range 10 {
			everybody.Go(func() {
				outcome := b.client.Read(t.Context(), request, func([]activity.Event) error { return nil })
				if len(outcome.Failed) > 0 {
					t.Error(outcome.Failed)
				}
			})
		}
		everybody.Wait()
		require.LessOrEqual(t, most, 3)
		require.Greater(t, most, 1)
	})
}

// TestTheCallersDeadlineEndsAttempts: what the caller has no time for is not asked again.
func TestTheCallersDeadlineEndsAttempts(t *testing.T) {
	t.Parallel()
	eachAPIInBubble(t, func(t *testing.T, api github.API) {
		b := newBubbleBench(t, api, dataset("one"))
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.Hang()})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := b.client.Discover(ctx, org, func([]activity.Repository) error { return nil })
		require.Error(t, err)
		require.LessOrEqual(t, len(b.server.Requests()), 1)
	})
}

// TestEndlessListingsOfEachKindEnd: a next page that is always promised is not followed for ever.
func TestEndlessListingsOfEachKindEnd(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", ago(time.Hour))
		pull(data, 1, ago(time.Hour))
		for range 60 {
			review(data, 1, ago(time.Hour))
		}
		comment(data, 1, ago(time.Hour))
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(24*time.Hour), everyStream...)
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.NextLinkLoop()})
		b.server.ResetRequests()
		events, outcome := b.read(request)
		for stream, err := range outcome.Failed {
			require.True(t, is[*transport.UnavailableError](err), "%v: %T: %v", stream, err, err)
		}
		require.NotEmpty(t, events)
		_, err := b.discover()
		require.True(t, err == nil || is[*transport.UnavailableError](err), "%v", err)
		require.Less(t, len(b.server.Requests()), 60)
	})
}

// TestAnErrorOfTheCallerEndsTheReading: it comes back as it is, and nothing more is asked.
func TestAnErrorOfTheCallerEndsTheReading(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := many(350)
		b := newBench(t, api, data)
		stop := errors.New("stop")
		require.ErrorIs(t, b.client.Discover(t.Context(), org, func([]activity.Repository) error { return stop }), stop)
		require.Equal(t, 1, b.requests(discoverQuery(api)))
	})
}

// TestNoTokenInAnyText: a token that cannot even be sent is in no error either.
func TestNoTokenInAnyText(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, dataset("one"), func(_ *githubtest.Settings, g *transport.Settings) {
			g.Credential = transport.TokenCredential("ghp_very\nsecret")
		})
		_, err := b.discover()
		require.Error(t, err)
		require.NotContains(t, err.Error(), "very")
		require.NotContains(t, err.Error(), "secret")
		require.Empty(t, b.server.Requests())
	})
}

// TestWrongToken is a matter of the credential, and is asked once.
func TestWrongToken(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, dataset("one"), func(_ *githubtest.Settings, g *transport.Settings) {
			g.Credential = transport.TokenCredential("ghp_wrong_one")
		})
		_, err := b.discover()
		require.True(t, is[*transport.CredentialError](err), "%T: %v", err, err)
		require.NotContains(t, err.Error(), "ghp_wrong_one")
		require.Len(t, b.server.Requests(), 1)
	})
}

// TestUnknownOrganization is not found, and not an organization without repositories.
func TestUnknownOrganization(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, dataset("one"))
		err := b.client.Discover(t.Context(), "nobody", func([]activity.Repository) error { return nil })
		require.True(t, is[*transport.NotFoundError](err), "%T: %v", err, err)
	})
}
