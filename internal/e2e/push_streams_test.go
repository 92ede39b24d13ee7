// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// pushedPoint is a point that a process pushed, with the identity of its stream as the data model defines it
// (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#timeseries-model).
type pushedPoint struct {
	process   string
	stream    string
	metric    string
	instance  string // service.instance.id of the resource
	org       string
	at, start pcommon.Timestamp
	value     float64
	monotonic bool
	ended     bool
}

// pushBackend receives metrics by OTLP. The first part of the path names the process.
type pushBackend struct {
	*httptest.Server

	mu     sync.Mutex
	points []pushedPoint
}

// startPushBackend starts a backend that ends with the test.
func startPushBackend(t *testing.T) *pushBackend {
	t.Helper()
	b := &pushBackend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		md := pmetric.NewMetrics()
		if err == nil { // the request is encoded like metrics
			md, err = (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		process, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		b.add(process, md)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(b.Close)
	return b
}

// add records the points that a process pushed.
func (b *pushBackend) add(process string, md pmetric.Metrics) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rm := range md.ResourceMetrics().All() {
		instance := attribute(rm.Resource().Attributes(), "service.instance.id")
		for _, sm := range rm.ScopeMetrics().All() {
			prefix := fmt.Sprint(rm.Resource().Attributes().AsRaw(), sm.Scope().Name(), sm.Scope().Attributes().AsRaw())
			for _, m := range sm.Metrics().All() {
				points, monotonic := pushedPoints(m)
				for _, p := range points.All() {
					value := p.DoubleValue()
					if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
						value = float64(p.IntValue())
					}
					b.points = append(b.points, pushedPoint{
						process: process, stream: fmt.Sprint(prefix, m.Name(), p.Attributes().AsRaw()),
						metric:   m.Name(),
						instance: instance, org: attribute(p.Attributes(), "org"),
						at: p.Timestamp(), start: p.StartTimestamp(), value: value,
						monotonic: monotonic, ended: p.Flags().NoRecordedValue(),
					})
				}
			}
		}
	}
}

// pushedPoints returns the points of a gauge or a sum.
func pushedPoints(m pmetric.Metric) (points pmetric.NumberDataPointSlice, monotonic bool) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints(), false
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints(), m.Sum().IsMonotonic()
	default:
		return pmetric.NewNumberDataPointSlice(), false
	}
}

// attribute returns a text among attributes, "" when it is missing.
func attribute(attributes pcommon.Map, name string) string {
	if value, ok := attributes.Get(name); ok {
		return value.Str()
	}
	return ""
}

// allPoints returns all points that were pushed.
func (b *pushBackend) allPoints() []pushedPoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.points)
}

// lastLeader returns the process that pushed an organization's passes last, and when.
func (b *pushBackend) lastLeader(org string) (process string, at time.Time) {
	for _, p := range b.allPoints() {
		if p.metric == "gh.exporter.leader" && p.org == org && p.value == 1 && p.at.AsTime().After(at) {
			process, at = p.process, p.at.AsTime()
		}
	}
	return process, at
}

// startReplicaWithExporter starts a replica with another exporter beside the page.
func startReplicaWithExporter(t *testing.T, redis, receiver, exporter, settings string) *replica {
	t.Helper()
	block := fmt.Sprintf("{endpoints: [%q]}", redis)
	r := newReplica(t, "info", "redis: "+block, block, receiver,
		"\nexporters:\n", fmt.Sprintf("\nexporters:\n  %s: %s\n", exporter, settings),
		"exporters: [prometheus]", fmt.Sprintf("exporters: [prometheus, %s]", exporter))
	r.start(t)
	return r
}

// startTwoOrganizations starts GitHub with two small organizations, and returns settings of a receiver that reads both.
func startTwoOrganizations(t *testing.T, more string) (receiver string, server *githubtest.Server) {
	t.Helper()
	settings := githubtest.Settings{Now: time.Now, Limits: highLimits}
	var orgs strings.Builder
	for _, name := range []string{"acme", "umbrella"} {
		data := namedData()
		data.Org.Login = name
		settings.Datasets = append(settings.Datasets, data)
		fmt.Fprintf(&orgs, "\n  - {name: %s, auth: {token: %s}, scrape_interval: 1s}", name, githubtest.DefaultToken)
	}
	server = githubtest.Start(t, settings)
	return fmt.Sprintf(
		"emit_interval: 1s\ngithub: {endpoint: %q}\norgs:%s\n%s",
		server.URL,
		orgs.String(),
		more,
	), server
}

// ofEveryReplica are metrics that every replica pushes, ofTheOrganization are those that come from its leader alone
// where that emits.
var (
	ofEveryReplica = []string{
		"gh.exporter.leader", "gh.exporter.dependency_health", "gh.exporter.build_info",
		"gh.exporter.ready", "gh.exporter.credential_refused",
		"gh.exporter.github_rate_limit", "gh.exporter.github_rate_limit_remaining",
		"gh.exporter.github_rate_limit_reset_unixtime", "gh.app.rate_limit_remaining",
		"gh.exporter.metrics_cache_refresh_duration", "gh.exporter.metrics_series_loaded",
		"gh.exporter.store_corrupt_records", "gh.exporter.store_write",
		"gh.exporter.queue_depth", "gh.exporter.queue_invalid_messages", "gh.exporter.queue_oldest_message_age",
	}
	ofTheOrganization = []string{
		"gh.activity.commits", "gh.activity.commits_24h", "gh.activity.last_event_unixtime",
		"gh.exporter.leader_cycle_last_run_unixtime", "gh.exporter.scrape_runs", "gh.exporter.coverage_lag",
		"gh.exporter.gaps", "gh.exporter.reconciled_events", "gh.exporter.github_requests",
		"gh.exporter.github_points", "gh.exporter.github_secondary_limit_hits", "gh.exporter.github_deprecations",
		"gh.exporter.github_mispriced_queries", "gh.exporter.invalid_values", "gh.exporter.store_series",
		"gh.exporter.store_events", "gh.exporter.series_overflow", "gh.exporter.backfill_jobs_enqueued",
		"gh.exporter.backfill_jobs_deduped", "gh.exporter.backfill_enqueues_dropped",
		"gh.exporter.backfill_jobs_processed",
	}
)

// TestStreamsOfReplicas: three replicas push by OTLP in every combination of leadership and emit_from. No two of them
// push one stream, no metric is missing, and no cumulative sum falls or starts at another time, also when a leader is
// killed.
func TestStreamsOfReplicas(t *testing.T) {
	t.Parallel()
	for _, leadership := range []string{"receiver", "org"} {
		for _, emitFrom := range []string{"all", "leader"} {
			t.Run(leadership+" "+emitFrom, func(t *testing.T) {
				t.Parallel()
				receiver, _ := startTwoOrganizations(t, fmt.Sprintf("leadership: %s\nemit_from: %s\n", leadership,
					emitFrom))
				redis, backend := redistest.Start(t), startPushBackend(t)
				replicas := make(map[string]*replica)
				for n := range 3 {
					name := fmt.Sprintf("replica-%d", n)
					replicas[name] = startReplicaWithExporter(t, redis.Address, receiver, "otlphttp",
						// before 0.165 the only name
						fmt.Sprintf("{endpoint: %q, compression: none}", backend.URL+"/"+name))
				}
				awaitStreams(t, backend, replicas, emitFrom, time.Now())
				killed, _ := backend.lastLeader("acme")
				replicas[killed].Kill()
				delete(replicas, killed)
				awaitStreams(t, backend, replicas, emitFrom, time.Now().Add(lease))
				requireStreams(t, backend.allPoints(), emitFrom)
				for _, r := range replicas {
					require.Less(t, r.Stop(), 2*time.Second)
				}
				requireStreams(t, backend.allPoints(), emitFrom)
			})
		}
	}
}

// awaitStreams waits until every expected metric was pushed after a time and within the last ten seconds: the metrics
// of a replica by each, those of an organization by each or by one. A leader may yield its lease after the start.
func awaitStreams(t *testing.T, b *pushBackend, replicas map[string]*replica, emitFrom string, since time.Time) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		type pair struct{ metric, org string }
		found := make(map[pair]map[string]bool)
		from := since
		if recent := time.Now().Add(-10 * time.Second); recent.After(since) {
			from = recent
		}
		for _, p := range b.allPoints() {
			if p.ended || !p.at.AsTime().After(from) {
				continue
			}
			for _, org := range []string{p.org, ""} {
				key := pair{p.metric, org}
				if found[key] == nil {
					found[key] = make(map[string]bool)
				}
				found[key][p.process] = true
			}
		}
		for _, metric := range ofEveryReplica {
			for name := range replicas {
				if !found[pair{metric, ""}][name] {
					return fmt.Errorf("%s of %s is missing", metric, name)
				}
			}
		}
		for _, metric := range ofTheOrganization {
			for _, org := range []string{"acme", "umbrella"} {
				want := len(replicas)
				if emitFrom == "leader" || metric == "gh.exporter.leader_cycle_last_run_unixtime" {
					want = 1
				}
				if got := len(found[pair{metric, org}]); got != want {
					return fmt.Errorf("%s of %s is from %d replicas, want %d", metric, org, got, want)
				}
			}
		}
		return nil
	})
}

// requireStreams checks the points of all streams in the order of their arrival.
func requireStreams(t *testing.T, points []pushedPoint, emitFrom string) {
	t.Helper()
	last := make(map[string]pushedPoint)
	instances, handedOver := make(map[string]string), 0
	for _, p := range points {
		before, met := last[p.stream]
		last[p.stream] = p
		if p.instance != "" {
			if instances[p.process] == "" {
				instances[p.process] = p.instance
			}
			require.Equal(t, instances[p.process], p.instance, "one identity for each process")
		}
		require.LessOrEqual(t, p.start, p.at, p.stream)
		if !met {
			continue
		}
		if p.process != before.process {
			handedOver++
			require.Equal(t, "leader", emitFrom, "two processes push %s", p.stream)
			require.Empty(t, p.instance, "two replicas push %s", p.stream)
		}
		require.Greater(t, p.at.AsTime().UnixMilli(), before.at.AsTime().UnixMilli(), p.stream)
		if p.monotonic && !p.ended && !before.ended && strings.HasPrefix(p.metric, "gh.exporter.") {
			require.GreaterOrEqual(t, p.value, before.value, p.stream)
			require.Equal(t, before.start, p.start, p.stream)
		}
	}
	require.Len(t, slices.Compact(slices.Sorted(maps.Values(instances))), 3)
	if emitFrom == "leader" {
		require.NotZero(t, handedOver, "another leader goes on with the streams")
	}
}

const remoteWrite = `{endpoint: "http://%s/api/v1/write", retry_on_failure: {enabled: false}}`

// startReceivingPrometheus starts a Prometheus that receives remote writes.
func startReceivingPrometheus(t *testing.T) *prometheus {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, []byte("global: {scrape_interval: 1s}\n"), 0o600))
	p := &prometheus{address: proctest.FreeAddress(t)}
	proctest.New(t, proctest.ProgramPath(t, "GX_PROMETHEUS"), "--config.file="+config,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.address, "--log.level=warn",
		"--web.enable-remote-write-receiver").Run()
	eventually(t, time.Minute, func() error {
		_, err := getBody(t.Context(), "http://"+p.address+"/-/ready")
		return err
	})
	return p
}

// TestRemoteWriteOfReplicas: two replicas write into one Prometheus, which refuses no sample, also over a change of
// leader.
func TestRemoteWriteOfReplicas(t *testing.T) {
	t.Parallel()
	for _, emitFrom := range []string{"all", "leader"} {
		t.Run(emitFrom, func(t *testing.T) {
			t.Parallel()
			receiver, _ := startTwoOrganizations(t, "emit_from: "+emitFrom)
			redis, prom := redistest.Start(t), startReceivingPrometheus(t)
			var replicas []*replica
			for range 2 {
				replicas = append(replicas, startReplicaWithExporter(t, redis.Address, receiver,
					"prometheusremotewrite",
					fmt.Sprintf(remoteWrite, prom.address)))
			}
			leads := awaitLeader(t, replicas)
			replicas[leads].awaitComplete(t, "acme")
			requireWritten(t, prom, 2, emitFrom)
			replicas[leads].Stop()
			other := replicas[1-leads]
			eventually(t, 30*time.Second, func() error {
				led, err := other.value(t.Context(), `gh_exporter_leader{org="acme"}`)
				if err == nil && led != 1 {
					err = fmt.Errorf("%v", led)
				}
				return err
			})
			other.awaitComplete(t, "acme")
			requireWritten(t, prom, 1, emitFrom)
			other.Stop()
			page, err := getBody(t.Context(), "http://"+prom.address+"/metrics")
			require.NoError(t, err)
			for line := range strings.Lines(page) {
				if strings.HasPrefix(line, "prometheus_http_requests_total{") &&
					strings.Contains(line, "/api/v1/write") {
					require.True(t, strings.Contains(line, `code="204"`) || strings.HasSuffix(line, " 0\n"), line)
				}
			}
			for _, r := range replicas {
				require.NotContains(t, r.Output(), "Exporting failed")
			}
		})
	}
}

// requireWritten waits until Prometheus has the series of the given number of replicas, and those of the organization
// from as many, or from one.
func requireWritten(t *testing.T, prom *prometheus, replicas int, emitFrom string) {
	t.Helper()
	organizations := replicas
	if emitFrom == "leader" {
		organizations = 1
	}
	for query, want := range map[string]int{
		`count(max_over_time(gh_exporter_leader{org="acme"}[3s]))`:                                         replicas,
		`count(max_over_time(gh_exporter_build_info[3s]))`:                                                 replicas,
		`count(max_over_time(gh_exporter_scrape_runs_total{org="acme",result="failure"}[3s]))`:             organizations,
		`count(max_over_time(gh_activity_commits_24h{org="acme",repo="app",user="eve"}[3s]))`:              organizations,
		`count(max_over_time(gh_exporter_gaps{org="umbrella"}[3s]))`:                                       organizations,
		`count(max_over_time(gh_exporter_store_write_total{source="leader_scrape",result="failure"}[3s]))`: replicas,
	} {
		eventually(t, 30*time.Second, func() error {
			samples, err := prom.query(t.Context(), query, time.Now())
			if err == nil && samples[0].Value[1] != strconv.Itoa(want) {
				err = fmt.Errorf("%s: %v, want %d", query, samples[0].Value[1], want)
			}
			return err
		})
	}
}
