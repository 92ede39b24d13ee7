// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// outage is two collectors on one Redis that have read all data.
type outage struct {
	data     *githubtest.Dataset
	timeline githubtest.Timeline
	visible  time.Time
	replicas []*replica
	prom     *prometheus
}

// newOutage starts collectors with the given settings of Redis and waits until they show the truth.
func newOutage(t *testing.T, redis string) *outage {
	t.Helper()
	o := &outage{data: loadData(t)}
	timeline := githubtest.EndingAt(o.data, time.Hour, time.Now(), 1)
	server := githubtest.Start(
		t,
		githubtest.Settings{Datasets: []*githubtest.Dataset{o.data}, Timeline: timeline, Limits: highLimits},
	)
	o.timeline, o.visible = server.Timeline(), time.Now()
	server.HideAfter(o.visible)
	for range 2 {
		o.replicas = append(
			o.replicas,
			startReplica(
				t,
				"redis: "+redis,
				redis,
				fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, server.URL),
			),
		)
	}
	o.prom = startPrometheus(t, o.replicas[1].metrics)
	o.awaitCorrect(t)
	return o
}

// awaitCorrect waits until both replicas show the correct metrics again.
func (o *outage) awaitCorrect(t *testing.T) {
	t.Helper()
	awaitDrained(t, o.replicas)
	compareWithData(t, o.prom, o.data, o.timeline, o.visible)
	for _, r := range o.replicas {
		eventually(t, 30*time.Second, func() error { return r.checkDependency(t, "redis", 1) })
	}
}

// awaitDown waits until both replicas report that Redis is down. The metrics are still served.
func (o *outage) awaitDown(t *testing.T) {
	t.Helper()
	for _, r := range o.replicas {
		eventually(t, 30*time.Second, func() error { return r.checkDependency(t, "redis", 0) })
		require.NotEmpty(t, sharedPage(t, r))
	}
	compareWithData(t, o.prom, o.data, o.timeline, o.visible)
}

// awaitOutageLogged waits until both replicas have logged that Redis was down and is available again, however short the
// outage was.
func (o *outage) awaitOutageLogged(t *testing.T, began time.Time) {
	t.Helper()
	for _, r := range o.replicas {
		eventually(t, time.Minute, func() error {
			d := r.healthz(t).Components["Receiver:githubexporter"].Dependencies["redis"]
			if !d.Healthy || d.Since.Before(began) {
				return fmt.Errorf("the health of redis is %+v", d)
			}
			return nil
		})
		awaitLog(t, r.Process, "Failed to read Redis")
	}
}

// checkDependency returns an error unless the page shows a dependency as healthy (1) or not (0).
func (r *replica) checkDependency(t *testing.T, name string, want float64) error {
	t.Helper()
	got, err := r.value(t.Context(), fmt.Sprintf("gh_exporter_dependency_health{dependency=%q}", name))
	if err == nil && got != want {
		page, _ := getBody(t.Context(), "http://"+r.health+"/healthz")
		err = fmt.Errorf("the health of %s is %v, want %v: %s", name, got, want, page)
	}
	return err
}

// TestRedisRestarts: replicas recover from a restart of Redis, with its data and empty.
func TestRedisRestarts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly yes", "appendfsync always")
	o := newOutage(t, fmt.Sprintf("{endpoints: [%q]}", server.Address))
	server.Kill()
	o.awaitDown(t)
	server.Run()
	o.awaitCorrect(t)
	requireNoReset(t, o.prom)

	client := server.Client()
	began := client.HGet(t.Context(), "gx:1:{"+org+"}:meta", "epoch").Val()
	require.NotEmpty(t, began)
	server.Wipe()
	o.awaitDown(t)
	server.Run()
	o.awaitCorrect(t)
	require.NotEqual(t, began, client.HGet(t.Context(), "gx:1:{"+org+"}:meta", "epoch").Val())
	for _, r := range o.replicas {
		awaitLog(t, r.Process, "Store was reset or replaced")
	}
}

// TestSentinelFailover: replicas recover when the master is killed and the Sentinels promote the replica.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t)
	o := newOutage(
		t,
		fmt.Sprintf("{mode: sentinel, master_name: %s, endpoints: [%s]}", s.MasterName, quoted(s.Addresses)),
	)
	began := time.Now()
	s.Servers[0].Kill()
	o.awaitOutageLogged(t, began)
	o.awaitCorrect(t)
}

// TestClusterFailover: replicas recover when the master with the organization's keys is killed and its replica is
// promoted.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	o := newOutage(
		t,
		fmt.Sprintf(
			"{mode: cluster, endpoints: [%s]}",
			quoted([]string{nodes[0].Address, nodes[1].Address, nodes[2].Address}),
		),
	)
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[0].Address}})
	defer func() { _ = cluster.Close() }()
	master, err := cluster.MasterForKey(t.Context(), "gx:1:{"+org+"}:meta")
	require.NoError(t, err)
	began := time.Now()
	for _, node := range nodes {
		if strings.HasSuffix(master.Options().Addr, fmt.Sprintf(":%d", node.Port())) {
			node.Kill()
		}
	}
	o.awaitOutageLogged(t, began)
	o.awaitCorrect(t)
}

// TestUnavailableRedisWithMemory: without Redis, a collector that may continue in memory keeps its metrics, reads new
// events, no sum falls, and what it recorded is in Redis afterwards.
func TestUnavailableRedisWithMemory(t *testing.T) {
	t.Parallel()
	data, server, timeline := serveData(t, 72*time.Hour, 90*time.Second)
	server.HideAfter(timeline.Start)
	store := redistest.Start(t)
	link := startProxy(t, store.Address)
	receiver := fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, server.URL)
	block := fmt.Sprintf("{endpoints: [%q], unavailable: memory}", link.Listen)
	one := startReplica(t, "static: {role: leader}", block, receiver)
	prom := startPrometheus(t, one.metrics)
	one.awaitComplete(t, org)
	compareWithData(t, prom, data, timeline, timeline.Start)

	link.cut()
	fallback := func(want float64) func() error {
		return func() error {
			got, err := one.value(t.Context(), `gh_exporter_store_fallback`)
			if err == nil && got != want {
				err = fmt.Errorf("the fallback is %v, want %v", got, want)
			}
			return err
		}
	}
	eventually(t, 30*time.Second, fallback(1))
	one.awaitHealth(t, expectedHealth{"leader", "degraded", "redis", false}, 2*healthTimeout)
	visible := timeline.Start.Add(45 * time.Second)
	waitUntil(t, visible)
	server.HideAfter(visible)
	one.awaitComplete(t, org)
	compareWithData(t, prom, data, timeline, visible)

	link.mend()
	eventually(t, 30*time.Second, fallback(0))
	one.awaitHealth(t, expectedHealth{"leader", "healthy", "redis", true}, 2*healthTimeout)
	one.awaitComplete(t, org)
	compareWithData(t, prom, data, timeline, visible)
	requireNoReset(t, prom)
	server.InjectFault(githubtest.Fault{Effect: githubtest.Status(503)})
	other := startReplica(t, "static: {role: follower}", fmt.Sprintf("{endpoints: [%q]}", store.Address), receiver)
	compareWithData(t, startPrometheus(t, other.metrics), data, timeline, visible)
}

// TestStopWithoutRedis: a collector stops in time while Redis does not respond.
func TestStopWithoutRedis(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits})
	for _, unavailable := range []string{"wait", "memory"} {
		store := redistest.Start(t)
		block := fmt.Sprintf("{endpoints: [%q], unavailable: %s}", store.Address, unavailable)
		one := startReplica(t, "redis: "+strings.Replace(block, ", unavailable: "+unavailable, "", 1), block,
			fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, server.URL))
		one.awaitComplete(t, org)
		store.Pause()
		took := one.Stop()
		t.Logf("%s: stopped in %s", unavailable, took)
		require.Less(t, took, 3*time.Second)
		store.Resume()
	}
}

// quoted returns addresses as the items of a YAML list.
func quoted(addresses []string) string { return `"` + strings.Join(addresses, `", "`) + `"` }

// TestLostKeys: whichever keys of the ledger are evicted from a running Redis, the replicas become correct again, with
// a warning, and never show an event twice.
func TestLostKeys(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	o := newOutage(t, fmt.Sprintf("{endpoints: [%q]}", redis.Address))
	for _, lost := range [][]string{
		{"seen", "cov"},
		{"log"},
		{"meta"},
		{"log", "meta"},
		{"carried", "series"},
		{"tallies"},
	} {
		var keys []string
		for _, name := range lost {
			keys = append(keys, "gx:1:{"+org+"}:"+name)
		}
		began := time.Now()
		require.NoError(t, redis.Client().Del(t.Context(), keys...).Err())
		eventually(t, 30*time.Second, func() error {
			for _, r := range o.replicas {
				if r.lastLogged(evicted).After(began) {
					return nil
				}
			}
			return fmt.Errorf("no warning that %v are gone", lost)
		})
		o.awaitCorrect(t)
	}
}

// evicted is the warning of a ledger of which keys are gone.
const evicted = "Keys of the ledger are missing from Redis. Deleting the rest of it and re-reading the organization " +
	"from " +
	"GitHub; its sums restart from zero. Check that nothing deletes keys and that maxmemory-policy is noeviction."

// TestSharedRedis: another user fills a Redis that evicts keys. The replicas warn at their start that it may, never
// show an event twice, and show fewer only with a warning.
func TestSharedRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, "maxmemory-policy allkeys-lru", "maxmemory-samples 1")
	o := newOutage(t, fmt.Sprintf("{endpoints: [%q]}", redis.Address))
	for _, r := range o.replicas {
		eventually(t, 10*time.Second, func() error {
			if n := strings.Count(r.Output(), "maxmemory-policy is allkeys-lru, want noeviction"); n != 1 {
				return fmt.Errorf("%d warnings of the policy", n)
			}
			return nil
		})
	}
	right := sharedPage(t, o.replicas[0])
	require.NotEmpty(t, right)
	neighbour := redis.Client()
	limit := redis.UsedMemory(t.Context()) + 4<<20
	require.NoError(t, neighbour.ConfigSet(t.Context(), "maxmemory", strconv.FormatInt(limit, 10)).Err())
	warned := func() bool {
		return slices.ContainsFunc(o.replicas, func(r *replica) bool { return !r.lastLogged(evicted).IsZero() })
	}
	noise, until := strings.Repeat("x", 10_000), time.Now().Add(15*time.Second)
	for n := 0; time.Now().Before(until); {
		for range 200 {
			n++
			require.NoError(t, neighbour.Set(t.Context(), fmt.Sprint("neighbour-", n), noise, 0).Err())
		}
		for _, r := range o.replicas {
			requireNoMore(t, right, sharedPage(t, r), warned)
		}
		waitUntil(t, time.Now().Add(100*time.Millisecond)) // the pace of the neighbour
	}
	require.True(t, warned(), "nothing of the ledger was evicted")
	require.NoError(t, neighbour.ConfigSet(t.Context(), "maxmemory", "0").Err())
	o.awaitCorrect(t)
	for _, r := range o.replicas {
		require.Equal(t, 1, strings.Count(r.Output(), "maxmemory-policy is allkeys-lru"), "said once")
	}
}

// requireNoMore requires that no series is above the correct one, and that none is below it, or missing, without a
// warning.
func requireNoMore(t *testing.T, right, shown map[string]string, warned func() bool) {
	t.Helper()
	for series, value := range right {
		want, err := strconv.ParseFloat(value, 64)
		require.NoError(t, err)
		got, err := strconv.ParseFloat(shown[series], 64)
		if err == nil {
			require.LessOrEqual(t, got, want, series)
		}
		if (err != nil || got < want) && !warned() {
			require.Fail(t, "less is shown without a warning", "%s: %q, want %s", series, shown[series], value)
		}
	}
}
