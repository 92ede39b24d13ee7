// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// TestMain leaves more garbage than usual, because a third of the time of these tests was collecting it. Benchmarks and
// GOGC have their own.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("GOGC") == "" && flag.Lookup("test.bench").Value.String() == "" {
		debug.SetGCPercent(400)
	}
	goleak.VerifyTestMain(m)
}

const org = "acme"

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// ago is a time before noon.
func ago(d time.Duration) time.Time { return noon.Add(-d) }

// bench is a client before a scriptable GitHub whose clock stands at noon.
type bench struct {
	t      *testing.T
	server *githubtest.Server
	api    github.API
	client *github.Client
	// transport sends the requests of client.
	transport *transport.Client
	settings  transport.Settings

	mu      sync.Mutex
	now     time.Time
	seen    []transport.Attempt
	invalid []error
}

func newBench(t *testing.T, api github.API, data *githubtest.Dataset, change ...func(*githubtest.Settings,
	*transport.Settings),
) *bench {
	t.Helper()
	roundTripper := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(roundTripper.CloseIdleConnections)
	return startBench(t, api, data, roundTripper, func(b *bench, server githubtest.Settings) {
		b.server = githubtest.Start(t, server)
		b.settings.Endpoint = b.server.URL + b.settings.Endpoint
	}, change)
}

// newBubbleBench makes a bench without a network, for a bubble of testing/synctest: its time-outs are exact.
func newBubbleBench(t *testing.T, api github.API, data *githubtest.Dataset, change ...func(*githubtest.Settings,
	*transport.Settings),
) *bench {
	t.Helper()
	roundTripper := &githubtest.InProcess{}
	return startBench(t, api, data, roundTripper, func(b *bench, server githubtest.Settings) {
		b.server = githubtest.NewServer(server)
		t.Cleanup(b.server.Close)
		roundTripper.Handler, b.settings.Endpoint = b.server, "http://api.github.example"
	}, change)
}

func startBench(t *testing.T, api github.API, data *githubtest.Dataset, roundTripper http.RoundTripper,
	startServer func(*bench, githubtest.Settings), change []func(*githubtest.Settings, *transport.Settings),
) *bench {
	t.Helper()
	b := &bench{t: t, now: noon, api: api}
	server := githubtest.Settings{Datasets: []*githubtest.Dataset{data}, Now: b.clock}
	b.settings = transport.Settings{
		HTTP: &http.Client{Transport: roundTripper}, Credential: transport.TokenCredential(githubtest.DefaultToken),
		Timeout: 5 * time.Second,
		Retry: transport.RetrySettings{
			MaxAttempts: 3, InitialInterval: time.Millisecond,
			MaxInterval: 2 * time.Millisecond,
		},
		RateLimit: budget.Policy{
			ResetBuffer: 10 * time.Second, SecondaryBackoff: time.Minute,
			MaxConcurrentRequests: 8,
		},
		Now: b.clock, UserAgent: "test",
		Sleep:          func(_ context.Context, d time.Duration) error { b.advance(d); return nil },
		OnAttempt:      func(o transport.Attempt) { b.mu.Lock(); defer b.mu.Unlock(); b.seen = append(b.seen, o) },
		OnInvalidValue: func(err error) { b.mu.Lock(); defer b.mu.Unlock(); b.invalid = append(b.invalid, err) },
	}
	for _, f := range change {
		f(&server, &b.settings)
	}
	startServer(b, server)
	var err error
	b.transport, err = transport.New(b.settings)
	require.NoError(t, err)
	b.client = github.New(b.transport, github.Settings{API: api})
	return b
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// discover gives the repositories by name.
func (b *bench) discover() (map[string]activity.Repository, error) {
	found := make(map[string]activity.Repository)
	err := b.client.Discover(b.t.Context(), org, func(page []activity.Repository) error {
		for _, r := range page {
			found[r.Name] = r
		}
		return nil
	})
	return found, err
}

func (b *bench) repo(name string) activity.Repository {
	b.t.Helper()
	found, err := b.discover()
	require.NoError(b.t, err)
	require.Contains(b.t, found, name)
	return found[name]
}

// everyStream has all streams, for since.
var everyStream = func() []activity.Stream { all := activity.AllStreams(); return all[:] }()

// numListings is the number of listings of a repository, of which some are those of two streams.
const numListings = 5

// since returns a request for everything of the streams from a time on.
func since(repo activity.Repository, at time.Time, streams ...activity.Stream) github.ReadRequest {
	r := github.ReadRequest{Org: org, Repo: repo, Streams: activity.StreamsOf(streams...)}
	for _, s := range activity.AllStreams() {
		r.Since[s] = at
	}
	return r
}

// read gives the events that happened at the request's Since or later, each once.
func (b *bench) read(request github.ReadRequest) ([]activity.Event, github.ReadResult) {
	b.t.Helper()
	seen := make(map[activity.Key]bool)
	var events []activity.Event
	outcome := b.client.Read(b.t.Context(), request, func(page []activity.Event) error {
		for _, e := range page {
			require.NoError(b.t, e.Validate())
			require.Equal(b.t, request.Repo.ID, e.Repo)
			if !seen[e.Key()] {
				seen[e.Key()] = true
				events = append(events, e)
			}
		}
		return nil
	})
	return events, outcome
}

// all reads everything that must be there.
func (b *bench) all(request github.ReadRequest) []activity.Event {
	b.t.Helper()
	events, outcome := b.read(request)
	require.Empty(b.t, outcome.Failed)
	return events
}

// users counts events by kind and user.
func users(events []activity.Event) map[string]int {
	counts := make(map[string]int)
	for _, e := range authored(events) {
		counts[e.Kind.String()+" "+e.Actor.Login]++
	}
	return counts
}

// authored gives the events that have an author.
func authored(events []activity.Event) []activity.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e activity.Event) bool { return e.Kind.IsOfRepository() })
}

func (b *bench) requests(route string) int {
	return b.server.CountRequests(func(r githubtest.RequestInfo) bool {
		return r.Route == route ||
			r.Operation == route
	})
}

// once runs a change when the n-th request for a route has come in.
func (b *bench) once(route string, n int, change func(d *githubtest.Dataset)) {
	var mu sync.Mutex
	count := 0
	b.server.OnRequest(func(r githubtest.RequestInfo) {
		if r.Route != route && r.Operation != route {
			return
		}
		mu.Lock()
		count++
		now := count == n
		mu.Unlock()
		if now {
			b.server.Update(change)
		}
	})
}

// eachAPI runs a test with both sources.
func eachAPI(t *testing.T, test func(t *testing.T, api github.API)) {
	t.Helper()
	for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
		t.Run(string(api), func(t *testing.T) {
			t.Parallel()
			test(t, api)
		})
	}
}

// eachAPIInBubble runs a test with each API in a bubble of testing/synctest, in which waiting takes no time.
func eachAPIInBubble(t *testing.T, test func(t *testing.T, api github.API)) {
	t.Helper()
	eachAPI(t, func(t *testing.T, api github.API) {
		synctest.Test(t, func(t *testing.T) { test(t, api) })
	})
}

// dataset is an organization with repositories of the given names.
func dataset(names ...string) *githubtest.Dataset {
	d := &githubtest.Dataset{Org: githubtest.Org{Login: org, From: ago(60 * 24 * time.Hour), Until: noon}}
	for i, name := range names {
		d.Repos = append(d.Repos, githubtest.Repo{
			Name: name, DefaultBranch: "main",
			CreatedAt: ago(time.Duration(9000-i) * time.Hour),
		})
	}
	return d
}

func sha(n int) string { return fmt.Sprintf("%040x", 0x100000+n) }

func commit(d *githubtest.Dataset, repo string, at time.Time) *githubtest.Commit {
	d.Commits = append(d.Commits, githubtest.Commit{
		Repo: repo, SHA: sha(len(d.Commits)), Login: new("ada"), AuthoredAt: at, CommittedAt: at, Additions: 10,
		Deletions: 1, Parents: 1,
	})
	return &d.Commits[len(d.Commits)-1]
}

func pull(d *githubtest.Dataset, number int, created time.Time) *githubtest.Pull {
	d.Pulls = append(d.Pulls, githubtest.Pull{Repo: "one", Number: number, Login: new("bob"), CreatedAt: created})
	return &d.Pulls[len(d.Pulls)-1]
}

func review(d *githubtest.Dataset, number int, at time.Time) *githubtest.Review {
	d.Reviews = append(d.Reviews, githubtest.Review{
		Repo: "one", Pull: number, ID: int64(5_000_000_000 + len(d.Reviews)), Login: new("eve"), SubmittedAt: &at,
		State: "APPROVED",
	})
	return &d.Reviews[len(d.Reviews)-1]
}

func comment(d *githubtest.Dataset, issue int, at time.Time) *githubtest.Comment {
	d.Comments = append(d.Comments, githubtest.Comment{
		Repo: "one", Issue: issue, ID: int64(9000 + len(d.Comments)), Login: new("kim"), CreatedAt: at, UpdatedAt: at,
	})
	return &d.Comments[len(d.Comments)-1]
}

func openTelemetry(t *testing.T) *githubtest.Dataset {
	t.Helper()
	data, err := githubtest.LoadDataset(os.DirFS("../../testdata/open-telemetry"))
	require.NoError(t, err)
	data.Org.Login = org
	return data
}
