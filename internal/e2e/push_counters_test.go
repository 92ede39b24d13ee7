// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// otlpBackend is a server that receives metrics by OTLP over HTTP.
type otlpBackend struct {
	*httptest.Server
	refuses atomic.Bool

	mu     sync.Mutex
	deltas map[series]float64 // and what cumulative sums rose after their first point
	last   map[series]float64
	ends   map[series]int // marks since the last value
	errs   []error
}

// startOTLPBackend starts a backend that ends with the test.
func startOTLPBackend(t *testing.T) *otlpBackend {
	t.Helper()
	b := &otlpBackend{deltas: make(map[series]float64), last: make(map[series]float64), ends: make(map[series]int)}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := pmetricotlp.NewExportRequest()
		if err == nil {
			err = request.UnmarshalProto(body)
		}
		if err != nil || b.refuses.Load() {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		b.receive(request.Metrics())
	}))
	t.Cleanup(b.Close)
	return b
}

// receive records the points of the activity metrics.
func (b *otlpBackend) receive(md pmetric.Metrics) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if strings.HasPrefix(m.Name(), "gh.activity.") {
					b.receiveMetric(m)
				}
			}
		}
	}
}

// receiveMetric records the points of a metric, and what is wrong with them.
func (b *otlpBackend) receiveMetric(m pmetric.Metric) {
	for _, p := range pointsOf(m).All() {
		repo, _ := p.Attributes().Get("repo")
		user, _ := p.Attributes().Get("user")
		s := series{m.Name(), repo.Str(), user.Str()}
		if p.Flags().NoRecordedValue() {
			b.ends[s]++
			continue
		}
		delete(b.ends, s)
		value := float64(p.IntValue())
		if p.ValueType() == pmetric.NumberDataPointValueTypeDouble {
			value = p.DoubleValue()
		}
		switch {
		case m.Type() != pmetric.MetricTypeSum:
		case p.StartTimestamp() == 0 || p.StartTimestamp() > p.Timestamp():
			b.errs = append(b.errs, fmt.Errorf("%v starts at %s, at %s", s, p.StartTimestamp(), p.Timestamp()))
		case m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityDelta:
			b.deltas[s] += value
		case value < b.last[s]:
			b.errs = append(b.errs, fmt.Errorf("%v fell from %v to %v", s, b.last[s], value))
		default:
			if last, met := b.last[s]; met {
				b.deltas[s] += value - last
			}
		}
		b.last[s] = value
	}
}

// pointsOf returns the points of a gauge or a sum.
func pointsOf(m pmetric.Metric) pmetric.NumberDataPointSlice {
	if m.Type() == pmetric.MetricTypeSum {
		return m.Sum().DataPoints()
	}
	return m.Gauge().DataPoints()
}

// valuesByUser returns the values of a metric by user, without zeros.
func (b *otlpBackend) valuesByUser(of map[series]float64, metric string) map[string]float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := make(map[string]float64)
	for s, value := range of {
		if s.metric == metric && value != 0 {
			found[s.user] = value
		}
	}
	return found
}

// requireNoErrors requires that nothing was wrong with the points.
func (b *otlpBackend) requireNoErrors(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.errs)
}

const pushConfig = `
extensions:
  file_storage: {directory: %[1]s, create_directory: true}
receivers:
  githubexporter:
%[2]s
exporters:
  otlphttp: {endpoint: %[3]q, compression: none, sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}
service:
  extensions: [file_storage]
  telemetry: {metrics: {level: none}, logs: {level: info, encoding: json, sampling: {enabled: false}}}
  pipelines:
    metrics: {receivers: [githubexporter], exporters: [otlphttp]}
`

const deltaConfig = `
receivers:
  otlp: {protocols: {http: {endpoint: %[1]s}}}
processors:
  cumulativetodelta: {}
exporters:
  otlphttp: {endpoint: %[2]q, compression: none, sending_queue: {enabled: false}}
service:
  telemetry: {metrics: {level: none}, logs: {level: info, encoding: json, sampling: {enabled: false}}}
  pipelines:
    metrics: {receivers: [otlp], processors: [cumulativetodelta], exporters: [otlphttp]}
`

// startPushingCollector starts a collector that pushes to an address.
func startPushingCollector(t *testing.T, receiver, endpoint string) *collector {
	t.Helper()
	dir := t.TempDir()
	c := &collector{binary: proctest.ProgramPath(t, "GX_COLLECTOR"), config: filepath.Join(dir, "collector.yaml")}
	text := fmt.Sprintf(pushConfig, filepath.Join(dir, "storage"), indent(receiver), endpoint)
	require.NoError(t, os.WriteFile(c.config, []byte(text), 0o600))
	c.run(t)
	return c
}

// run starts the collector without waiting for its page.
func (c *collector) run(t *testing.T) {
	t.Helper()
	c.Process = proctest.New(t, c.binary, append([]string{"--config", c.config}, c.args...)...)
	c.Run()
}

// startDeltaCollector starts a collector that receives cumulative sums and makes deltas of them, and returns the
// endpoint at which it receives.
func startDeltaCollector(t *testing.T, endpoint string) string {
	t.Helper()
	address := proctest.FreeAddress(t)
	c := &collector{
		binary: proctest.ProgramPath(t, "GX_COLLECTOR"),
		config: filepath.Join(t.TempDir(), "collector.yaml"),
	}
	require.NoError(t, os.WriteFile(c.config, fmt.Appendf(nil, deltaConfig, address, endpoint), 0o600))
	c.run(t)
	eventually(t, time.Minute, func() error {
		response, err := http.Post("http://"+address+"/v1/metrics", "application/json", strings.NewReader("{}"))
		if err == nil {
			err = response.Body.Close()
		}
		return err
	})
	return "http://" + address
}

// TestDeltasCountNewEvents: a processor that makes deltas of the sums counts the events after the first contact, the
// first events of users included, and nothing of the look-back; a kill -9 changes nothing.
func TestDeltasCountNewEvents(t *testing.T) {
	t.Parallel()
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			r := newRenamedAccounts(t)
			deltas := startOTLPBackend(t)
			config := fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, r.server.URL, api)
			gx := startPushingCollector(t, config, startDeltaCollector(t, deltas.URL))
			r.requirePushed(t, deltas, map[string]float64{})
			r.addForUsers("eve", "ada")
			r.requirePushed(t, deltas, map[string]float64{"eve": 1, "ada": 1})
			r.addForUsers("eve")
			r.requirePushed(t, deltas, map[string]float64{"eve": 2, "ada": 1})
			gx.Kill()
			r.addForUsers("joe", "bob")
			gx.run(t)
			r.requirePushed(t, deltas, map[string]float64{"eve": 2, "ada": 1, "joe": 1, "bob": 1})
			deltas.requireNoErrors(t)
			requireNoSecret(t, gx.Output())
		})
	}
}

// addForUsers adds an event of every kind except reviews and merges for each of the users, now.
func (r *renamedAccounts) addForUsers(users ...string) {
	r.server.Update(func(d *githubtest.Dataset) {
		for _, user := range users {
			r.addActivity(d, user, time.Now().Add(-time.Second))
		}
	})
}

// requirePushed waits until the windows have arrived and the deltas are as wanted, and checks that they stay so.
func (r *renamedAccounts) requirePushed(t *testing.T, b *otlpBackend, want map[string]float64) {
	t.Helper()
	differs := func() error {
		if len(b.valuesByUser(b.last, "gh.activity.commits_24h")) == 0 {
			return errors.New("nothing has arrived")
		}
		for _, metric := range []string{"commits", "prs_opened", "issue_comments", "loc_added"} {
			if difference := cmp.Diff(want, b.valuesByUser(b.deltas, "gh.activity."+metric)); difference != "" {
				return fmt.Errorf("deltas of %s: %s", metric, difference)
			}
		}
		return nil
	}
	eventually(t, time.Minute, differs)
	waitUntil(t, time.Now().Add(3*time.Second))
	require.NoError(t, differs())
}

// increaseByUser returns PromQL's increase() of the sums of commits, by user, without zeros.
func increaseByUser(t *testing.T, prom *prometheus) (map[string]float64, error) {
	t.Helper()
	samples, err := prom.query(t.Context(), "sum by (user) (increase(gh_activity_commits_total[10m]))", time.Now())
	if err != nil {
		return nil, err
	}
	found := make(map[string]float64)
	for _, s := range samples {
		value, err := strconv.ParseFloat(s.Value[1].(string), 64)
		if err != nil {
			return nil, err
		}
		if value = math.Round(value); value != 0 {
			found[s.Metric["user"]] = value
		}
	}
	return found, nil
}

// requireIncreaseByUser waits until Prometheus has the wanted increases, and checks that they are the same a moment
// later.
func requireIncreaseByUser(t *testing.T, prom *prometheus, want map[string]float64) {
	t.Helper()
	check := func() error {
		found, err := increaseByUser(t, prom)
		if err == nil && !cmp.Equal(want, found) {
			err = fmt.Errorf("increase: %s", cmp.Diff(want, found))
		}
		return err
	}
	eventually(t, time.Minute, check)
	waitUntil(t, time.Now().Add(3*time.Second))
	require.NoError(t, check())
}

// TestIncreaseCountsNewEvents: increase() of the sums counts the events after the first contact, over a restart and a
// failover.
func TestIncreaseCountsNewEvents(t *testing.T) {
	t.Parallel()
	t.Run("restart", func(t *testing.T) {
		t.Parallel()
		r := newRenamedAccounts(t)
		gx := startCollector(t, fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, r.server.URL, "graphql"))
		prom := startPrometheus(t, gx.metrics)
		requireIncreaseByUser(t, prom, map[string]float64{})
		r.addForUsers("eve", "ada")
		requireIncreaseByUser(t, prom, map[string]float64{"eve": 1, "ada": 1})
		gx.Kill()
		gx.start(t)
		requireIncreaseByUser(t, prom, map[string]float64{"eve": 1, "ada": 1})
		r.addForUsers("eve", "joe")
		requireIncreaseByUser(t, prom, map[string]float64{"eve": 2, "ada": 1, "joe": 1})
		requireNoResetOf(t, prom, "commits")
	})
	t.Run("failover", func(t *testing.T) {
		t.Parallel()
		r := newRenamedAccounts(t)
		redis := redistest.Start(t)
		replicas := startReplicas(
			t,
			2,
			redis.Address,
			fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, r.server.URL),
		)
		led := awaitLeader(t, replicas)
		prom := startPrometheus(t, replicas[1-led].metrics)
		requireIncreaseByUser(t, prom, map[string]float64{})
		replicas[led].Kill()
		r.addForUsers("eve", "ada")
		requireIncreaseByUser(t, prom, map[string]float64{"eve": 1, "ada": 1})
		requireNoResetOf(t, prom, "commits")
	})
}

// TestStalenessMarkersAreRepeated: the series of a repository that is renamed while the pipeline refuses metrics end
// under its former name when the pipeline accepts them again.
func TestStalenessMarkersAreRepeated(t *testing.T) {
	t.Parallel()
	r := newRenamedAccounts(t)
	b := startOTLPBackend(t)
	startPushingCollector(t, fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, r.server.URL, "graphql"), b.URL)
	arrived := func(name string) func() error {
		return func() error {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, metric := range []string{
				"gh.activity.commits", "gh.activity.commits_24h",
				"gh.activity.issue_comments",
			} {
				if b.last[series{metric, name, "ada"}] != 3 {
					return fmt.Errorf("no %s of %s", metric, name)
				}
			}
			return nil
		}
	}
	eventually(t, time.Minute, arrived("one"))
	b.refuses.Store(true)
	r.server.Update(func(d *githubtest.Dataset) { d.Rename("one", "other") })
	waitUntil(t, time.Now().Add(6*time.Second)) // passes and emissions go by
	b.refuses.Store(false)
	eventually(t, time.Minute, arrived("other"))
	eventually(t, 30*time.Second, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		for s := range b.last {
			if s.repo == "one" && b.ends[s] < 3 {
				return fmt.Errorf("%v was ended %d times", s, b.ends[s])
			}
		}
		return nil
	})
	b.requireNoErrors(t)
}

// TestPushOverAFailover: replicas of which only the leader pushes are one series to the backend, which does not fall
// and rises by the new events, before and after the leader was killed.
func TestPushOverAFailover(t *testing.T) {
	t.Parallel()
	r := newRenamedAccounts(t)
	b := startOTLPBackend(t)
	redis := redistest.Start(t)
	receiver := fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, r.server.URL) + "emit_from: leader\n"
	replicas := make([]*replica, 2)
	for i := range replicas {
		replicas[i] = startPushingReplica(t, redis.Address, receiver, b.URL)
	}
	r.requirePushed(t, b, map[string]float64{})
	r.addForUsers("eve")
	r.requirePushed(t, b, map[string]float64{"eve": 1})
	replicas[awaitLeader(t, replicas)].Kill()
	r.addForUsers("joe", "eve", "ada")
	r.requirePushed(t, b, map[string]float64{"eve": 2, "joe": 1, "ada": 1})
	b.requireNoErrors(t)
}

// startPushingReplica starts a replica that pushes to an endpoint.
func startPushingReplica(t *testing.T, redisAddress, receiver, endpoint string) *replica {
	t.Helper()
	store := fmt.Sprintf("{endpoints: [%q]}", redisAddress)
	r := newReplica(t, "info", "redis: "+store, store, receiver,
		"\nexporters:\n", fmt.Sprintf(
			"\nexporters:\n  otlphttp: {endpoint: %q, compression: none, sending_queue: {enabled: false}}\n", endpoint,
		),
		"exporters: [prometheus]", "exporters: [otlphttp]")
	r.run(t)
	return r
}
