// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

const reasonsConfig = `
orgs: [{name: %s, auth: {token: %s}, scrape_interval: %s}]
github:
  endpoint: %q
  timeout: 1s
  retry: {max_attempts: 1}
  health: {probe_interval: 1s, failure_threshold: %d, cooldown: 1s}
emit_interval: 1s
`

// awaitReason waits until all health pages have a reason for an unhealthy dependency.
func (r *replica) awaitReason(t *testing.T, dependency, reason string) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		one := r.healthz(t).Components["Receiver:githubexporter"]
		if detail := one.Dependencies[dependency].Detail; !strings.Contains(detail, reason) {
			return fmt.Errorf("%s: want %q, /healthz says %q", dependency, reason, detail)
		}
		for _, url := range r.ready {
			_, page := getStatus(t, url+"?verbose")
			part := page.Components["pipeline:metrics"].Components["receiver:githubexporter"]
			if detail := part.Attributes.Health.Dependencies[dependency].Detail; !strings.Contains(detail, reason) {
				return fmt.Errorf("%s: want %q, the attributes of %s say %q", dependency, reason, url, detail)
			}
			if ready := part.Attributes.Health.Ready; !ready && !strings.Contains(page.Error, reason) {
				return fmt.Errorf("%s: want %q, the error of %s is %q", dependency, reason, url, page.Error)
			}
		}
		return nil
	})
}

const staticLeader = "static: {role: leader}"

// TestPresentReasonOfGitHub: before an organization was read, the replica is not ready, with the present reason, which
// the next probe finds however long the interval of the passes is, with a cooldown or without; later failures are
// degraded.
func TestPresentReasonOfGitHub(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	for name, threshold := range map[string]int{"without a cooldown": 1000, "in a cooldown": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := githubtest.Start(
				t,
				githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits},
			)
			server.InjectFault(githubtest.Fault{Effect: githubtest.Status(502)})
			r := startReplica(
				t,
				staticLeader,
				fmt.Sprintf("{endpoints: [%q], key_prefix: p%d}", redis.Address, threshold),
				fmt.Sprintf(reasonsConfig, org, githubtest.DefaultToken, "10m", server.URL, threshold),
			)
			for _, dependency := range []string{"github", "github_access"} {
				r.awaitReason(t, dependency, "(status 502)")
			}
			require.NoError(t, r.checkContrib(t, expectedHealth{"leader", "unhealthy", "github_access", false}))
			server.ClearFaults()
			server.InjectFault(githubtest.Fault{Effect: githubtest.Status(401)})
			for _, dependency := range []string{"github", "github_access"} {
				r.awaitReason(t, dependency, "credential refused (status 401)")
			}
			require.NoError(t, r.checkContrib(t, expectedHealth{"leader", "unhealthy", "github_access", false}))
		})
	}
	t.Run("after it was read", func(t *testing.T) {
		t.Parallel()
		server := githubtest.Start(t, githubtest.Settings{
			Datasets: []*githubtest.Dataset{loadData(t)},
			Limits:   highLimits,
		})
		server.InjectFault(githubtest.Fault{Effect: githubtest.Status(401)})
		r := startReplica(t, staticLeader, fmt.Sprintf("{endpoints: [%q]}", redis.Address),
			fmt.Sprintf(reasonsConfig, org, githubtest.DefaultToken, "1s", server.URL, 1000))
		r.awaitReason(t, "github_access", "credential refused (status 401)")
		r.awaitHealth(t, expectedHealth{"leader", "unhealthy", "github_access", false}, healthTimeout)
		server.ClearFaults()
		r.awaitHealth(t, expectedHealth{"leader", "healthy", "github_access", true}, 30*time.Second)
		for _, code := range []int{502, 503, 401} {
			server.ClearFaults()
			server.InjectFault(githubtest.Fault{Effect: githubtest.Status(code)})
			r.awaitReason(t, "github", fmt.Sprintf("(status %d)", code))
			r.awaitHealth(t, expectedHealth{"leader", "degraded", "github", false}, healthTimeout)
		}
		server.ClearFaults()
		r.awaitHealth(t, expectedHealth{"leader", "healthy", "github", true}, 30*time.Second)
	})
}

// TestPresentReasonOfRedis: the reason names a wrong password, a server that is down, and one that does not respond.
func TestPresentReasonOfRedis(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits})
	redis := redistest.Start(t)
	admin := redis.Client() // its connection stays as it is
	require.NoError(t, admin.ConfigSet(t.Context(), "requirepass", "right").Err())
	link := startProxy(t, redis.Address)
	r := startReplica(t, staticLeader, fmt.Sprintf("{endpoints: [%q], password: wrong}", link.Listen),
		fmt.Sprintf(reasonsConfig, org, githubtest.DefaultToken, "1s", server.URL, 1000))
	r.awaitReason(t, "redis", "WRONGPASS")
	r.awaitHealth(t, expectedHealth{"follower", "unhealthy", "redis", false}, healthTimeout)
	_, first := getStatus(t, r.ready[0])
	link.cut()
	r.awaitReason(t, "redis", "connection refused")
	_, second := getStatus(t, r.ready[0])
	require.WithinDuration(t, first.StatusTime, second.StatusTime, 10*time.Millisecond, "the outage is the same")
	link.mend()
	r.awaitReason(t, "redis", "WRONGPASS")
	link.slowDown(5 * time.Second)
	r.awaitReason(t, "redis", "no response within 1s")
	link.speedUp()
	require.NoError(t, admin.ConfigSet(t.Context(), "requirepass", "wrong").Err())
	r.awaitHealth(t, expectedHealth{"leader", "healthy", "redis", true}, 30*time.Second)
	requireNoSecret(t, r.Output())
}

// TestPresentReasonOfRabbitMQ: the reason names a wrong password, and a broker that does not respond, for the
// connections and for the consumer.
func TestPresentReasonOfRabbitMQ(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is this machine's
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits})
	rabbit, redis := rabbittest.Start(t), redistest.Start(t)
	for reason, address := range map[string]string{
		"connect: Exception (403)": rabbit.Address, "no response within 2s": silent.Addr().String(),
		"connection refused": proctest.FreeAddress(t),
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			config := fmt.Sprintf(reasonsConfig, org, githubtest.DefaultToken, "1s", server.URL, 1000) +
				fmt.Sprintf("rabbitmq: {endpoint: %q, auth: {plain: {username: guest, password: wrong}}}\n",
					"amqp://"+address+"/")
			r := startReplica(t, "static: {role: follower}", fmt.Sprintf("{endpoints: [%q]}", redis.Address), config)
			for _, dependency := range []string{"amqp", "consumer"} {
				r.awaitReason(t, dependency, reason)
				r.awaitHealth(t, expectedHealth{"follower", "unhealthy", dependency, false}, healthTimeout)
			}
		})
	}
}
