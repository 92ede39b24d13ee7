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

// electedSystem is a system of small organizations whose replicas elect leaders.
type electedSystem struct {
	server *githubtest.Server
	redis  *redistest.Server
}

// startElectedSystem starts GitHub with organizations of the given names, and a Redis.
func startElectedSystem(t *testing.T, orgs ...string) *electedSystem {
	t.Helper()
	settings := githubtest.Settings{Limits: highLimits, Credentials: []githubtest.Credential{
		{Token: "one", Name: "one", Login: "one"}, {Token: "two", Name: "two", Login: "two"},
	}}
	for _, name := range orgs {
		data := smallOrg(time.Now())
		data.Org.Login = name
		settings.Datasets = append(settings.Datasets, data)
	}
	return &electedSystem{githubtest.Start(t, settings), redistest.Start(t)}
}

// storeConfig returns the setting of the Redis.
func (e *electedSystem) storeConfig() string {
	return fmt.Sprintf("{endpoints: [%q]}", e.redis.Address)
}

// receiverSettings returns the settings of a receiver that reads organizations with a token.
func (e *electedSystem) receiverSettings(token string, orgs ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "github: {endpoint: %q, health: {probe_interval: 1s}}\nemit_interval: 1s\norgs:\n", e.server.URL)
	for _, name := range orgs {
		fmt.Fprintf(&text, "  - {name: %s, auth: {token: %s}, scrape_interval: 1s}\n", name, token)
	}
	return text.String()
}

// startReplica starts a replica with the default names of leases and keys.
func (e *electedSystem) startReplica(t *testing.T, token string, orgs ...string) *replica {
	t.Helper()
	return startReplica(t, "redis: "+e.storeConfig(), e.storeConfig(), e.receiverSettings(token, orgs...))
}

// awaitLeads waits until a replica shows whether it leads an organization, as wanted, and returns how long that took.
func (r *replica) awaitLeads(t *testing.T, name string, want bool) time.Duration {
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

// awaitPass waits until a replica ends another pass of an organization.
func (r *replica) awaitPass(t *testing.T, name string) {
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

// acceptedFences returns the fences of the accepted writes of an organization, each once, in their order.
func (e *electedSystem) acceptedFences(t *testing.T, name string) []uint64 {
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

// TestTwoDeploymentsOneRedis: two deployments with different organizations share a Redis with the default settings.
// Each has a leader.
func TestTwoDeploymentsOneRedis(t *testing.T) {
	t.Parallel()
	e := startElectedSystem(t, "acme", "other")
	first := []*replica{e.startReplica(t, "one", "acme"), e.startReplica(t, "one", "acme")}
	awaitLeader(t, first)
	second := e.startReplica(t, "two", "other")
	second.awaitLeads(t, "other", true)
	second.awaitPass(t, "other")
	second.awaitHealth(t, expectedHealth{"leader", "healthy", "leadership", true}, 30*time.Second)
	first[awaitLeader(t, first)].awaitPass(t, "acme")
	for _, r := range first {
		require.True(t, r.healthz(t).Components["Receiver:githubexporter"].Dependencies["leadership"].Healthy)
	}
	require.Len(t, e.acceptedFences(t, "acme"), 1)
	require.Len(t, e.acceptedFences(t, "other"), 1)
}

// TestRollingUpdateOfOrganizations: an organization is added to a deployment, replica by replica. The new one is read
// at once, the others have one leader at a time, and the new replicas take over as soon as the old leader is stopped.
func TestRollingUpdateOfOrganizations(t *testing.T) {
	t.Parallel()
	e := startElectedSystem(t, "acme", "other")
	former := e.startReplica(t, "one", "acme")
	former.awaitLeads(t, "acme", true)
	former.awaitPass(t, "acme")
	next := []*replica{e.startReplica(t, "two", "acme", "other"), e.startReplica(t, "two", "acme", "other")}
	leads := awaitLeader(t, next)
	next[leads].awaitLeads(t, "other", true)
	next[leads].awaitLeads(t, "acme", false)
	former.awaitPass(t, "acme")
	require.Len(t, e.acceptedFences(t, "acme"), 1)
	stopped := time.Now()
	former.Stop()
	eventually(t, 30*time.Second, func() error {
		if len(e.acceptedFences(t, "acme")) < 2 {
			return errors.New("the former leader has not been replaced")
		}
		return nil
	})
	took := time.Since(stopped)
	t.Logf("replaced after %s", took)
	require.Less(t, took, 3*time.Second)
	next[leads].awaitPass(t, "acme")
	stopped = time.Now()
	next[leads].Stop()
	eventually(t, 30*time.Second, func() error {
		if len(e.acceptedFences(t, "acme")) < 3 || len(e.acceptedFences(t, "other")) < 2 {
			return errors.New("the leader has not been replaced")
		}
		return nil
	})
	t.Logf("the next one leads after %s", time.Since(stopped))
	require.Less(t, time.Since(stopped), 3*time.Second)
	next[1-leads].awaitPass(t, "acme")
	require.Len(t, e.acceptedFences(t, "acme"), 3, "no leader was refused by another")
}

// TestTwoStaticLeaders: of two replicas that are both configured as leaders, the one whose writes are refused sends no
// more requests to GitHub and logs that once; it continues when the other one has stopped.
func TestTwoStaticLeaders(t *testing.T) {
	t.Parallel()
	const refused = "Another election leads the organization"
	e := startElectedSystem(t, "acme")
	first := startReplica(t, "static: {role: leader}", e.storeConfig(), e.receiverSettings("one", "acme"))
	first.awaitLeads(t, "acme", true)
	first.awaitPass(t, "acme")
	second := startReplica(t, "static: {role: leader}", e.storeConfig(), e.receiverSettings("two", "acme"))
	second.awaitLeads(t, "acme", true)
	first.awaitLeads(t, "acme", false)
	first.awaitHealth(t, expectedHealth{"follower", "degraded", "leadership", false}, healthTimeout)
	first.awaitDetail(t, "leadership", "two elections lead it")
	asked := e.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Credential == "one" })
	for range 15 { // longer than it would wait for a leader that is silent
		second.awaitPass(t, "acme")
	}
	require.Equal(
		t,
		asked,
		e.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Credential == "one" }),
	)
	awaitLogCount(t, first.Process, 1, refused)
	require.Len(t, e.acceptedFences(t, "acme"), 2, "they do not replace each other again and again")
	second.awaitHealth(t, expectedHealth{"leader", "healthy", "leadership", true}, healthTimeout)
	second.Stop()
	t.Logf("the first one leads again after %s", first.awaitLeads(t, "acme", true))
	first.awaitHealth(t, expectedHealth{"leader", "healthy", "leadership", true}, 2*healthTimeout)
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
			e := startElectedSystem(t, "acme")
			former := startReplica(t, "static: {role: leader}", e.storeConfig(), e.receiverSettings("one", "acme"))
			former.awaitPass(t, "acme")
			election := test.election
			if strings.Contains(election, "%q") {
				election = fmt.Sprintf(election, e.redis.Address)
			}
			r := startReplica(t, election, e.storeConfig(), e.receiverSettings("two", "acme"))
			r.electorFails = test.reports != ""
			r.awaitHealth(t, expectedHealth{"follower", expectedMode(test.reports), "leadership", true}, 30*time.Second)
			if test.reports != "" {
				requireExtensionStatus(t, r, test.reports)
			}
			former.Stop()
			stopped := time.Now()
			for _, mode := range []string{"degraded", "unhealthy"} {
				r.awaitHealth(t, expectedHealth{"follower", mode, "leadership", false}, 30*time.Second)
				t.Logf("%s after %s: %s", mode, time.Since(stopped).Round(time.Second),
					r.healthz(t).detail("leadership"))
				r.awaitDetail(t, "leadership", test.reason)
			}
			awaitLogCount(t, r.Process, 2, "No replica leads the organization") // degraded, and not ready
			require.LessOrEqual(t, strings.Count(r.Output(), "Leader election backend"), 1)
			former.start(t)
			r.awaitHealth(t, expectedHealth{"follower", expectedMode(test.reports), "leadership", true}, 30*time.Second)
			awaitLogCount(t, r.Process, 1, "A replica leads the organization again.")
		})
	}
}

// expectedMode returns the mode of the page while an organization is led: an unhealthy extension is degraded.
func expectedMode(reports string) string {
	if reports != "" {
		return "degraded"
	}
	return "healthy"
}

// requireExtensionStatus waits until both health extensions show the error of leader_elector.
func requireExtensionStatus(t *testing.T, r *replica, want string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		own, err := getBody(t.Context(), "http://"+r.health+"/healthz")
		if err != nil {
			return err
		}
		code, contrib := getStatus(t, r.ready[0])
		if !strings.Contains(own, want) || !strings.Contains(contrib.Error, want) ||
			code != http.StatusInternalServerError {
			err = fmt.Errorf("no %q on %s, or in %d: %+v", want, own, code, contrib)
		}
		return err
	})
}
