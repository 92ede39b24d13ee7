// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
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

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock(now time.Time) *clock { return &clock{now: now} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.now) {
		c.now = now
	}
}

// countingStore is a store in memory that counts its commits.
type countingStore struct {
	*memstore.Store

	mu      sync.Mutex
	commits int
}

func newCountingStore() *countingStore {
	return &countingStore{Store: memstore.New(memstore.Settings{})}
}

func (r *countingStore) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	receipt, err := r.Store.Commit(ctx, fence, b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commits++
	return receipt, err
}

// bench is a collector between a scripted GitHub and a store in memory, with one clock for all of them.
type bench struct {
	t         *testing.T
	clock     *clock
	server    *githubtest.Server
	store     *countingStore
	view      *ledgerview.View
	tallies   *Tallies
	collector *Collector
}

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// handlerTransport returns a transport that calls the handler of a server without a network.
func handlerTransport(server *githubtest.Server) githubtest.InProcess {
	return githubtest.InProcess{Handler: server, Patience: time.Second}
}

// newInProcessBench returns a bench without a network, whose client makes maxAttempts attempts. change may change the
// settings of its server, its client and its collector.
func newInProcessBench(t *testing.T, api github.API, data *githubtest.Dataset,
	change ...func(*githubtest.Settings, *transport.Settings, *Settings),
) *bench {
	t.Helper()
	b := &bench{t: t, clock: newClock(noon), store: newCountingStore(), tallies: &Tallies{}}
	server := githubtest.Settings{
		Datasets: []*githubtest.Dataset{data}, Now: b.clock.Now,
		Limits: githubtest.Limits{Core: 1_000_000, GraphQL: 1_000_000},
	}
	client := transport.Settings{
		Endpoint: "http://api.github.example", Credential: transport.TokenCredential(githubtest.DefaultToken),
		Retry: transport.RetrySettings{
			MaxAttempts: maxAttempts, InitialInterval: 20 * time.Microsecond, MaxInterval: 100 * time.Microsecond,
		},
		RateLimit: budget.Policy{
			ResetBuffer: 10 * time.Second, SecondaryBackoff: time.Minute, MaxConcurrentRequests: 32,
		},
		Now:   b.clock.Now,
		Sleep: func(_ context.Context, d time.Duration) error { b.clock.Advance(d); return nil },
	}
	settings := Settings{
		Org: data.Org.Login, Store: b.store, Filter: allRepositoriesFilter(t), Concurrency: 4,
		Lookback:        336 * time.Hour,
		BackfillEnabled: true, Now: b.clock.Now,
	}
	for _, f := range change {
		f(&server, &client, &settings)
	}
	b.server = githubtest.NewServer(server)
	t.Cleanup(b.server.Close)
	client.HTTP = &http.Client{Transport: handlerTransport(b.server)}
	requests, err := transport.New(client)
	require.NoError(t, err)
	source := github.New(requests, github.Settings{API: api})
	if settings.Source == nil {
		settings.Source = source
	}
	b.collector = New(settings, b.tallies)
	return b
}

// maxAttempts is the number of attempts of a request.
const maxAttempts = 3

// newBench returns a bench with a server on a loopback port. change may change the settings of its collector.
func newBench(t *testing.T, api github.API, data *githubtest.Dataset, change ...func(*Settings)) *bench {
	t.Helper()
	b := &bench{t: t, clock: newClock(noon), store: newCountingStore(), tallies: &Tallies{}}
	b.server = githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{data}, Now: b.clock.Now,
		Credentials: []githubtest.Credential{
			{Name: "default", Token: githubtest.DefaultToken}, {Name: "another", Token: "another"},
		},
	})
	settings := Settings{
		Org: data.Org.Login, Source: b.newClient(api), Store: b.store, Filter: allRepositoriesFilter(t), Concurrency: 4,
		Lookback: 336 * time.Hour, Now: b.clock.Now,
	}
	for _, f := range change {
		f(&settings)
	}
	b.collector = New(settings, b.tallies)
	b.view = ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour, Grace: 15 * time.Minute})
	return b
}

// newClient returns a client of the bench's server that makes two attempts.
func (b *bench) newClient(api github.API, tokens ...string) *github.Client {
	b.t.Helper()
	roundTripper := http.DefaultTransport.(*http.Transport).Clone()
	b.t.Cleanup(roundTripper.CloseIdleConnections)
	requests, err := transport.New(transport.Settings{
		HTTP: &http.Client{Transport: roundTripper}, Endpoint: b.server.URL,
		Credential: transport.TokenCredential(append(tokens, githubtest.DefaultToken)[0]), Timeout: 5 * time.Second,
		Retry: transport.RetrySettings{
			MaxAttempts: 2, InitialInterval: time.Millisecond, MaxInterval: time.Millisecond,
		},
		RateLimit: budget.Policy{SecondaryBackoff: time.Minute, MaxConcurrentRequests: 32},
		Now:       b.clock.Now,
		Sleep:     func(_ context.Context, d time.Duration) error { b.clock.Advance(d); return nil },
	})
	require.NoError(b.t, err)
	client := github.New(requests, github.Settings{API: api})
	return client
}

// allRepositoriesFilter returns the filter that selects every repository but archived ones and forks.
func allRepositoriesFilter(t *testing.T) Filter {
	t.Helper()
	f, err := NewFilter([]string{"*"}, nil, false, false)
	require.NoError(t, err)
	return f
}

// pass makes a pass that must not fail.
func (b *bench) pass() PassResult {
	b.t.Helper()
	result, err := b.collector.Pass(b.t.Context(), 1)
	require.NoError(b.t, err)
	return result
}

// fillGaps reads every gap once.
func (b *bench) fillGaps() {
	b.t.Helper()
	for _, request := range b.fillRequests() {
		_, err := b.collector.Fill(b.t.Context(), request)
		require.NoError(b.t, err)
	}
}

// fillRequests returns a request for each window of a repository that is a gap.
func (b *bench) fillRequests() []FillRequest {
	b.t.Helper()
	cov := b.coverage()
	requests := make(map[string]FillRequest)
	for _, gap := range cov.Gaps() {
		key := fmt.Sprint(gap.Repo, gap.Window)
		request := requests[key]
		requests[key] = FillRequest{
			Scope: activity.Scope{RepoID: gap.Repo, Streams: request.Streams.With(gap.Stream), Window: gap.Window},
		}
	}
	return slices.Collect(maps.Values(requests))
}

// coverage returns the organization's coverage.
func (b *bench) coverage() ledger.Coverage {
	b.t.Helper()
	cov, err := b.store.Coverage(b.t.Context(), b.collector.settings.Org)
	require.NoError(b.t, err)
	return cov
}

// emitted has the values that a view emits, by repository and user.
type emitted map[ledgerview.Series]ledgerview.Values

func (s emitted) Emit(series ledgerview.Series, v *ledgerview.Values) { s[series] = *v }
func (s emitted) MarkStale(ledgerview.Series, ledgerview.Mask)        {}

// metrics returns what a replica that starts now would emit.
func (b *bench) metrics() emitted {
	b.t.Helper()
	result := emitted{}
	b.newView().Visit(b.clock.Now(), result)
	return result
}

// tally returns the sum of the increments of a counter in the store.
func (b *bench) tally(name string, labels ...string) uint64 {
	b.t.Helper()
	key := ledger.TallyKey{Name: name}
	copy(key.Labels[:], labels)
	var n uint64
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	err := b.store.Follow(ctx, b.collector.settings.Org, func(c ledger.Change) error {
		for _, tally := range c.Tallies {
			if tally.TallyKey == key {
				n += tally.Add
			}
		}
		if c.CaughtUp {
			cancel()
		}
		return nil
	})
	require.ErrorIs(b.t, err, context.Canceled)
	return n
}

// total returns the total of a kind over all users of a repository.
func (s emitted) total(repo string, kind activity.Kind) uint64 {
	var n uint64
	for series, v := range s {
		if series.Repo == repo {
			n += v.Of[ledgerview.MetricTotal+ledgerview.Metric(kind.Index())]
		}
	}
	return n
}

// newDataset returns an organization with empty repositories of the given names.
func newDataset(names ...string) *githubtest.Dataset {
	d := &githubtest.Dataset{Org: githubtest.Org{Login: org, From: noon.AddDate(0, 0, -60), Until: noon}}
	for _, name := range names {
		d.Repos = append(d.Repos, githubtest.Repo{Name: name, DefaultBranch: "main", CreatedAt: noon.AddDate(-1, 0, 0)})
	}
	return d
}

// addCommit adds a commit of ten lines at a time.
func addCommit(d *githubtest.Dataset, repo string, at time.Time) *githubtest.Commit {
	sha := fmt.Sprintf("%040x", 0x1000000+len(d.Commits))
	d.Commits = append(d.Commits, githubtest.Commit{
		Repo: repo, SHA: sha, Login: new("ada"), AuthoredAt: at, CommittedAt: at, Additions: 10, Deletions: 1,
		Parents: 1,
	})
	return &d.Commits[len(d.Commits)-1]
}

// addPull adds a pull request, which is merged unless merged is nil.
func addPull(d *githubtest.Dataset, repo string, number int, created time.Time, merged *time.Time) {
	p := githubtest.Pull{
		Repo: repo, Number: number, Login: new("bob"), CreatedAt: created, MergedAt: merged, ClosedAt: merged,
	}
	d.Pulls = append(d.Pulls, p)
}

// addReview adds a review of a pull request.
func addReview(d *githubtest.Dataset, repo string, number int, at time.Time) {
	r := githubtest.Review{
		Repo: repo, Pull: number, ID: int64(5000 + len(d.Reviews)), Login: new("eve"), SubmittedAt: &at,
		State: "APPROVED",
	}
	d.Reviews = append(d.Reviews, r)
}

// addComment adds a comment to an issue.
func addComment(d *githubtest.Dataset, repo string, issue int, at time.Time) {
	c := githubtest.Comment{
		Repo: repo, Issue: issue, ID: int64(9000 + len(d.Comments)), Login: new("kim"), CreatedAt: at, UpdatedAt: at,
	}
	d.Comments = append(d.Comments, c)
}

// loadRecordedData returns the recorded activity of a real organization, from testdata.
func loadRecordedData(t *testing.T) *githubtest.Dataset {
	t.Helper()
	data, err := githubtest.LoadDataset(os.DirFS("../../testdata/open-telemetry"))
	require.NoError(t, err)
	return data
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

// newAppKey returns the private key of a GitHub App, and the key in PEM form. It is made once.
var newAppKey = sync.OnceValues(func() (*rsa.PrivateKey, []byte) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
})

// authenticateApp makes a client authenticate as a GitHub App. With installed the client has the id of its
// installation, otherwise it has to request it.
func authenticateApp(t *testing.T, server *githubtest.Settings, client *transport.Settings, installed bool) {
	t.Helper()
	org := server.Datasets[0].Org.Login
	key, text := newAppKey()
	server.Credentials = []githubtest.Credential{{Token: "unused", Login: "l"}}
	server.Apps = []githubtest.App{
		{ID: 11, PublicKey: &key.PublicKey, Installations: []githubtest.Installation{{ID: 22, Org: org}}},
	}
	app := transport.AppSettings{AppID: 11, Org: org, PrivateKey: func() ([]byte, error) { return text, nil }}
	if installed {
		app.InstallationID = 22
	}
	var err error
	client.Credential, err = transport.AppCredential(app)
	require.NoError(t, err)
}
