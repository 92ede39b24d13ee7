// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// replica is one of several collectors that share a Redis, which each reaches through a proxy of its own.
type replica struct {
	*collector
	redis  *proxy // nil when it reaches Redis directly
	health string // the address of replica_health
	// ready are the URLs of contrib's extensions that make readiness of the component status, live is that of the
	// legacy one.
	ready []string
	live  string
	// electorTrouble says that the elector has a trouble of its own: the collector as a whole is not ready for
	// contrib's extensions then, its pipeline is.
	electorTrouble bool
}

const replicaConfig = `
extensions:
  leader_elector:
    %[7]s
    lease_duration: %[4]s
    renew_deadline: %[5]s
    retry_period: 500ms
  replica_health:
    endpoint: %[6]s
  healthcheckv2:
    use_v2: true
    component_health: {include_permanent_errors: true, include_recoverable_errors: true}
    http: {endpoint: %[9]s, status: {enabled: true, path: /status, include_attributes: true}}
  health_check:
    component_health: {include_permanent_errors: true, include_recoverable_errors: true}
    http: {endpoint: %[10]s, status: {enabled: true, path: /status, include_attributes: true}}
  healthcheckv2/live:
    endpoint: %[11]s
receivers:
  githubexporter:
    leader_election: leader_elector
    redis: %[2]s
%[1]s
exporters:
  prometheus:
    endpoint: %[3]s
    metric_expiration: 10m
    without_scope_info: true
service:
  extensions: [leader_elector, replica_health, healthcheckv2, health_check, healthcheckv2/live]
  telemetry:
    metrics:
      level: none
    logs:
      level: %[8]s
      encoding: json
      sampling: {enabled: false}
  pipelines:
    metrics:
      receivers: [githubexporter]
      exporters: [prometheus]
`

const (
	lease = 3 * time.Second
	renew = 2 * time.Second
)

// startReplicas starts collectors with the given settings of the receiver on one Redis.
func startReplicas(t *testing.T, n int, redisAddress, receiver string) []*replica {
	t.Helper()
	list := make([]*replica, n)
	for i := range list {
		redis := startProxy(t, redisAddress)
		block := fmt.Sprintf("{endpoints: [%q]}", redis.Listen)
		list[i] = startReplica(t, "redis: "+block, block, receiver)
		list[i].redis = redis
	}
	return list
}

// startReplica starts a collector with the given settings of the election, of the store in Redis and of the receiver.
func startReplica(t *testing.T, election, store, receiver string) *replica {
	t.Helper()
	return startReplicaLogging(t, "info", election, store, receiver)
}

func startReplicaLogging(t *testing.T, level, election, store, receiver string) *replica {
	t.Helper()
	r := newReplica(t, level, election, store, receiver)
	r.restart(t)
	return r
}

// newReplica is a collector that is not started. replacements are texts of its configuration and what takes their
// place.
func newReplica(t *testing.T, level, election, store, receiver string, replacements ...string) *replica {
	t.Helper()
	r := &replica{health: proctest.FreeAddress(t), collector: &collector{
		binary: proctest.ProgramPath(
			t,
			"GX_COLLECTOR",
		),
		config:  filepath.Join(t.TempDir(), "collector.yaml"),
		metrics: proctest.FreeAddress(t),
		args:    []string{"--feature-gates", "extension.healthcheck.useComponentStatus"},
	}}
	v2, gated, live := proctest.FreeAddress(t), proctest.FreeAddress(t), proctest.FreeAddress(t)
	r.ready, r.live = []string{"http://" + v2 + "/status", "http://" + gated + "/status"}, "http://"+live+"/"
	text := fmt.Sprintf(replicaConfig, indent(receiver), store, r.metrics, lease, renew, r.health, election, level,
		v2, gated, live)
	text = strings.NewReplacer(replacements...).Replace(text)
	require.NoError(t, os.WriteFile(r.config, []byte(text), 0o600))
	return r
}

// leader waits until one of the replicas leads and gives its number: the one that began last and has not ended.
func leader(t *testing.T, replicas []*replica) int {
	t.Helper()
	found := -1
	eventually(t, 30*time.Second, func() error {
		var last time.Time
		for i, r := range replicas {
			if began := r.logged("This replica leads."); began.After(last) {
				found, last = i, began
			}
		}
		if found < 0 || replicas[found].HasExited() ||
			replicas[found].logged("This replica leads no more.").After(last) {
			return errors.New("nobody leads")
		}
		return nil
	})
	return found
}

// term waits for a replica other than one to log that it leads, and gives when that was.
func term(t *testing.T, replicas []*replica, since time.Time, except int) time.Time {
	t.Helper()
	var at time.Time
	eventually(t, 30*time.Second, func() error {
		for i, r := range replicas {
			if i == except {
				continue
			}
			if began := r.logged("This replica leads."); began.After(since) {
				at = began
				return nil
			}
		}
		return errors.New("nobody leads")
	})
	return at
}

// logged is when the process logged a message last.
func (c *collector) logged(message string) time.Time {
	var at time.Time
	for line := range strings.Lines(c.Output()) {
		if strings.Contains(line, strconv.Quote(message)) {
			_, rest, _ := strings.Cut(line, `"ts":"`)
			stamp, _, _ := strings.Cut(rest, `"`)
			if parsed, err := time.Parse(time.RFC3339, stamp); err == nil {
				at = parsed
			}
		}
	}
	return at
}

// sharedSeries are the series of a page that every replica shows alike.
func sharedSeries(page string) map[string]string {
	series := make(map[string]string)
	for line := range strings.Lines(page) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if ok && strings.HasPrefix(name, "gh_activity_") {
			series[name] = value
		}
	}
	return series
}

// sharedCounters are the exporter's own counters that all replicas share.
var sharedCounters = []string{
	"gh_exporter_scrape_runs_total",
	"gh_exporter_reconciled_events_total",
	"gh_exporter_github_requests_total",
	"gh_exporter_github_points_total",
	"gh_exporter_github_secondary_limit_hits_total",
	"gh_exporter_store_write_total",
	"gh_exporter_series_overflow_total",
	"gh_exporter_github_mispriced_queries_total",
	"gh_exporter_invalid_values_total",
	"gh_exporter_github_deprecations_total",
}

// counters are the values of the shared counters on a page.
func counters(page string) map[string]string {
	series := make(map[string]string)
	for line := range strings.Lines(page) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		metric, _, _ := strings.Cut(name, "{")
		if slices.Contains(sharedCounters, metric) {
			series[seriesName(name+"}")] = value
		}
	}
	return series
}

// requireEqualCounters waits for a scrape at which all replicas show the same shared counters. They count on with every
// pass, and one may end in the moment of an emission.
func requireEqualCounters(t *testing.T, replicas []*replica) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		waitUntil(t, time.Now().Truncate(time.Second).Add(time.Second+400*time.Millisecond))
		var first map[string]string
		for i, r := range replicas {
			page, err := r.page(t.Context())
			if err != nil {
				return err
			}
			shown := counters(page)
			if i == 0 {
				first = shown
			} else if difference := cmp.Diff(first, shown); difference != "" || len(shown) < 8 {
				return fmt.Errorf("replica %d shows %d counters, different ones:\n%s", i, len(shown), difference)
			}
		}
		return nil
	})
}

// requireEqualPages compares what all replicas show, just after an emission. It is so at every scrape.
func requireEqualPages(t *testing.T, replicas []*replica, scrapes int) {
	t.Helper()
	for range scrapes {
		waitUntil(t, time.Now().Truncate(time.Second).Add(time.Second+400*time.Millisecond))
		first := sharedPage(t, replicas[0])
		require.NotEmpty(t, first)
		for i, r := range replicas[1:] {
			require.Empty(t, cmp.Diff(first, sharedPage(t, r)), "replica %d", i+1)
		}
	}
}

func sharedPage(t *testing.T, r *replica) map[string]string {
	t.Helper()
	page, err := r.page(t.Context())
	require.NoError(t, err)
	return sharedSeries(page)
}

// drained waits until a pass has ended that began after now, nothing is missing, and every replica shows it. Another
// replica may come to lead meanwhile.
func drained(t *testing.T, replicas []*replica) {
	t.Helper()
	p := passesSince(time.Now())
	eventually(t, 2*time.Minute, func() error {
		return p.checkComplete(t, replicas[leader(t, replicas)].collector,
			org)
	})
	eventually(t, 30*time.Second, func() error {
		first := sharedPage(t, replicas[0])
		for i, r := range replicas[1:] {
			if difference := cmp.Diff(first, sharedPage(t, r)); difference != "" {
				return fmt.Errorf("replica %d differs:\n%s", i+1, difference)
			}
		}
		return nil
	})
}

const sharedConfig = `
orgs:
  - name: %s
    auth: {token: %s}
    scrape_interval: 2s
    lookback: 1440h
github: {endpoint: %q, retry: {initial_interval: 100ms, max_interval: 1s},
      health: {probe_interval: 1s, cooldown: 3s, recover_threshold: 1}}
retention: 1440h
emit_interval: 1s
`

// TestReplicas forces more than twenty changes of leadership upon three collectors while data arrive. In the end every
// page is the truth, and no write of an old term was ever accepted.
func TestReplicas(t *testing.T) {
	t.Parallel()
	data := loadData(t)
	timeline := githubtest.EndingAt(data, 72*time.Hour, time.Now(), 72*3600/240)
	server := githubtest.Start(
		t,
		githubtest.Settings{Datasets: []*githubtest.Dataset{data}, Timeline: timeline, Limits: plenty},
	)
	timeline = server.Timeline()
	redis := redistest.Start(t)
	replicas := startReplicas(t, 3, redis.Address, fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, server.URL))
	leader(t, replicas)

	changes := []struct {
		name  string
		limit time.Duration
		force func(t *testing.T, r *replica) (mend func())
	}{
		{"SIGTERM", time.Second, func(t *testing.T, r *replica) func() {
			t.Helper()
			r.Stop()
			return func() { r.restart(t) }
		}},
		{"kill -9", lease + 2*time.Second, func(t *testing.T, r *replica) func() {
			t.Helper()
			r.Kill()
			return func() { r.restart(t) }
		}},
		{"SIGSTOP", lease + 2*time.Second, func(t *testing.T, r *replica) func() {
			t.Helper()
			r.Pause()
			return r.Resume
		}},
		{"Redis cut off", lease + 2*time.Second, func(_ *testing.T, r *replica) func() {
			r.redis.cut()
			return r.redis.mend
		}},
	}
	for n := range 22 {
		change := changes[n%len(changes)]
		was := leader(t, replicas)
		began := time.Now()
		mend := change.force(t, replicas[was])
		took := term(t, replicas, began, was).Sub(began)
		t.Logf("%d: %s: another replica leads after %s", n, change.name, took)
		require.Less(t, took, change.limit, change.name)
		mend()
		leader(t, replicas)
	}
	server.HideAfter(time.Now())
	visible := time.Now()
	drained(t, replicas)
	requireEqualPages(t, replicas, 5)
	requireEqualCounters(t, replicas)
	compare(t, startPrometheus(t, replicas[0].metrics), data, timeline, visible)
	requireTermsGrow(t, redis)
	for _, r := range replicas {
		t.Logf(
			"fenced writes: %v",
			r.count(t.Context(), `gh_exporter_store_write_total{result="fenced",source="leader_scrape"}`),
		)
		require.Less(t, r.Stop(), time.Second)
		requireNoSecret(t, r.Output())
	}
}

// requireTermsGrow reads the terms of all accepted writes out of the log.
func requireTermsGrow(t *testing.T, redis *redistest.Server) {
	t.Helper()
	entries, err := redis.Client().XRange(t.Context(), "gx:1:{"+org+"}:log", "-", "+").Result()
	require.NoError(t, err)
	last, terms := uint64(0), 0
	for _, entry := range entries {
		text, led := entry.Values["t"].(string)
		if !led {
			continue
		}
		fence, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		require.GreaterOrEqual(t, fence, last, "a write of an old term was accepted: %s", entry.ID)
		if fence > last {
			terms++
		}
		last = fence
	}
	t.Logf("%d writes in %d terms", len(entries), terms)
	require.Greater(t, terms, 10)
}

// TestLeadershipPerOrganization spreads four organizations over the replicas: each is led by exactly one, one that
// comes later gets its share, and those of one that dies are led by the others.
func TestLeadershipPerOrganization(t *testing.T) {
	t.Parallel()
	const orgs = 4
	var list strings.Builder
	settings := githubtest.Settings{Limits: plenty}
	var names []string
	for n := range orgs {
		data := loadData(t)
		data.Org.Login = fmt.Sprintf("org-%d", n)
		settings.Datasets = append(settings.Datasets, data)
		names = append(names, data.Org.Login)
		fmt.Fprintf(
			&list,
			"  - {name: %s, auth: {token: %s}, scrape_interval: 2s}\n",
			data.Org.Login,
			githubtest.DefaultToken,
		)
	}
	server := githubtest.Start(t, settings)
	receiver := fmt.Sprintf(
		"leadership: org\nemit_interval: 1s\ngithub: {endpoint: %q}\norgs:\n%s",
		server.URL,
		list.String(),
	)
	redis := redistest.Start(t)
	replicas := startReplicas(t, 2, redis.Address, receiver)
	spread := func(want ...int) {
		t.Helper()
		eventually(t, time.Minute, func() error {
			return requireSpread(t, replicas, names, want)
		})
	}
	spread(2, 2)
	replicas = append(replicas, startReplicas(t, 1, redis.Address, receiver)...)
	spread(2, 1, 1)
	for i, r := range replicas {
		if leads, _ := r.led(t, names); leads == 2 {
			r.Kill()
			replicas = slices.Delete(replicas, i, i+1)
			break
		}
	}
	spread(2, 2)
}

// led is how many organizations a replica leads.
func (r *replica) led(t *testing.T, names []string) (n int, err error) {
	t.Helper()
	for _, name := range names {
		value, err := r.value(t.Context(), fmt.Sprintf("gh_exporter_leader{org=%q}", name))
		if err != nil {
			return 0, err
		}
		n += int(value)
	}
	return n, nil
}

// requireSpread is an error unless the replicas lead as many organizations as wanted, in whatever order.
func requireSpread(t *testing.T, replicas []*replica, names []string, want []int) error {
	t.Helper()
	got := make([]int, 0, len(replicas))
	for _, r := range replicas {
		n, err := r.led(t, names)
		if err != nil {
			return err
		}
		got = append(got, n)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the replicas lead %v organizations, want %v", got, want)
	}
	return nil
}

// TestStopWhileRedisTakesNoWrites: a replica stops in under two seconds while Redis holds writes back, as in a
// failover, and while it answers nothing at all.
func TestStopWhileRedisTakesNoWrites(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: plenty})
	for _, unavailable := range []string{"wait", "memory"} {
		for name, hang := range map[string]func(*redistest.Server){
			"writes": func(s *redistest.Server) {
				require.NoError(t, s.Client().Do(t.Context(), "CLIENT", "PAUSE", "60000", "WRITE").Err())
			},
			"everything": func(s *redistest.Server) { s.Pause() },
		} {
			for _, wait := range []time.Duration{300 * time.Millisecond, 2 * lease} {
				t.Run(fmt.Sprintf("%s %s for %s", unavailable, name, wait), func(t *testing.T) {
					t.Parallel()
					redis := redistest.Start(t)
					election := fmt.Sprintf("redis: {endpoints: [%q]}", redis.Address)
					store := fmt.Sprintf("{endpoints: [%q], unavailable: %s}", redis.Address, unavailable)
					receiver := fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, server.URL, "graphql")
					r := startReplica(t, election, store, strings.ReplaceAll(receiver, "storage: file_storage\n", ""))
					r.complete(t, org)
					redis.Client() // before the pause
					hang(redis)
					waitUntil(t, time.Now().Add(wait))
					took := r.Stop()
					t.Logf("stopped in %s", took)
					require.Less(t, took, 2*time.Second)
				})
			}
		}
	}
}
