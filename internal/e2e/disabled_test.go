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

// disabledConfig is the configuration of a replica that makes a pass each second.
const disabledConfig = `
orgs:
  - name: %[1]s
    auth: {token: %[2]s}
    scrape_interval: 1s
    lookback: 96h
github:
  endpoint: %[3]q
  api: %[4]s
  timeout: 2s
  retry: {max_attempts: 2, initial_interval: 10ms, max_interval: 20ms}
  health: {probe_interval: 1s, failure_threshold: 1000}
backfill: {requeue_delays: [1s], sweep_interval: 1s, max_enqueues_per_org_per_minute: 10000}
emit_interval: 1s
`

// startLeader starts a replica that leads, on a Redis of its own.
func startLeader(t *testing.T, receiver string) *replica {
	t.Helper()
	return startReplica(
		t,
		"static: {role: leader}",
		fmt.Sprintf("{endpoints: [%q]}", redistest.Start(t).Address),
		receiver,
	)
}

// startEmbedded starts a collector with the embedded store.
func startEmbedded(t *testing.T, receiver string) *replica {
	t.Helper()
	return &replica{collector: startCollector(t, receiver+"storage: file_storage\n")}
}

var stores = map[string]func(t *testing.T, receiver string) *replica{"embedded": startEmbedded, "redis": startLeader}

// eachStoreAndAPI runs a test with each store and each API.
func eachStoreAndAPI(
	t *testing.T,
	test func(t *testing.T, api string, start func(t *testing.T, receiver string) *replica),
) {
	t.Helper()
	for name, start := range stores {
		for _, api := range []string{"graphql", "rest"} {
			t.Run(name+"/"+api, func(t *testing.T) {
				t.Parallel()
				test(t, api, start)
			})
		}
	}
}

// sum adds up the series of a metric and a repository, and reports whether there are any.
func (c *collector) sum(t *testing.T, metric, repo string) (sum float64, there bool) {
	t.Helper()
	page, err := c.page(t.Context())
	require.NoError(t, err)
	for line := range strings.Lines(page) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if !ok || !strings.HasPrefix(name, metric+"{") || !strings.Contains(name, fmt.Sprintf("repo=%q", repo)) {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		require.NoError(t, err)
		sum, there = sum+number, true
	}
	return sum, there
}

// awaitSum waits until the series of a metric and a repository add up to a number.
func (c *collector) awaitSum(t *testing.T, metric, repo string, want int) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		if sum, _ := c.sum(t, metric, repo); sum != float64(want) {
			return fmt.Errorf("%s of %s is %v, want %d", metric, repo, sum, want)
		}
		return nil
	})
}

// passCount returns the number of passes with a result.
func (c *collector) passCount(t *testing.T, result string) float64 {
	t.Helper()
	return c.count(t.Context(), fmt.Sprintf("gh_exporter_scrape_runs_total{org=%q,result=%q}", org, result))
}

// awaitPasses waits for more passes with a result.
func (c *collector) awaitPasses(t *testing.T, result string, more float64) {
	t.Helper()
	began := c.passCount(t, result)
	eventually(t, time.Minute, func() error {
		if now := c.passCount(t, result); now < began+more {
			return fmt.Errorf("%v passes are %s, %v were", now, result, began)
		}
		return nil
	})
}

// addEvents adds a commit, a pull request and a comment to a repository, now.
func addEvents(d *githubtest.Dataset, timeline githubtest.Timeline, repo string, id int) {
	at := timeline.ToData(time.Now())
	user := new("ada")
	d.Commits = append(
		d.Commits,
		githubtest.Commit{
			Repo:        repo,
			SHA:         fmt.Sprintf("%040x", id),
			Login:       user,
			AuthoredAt:  at,
			CommittedAt: at,
			Parents:     1,
		},
	)
	d.Pulls = append(d.Pulls, githubtest.Pull{Repo: repo, Number: id, Login: user, CreatedAt: at})
	d.Comments = append(
		d.Comments,
		githubtest.Comment{Repo: repo, Issue: id, ID: int64(id), Login: user, CreatedAt: at, UpdatedAt: at},
	)
}

// addedID is the first id of what a test adds.
const addedID = 900_000_000 // the id of what a test adds

// TestDisabledFeature: disabled pull requests and issues of a repository are not requested and have no gaps; when they
// are enabled again, what happened before is found.
func TestDisabledFeature(t *testing.T) {
	t.Parallel()
	eachStoreAndAPI(t, func(t *testing.T, api string, start func(*testing.T, string) *replica) {
		data := newActiveOrg(3, 72*time.Hour, 6*time.Hour)
		server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{data}, Limits: highLimits})
		gx := start(t, fmt.Sprintf(disabledConfig, org, githubtest.DefaultToken, server.URL, api))
		const off = "repo-01"
		gx.awaitComplete(t, org)
		pulls, _ := gx.sum(t, "gh_activity_prs_opened_total", off)
		comments, _ := gx.sum(t, "gh_activity_issue_comments_total", off)
		require.Positive(t, pulls)
		switchOff := func(d *githubtest.Dataset, off []githubtest.Period) {
			d.Repo("repo-01").PullsOff, d.Repo("repo-01").IssuesOff = off, off
		}
		server.Update(func(d *githubtest.Dataset) {
			addEvents(d, server.Timeline(), off, addedID) // read by the commit alone
			switchOff(d, []githubtest.Period{{Start: server.Timeline().ToData(time.Now().Add(-time.Second))}})
		})
		gx.awaitComplete(t, org)
		gx.awaitSum(t, "gh_activity_commits_total", off, int(pulls)+1) // each has a commit beside it
		gx.awaitSum(t, "gh_activity_prs_opened_total", off, int(pulls))
		partial := gx.passCount(t, "partial")
		server.ResetRequests()
		gx.awaitPasses(t, "success", 5)
		require.Zero(t, server.CountRequests(func(r githubtest.RequestInfo) bool {
			return r.Repo == off && (strings.Contains(r.Route, "/pulls") || strings.Contains(r.Route, "/issues"))
		}))
		require.InDelta(t, partial, gx.passCount(t, "partial"), 0)
		lag, err := gx.value(t.Context(), fmt.Sprintf("gh_exporter_coverage_lag_seconds{org=%q}", org))
		require.NoError(t, err)
		require.Less(t, lag, 15.0)
		require.Zero(t, gx.count(t.Context(), fmt.Sprintf("gh_exporter_gaps{org=%q}", org)))

		server.Update(func(d *githubtest.Dataset) { switchOff(d, nil) })
		gx.awaitSum(t, "gh_activity_prs_opened_total", off, int(pulls)+1)
		gx.awaitSum(t, "gh_activity_issue_comments_total", off, int(comments)+1)
		gx.awaitComplete(t, org)
	})
}

// TestOldServerWithoutTheFlag: a server that does not know that pull requests can be disabled is read with GraphQL all
// the same.
func TestOldServerWithoutTheFlag(t *testing.T) {
	t.Parallel()
	data := newActiveOrg(2, 24*time.Hour, 6*time.Hour)
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{
			data,
		},
		Limits:        highLimits,
		MissingFields: []string{"Repository.hasPullRequestsEnabled"},
	})
	gx := startEmbedded(t, fmt.Sprintf(disabledConfig, org, githubtest.DefaultToken, server.URL, "graphql"))
	gx.awaitComplete(t, org)
	gx.awaitSum(t, "gh_activity_prs_opened_total", "repo-01", 4)
	require.Zero(t, gx.passCount(t, "partial")+gx.passCount(t, "failure"))
	require.Zero(t, server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Route == "/orgs/{org}/repos" }))
}

// forbiddenText is GitHub's message for a forbidden repository.
const forbiddenText = "Resource protected by organization SAML enforcement"

// TestForbiddenForAWhile: repositories that the credential may not read for a while keep their series, their windows
// are gaps, and the log and the health page have GitHub's message; afterwards they are complete.
func TestForbiddenForAWhile(t *testing.T) {
	t.Parallel()
	eachStoreAndAPI(t, func(t *testing.T, api string, start func(*testing.T, string) *replica) {
		data := newActiveOrg(4, 72*time.Hour, 6*time.Hour)
		server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{data}, Limits: highLimits})
		gx := start(t, fmt.Sprintf(disabledConfig, org, githubtest.DefaultToken, server.URL, api))
		gx.awaitComplete(t, org)
		names := []string{"repo-00", "repo-01", "repo-02"}
		before := make(map[string]float64)
		for _, name := range names {
			before[name], _ = gx.sum(t, "gh_activity_commits_total", name)
			require.Positive(t, before[name])
		}
		forbid := func(d *githubtest.Dataset, periods []githubtest.Period) {
			for _, name := range names {
				d.Repo(name).Forbidden = periods
			}
		}
		server.Update(func(d *githubtest.Dataset) {
			forbid(d, []githubtest.Period{{Start: server.Timeline().ToData(time.Now().Add(-time.Second))}})
			for i, name := range names {
				addEvents(d, server.Timeline(), name, addedID+i)
			}
		})
		gx.awaitPasses(t, "partial", 4)
		gaps := gx.count(t.Context(), fmt.Sprintf("gh_exporter_gaps{org=%q}", org))
		require.GreaterOrEqual(t, gaps, 9.0, "three streams of each")
		for _, name := range names {
			commits, there := gx.sum(t, "gh_activity_commits_total", name)
			require.True(t, there)
			require.InDelta(t, before[name], commits, 0)
		}
		awaitLog(t, gx.Process, "3 repositories that were readable are forbidden to the credential")
		awaitLog(t, gx.Process, forbiddenText)
		if gx.health != "" {
			gx.awaitHealth(t, expectedHealth{"leader", "degraded", "github", false}, healthTimeout)
			gx.awaitDetail(t, "github", forbiddenText)
		}
		require.Zero(t, gx.count(t.Context(), fmt.Sprintf(`gh_exporter_backfill_dlq_total{org=%q}`, org)))
		server.Update(func(d *githubtest.Dataset) { forbid(d, nil) })
		gx.awaitComplete(t, org)
		for _, name := range names {
			for _, metric := range []string{"commits", "prs_opened", "issue_comments"} {
				gx.awaitSum(t, "gh_activity_"+metric+"_total", name, int(before[name])+1)
			}
		}
		if gx.health != "" {
			gx.awaitHealth(t, expectedHealth{"leader", "healthy", "github", true}, healthTimeout)
		}
	})
}

// detail returns the detail of a dependency.
func (p healthPage) detail(dependency string) string {
	return p.Components["Receiver:githubexporter"].Dependencies[dependency].Detail
}

// awaitDetail waits until the health page has a detail of a dependency.
func (r *replica) awaitDetail(t *testing.T, dependency, text string) {
	t.Helper()
	eventually(t, healthTimeout, func() error {
		if detail := r.healthz(t).detail(dependency); !strings.Contains(detail, text) {
			return fmt.Errorf("the detail of %s is %q, want %q", dependency, detail, text)
		}
		return nil
	})
}

// TestForbiddenAtFirstContact: a warning has the number of the repositories that the credential never could read, with
// GitHub's message.
func TestForbiddenAtFirstContact(t *testing.T) {
	t.Parallel()
	for api, texts := range map[string][]string{
		"graphql": {"at least 2 repositories of the listing are forbidden to the credential", forbiddenText},
		"rest":    {"repositories of the listing are forbidden to the credential", "X-GitHub-SSO: partial-results"},
	} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			data := newActiveOrg(3, 24*time.Hour, 6*time.Hour)
			for _, name := range []string{"repo-01", "repo-02"} {
				data.Repo(name).Forbidden = []githubtest.Period{{Start: data.Org.From}}
			}
			server := githubtest.Start(t, githubtest.Settings{
				Datasets: []*githubtest.Dataset{data},
				Limits:   highLimits,
			})
			gx := startLeader(t, fmt.Sprintf(disabledConfig, org, githubtest.DefaultToken, server.URL, api))
			gx.awaitPasses(t, "partial", 2)
			gx.awaitSum(t, "gh_activity_commits_total", "repo-00", 5)
			for _, text := range texts {
				awaitLog(t, gx.Process, text)
			}
			gx.awaitHealth(t, expectedHealth{"leader", "degraded", "github", false}, healthTimeout)
			server.Update(
				func(d *githubtest.Dataset) { d.Repo("repo-01").Forbidden, d.Repo("repo-02").Forbidden = nil, nil },
			)
			gx.awaitComplete(t, org)
			gx.awaitSum(t, "gh_activity_commits_total", "repo-02", 4)
			gx.awaitHealth(t, expectedHealth{"leader", "healthy", "github", true}, healthTimeout)
		})
	}
}

// TestMostVanishAtOnce: when most repositories vanish, a second pass must miss them before any series ends, and the log
// warns meanwhile.
func TestMostVanishAtOnce(t *testing.T) {
	t.Parallel()
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			data := newActiveOrg(4, 24*time.Hour, 6*time.Hour)
			server := githubtest.Start(t, githubtest.Settings{
				Datasets: []*githubtest.Dataset{data},
				Limits:   highLimits,
			})
			config := fmt.Sprintf(disabledConfig, org, githubtest.DefaultToken, server.URL, api)
			gx := startEmbedded(t, strings.Replace(config, "scrape_interval: 1s", "scrape_interval: 5s", 1))
			gx.awaitComplete(t, org)
			server.Update(func(d *githubtest.Dataset) {
				for _, name := range []string{"repo-00", "repo-01", "repo-02"} {
					d.Repo(name).TransferredTo = "elsewhere"
				}
			})
			eventually(t, 30*time.Second, func() error {
				if !strings.Contains(gx.Output(), "Most of the organization's repositories disappeared at once.") {
					return errors.New("no warning")
				}
				return nil
			})
			waitUntil(t, time.Now().Add(2*time.Second)) // an emission
			for _, name := range []string{"repo-00", "repo-01", "repo-02"} {
				_, there := gx.sum(t, "gh_activity_commits_total", name)
				require.True(t, there, "no series has ended yet")
			}
			eventually(t, 30*time.Second, func() error {
				if _, there := gx.sum(t, "gh_activity_commits_total", "repo-00"); there {
					return errors.New("the series has not ended")
				}
				return nil
			})
			_, there := gx.sum(t, "gh_activity_commits_total", "repo-03")
			require.True(t, there)
			require.Equal(t, 1, strings.Count(gx.Output(), "disappeared at once"))
		})
	}
}

// TestReadinessNeedsOnePassOfEachOrganization: a replica that could never read an organization is not ready, with the
// reason; later failures of GitHub are degraded.
func TestReadinessNeedsOnePassOfEachOrganization(t *testing.T) {
	t.Parallel()
	data := newActiveOrg(2, 24*time.Hour, 6*time.Hour)
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{
			data,
		},
		Limits:      highLimits,
		Credentials: []githubtest.Credential{{Token: "good", Name: "good", Login: "g"}},
	})
	redis := redistest.Start(t)
	store := fmt.Sprintf("{endpoints: [%q]}", redis.Address)
	config := func(org, token string) string { return fmt.Sprintf(disabledConfig, org, token, server.URL, "graphql") }
	unready := func(r *replica, role string, texts ...string) {
		t.Helper()
		r.awaitHealth(t, expectedHealth{role, "unhealthy", "github_access", false}, 30*time.Second)
		eventually(t, 2*healthTimeout, func() error {
			for _, text := range texts {
				if detail := r.healthz(t).detail("github_access"); !strings.Contains(detail, text) {
					return fmt.Errorf("no %q in %q", text, detail)
				}
			}
			return nil
		})
	}
	server.InjectFault(githubtest.Fault{Effect: githubtest.Status(http.StatusServiceUnavailable)})
	leads := startReplica(t, "static: {role: leader}", store, config(org, "good"))
	unready(leads, "leader", "organization "+org+": nothing has been read yet", "503")
	server.ClearFaults()
	leads.awaitHealth(t, expectedHealth{"leader", "healthy", "github_access", true}, 30*time.Second)

	t.Run("a wrong credential", func(t *testing.T) {
		r := startLeader(t, config(org, "wrong"))
		unready(r, "leader", "credential refused (status 401): Bad credentials")
	})
	t.Run("an unknown organization", func(t *testing.T) {
		r := startLeader(t, config("nobodys", "good"))
		unready(r, "leader", "organization nobodys: ", "not found")
	})
	t.Run("a follower with a wrong credential", func(t *testing.T) {
		r := startReplica(t, "static: {role: follower}", store, config(org, "another"))
		unready(r, "follower", "credential refused (status 401): Bad credentials")
		server.AddCredential(githubtest.Credential{Token: "another", Name: "another", Login: "a"})
		r.awaitHealth(t, expectedHealth{"follower", "healthy", "github_access", true}, 30*time.Second)
		server.ResetRequests()
		waitUntil(t, time.Now().Add(3*time.Second))
		require.Zero(
			t,
			server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Credential == "another" }),
			"it is requested once",
		)
	})
	access := func() bool {
		return leads.healthz(t).Components["Receiver:githubexporter"].Dependencies["github_access"].Healthy
	}
	server.RevokeToken("good") // a later failure
	leads.awaitHealth(t, expectedHealth{"leader", "degraded", "github", false}, 30*time.Second)
	require.True(t, access())
	leads.Stop()
	leads.start(t)
	unready(leads, "leader", "credential refused")
	server.AddCredential(githubtest.Credential{Token: "good", Name: "good", Login: "g"})
	leads.awaitHealth(t, expectedHealth{"leader", "healthy", "github_access", true}, 30*time.Second)

	server.InjectFault(
		githubtest.Fault{Effect: githubtest.Status(http.StatusServiceUnavailable)},
	) // GitHub is down at the start
	leads.Stop()
	leads.start(t)
	leads.awaitHealth(t, expectedHealth{"leader", "degraded", "github", false}, 30*time.Second)
	require.True(t, access())
}
