// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"maps"
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

// replica is one of several collectors with one Redis, which each reaches through a proxy of its own.
type replica struct {
	*collector
	redis  *proxy // nil when it reaches Redis directly
	health string // the address of replica_health
	// ready are the URLs of contrib's extensions that make readiness of the component status, live is that of the
	// legacy one.
	ready []string
	live  string
	// electorFails says that the elector reports an error of its own: the collector as a whole is not ready for
	// contrib's extensions then, its pipeline is.
	electorFails bool
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

// startReplicas starts collectors with settings of the receiver on one Redis.
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

// startReplica starts a collector with settings of the election, of the store in Redis and of the receiver.
func startReplica(t *testing.T, election, store, receiver string) *replica {
	t.Helper()
	return startReplicaLogging(t, "info", election, store, receiver)
}

// startReplicaLogging is startReplica with a log level.
func startReplicaLogging(t *testing.T, level, election, store, receiver string) *replica {
	t.Helper()
	r := newReplica(t, level, election, store, receiver)
	r.start(t)
	return r
}

// newReplica returns a collector that is not started. replacements are texts of its configuration, each followed by its
// replacement.
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

// awaitLeader waits until one of the replicas leads and returns its number: that of the one whose term began last and
// has not ended.
func awaitLeader(t *testing.T, replicas []*replica) int {
	t.Helper()
	found := -1
	eventually(t, 30*time.Second, func() error {
		var last time.Time
		for i, r := range replicas {
			if began := r.lastLogged("This replica leads."); began.After(last) {
				found, last = i, began
			}
		}
		if found < 0 || replicas[found].HasExited() ||
			replicas[found].lastLogged("This replica leads no more.").After(last) {
			return errors.New("nobody leads")
		}
		return nil
	})
	return found
}

// awaitTerm waits until a replica other than except logs that it leads, and returns when.
func awaitTerm(t *testing.T, replicas []*replica, since time.Time, except int) time.Time {
	t.Helper()
	var at time.Time
	eventually(t, 30*time.Second, func() error {
		for i, r := range replicas {
			if i == except {
				continue
			}
			if began := r.lastLogged("This replica leads."); began.After(since) {
				at = began
				return nil
			}
		}
		return errors.New("nobody leads")
	})
	return at
}

// lastLogged returns when the process logged a message last.
func (c *collector) lastLogged(message string) time.Time {
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

// sharedSeries returns the series of a page that are the same on every replica.
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

// sharedCounterValues returns the values of the shared counters on a page.
func sharedCounterValues(page string) map[string]string {
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

// requireEqualCounters waits for a scrape in which all replicas have the same shared counters. Every pass increments
// them, and one may end during an emission.
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
			shown := sharedCounterValues(page)
			if i == 0 {
				first = shown
			} else if difference := cmp.Diff(first, shown); difference != "" || len(shown) < 8 {
				return fmt.Errorf("replica %d shows %d counters, different ones:\n%s", i, len(shown), difference)
			}
		}
		return nil
	})
}

// requireEqualPages requires, just after an emission, that all replicas show the same, in every scrape.
func requireEqualPages(t *testing.T, replicas []*replica, scrapes int) {
	t.Helper()
	for range scrapes {
		pages := pagesOfOneEmission(t, replicas)
		require.NotEmpty(t, pages[0])
		for i := range replicas {
			require.Empty(t, cmp.Diff(pages[0], pages[i]), "replica %d", i)
		}
	}
}

// pagesOfOneEmission returns the pages of replicas that emit at whole seconds. When they differ and reading them took
// until the next second, they are read again.
func pagesOfOneEmission(t *testing.T, replicas []*replica) []map[string]string {
	t.Helper()
	pages := make([]map[string]string, len(replicas))
	eventually(t, 30*time.Second, func() error {
		second := time.Now().Truncate(time.Second).Add(time.Second)
		waitUntil(t, second.Add(400*time.Millisecond))
		for i, r := range replicas {
			pages[i] = sharedPage(t, r)
		}
		took := time.Since(second)
		differs := slices.ContainsFunc(pages, func(page map[string]string) bool { return !maps.Equal(page, pages[0]) })
		if differs && took > time.Second {
			return fmt.Errorf("the pages were read %s after the emission", took)
		}
		return nil
	})
	return pages
}

// sharedPage returns the shared series of a replica's page.
func sharedPage(t *testing.T, r *replica) map[string]string {
	t.Helper()
	page, err := r.page(t.Context())
	require.NoError(t, err)
	return sharedSeries(page)
}

// awaitDrained waits until a pass has ended that began after now, there is no gap, and every replica shows that. The
// leader may change meanwhile.
func awaitDrained(t *testing.T, replicas []*replica) {
	t.Helper()
	p := newPassCounter(time.Now())
	eventually(t, 2*time.Minute, func() error {
		return p.checkComplete(t, replicas[awaitLeader(t, replicas)].collector,
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

// leadershipChange is a way to end the leadership of a replica, how long it may take until another one leads, and how
// to mend it.
type leadershipChange struct {
	name  string
	limit time.Duration
	force func(t *testing.T, r *replica) (mend func())
}

var leadershipChanges = []leadershipChange{
	{"SIGTERM", 2 * time.Second, func(t *testing.T, r *replica) func() {
		t.Helper()
		r.Stop()
		return func() { r.start(t) }
	}},
	{"kill -9", lease + 2*time.Second, func(t *testing.T, r *replica) func() {
		t.Helper()
		r.Kill()
		return func() { r.start(t) }
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

// TestReplicas: over more than twenty forced changes of leadership among three collectors, while data arrive, no write
// of an earlier term is accepted, and no replica shows a fact or a number of what is open that was not true at some
// time since the one it showed before; in the end every page is correct.
func TestReplicas(t *testing.T) {
	for api, changes := range map[string][]leadershipChange{
		"graphql": leadershipChanges,
		"rest":    leadershipChanges[:2], // the others take longer, and do not depend on the API
	} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			testReplicas(t, api, changes)
		})
	}
}

func testReplicas(t *testing.T, api string, changes []leadershipChange) {
	t.Helper()
	data := describeState(loadData(t))
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{data}, Limits: highLimits,
		Timeline: githubtest.EndingAt(data, 72*time.Hour, time.Now(), 72*3600/240),
	})
	timeline, redis := server.Timeline(), redistest.Start(t)
	receiver := fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, server.URL)
	receiver = strings.Replace(receiver, "github: {", "github: {api: "+api+", ", 1)
	replicas := startReplicas(t, 3, redis.Address, withState(receiver))
	awaitLeader(t, replicas)
	watch, expected := watchState(t, replicas), newExpectedState(data, timeline, api)
	changed := timeline.Start.Add(-time.Second)
	history := newStateHistory(expected)
	for n := range 22 {
		forceChange(t, replicas, n, changes[n%len(changes)])
		if n == 11 {
			now := time.Now()
			history.add(expected, changed, now)
			changeState(data)
			server.Update(changeState)
			expected, changed = newExpectedState(data, timeline, api), now
		}
	}
	visible := time.Now()
	server.HideAfter(visible)
	awaitDrained(t, replicas)
	awaitState(t, replicas, expected.at(visible))
	history.add(expected, changed, visible)
	watch.requireTrue(t, history)
	requireEqualPages(t, replicas, 5)
	requireEqualCounters(t, replicas)
	prom := startPrometheus(t, replicas[0].metrics)
	compareWithData(t, prom, loadData(t), timeline, visible)
	compareFacts(t, prom, expectedFacts(data, timeline, visible))
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

// forceChange ends the leadership of the replica that leads, and mends it when another one leads.
func forceChange(t *testing.T, replicas []*replica, n int, change leadershipChange) {
	t.Helper()
	was := awaitLeader(t, replicas)
	began := time.Now()
	mend := change.force(t, replicas[was])
	took := awaitTerm(t, replicas, began, was).Sub(began)
	t.Logf("%d: %s: another replica leads after %s", n, change.name, took)
	require.Less(t, took, change.limit, change.name)
	mend()
	awaitLeader(t, replicas)
}

// requireTermsGrow requires that the fences of all accepted writes, which it reads from the log, never fall.
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

// TestLeadershipPerOrganization: four organizations are balanced over the replicas: each is led by exactly one, a
// replica that starts later leads some, and those of a replica that is killed are led by the others.
func TestLeadershipPerOrganization(t *testing.T) {
	t.Parallel()
	const orgs = 4
	var list strings.Builder
	settings := githubtest.Settings{Limits: highLimits}
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
			return checkSpread(t, replicas, names, want)
		})
	}
	spread(2, 2)
	replicas = append(replicas, startReplicas(t, 1, redis.Address, receiver)...)
	spread(2, 1, 1)
	for i, r := range replicas {
		if leads, _ := r.ledCount(t, names); leads == 2 {
			r.Kill()
			replicas = slices.Delete(replicas, i, i+1)
			break
		}
	}
	spread(2, 2)
}

// ledCount returns how many of the organizations a replica leads.
func (r *replica) ledCount(t *testing.T, names []string) (n int, err error) {
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

// checkSpread returns an error unless the replicas lead as many organizations as wanted, in any order.
func checkSpread(t *testing.T, replicas []*replica, names []string, want []int) error {
	t.Helper()
	got := make([]int, 0, len(replicas))
	for _, r := range replicas {
		n, err := r.ledCount(t, names)
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

// TestStopWhileRedisBlocksWrites: a replica stops in under two seconds while Redis blocks writes, as in a failover, and
// while it responds to nothing.
func TestStopWhileRedisBlocksWrites(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits})
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
					r.awaitComplete(t, org)
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
