// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

const namesConfig = `
orgs:
  - name: Acme
    auth: {token: %[1]s}
    scrape_interval: 1s
    repositories: {include: [LIB-*, 'acme/App', '{lib-core,app}'], exclude: [lib-OLD, 'acme/*[x]']}
github: {endpoint: %[2]q, api: %[3]s, retry: {initial_interval: 100ms, max_interval: 1s}}
actors: {bots: %[4]s, exclude: ['Dependabot[bot]', ADA, 'nobody*', 'dependabo[bt]']}
emit_interval: 1s
`

// namedData returns an organization whose names differ in case from those in the configuration.
func namedData() *githubtest.Dataset {
	now := time.Now().UTC().Truncate(time.Second)
	data := &githubtest.Dataset{Org: githubtest.Org{Login: "acme", From: now.AddDate(0, 0, -10), Until: now}}
	for _, name := range []string{"Lib-Core", "lib-old", "app", "other"} {
		data.Repos = append(data.Repos, githubtest.Repo{Name: name, CreatedAt: now.AddDate(0, 0, -9)})
	}
	data.Users = []githubtest.User{githubtest.CodingAgent()}
	merged := now.Add(-time.Hour)
	for i, login := range []string{"ada", "dependabot[bot]", "dependabob", "Copilot", "eve"} {
		at := now.Add(-time.Duration(i+2) * time.Hour)
		for r, repo := range data.Repos {
			data.Commits = append(data.Commits, githubtest.Commit{
				Repo: repo.Name, SHA: fmt.Sprintf("%040x", 100*(r+1)+i), Login: &login,
				AuthoredAt: at, CommittedAt: at, Additions: 3, Parents: 1,
			})
			data.Pulls = append(data.Pulls, githubtest.Pull{
				Repo: repo.Name, Number: i + 1, Login: &login, CreatedAt: at, MergedAt: &merged, ClosedAt: &merged,
			})
			data.Reviews = append(data.Reviews, githubtest.Review{
				Repo:        repo.Name,
				Pull:        i + 1,
				ID:          int64(1000*(r+1) + i),
				Login:       &login,
				SubmittedAt: &merged,
				State:       "APPROVED",
			})
			data.Comments = append(data.Comments, githubtest.Comment{
				Repo:      repo.Name,
				Issue:     i + 1,
				ID:        int64(2000*(r+1) + i),
				Login:     &login,
				CreatedAt: merged,
				UpdatedAt: merged,
			})
		}
	}
	unlinked := githubtest.Commit{
		Repo: "app", SHA: fmt.Sprintf("%040x", 9999), AuthoredAt: merged, CommittedAt: merged, Parents: 1,
		CommitAuthor: githubtest.CommitAuthor{
			AuthorName: "copilot-swe-agent[bot]", AuthorEmail: githubtest.CodingAgentAddress,
		},
	}
	data.Commits = append(data.Commits, unlinked)
	return data
}

// TestNamesAsWritten: only * and ? are wildcards, case is ignored, a pattern may have the organization in front,
// patterns without a match are logged once, and GitHub's coding agent is one bot, however it is read.
func TestNamesAsWritten(t *testing.T) {
	t.Parallel()
	for _, api := range []string{"graphql", "rest"} {
		for _, bots := range []string{"include", "exclude"} {
			t.Run(api+" "+bots, func(t *testing.T) {
				t.Parallel()
				server := githubtest.Start(t, githubtest.Settings{
					Datasets: []*githubtest.Dataset{namedData()}, Now: time.Now, Limits: highLimits,
				})
				gx := startCollector(t, fmt.Sprintf(namesConfig, githubtest.DefaultToken, server.URL, api, bots))
				gx.awaitComplete(t, "Acme")
				want := map[string]float64{"dependabob": 1, "eve": 1}
				if bots == "include" {
					want["Copilot[bot]"] = 1
				}
				for _, repo := range []string{"Lib-Core", "app"} {
					for _, metric := range []string{
						"commits", "prs_opened", "prs_merged", "reviews_submitted",
						"issue_comments",
					} {
						found := gx.valuesByUser(t, metric, repo)
						if repo == "app" && metric == "commits" && bots == "include" {
							found["Copilot[bot]"]-- // the one that GitHub links to no account
						}
						require.Equal(t, want, found, "%s of %s", metric, repo)
					}
				}
				for _, repo := range []string{"lib-old", "other"} {
					require.Empty(t, gx.valuesByUser(t, "commits", repo))
				}
				requireWarnings(t, gx, server)
			})
		}
	}
}

// requireWarnings checks the warnings about patterns, and that each is logged once until something changes.
func requireWarnings(t *testing.T, gx *collector, server *githubtest.Server) {
	t.Helper()
	const (
		repositories = "match no repository of the organization"
		users        = "match no user found up to the first complete pass"
	)
	eventually(t, 20*time.Second, func() error {
		if log := gx.Output(); !strings.Contains(log, users) || strings.Count(log, "Pass ended.") < 4 {
			return errors.New("no warning, or too few passes")
		}
		return nil
	})
	log := gx.Output()
	require.Equal(t, 1, strings.Count(log, repositories))
	require.Equal(t, 1, strings.Count(log, users))
	require.Contains(t, log, `"include":["{lib-core,app}"],"exclude":["*[x]"]`)
	require.Contains(t, log, `"patterns":["nobody*","dependabo[bt]"]`)
	require.Contains(t, log, `"repositories":2,`, "what is read, not what the filter leaves out")
	server.Update(func(d *githubtest.Dataset) { d.Repo("lib-old").Name = "ancient" })
	eventually(t, 20*time.Second, func() error {
		if n := strings.Count(gx.Output(), repositories); n != 2 {
			return fmt.Errorf("%d warnings", n)
		}
		return nil
	})
	require.Contains(t, gx.Output(), `"exclude":["lib-OLD","*[x]"]`)
}

// valuesByUser returns the values of a metric of a repository, by user.
func (c *collector) valuesByUser(t *testing.T, kind, repo string) map[string]float64 {
	t.Helper()
	page, err := c.page(t.Context())
	require.NoError(t, err)
	found := make(map[string]float64)
	for line := range strings.Lines(page) {
		series, text, _ := strings.Cut(strings.TrimSpace(line), "} ")
		prefix, label := "gh_activity_"+kind+"_24h{", fmt.Sprintf("repo=%q", repo)
		if !strings.HasPrefix(series, prefix) || !strings.Contains(series, label) {
			continue
		}
		_, user, _ := strings.Cut(series, `user="`)
		user, _, _ = strings.Cut(user, `"`)
		var value float64
		_, err := fmt.Sscan(text, &value)
		require.NoError(t, err)
		found[user] += value
	}
	return found
}

const permissionsConfig = `
orgs:
  - name: acme
    auth: {token: %[1]s}
    scrape_interval: 1s
    repositories: {include: [app]}
github: {endpoint: %[2]q, api: %[3]s, retry: {initial_interval: 100ms, max_interval: 1s}}
backfill: {enabled: false}
emit_interval: 1s
`

// TestWhatACredentialLacks: metrics have the expiry of the token, the permissions that it lacks, and the deprecations
// that GitHub announces.
func TestWhatACredentialLacks(t *testing.T) {
	t.Parallel()
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			ends := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
			credential := githubtest.Credential{
				Token: githubtest.DefaultToken, Login: "l", Expires: ends, Forbidden: []string{"pull_requests"},
			}
			server := githubtest.Start(t, githubtest.Settings{
				Datasets: []*githubtest.Dataset{namedData()}, Now: time.Now, Limits: highLimits,
				Credentials: []githubtest.Credential{credential},
			})
			gx := startCollector(t, fmt.Sprintf(permissionsConfig, githubtest.DefaultToken, server.URL, api))
			const missing = `gh_exporter_missing_permission{org="acme",permission="pull_requests"}`
			shows := func(series string, want float64) {
				t.Helper()
				eventually(t, 30*time.Second, func() error {
					if value, err := gx.value(t.Context(), series); err != nil || value != want {
						return fmt.Errorf("%s: %v, %w", series, value, err)
					}
					return nil
				})
			}
			shows(missing, 1)
			shows(`gh_exporter_credential_expires_unixtime{org="acme"}`, float64(ends.Unix()))
			page, err := gx.page(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(page, "\ngh_exporter_missing_permission{"))
			endpoint := map[string]string{"graphql": "Discover", "rest": "/orgs/{org}/repos"}[api]
			announced := fmt.Sprintf(`gh_exporter_github_deprecations_total{endpoint=%q,org="acme"}`, endpoint)
			shows(announced, 0)
			match := githubtest.Match{Route: endpoint}
			if api == "graphql" {
				match = githubtest.Match{Operation: endpoint}
			}
			server.InjectFault(githubtest.Fault{
				Match:  match,
				Times:  2,
				Effect: githubtest.Headers(http.Header{"Sunset": {"Thu, 31 Dec 2026 23:59:59 GMT"}}),
			})
			shows(announced, 2)
			awaitLogCount(t, gx.Process, 1, "GitHub announced the deprecation of an endpoint")
			require.Contains(t, gx.Output(), "Sunset: Thu, 31 Dec 2026 23:59:59 GMT")

			// What needs the permission is not wanted any more.
			server.Update(func(d *githubtest.Dataset) { d.Repos[2].Name = "no-app" })
			credential.Expires = time.Time{}
			server.AddCredential(credential)
			eventually(t, 30*time.Second, func() error {
				page, err := gx.page(t.Context())
				if strings.Contains(page, "_missing_permission{") ||
					strings.Contains(page, "_credential_expires_unixtime{") {
					return errors.New("still shown")
				}
				return err
			})
		})
	}
}
