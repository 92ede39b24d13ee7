// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"errors"
	"net/http"
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

// limitOf is the limit in an error.
func limitOf(t *testing.T, err error) *transport.LimitError {
	t.Helper()
	limit, ok := errors.AsType[*transport.LimitError](err)
	require.True(t, ok, "%T: %v", err, err)
	return limit
}

// groupVariables makes n requests that are all on their way before the first is answered, and gives their errors.
func groupVariables(b *bench, n int) []error {
	var arrived sync.WaitGroup
	arrived.Add(n)
	var mu sync.Mutex
	count := 0
	b.server.OnRequest(func(githubtest.RequestInfo) {
		mu.Lock()
		count++
		one := count <= n
		mu.Unlock()
		if one {
			arrived.Done()
			arrived.Wait()
		}
	})
	errs := make([]error, n)
	var everybody sync.WaitGroup
	for i := range n {
		everybody.Go(func() { errs[i] = b.client.Discover(b.t.Context(), org, pages) })
	}
	everybody.Wait()
	return errs
}

// TestOneLimitIsOneWait: limits that several requests meet at once count once for the growth of the backoff.
func TestOneLimitIsOneWait(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, dataset("one"))
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.SecondaryLimit(403, 0)})
		for _, err := range groupVariables(b, 8) {
			require.Equal(t, noon.Add(time.Minute), limitOf(t, err).RetryAt)
		}
		b.advance(time.Minute)
		_, err := b.discover()
		require.Equal(t, b.clock().Add(2*time.Minute), limitOf(t, err).RetryAt)
	})
}

// TestTheLongestWaitCounts: of several limits that are met at once the last to end is kept, whatever the order of the
// answers is.
func TestTheLongestWaitCounts(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for round := range 10 {
			b := newBench(t, api, dataset("one"))
			for i := range 8 {
				wait := time.Duration(10*((i+round)%8+1)) * time.Second
				b.server.InjectFault(githubtest.Fault{Times: 1, Effect: githubtest.SecondaryLimit(403, wait)})
			}
			for _, err := range groupVariables(b, 8) {
				require.True(t, is[*transport.LimitError](err))
			}
			b.server.ClearFaults()
			b.server.ResetRequests()
			_, err := b.discover()
			require.Equal(t, noon.Add(80*time.Second), limitOf(t, err).RetryAt)
			require.Empty(t, b.server.Requests())
		}
	})
}

// TestAGoodAnswerDoesNotEndALimit that was met while it was on its way, neither with a quota nor at the floor.
func TestAGoodAnswerDoesNotEndALimit(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for _, floor := range []int{0, 200} {
			b := newBench(t, api, dataset("one"), func(_ *githubtest.Settings,
				g *transport.Settings,
			) {
				g.RateLimit.MinRemaining = floor
			})
			b.server.SetUsed("default", githubtest.ResourceCore, 4900)
			b.server.SetUsed("default", githubtest.ResourceGraphQL, 4900)
			b.server.InjectFault(githubtest.Fault{Times: 1, Effect: githubtest.SecondaryLimit(429, 2*time.Hour)})
			limited := 0
			for _, err := range groupVariables(b, 8) {
				if err != nil {
					_ = limitOf(t, err)
					limited++
				}
			}
			require.GreaterOrEqual(t, limited, 1)
			b.server.ResetRequests()
			_, err := b.discover()
			require.Equal(t, noon.Add(2*time.Hour), limitOf(t, err).RetryAt)
			require.True(t, limitOf(t, err).Secondary)
			require.Empty(t, b.server.Requests())
		}
	})
}

// TestASecondaryLimitIsOfBothAPIs, because GitHub counts them together; a primary one is of its own alone.
func TestASecondaryLimitIsOfBothAPIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		effect githubtest.Effect
		both   bool
	}{
		"secondary": {githubtest.SecondaryLimit(200, 0), true},
		"primary":   {githubtest.PrimaryLimit(200), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := dataset("one")
			comment(data, 1, ago(time.Hour))
			b := newBench(t, github.APIGraphQL, data)
			repo := b.repo("one")
			b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Operation: "Discover"}, Effect: test.effect})
			_, err := b.discover()
			require.Equal(t, test.both, limitOf(t, err).Secondary)
			b.server.ResetRequests()
			events, outcome := b.read(since(repo, ago(24*time.Hour), activity.StreamComments)) // with REST
			if test.both {
				_ = limitOf(t, outcome.Failed[activity.StreamComments])
				require.Empty(t, b.server.Requests())
				return
			}
			require.Empty(t, outcome.Failed)
			require.Len(t, events, 1)
		})
	}
}

// TestFormsOfALimit that GitHub, its older servers and what stands before them are known to use.
func TestFormsOfALimit(t *testing.T) {
	t.Parallel()
	reset := strconv.FormatInt(noon.Add(20*time.Minute).Unix(), 10)
	header := func(pairs ...string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, test := range map[string]struct {
		api       github.API
		effect    githubtest.Effect
		secondary bool
		wait      time.Duration
	}{
		"429 without anything": {github.APIREST, githubtest.StatusBody(429, nil, ""), true, time.Minute},
		"429 of a proxy":       {github.APIREST, githubtest.HTML(429), true, time.Minute},
		"403 with a wait alone": {
			github.APIREST, githubtest.StatusBody(403, header("Retry-After", "7"), `{}`), true,
			7 * time.Second,
		},
		"403 with nothing left": {
			github.APIREST, githubtest.StatusBody(403,
				header("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset), `{}`), false,
			20*time.Minute + 10*time.Second,
		},
		"403 of abuse detection": {github.APIREST, githubtest.StatusBody(403, header(),
			`{"message":"You have triggered an abuse detection mechanism."}`), true, time.Minute},
		"a wait that is a date": {github.APIREST, githubtest.StatusBody(429,
			header("Retry-After", "Wed, 11 Mar 2026 12:30:00 GMT"), ``), true, 30 * time.Minute},
		"a wait that is over": {github.APIREST, githubtest.StatusBody(429,
			header("Retry-After", "Wed, 11 Mar 2026 11:30:00 GMT"), ``), true, time.Minute},
		"a wait of nothing": {
			github.APIREST, githubtest.StatusBody(429, header("Retry-After", "0"), ``), true,
			time.Minute,
		},
		"a reset in the past": {
			github.APIREST, githubtest.StatusBody(403,
				header("X-RateLimit-Remaining", "0", "X-RateLimit-Limit", "5000", "X-RateLimit-Reset", "1500000000"), `{}`),
			false, time.Minute,
		},
		"a reset in years": {
			github.APIREST, githubtest.StatusBody(403,
				header("X-RateLimit-Remaining", "0", "X-RateLimit-Limit", "5000", "X-RateLimit-Reset", "9999999999"), `{}`),
			false, time.Minute,
		},
		"a reset in milliseconds": {github.APIREST, githubtest.StatusBody(403,
			header("X-RateLimit-Remaining", "0", "X-RateLimit-Limit", "5000", "X-RateLimit-Reset", "1773231600000"),
			`{}`), false, time.Minute},
		"a negative wait": {
			github.APIREST, githubtest.StatusBody(429, header("Retry-After", "-5"), ``), true,
			time.Minute,
		},
		"a wait of years": {
			github.APIREST, githubtest.StatusBody(429, header("Retry-After", "99999999"), ``),
			true, 24 * time.Hour,
		},
		"RATE_LIMIT without data": {github.APIGraphQL, githubtest.StatusBody(200, header(),
			`{"errors":[{"type":"RATE_LIMIT","message":"API rate limit exceeded"}]}`), false, time.Minute},
		"RATE_LIMITED by a code": {
			github.APIGraphQL, githubtest.StatusBody(200,
				header("X-RateLimit-Remaining", "3", "X-RateLimit-Reset", reset),
				`{"data":null,"errors":[{"extensions":{"code":"RATE_LIMITED"},"message":"x"}]}`), false,
			20*time.Minute + 10*time.Second,
		},
		"secondary in words": {github.APIGraphQL, githubtest.StatusBody(200, header(),
			`{"errors":[{"message":"You have exceeded a secondary rate limit."}]}`), true, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.api, dataset("one"), func(s *githubtest.Settings,
				_ *transport.Settings,
			) {
				s.NoRateLimits = true
			})
			b.server.InjectFault(githubtest.Fault{Effect: test.effect, Times: 1})
			_, err := b.discover()
			limit := limitOf(t, err)
			require.Equal(t, test.secondary, limit.Secondary)
			require.Equal(t, noon.Add(test.wait), limit.RetryAt)
			require.Len(t, b.server.Requests(), 1, "a limit is never asked about again")
			_, err = b.discover()
			_ = limitOf(t, err)
			require.Len(t, b.server.Requests(), 1)
			b.advance(test.wait)
			_, err = b.discover()
			require.NoError(t, err)
		})
	}
}

// TestNothingLeavesOfAReading once a limit is met in it: the streams that are left have the same moment.
func TestNothingLeavesOfAReading(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", ago(time.Hour))
		pull(data, 1, ago(time.Hour))
		comment(data, 1, ago(time.Hour))
		b := newBench(t, api, data)
		repo := b.repo("one")
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.SecondaryLimit(403, 90*time.Second)})
		b.server.ResetRequests()
		_, outcome := b.read(since(repo, ago(24*time.Hour), everyStream...))
		require.Len(t, outcome.Failed, activity.NumStreams)
		for _, err := range outcome.Failed {
			require.Equal(t, noon.Add(90*time.Second), limitOf(t, err).RetryAt)
		}
		require.Len(t, b.server.Requests(), 1)
	})
}

// TestARealLimitIsNeverPassed: before a server that enforces its limits no request is refused because of the floor.
func TestARealLimitIsNeverPassed(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, many(120), func(s *githubtest.Settings, g *transport.Settings) {
			s.EnforceLimits, s.Limits = true, githubtest.Limits{Core: 30, GraphQL: 30}
			g.RateLimit.MinRemaining = 6
		})
		for hour := range 2 {
			var err error
			for range 60 {
				if _, err = b.discover(); err != nil {
					break
				}
			}
			limit := limitOf(t, err)
			require.True(t, limit.RetryAt.After(b.clock()))
			for _, r := range b.server.Requests() {
				require.Equal(t, 200, r.Status, "hour %d", hour)
			}
			b.advance(limit.RetryAt.Sub(b.clock()))
		}
	})
}

// TestAnAbsurdQuotaTellsNothing: a good answer whose numbers cannot be closes nothing.
func TestAnAbsurdQuotaTellsNothing(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"a reset in years": {
			"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"0"},
			"X-Ratelimit-Reset": {"9999999999"},
		},
		"a reset in the past": {
			"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"0"},
			"X-Ratelimit-Reset": {"1500000000"},
		},
		"less than nothing": {
			"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"-1"},
			"X-Ratelimit-Reset": {"1773232200"},
		},
		"a negative limit": {
			"X-Ratelimit-Limit": {"-5000"}, "X-Ratelimit-Remaining": {"0"},
			"X-Ratelimit-Reset": {"1773232200"},
		},
		"no numbers": {
			"X-Ratelimit-Limit": {"many"}, "X-Ratelimit-Remaining": {"none"},
			"X-Ratelimit-Reset": {"soon"},
		},
		"too large for one": {
			"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"0"},
			"X-Ratelimit-Reset": {"99999999999999999999"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIREST, dataset("one"), func(s *githubtest.Settings, g *transport.Settings) {
				s.NoRateLimits, g.RateLimit.MinRemaining = true, 200
			})
			b.server.InjectFault(githubtest.Fault{Times: 1, Effect: githubtest.StatusBody(200, header, `[]`)})
			for range 3 {
				_, err := b.discover()
				require.NoError(t, err)
			}
			require.Zero(t, b.seen[0].Quota.Reset.Year()-time.Time{}.Year(), "nor is it shown")
		})
	}
}

// TestAnAbsurdDateTellsNoSkew: what stands before GitHub may have no clock.
func TestAnAbsurdDateTellsNoSkew(t *testing.T) {
	t.Parallel()
	for _, date := range []string{
		"Thu, 01 Jan 1970 00:00:10 GMT", "Fri, 31 Dec 9999 23:59:59 GMT",
		"Mon, 01 Jan 0001 00:00:00 GMT", "yesterday", "",
	} {
		requests, err := transport.New(transport.Settings{
			Endpoint: "https://api.github.example", Now: func() time.Time { return noon },
			HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Date": {date}},
					Body: http.NoBody, Request: r,
				}, nil
			})},
		})
		require.NoError(t, err)
		client := github.New(requests, github.Settings{API: github.APIREST})
		require.Error(t, client.Discover(t.Context(), org, pages))
		require.Zero(t, requests.Skew(), date)
	}
}

// TestAppAsksForItsTokenAtALimit: the App's own token has a primary limit of its own, so that GraphQL goes on with a
// new token of the installation while REST has to wait; a secondary limit applies to all.
func TestAppAsksForItsTokenAtALimit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limit githubtest.Effect
		goes  bool
	}{
		"primary":   {githubtest.PrimaryLimit(403), true},
		"secondary": {githubtest.SecondaryLimit(403, 2*time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := appBench(t, github.APIGraphQL)
			b.advance(-10 * time.Minute)
			repo := b.repo("one")
			b.advance(50 * time.Minute)
			b.server.SetUsed("installation-22", githubtest.ResourceCore, 0) // the hour of its limit begins now
			b.server.InjectFault(githubtest.Fault{
				Match: githubtest.Match{Route: commentsRoute}, Times: 1,
				Effect: test.limit,
			})
			_, outcome := b.read(since(repo, ago(24*time.Hour), activity.StreamComments))
			_ = limitOf(t, outcome.Failed[activity.StreamComments])
			b.advance(20 * time.Minute)
			_, err := b.discover()
			require.Equal(t, test.goes, err == nil, "%v", err)
			if test.goes {
				require.Equal(t, 2, b.requests(tokensRoute))
			}
			_, outcome = b.read(since(repo, ago(24*time.Hour), activity.StreamComments))
			_ = limitOf(t, outcome.Failed[activity.StreamComments])
		})
	}
}

// TestFloorOfManyTogether: requests that leave together do not cross the floor, whatever they cost.
func TestFloorOfManyTogether(t *testing.T) {
	t.Parallel()
	names := make([]string, 150)
	for i := range names {
		names[i] = "repo-" + strconv.Itoa(i)
	}
	b := newBench(t, github.APIGraphQL, dataset(names...), func(_ *githubtest.Settings, g *transport.Settings) {
		g.RateLimit.MinRemaining, g.RateLimit.MaxConcurrentRequests = 200, 50
	})
	b.server.SetUsed("default", githubtest.ResourceGraphQL, 5000-250)
	b.advance(50 * time.Minute)
	_, err := b.discover() // learns, and leaves 246
	require.NoError(t, err)
	for _, err := range groupVariables(b, 20) {
		if err != nil {
			_ = limitOf(t, err)
		}
	}
	lost := 0 // points of pages that were given up on their way because of another's limit
	for _, o := range b.seen {
		if o.StatusClass == "error" {
			lost += 2
		}
	}
	for _, o := range b.seen {
		if !o.Quota.Reset.IsZero() {
			require.GreaterOrEqual(t, o.Quota.Remaining, 200-lost)
		}
	}
}
