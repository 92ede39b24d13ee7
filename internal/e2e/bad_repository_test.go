// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// badRepoConfig reads a small organization, with a short time-out and interval.
const badRepoConfig = `
orgs:
  - name: acme
    auth: {token: %s}
    scrape_interval: %s
    lookback: 24h
github:
  endpoint: %q
  api: %s
  timeout: %s
  retry: {initial_interval: 20ms, max_interval: 200ms}
backfill: {requeue_delays: [2s, 5s], sweep_interval: 5s}
storage: file_storage
emit_interval: 1s
`

const (
	goodRepos = 12
	badRepo   = "r00"
)

// smallOrg returns an organization with a bad repository and good ones, each with an event of every kind.
func smallOrg(now time.Time) *githubtest.Dataset {
	data := &githubtest.Dataset{Org: githubtest.Org{Login: "acme", CreatedAt: now.AddDate(-1, 0, 0)}}
	for n := range goodRepos + 1 {
		name := fmt.Sprintf("r%02d", n)
		data.Repos = append(data.Repos, githubtest.Repo{
			ID: int64(1000 + n), Name: name, DefaultBranch: "main", CreatedAt: now.AddDate(-1, 0, n),
		})
		addActivity(data, name, now.Add(-time.Hour))
	}
	return data
}

// addActivity adds a commit, a pull request and a comment to a repository.
func addActivity(data *githubtest.Dataset, repo string, at time.Time) {
	login := "ada"
	at = at.UTC().Truncate(time.Second)
	data.Commits = append(data.Commits, githubtest.Commit{
		Repo:        repo,
		SHA:         fmt.Sprintf("%040x", 1<<20+len(data.Commits)),
		Login:       &login,
		AuthoredAt:  at,
		CommittedAt: at,
		Parents:     1,
		Additions:   3,
		Deletions:   1,
	})
	number := len(data.Pulls) + 1
	data.Pulls = append(
		data.Pulls,
		githubtest.Pull{Repo: repo, Number: number, Login: &login, CreatedAt: at, UpdatedAt: at, State: "OPEN"},
	)
	data.Comments = append(data.Comments, githubtest.Comment{
		Repo: repo, ID: int64(50_000 + len(data.Comments)), Issue: number, Login: &login, CreatedAt: at, UpdatedAt: at,
	})
}

// smallOrgCollector is a collector that reads the small organization.
type smallOrgCollector struct {
	*collector

	server *githubtest.Server
	rounds int
}

// startSmallOrgCollector starts a collector that reads the small organization.
func startSmallOrgCollector(t *testing.T, api string, interval, timeout time.Duration,
	lacking ...string,
) *smallOrgCollector {
	t.Helper()
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{
			smallOrg(time.Now()),
		},
		Timeline:      githubtest.Timeline{Pivot: time.Now(), Start: time.Now()},
		Limits:        highLimits,
		MissingFields: lacking,
	})
	gx := startCollector(t, fmt.Sprintf(badRepoConfig, githubtest.DefaultToken, interval, server.URL, api, timeout))
	return &smallOrgCollector{collector: gx, server: server, rounds: 1}
}

var repoSeries = regexp.MustCompile(`^(gh_activity_\w+_total)\{.*repo="(r\d\d)".*\} (\d+)$`)

// sums returns the values of a counter by repository.
func (f *smallOrgCollector) sums(t *testing.T, metric string) map[string]int {
	t.Helper()
	page, err := f.page(t.Context())
	require.NoError(t, err)
	found := make(map[string]int)
	for line := range strings.Lines(page) {
		if m := repoSeries.FindStringSubmatch(strings.TrimSpace(line)); m != nil && m[1] == metric {
			n, _ := strconv.Atoi(m[3])
			found[m[2]] += n
		}
	}
	return found
}

// addRound adds an event to every repository and waits until the good ones show it.
func (f *smallOrgCollector) addRound(t *testing.T, within time.Duration) {
	t.Helper()
	f.rounds++
	f.server.Update(func(d *githubtest.Dataset) {
		for n := range goodRepos + 1 {
			addActivity(d, fmt.Sprintf("r%02d", n), time.Now().Add(-2*time.Second))
		}
	})
	f.awaitRounds(t, within, func(repo string) bool { return repo != badRepo })
}

// awaitRounds waits until the chosen repositories show all rounds.
func (f *smallOrgCollector) awaitRounds(t *testing.T, within time.Duration, chosen func(repo string) bool) {
	t.Helper()
	eventually(t, within, func() error {
		for _, metric := range []string{
			"gh_activity_commits_total", "gh_activity_prs_opened_total",
			"gh_activity_issue_comments_total",
		} {
			sums := f.sums(t, metric)
			for n := range goodRepos + 1 {
				if repo := fmt.Sprintf("r%02d", n); chosen(repo) && sums[repo] != f.rounds {
					return fmt.Errorf("%s of %s: %d, want %d", metric, repo, sums[repo], f.rounds)
				}
			}
		}
		return nil
	})
}

// requireNoCooldown requires that no cooldown has begun.
func (f *smallOrgCollector) requireNoCooldown(t *testing.T) {
	t.Helper()
	require.True(t, f.lastLogged(cooldownBegins).IsZero(), "one repository begins no cooldown")
	require.Zero(t, f.count(t.Context(), `gh_exporter_scrape_runs_total{org="acme",result="skipped_unhealthy"}`))
}

// everyRepo chooses every repository.
func everyRepo(string) bool { return true }

// TestOneBadRepository: whatever fails in one repository, the twelve others are at most one scrape interval late, no
// cooldown begins, and the one is read again when the fault ends.
func TestOneBadRepository(t *testing.T) {
	t.Parallel()
	const interval = 2 * time.Second
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			f := startSmallOrgCollector(t, api, interval, 5*time.Second)
			f.awaitRounds(t, time.Minute, everyRepo)
			for name, effect := range map[string]githubtest.Effect{
				"502": githubtest.GraphQLTimeout(502), "503": githubtest.Status(503),
				"broken JSON": githubtest.TruncatedJSON(),
				"403":         githubtest.Status(403), "404": githubtest.Status(404),
				"reset": githubtest.ConnectionReset(),
			} {
				fault := f.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Repo: badRepo}, Effect: effect})
				together := f.server.InjectFault(
					githubtest.Fault{Match: githubtest.Match{Func: isGroupQueryWithBadRepo}, Effect: effect},
				)
				for range 2 {
					f.addRound(t, 2*interval+4*time.Second)
				}
				t.Logf("%s: struck %d times, and %d groups", name, fault.Hits(), together.Hits())
				f.server.ClearFaults()
			}
			f.requireNoCooldown(t)
		})
	}
}

// isGroupQueryWithBadRepo reports whether a request is a query for several repositories with the bad one among them.
func isGroupQueryWithBadRepo(r githubtest.RequestInfo) bool {
	bad := githubtest.RepositoryNodeID(1000)
	for name, value := range r.Variables {
		if r.Operation == "Activities" && strings.HasPrefix(name, "id") && value == bad {
			return true
		}
	}
	return false
}

// TestOneHangingRepository: a repository for which GitHub does not respond in time takes one slot and a bounded time of
// each pass; passes end, and it is read again when the fault ends.
func TestOneHangingRepository(t *testing.T) {
	t.Parallel()
	const interval = 10 * time.Second
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			f := startSmallOrgCollector(t, api, interval, time.Second)
			f.awaitRounds(t, time.Minute, everyRepo)
			f.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Repo: badRepo}, Effect: githubtest.Hang()})
			f.server.InjectFault(githubtest.Fault{
				Match:  githubtest.Match{Func: isGroupQueryWithBadRepo},
				Effect: githubtest.Hang(),
			})
			for range 3 {
				f.addRound(t, 2*interval)
			}
			f.requireNoCooldown(t)
			require.Less(
				t,
				f.count(t.Context(), `gh_exporter_scrape_duration_seconds{org="acme"}`),
				1.2*interval.Seconds(),
			)
			f.server.ClearFaults()
			f.awaitRounds(t, time.Minute, everyRepo)
		})
	}
}

// TestLinesThatFail: commits whose lines GitHub cannot compute are counted, without lines where GitHub has none; pull
// requests and comments of the repository are still read.
func TestLinesThatFail(t *testing.T) {
	t.Parallel()
	withLines := githubtest.Match{Operation: "Activity", Repo: badRepo, Variables: map[string]any{"lines": true}}
	group := githubtest.Match{Func: isGroupQueryWithBadRepo}
	single := githubtest.Match{Repo: badRepo, Route: "/repos/{owner}/{repo}/commits/{ref...}"}
	for name, test := range map[string]struct {
		api    string
		faults []githubtest.Match
		lines  bool
	}{
		"graphql, lines apart": {"graphql", []githubtest.Match{withLines, group}, true},
		"graphql, no lines":    {"graphql", []githubtest.Match{withLines, group, {Operation: "Lines"}, single}, false},
		"rest, no lines":       {"rest", []githubtest.Match{single}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startSmallOrgCollector(t, test.api, 2*time.Second, 5*time.Second)
			f.awaitRounds(t, time.Minute, everyRepo)
			for _, m := range test.faults {
				f.server.InjectFault(githubtest.Fault{Match: m, Effect: githubtest.GraphQLTimeout(502)})
			}
			f.addRound(t, 15*time.Second)
			f.awaitRounds(t, 45*time.Second, everyRepo)
			added := f.sums(t, "gh_activity_loc_added_total")
			require.Equal(t, 6, added["r01"])
			invalid := f.count(t.Context(), `gh_exporter_invalid_values_total{org="acme"}`)
			if test.lines {
				require.Equal(t, 6, added[badRepo])
				require.Zero(t, invalid)
			} else {
				require.Equal(t, 3, added[badRepo], "the first commit's")
				require.Positive(t, invalid)
			}
			f.requireNoCooldown(t)
		})
	}
}

// TestUndecodableValues: a value that cannot be decoded drops its row, which is counted; the rows beside it are read.
func TestUndecodableValues(t *testing.T) {
	t.Parallel()
	const year = `"12200-05-05T00:00:00Z"`
	for api, paths := range map[string]map[string]string{
		"graphql": {
			"Activity":   "**.history.nodes.0.committedDate",
			"Activities": "r0.defaultBranchRef.target.history.nodes.0.committedDate",
		},
		"rest": {
			"/repos/{owner}/{repo}/compare/{basehead...}": "commits.1.commit.committer.date",
			"/repos/{owner}/{repo}/commits":               "1.commit.committer.date",
		},
	} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			f := startSmallOrgCollector(t, api, 2*time.Second, 5*time.Second)
			f.awaitRounds(t, time.Minute, everyRepo)
			for question, path := range paths {
				f.server.InjectFault(githubtest.Fault{
					Match: githubtest.Match{
						Repo: badRepo,
						Func: func(r githubtest.RequestInfo) bool {
							return r.Operation == question ||
								r.Route == question
						},
					},
					Effect: githubtest.ValueAt(path, year),
				})
			}
			f.server.Update(func(d *githubtest.Dataset) {
				for range 2 {
					addActivity(d, badRepo, time.Now().Add(-2*time.Second))
				}
			})
			eventually(t, 20*time.Second, func() error {
				commits, pulls := f.sums(t, "gh_activity_commits_total")[badRepo],
					f.sums(t, "gh_activity_prs_opened_total")[badRepo]
				if commits != 2 || pulls != 3 {
					return fmt.Errorf("%d commits and %d pull requests, want 2 and 3", commits, pulls)
				}
				return nil
			})
			f.awaitValue(t, 1, `gh_exporter_invalid_values_total{org="acme"}`, atLeast)
			f.awaitValue(t, 0, `gh_exporter_gaps{org="acme"}`)
			require.Zero(t, f.count(t.Context(), `gh_exporter_scrape_runs_total{org="acme",result="partial"}`))
			f.requireNoCooldown(t)
		})
	}
}

// TestTransientRefusals: every twentieth request has the response 404. No series ends, and nothing is late by more than
// two intervals.
func TestTransientRefusals(t *testing.T) {
	t.Parallel()
	const interval = 2 * time.Second
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			f := startSmallOrgCollector(t, api, interval, 5*time.Second)
			f.awaitRounds(t, time.Minute, everyRepo)
			for _, status := range []int{http.StatusNotFound, http.StatusForbidden} {
				fault := f.server.InjectFault(githubtest.Fault{Every: 20, Effect: githubtest.Status(status)})
				for range 4 {
					f.addRound(t, 2*interval+3*time.Second)
					f.awaitRounds(t, 2*interval+3*time.Second, everyRepo)
				}
				require.Positive(t, fault.Hits())
				fault.Disarm()
			}
			require.Len(t, f.sums(t, "gh_activity_commits_total"), goodRepos+1, "no series has ended")
			require.NotContains(t, f.Output(), "is gone")
		})
	}
}

// TestServerThatLacksAField: the log names the field and the setting that helps, no cooldown follows, and what REST has
// is read.
func TestServerThatLacksAField(t *testing.T) {
	t.Parallel()
	const logged = "The server's GraphQL schema lacks a queried field. Falling back to REST where REST has the data; " +
		"other windows remain gaps."
	named := func(f *smallOrgCollector, field string) func() error {
		return func() error {
			if f.lastLogged(logged).IsZero() || !strings.Contains(f.Output(), field) ||
				!strings.Contains(f.Output(), "github::api: rest") {
				return errors.New("the log does not name " + field)
			}
			return nil
		}
	}
	t.Run("of the listing", func(t *testing.T) {
		t.Parallel()
		f := startSmallOrgCollector(t, "graphql", 2*time.Second, 5*time.Second, "Repository.isEmpty")
		f.awaitRounds(t, time.Minute, everyRepo)
		f.addRound(t, 10*time.Second)
		eventually(t, 10*time.Second, named(f, "Repository.isEmpty"))
		f.requireNoCooldown(t)
	})
	t.Run("of pull requests", func(t *testing.T) {
		t.Parallel()
		f := startSmallOrgCollector(t, "graphql", time.Second, 5*time.Second, "PullRequest.mergedAt")
		eventually(t, time.Minute, named(f, "PullRequest.mergedAt"))
		eventually(t, time.Minute, func() error {
			if sums := f.sums(t, "gh_activity_issue_comments_total"); len(sums) != goodRepos+1 {
				return fmt.Errorf("comments of %d repositories", len(sums))
			}
			return nil
		})
		f.requireNoCooldown(t)
		graphql := f.server.CountRequests(
			func(r githubtest.RequestInfo) bool { return r.Operation == "" && r.Route == "/graphql" },
		)
		require.LessOrEqual(
			t,
			graphql,
			12,
			"the queries in flight, and then none: a document that the schema refuses is not sent again and "+
				"again",
		)
	})
}
