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

// names waits until all pages give a reason for a dependency that is not healthy.
func (r *replica) names(t *testing.T, dependency, reason string) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		one := r.healthz(t).Components["Receiver:githubexporter"]
		if detail := one.Dependencies[dependency].Detail; !strings.Contains(detail, reason) {
			return fmt.Errorf("%s: want %q, /healthz says %q", dependency, reason, detail)
		}
		for _, url := range r.ready {
			_, page := status(t, url+"?verbose")
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

// TestPresentReasonOfGitHub: before an organization was read the replica is not ready, with the present reason, which
// the next probe finds however long the interval of the passes is, with a cooldown or not; later trouble is degraded.
func TestPresentReasonOfGitHub(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	for name, threshold := range map[string]int{"without a cooldown": 1000, "in a cooldown": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := githubtest.Start(
				t,
				githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: plenty},
			)
			server.InjectFault(githubtest.Fault{Effect: githubtest.Status(502)})
			r := startReplica(
				t,
				staticLeader,
				fmt.Sprintf("{endpoints: [%q], key_prefix: p%d}", redis.Address, threshold),
				fmt.Sprintf(reasonsConfig, org, githubtest.DefaultToken, "10m", server.URL, threshold),
			)
			for _, dependency := range []string{"github", "github_access"} {
				r.names(t, dependency, "(status 502)")
			}
			require.NoError(t, r.checkContrib(t, expected{"leader", "unhealthy", "github_access", false}))
			server.ClearFaults()
			server.InjectFault(githubtest.Fault{Effect: githubtest.Status(401)})
			for _, dependency := range []string{"github", "github_access"} {
				r.names(t, dependency, "credential refused (status 401)")
			}
			require.NoError(t, r.checkContrib(t, expected{"leader", "unhealthy", "github_access", false}))
		})
	}
	t.Run("after it was read", func(t *testing.T) {
		t.Parallel()
		server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: plenty})
		server.InjectFault(githubtest.Fault{Effect: githubtest.Status(401)})
		r := startReplica(t, staticLeader, fmt.Sprintf("{endpoints: [%q]}", redis.Address),
			fmt.Sprintf(reasonsConfig, org, githubtest.DefaultToken, "1s", server.URL, 1000))
		r.names(t, "github_access", "credential refused (status 401)")
		r.check(t, expected{"leader", "unhealthy", "github_access", false}, within)
		server.ClearFaults()
		r.check(t, expected{"leader", "healthy", "github_access", true}, 30*time.Second)
		for _, code := range []int{502, 503, 401} {
			server.ClearFaults()
			server.InjectFault(githubtest.Fault{Effect: githubtest.Status(code)})
			r.names(t, "github", fmt.Sprintf("(status %d)", code))
			r.check(t, expected{"leader", "degraded", "github", false}, within)
		}
		server.ClearFaults()
		r.check(t, expected{"leader", "healthy", "github", true}, 30*time.Second)
	})
}

// TestPresentReasonOfRedis names a wrong password, a server that is down, and one that does not answer.
func TestPresentReasonOfRedis(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: plenty})
	redis := redistest.Start(t)
	admin := redis.Client() // its connection stays as it is
	require.NoError(t, admin.ConfigSet(t.Context(), "requirepass", "right").Err())
	link := startProxy(t, redis.Address)
	r := startReplica(t, staticLeader, fmt.Sprintf("{endpoints: [%q], password: wrong}", link.Listen),
		fmt.Sprintf(reasonsConfig, org, githubtest.DefaultToken, "1s", server.URL, 1000))
	r.names(t, "redis", "WRONGPASS")
	r.check(t, expected{"follower", "unhealthy", "redis", false}, within)
	_, first := status(t, r.ready[0])
	link.cut()
	r.names(t, "redis", "connection refused")
	_, second := status(t, r.ready[0])
	require.WithinDuration(t, first.StatusTime, second.StatusTime, 10*time.Millisecond, "the outage is the same")
	link.mend()
	r.names(t, "redis", "WRONGPASS")
	link.slow(5 * time.Second)
	r.names(t, "redis", "no response within 1s")
	link.quick()
	require.NoError(t, admin.ConfigSet(t.Context(), "requirepass", "wrong").Err())
	r.check(t, expected{"leader", "healthy", "redis", true}, 30*time.Second)
	requireNoSecret(t, r.Output())
}

// TestPresentReasonOfRabbitMQ names a wrong password, and a broker that does not answer, for the connections and for
// what would be consumed.
func TestPresentReasonOfRabbitMQ(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is this machine's
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: plenty})
	rabbit, redis := rabbittest.Start(t), redistest.Start(t)
	for reason, address := range map[string]string{
		"connect: Exception (403)": rabbit.Address, "no answer within 2s": silent.Addr().String(),
		"connection refused": proctest.FreeAddress(t),
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			config := fmt.Sprintf(reasonsConfig, org, githubtest.DefaultToken, "1s", server.URL, 1000) +
				fmt.Sprintf("rabbitmq: {endpoint: %q, auth: {plain: {username: guest, password: wrong}}}\n",
					"amqp://"+address+"/")
			r := startReplica(t, "static: {role: follower}", fmt.Sprintf("{endpoints: [%q]}", redis.Address), config)
			for _, dependency := range []string{"amqp", "consumer"} {
				r.names(t, dependency, reason)
				r.check(t, expected{"follower", "unhealthy", dependency, false}, within)
			}
		})
	}
}
