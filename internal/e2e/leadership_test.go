// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// elected is a system of small organizations whose replicas elect leaders.
type elected struct {
	server *githubtest.Server
	redis  *redistest.Server
}

// startElected starts GitHub with organizations of the given names, and a Redis.
func startElected(t *testing.T, orgs ...string) *elected {
	t.Helper()
	settings := githubtest.Settings{Limits: plenty, Credentials: []githubtest.Credential{
		{Token: "one", Name: "one", Login: "one"}, {Token: "two", Name: "two", Login: "two"},
	}}
	for _, name := range orgs {
		data := smallOrg(time.Now())
		data.Org.Login = name
		settings.Datasets = append(settings.Datasets, data)
	}
	return &elected{githubtest.Start(t, settings), redistest.Start(t)}
}

// store is the setting of the Redis.
func (e *elected) store() string { return fmt.Sprintf("{endpoints: [%q]}", e.redis.Address) }

// receiver are the settings of a receiver of organizations that are read with a token.
func (e *elected) receiver(token string, orgs ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "github: {endpoint: %q, health: {probe_interval: 1s}}\nemit_interval: 1s\norgs:\n", e.server.URL)
	for _, name := range orgs {
		fmt.Fprintf(&text, "  - {name: %s, auth: {token: %s}, scrape_interval: 1s}\n", name, token)
	}
	return text.String()
}

// replica starts a replica with the default names of leases and keys.
func (e *elected) replica(t *testing.T, token string, orgs ...string) *replica {
	t.Helper()
	return startReplica(t, "redis: "+e.store(), e.store(), e.receiver(token, orgs...))
}

// leads waits until a replica shows whether it leads an organization, and gives how long that took.
func (r *replica) leads(t *testing.T, name string, want bool) time.Duration {
	t.Helper()
	began := time.Now()
	eventually(t, 40*time.Second, func() error {
		value, err := r.value(t.Context(), fmt.Sprintf(`gh_exporter_leader{org=%q}`, name))
		if err == nil && (value == 1) != want {
			err = fmt.Errorf("gh_exporter_leader of %s is %v", name, value)
		}
		return err
	})
	return time.Since(began)
}

// reading waits until a replica ends another pass of an organization.
func (r *replica) reading(t *testing.T, name string) {
	t.Helper()
	passes := func() int {
		n := 0
		for line := range strings.Lines(r.Output()) {
			if strings.Contains(line, `"Pass ended."`) && strings.Contains(line, strconv.Quote(name)) {
				n++
			}
		}
		return n
	}
	before := passes()
	eventually(t, 40*time.Second, func() error {
		if passes() <= before {
			return errors.New("no pass ended")
		}
		return nil
	})
}

// terms are the fences of the accepted writes of an organization, each once, in their order.
func (e *elected) terms(t *testing.T, name string) []uint64 {
	t.Helper()
	entries, err := e.redis.Client().XRange(t.Context(), "gx:1:{"+name+"}:log", "-", "+").Result()
	require.NoError(t, err)
	var terms []uint64
	for _, entry := range entries {
		text, led := entry.Values["t"].(string)
		if !led {
			continue
		}
		fence, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		if len(terms) == 0 || terms[len(terms)-1] != fence {
			terms = append(terms, fence)
		}
	}
	return terms
}

// TestTwoDeploymentsOneRedis: two deployments with different organizations share a Redis, with the defaults of
// everything. Each has a leader.
func TestTwoDeploymentsOneRedis(t *testing.T) {
	t.Parallel()
	e := startElected(t, "acme", "other")
	first := []*replica{e.replica(t, "one", "acme"), e.replica(t, "one", "acme")}
	leader(t, first)
	second := e.replica(t, "two", "other")
	second.leads(t, "other", true)
	second.reading(t, "other")
	second.check(t, expected{"leader", "healthy", "leadership", true}, 30*time.Second)
	first[leader(t, first)].reading(t, "acme")
	for _, r := range first {
		require.True(t, r.healthz(t).Components["Receiver:githubexporter"].Dependencies["leadership"].Healthy)
	}
	require.Len(t, e.terms(t, "acme"), 1)
	require.Len(t, e.terms(t, "other"), 1)
}

// TestRollingUpdateOfOrganizations adds an organization to a deployment, replica by replica: the new one is read at
// once, the others have one leader at a time, and the new replicas take over as soon as the old leader is stopped.
func TestRollingUpdateOfOrganizations(t *testing.T) {
	t.Parallel()
	e := startElected(t, "acme", "other")
	former := e.replica(t, "one", "acme")
	former.leads(t, "acme", true)
	former.reading(t, "acme")
	next := []*replica{e.replica(t, "two", "acme", "other"), e.replica(t, "two", "acme", "other")}
	leads := leader(t, next)
	next[leads].leads(t, "other", true)
	next[leads].leads(t, "acme", false)
	former.reading(t, "acme")
	require.Len(t, e.terms(t, "acme"), 1)
	stopped := time.Now()
	former.Stop()
	eventually(t, 30*time.Second, func() error {
		if len(e.terms(t, "acme")) < 2 {
			return errors.New("the former leader has not been replaced")
		}
		return nil
	})
	took := time.Since(stopped)
	t.Logf("replaced after %s", took)
	require.Less(t, took, 3*time.Second)
	next[leads].reading(t, "acme")
	stopped = time.Now()
	next[leads].Stop()
	eventually(t, 30*time.Second, func() error {
		if len(e.terms(t, "acme")) < 3 || len(e.terms(t, "other")) < 2 {
			return errors.New("the leader has not been replaced")
		}
		return nil
	})
	t.Logf("the next one leads after %s", time.Since(stopped))
	require.Less(t, time.Since(stopped), 3*time.Second)
	next[1-leads].reading(t, "acme")
	require.Len(t, e.terms(t, "acme"), 3, "no leader was refused by another")
}

// TestTwoStaticLeaders: of two replicas that are both configured as leaders the one that is refused stops asking
// GitHub and says so, once; it goes on when the other one is gone.
func TestTwoStaticLeaders(t *testing.T) {
	t.Parallel()
	const refused = "Another election leads the organization"
	e := startElected(t, "acme")
	first := startReplica(t, "static: {role: leader}", e.store(), e.receiver("one", "acme"))
	first.leads(t, "acme", true)
	first.reading(t, "acme")
	second := startReplica(t, "static: {role: leader}", e.store(), e.receiver("two", "acme"))
	second.leads(t, "acme", true)
	first.leads(t, "acme", false)
	first.check(t, expected{"follower", "degraded", "leadership", false}, within)
	require.Contains(t, first.healthz(t).detail("leadership"), "two elections lead it")
	asked := e.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Credential == "one" })
	for range 15 { // longer than it would wait for a leader that is silent
		second.reading(t, "acme")
	}
	require.Equal(
		t,
		asked,
		e.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Credential == "one" }),
	)
	require.Equal(t, 1, strings.Count(first.Output(), refused))
	require.Len(t, e.terms(t, "acme"), 2, "they do not replace each other again and again")
	second.check(t, expected{"leader", "healthy", "leadership", true}, within)
	second.Stop()
	t.Logf("the first one leads again after %s", first.leads(t, "acme", true))
	first.check(t, expected{"leader", "healthy", "leadership", true}, 2*within)
}

// TestElectorCannotElect: where no replica can be elected, every replica is degraded and then not ready, with the
// reason, and the log has one line for each change. The status of the extension reaches contrib's healthcheckv2.
func TestElectorCannotElect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		election string
		reason   string
		reports  string // what the extension's own status says
	}{
		"followers everywhere": {"static: {role: follower}", "static::role is follower here", ""},
		"a wrong password": {
			"redis: {endpoints: [%q], username: exporter, password: wrong}",
			"cannot be acquired: redis: acquire a lease: ", "redis: acquire a lease: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startElected(t, "acme")
			former := startReplica(t, "static: {role: leader}", e.store(), e.receiver("one", "acme"))
			former.reading(t, "acme")
			election := test.election
			if strings.Contains(election, "%q") {
				election = fmt.Sprintf(election, e.redis.Address)
			}
			r := startReplica(t, election, e.store(), e.receiver("two", "acme"))
			r.electorTrouble = test.reports != ""
			r.check(t, expected{"follower", modeOf(test.reports), "leadership", true}, 30*time.Second)
			if test.reports != "" {
				requireExtensionStatus(t, r, test.reports)
			}
			former.Stop()
			stopped := time.Now()
			for _, mode := range []string{"degraded", "unhealthy"} {
				r.check(t, expected{"follower", mode, "leadership", false}, 30*time.Second)
				t.Logf("%s after %s: %s", mode, time.Since(stopped).Round(time.Second),
					r.healthz(t).detail("leadership"))
				require.Contains(t, r.healthz(t).detail("leadership"), test.reason)
			}
			require.Equal(t, 2, strings.Count(r.Output(), "No replica leads the organization"),
				"degraded, and not ready")
			require.LessOrEqual(t, strings.Count(r.Output(), "Leader election backend"), 1)
			former.restart(t)
			r.check(t, expected{"follower", modeOf(test.reports), "leadership", true}, 30*time.Second)
			require.Equal(t, 1, strings.Count(r.Output(), "A replica leads the organization again."))
		})
	}
}

// modeOf is the mode of the page while an organization is led: the extension's own trouble is degraded.
func modeOf(reports string) string {
	if reports != "" {
		return "degraded"
	}
	return "healthy"
}

// requireExtensionStatus waits until both health extensions show the error of leader_elector.
func requireExtensionStatus(t *testing.T, r *replica, want string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		own, err := get(t.Context(), "http://"+r.health+"/healthz")
		if err != nil {
			return err
		}
		code, contrib := status(t, r.ready[0])
		if !strings.Contains(own, want) || !strings.Contains(contrib.Error, want) ||
			code != http.StatusInternalServerError {
			err = fmt.Errorf("no %q on %s, or in %d: %+v", want, own, code, contrib)
		}
		return err
	})
}
