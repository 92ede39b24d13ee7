// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// renamedAccounts is an organization whose accounts are renamed while collectors read it.
type renamedAccounts struct {
	server *githubtest.Server
	begun  time.Time
	number int
}

// newRenamedAccounts starts a GitHub with events of the accounts ada and bob.
func newRenamedAccounts(t *testing.T) *renamedAccounts {
	t.Helper()
	r := &renamedAccounts{begun: time.Now().Add(-time.Hour)}
	data := &githubtest.Dataset{Org: githubtest.Org{Login: org, From: r.begun.AddDate(0, -2, 0), Until: time.Now()}}
	data.Repos = []githubtest.Repo{{Name: "one", DefaultBranch: "main", CreatedAt: r.begun.AddDate(0, -1, 0)}}
	for range 3 {
		r.addActivity(data, "ada", r.begun)
	}
	r.addActivity(data, "bob", r.begun)
	r.server = githubtest.Start(
		t,
		githubtest.Settings{Datasets: []*githubtest.Dataset{data}, Now: time.Now, Limits: highLimits},
	)
	return r
}

// addActivity adds a commit, a pull request and a comment of an account.
func (r *renamedAccounts) addActivity(d *githubtest.Dataset, login string, at time.Time) {
	r.number++
	d.Commits = append(d.Commits, githubtest.Commit{
		Repo:        "one",
		SHA:         fmt.Sprintf("%040x", r.number),
		Login:       &login,
		AuthoredAt:  at,
		CommittedAt: at,
		Additions:   1,
		Parents:     1,
	})
	d.Pulls = append(d.Pulls, githubtest.Pull{Repo: "one", Number: r.number, Login: &login, CreatedAt: at})
	d.Comments = append(d.Comments, githubtest.Comment{
		Repo: "one", Issue: r.number, ID: int64(r.number), Login: &login, CreatedAt: at, UpdatedAt: at,
	})
}

// requireUsers waits until every page counts as many commits of each user as wanted, and none of another user.
func (r *renamedAccounts) requireUsers(t *testing.T, when string, want map[string]float64, pages ...*collector) {
	t.Helper()
	for _, gx := range pages {
		eventually(t, time.Minute, func() error {
			page, err := gx.page(t.Context())
			if err != nil {
				return err
			}
			counts := make(map[string]float64)
			for user, n := range want {
				for _, metric := range []string{
					"commits_24h", "commits_total", "prs_opened_24h", "prs_opened_total",
					"issue_comments_total",
				} {
					counts["gh_activity_"+metric+" "+user] = n
				}
			}
			shown := activityOf(page)
			for name := range shown {
				if _, counted := counts[name]; !counted && !isUserOf(name, want) {
					return fmt.Errorf("%s is shown after %s", name, when)
				}
			}
			for name, n := range counts {
				if shown[name] != n {
					return fmt.Errorf("after %s: %s", when, cmp.Diff(n, shown[name]))
				}
			}
			return nil
		})
	}
	t.Logf("right after %s", when)
}

// isUserOf reports whether a metric is of one of the users.
func isUserOf(name string, users map[string]float64) bool {
	for user := range users {
		if len(name) > len(user) && name[len(name)-len(user)-1:] == " "+user {
			return true
		}
	}
	return false
}

// TestRenamedAccount: an account is one user under its newest login, also for past events; an account that takes the
// former login is another user. It is the same after a kill -9, with a new replica and after a takeover.
func TestRenamedAccount(t *testing.T) {
	t.Parallel()
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			r := newRenamedAccounts(t)
			gx := startCollector(t, fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, r.server.URL, api))
			after := r.renameAccounts(t, gx)
			gx.Kill()
			gx.start(t)
			gx.awaitComplete(t, org)
			r.requireUsers(t, "kill -9", after, gx)
			requireNoSecret(t, gx.Output())
		})
	}
	t.Run("replicas", func(t *testing.T) {
		t.Parallel()
		r := newRenamedAccounts(t)
		redis := redistest.Start(t)
		config := fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, r.server.URL)
		replicas := startReplicas(t, 2, redis.Address, config)
		after := r.renameAccounts(t, replicas[0].collector, replicas[1].collector)
		late := startReplicas(t, 1, redis.Address, config)
		r.requireUsers(t, "the start of a replica", after, late[0].collector)
		led := awaitLeader(t, replicas)
		replicas[led].Kill()
		r.server.Update(func(d *githubtest.Dataset) { r.addActivity(d, "bob", time.Now().Add(-time.Second)) })
		after["bob"]++
		r.requireUsers(t, "a takeover", after, replicas[1-led].collector, late[0].collector)
		requireEqualPages(t, append(late, replicas[1-led]), 3)
	})
}

// renameAccounts renames accounts and returns what the pages must count afterwards.
func (r *renamedAccounts) renameAccounts(t *testing.T, pages ...*collector) map[string]float64 {
	t.Helper()
	r.requireUsers(t, "the first contact", map[string]float64{"ada": 3, "bob": 1}, pages...)
	r.server.Update(func(d *githubtest.Dataset) {
		d.User("ada").RenamedTo = "ada-lovelace"
		r.addActivity(d, "ada", time.Now().Add(-time.Second))
	})
	r.requireUsers(t, "a rename", map[string]float64{"ada-lovelace": 4, "bob": 1}, pages...)
	r.server.Update(func(d *githubtest.Dataset) {
		d.User("newcomer").RenamedTo = "ada"
		r.addActivity(d, "newcomer", time.Now().Add(-time.Second))
	})
	r.requireUsers(t, "the login was taken", map[string]float64{"ada-lovelace": 4, "ada": 1, "bob": 1}, pages...)
	r.server.Update(func(d *githubtest.Dataset) { // what is read again shows the new login, and nothing else happens
		d.User("bob").RenamedTo = "robert"
		for i := range d.Pulls {
			if *d.Pulls[i].Login == "bob" {
				d.Pulls[i].TouchedAt = append(d.Pulls[i].TouchedAt, time.Now().Add(-time.Second))
			}
		}
	})
	after := map[string]float64{"ada-lovelace": 4, "ada": 1, "robert": 1}
	r.requireUsers(t, "a rename without an event", after, pages...)
	r.server.Update(func(d *githubtest.Dataset) { d.User("bob").RenamedTo = "" })
	r.server.Update(func(d *githubtest.Dataset) { r.addActivity(d, "bob", time.Now().Add(-time.Second)) })
	after = map[string]float64{"ada-lovelace": 4, "ada": 1, "bob": 2}
	r.requireUsers(t, "a rename back", after, pages...)
	require.NotEmpty(t, after)
	return after
}
