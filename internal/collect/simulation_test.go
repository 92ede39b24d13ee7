// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// installationLimit returns the primary limit, of REST and of GraphQL each, of an App's installation with a number of
// repositories
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#primary-rate-limit-for-github-app-installations).
func installationLimit(repositories int) int { return min(12_500, 5000+50*max(0, repositories-20)) }

// simulatedOrg is an organization with a budget of its own, on a GitHub that enforces every limit, in virtual time. One
// replica leads and makes the passes, two follow and fill gaps, each with a token of its own; they share the budget.
type simulatedOrg struct {
	bench

	followers []*Collector
	tokens    int // that were made

	limit    int
	most     map[budget.Resource]int // points used in any hour, by its reset
	resets   map[budget.Resource]time.Time
	refused  []string // endpoint and status class
	requests int
	answers  *limitResponses
}

// limitResponses counts the responses that are limits, by their message.
type limitResponses struct {
	githubtest.InProcess

	mu                 sync.Mutex
	primary, secondary int
}

func (l *limitResponses) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.InProcess.RoundTrip(r)
	if err != nil {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case bytes.Contains(body, []byte("secondary rate limit")):
		l.secondary++
	case bytes.Contains(body, []byte("rate limit exceeded")):
		l.primary++
	}
	return response, err
}

// presentTimeBudget is a budget whose reservations have the present time: on a clock that waiting moves, minutes pass
// while a goroutine is not scheduled, which looks like a clock that was set back.
type presentTimeBudget struct {
	*budget.Local

	mu  sync.Mutex
	now func() time.Time
}

// Reserve implements budget.Budget.
func (p *presentTimeBudget) Reserve(ctx context.Context, q budget.Reservation) (budget.State, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if late := p.now().Sub(q.Now); late > 0 {
		q.Now, q.ExpiresAt = q.Now.Add(late), q.ExpiresAt.Add(late)
	}
	return p.Local.Reserve(ctx, q)
}

// simulate returns a simulated organization with its replicas.
func simulate(t *testing.T, api github.API, data *githubtest.Dataset, clock *clock) *simulatedOrg {
	t.Helper()
	limit := installationLimit(len(data.Repos))
	s := &simulatedOrg{
		bench: bench{t: t, clock: clock, store: newCountingStore(), tallies: &Tallies{}},
		limit: limit, most: make(map[budget.Resource]int), resets: make(map[budget.Resource]time.Time),
	}
	scripted := githubtest.Settings{
		Datasets: []*githubtest.Dataset{data}, Now: clock.Now, EnforceLimits: true, KeepRequests: 1,
		Limits: githubtest.Limits{Core: limit, GraphQL: limit},
	}
	settings := transport.Settings{
		Endpoint: "https://api.github.com",
		Retry: transport.RetrySettings{
			MaxAttempts: 2, InitialInterval: time.Millisecond,
			MaxInterval: time.Millisecond,
		},
		RateLimit: budget.Policy{
			MinRemaining: 200, ResetBuffer: 10 * time.Second, SecondaryBackoff: time.Minute, MaxConcurrentRequests: 32,
		},
		Budget: &presentTimeBudget{Local: &budget.Local{}, now: clock.Now}, Now: clock.Now, OnAttempt: s.observe,
		Sleep: func(_ context.Context, d time.Duration) error { clock.Advance(d); return nil },
	}
	// its token changes each hour, which invalidates the validators of the former one
	authenticateApp(t, &scripted, &settings, true)
	s.server = githubtest.NewServer(scripted)
	t.Cleanup(s.server.Close)
	s.answers = &limitResponses{InProcess: handlerTransport(s.server)}
	settings.HTTP = &http.Client{Transport: s.answers}
	replica := func() *Collector {
		requests, err := transport.New(settings)
		require.NoError(t, err)
		client := github.New(requests, github.Settings{API: api})
		return New(Settings{
			Org: data.Org.Login, Source: client, Store: s.store, Filter: allRepositoriesFilter(t), Concurrency: 4,
			Lookback: 336 * time.Hour, BackfillEnabled: true, Now: clock.Now,
		}, s.tallies)
	}
	s.collector = replica()
	for range 2 {
		authenticateApp(t, &scripted, &settings, true) // the App is the same one
		s.followers = append(s.followers, replica())
	}
	s.view = ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour, Grace: 15 * time.Minute})
	return s
}

// observe adds an attempt to the points that were used in its hour.
func (s *simulatedOrg) observe(o transport.Attempt) {
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	s.requests++
	if o.Endpoint == tokensRoute {
		s.tokens++
	}
	if o.StatusClass != "2xx" && o.StatusClass != "3xx" { // 3xx: as it was
		s.refused = append(s.refused, o.Endpoint+" "+o.StatusClass)
	}
	if o.Mispriced {
		s.t.Errorf("%s cost %d points and not %d", o.Endpoint, o.Points, o.PredictedPoints)
	}
	if !o.Quota.Reset.IsZero() {
		s.most[o.Resource] = max(s.most[o.Resource], o.Quota.Limit-o.Quota.Remaining)
	}
}

// newBusyOrg returns an organization in which a number of repositories change in each interval, from noon on.
func newBusyOrg(login string, repositories, changed, intervals int, seed uint64) *githubtest.Dataset {
	rnd := rand.New(rand.NewPCG(seed, 5))
	d := &githubtest.Dataset{
		Org: githubtest.Org{Login: login, From: noon.AddDate(0, 0, -60), Until: noon.AddDate(0, 0, 60)},
	}
	names := make([]string, repositories)
	for i := range names {
		names[i] = fmt.Sprintf("repo-%05d", i)
		d.Repos = append(
			d.Repos, githubtest.Repo{Name: names[i], DefaultBranch: "main", CreatedAt: noon.AddDate(-1, 0, 0)},
		)
	}
	for i := range changed { // the last week has lines as well
		addCommit(d, names[i], noon.AddDate(0, 0, -6).Add(time.Duration(i)*time.Minute))
	}
	number := 0
	for n := range intervals {
		begin := noon.Add(time.Duration(n) * interval)
		for _, i := range rnd.Perm(repositories)[:changed] {
			at := begin.Add(time.Duration(rnd.IntN(int(interval/time.Second))) * time.Second)
			number++
			switch rnd.IntN(4) {
			case 0:
				addCommit(d, names[i], at)
			case 1:
				addPull(d, names[i], number, at, nil)
			case 2:
				addPull(d, names[i], number, at, &at)
				addReview(d, names[i], number, at)
			default:
				addPull(d, names[i], number, at, nil)
				addComment(d, names[i], number, at)
			}
		}
	}
	return d
}

// passAndFill makes a pass, and the fills that its jobs would make.
func (s *simulatedOrg) passAndFill() {
	s.t.Helper()
	result := s.pass()
	require.Empty(s.t, result.Failures)
	require.Equal(s.t, PassSuccess, result.Status)
	ctx := s.t.Context()
	for i, order := range s.fillRequests() {
		order.Priority = budget.Background
		_, err := s.followers[i%len(s.followers)].Fill(ctx, order)
		require.NoError(s.t, err)
	}
}

// requireSparing requires that no limit was met, that there is no gap, and that at most a share of each budget was used
// in an hour.
func (s *simulatedOrg) requireSparing(share float64) {
	s.t.Helper()
	require.Zero(s.t, s.answers.primary, "primary limits")
	require.Zero(s.t, s.answers.secondary, "secondary limits")
	require.Empty(s.t, s.refused, "requests without a successful response")
	cov := s.coverage()
	require.Empty(s.t, cov.Gaps())
	for resource, most := range s.most {
		require.LessOrEqual(s.t, float64(most), share*float64(s.limit), "%s", resource)
	}
}
