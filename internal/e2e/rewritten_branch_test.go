// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// branchUsers are the authors of the commits, in turn.
var branchUsers = []string{"ada", "bob", "eve"}

// rewrittenBranch is a repository whose default branch is rewritten while a collector reads it.
type rewrittenBranch struct {
	server *githubtest.Server
	// pages are the collectors that show it.
	pages []*collector
	// commits are all that there were, branch those that the default branch has: indexes of commits.
	commits []githubtest.Commit
	branch  []int
	// totals are the sums that each page showed last.
	totals map[*collector]map[string]float64
}

// rewriteSteps are the changes of the branch, in their order. Every second commit is of the last complete week, the
// others are of the last hours.
var rewriteSteps = []struct {
	name    string
	happens func(r *rewrittenBranch, d *githubtest.Dataset)
}{
	{"force-push", func(r *rewrittenBranch, d *githubtest.Dataset) { r.push(d, "", r.branch[:7], 1) }},
	{"rebase", func(r *rewrittenBranch, d *githubtest.Dataset) { r.push(d, "", r.branch[:1], 7) }},
	{"another default branch", func(r *rewrittenBranch, d *githubtest.Dataset) {
		r.push(d, "next", r.branch[:2], 3)
		d.Repo("one").Switches = []githubtest.Switch{{Branch: "next", At: time.Now().Add(-time.Second)}}
	}},
	{"reset back", func(r *rewrittenBranch, d *githubtest.Dataset) {
		at := time.Now().Add(-time.Second)
		repo := d.Repo("one")
		repo.Switches = append(repo.Switches, githubtest.Switch{Branch: "main", At: at})
		repo.Resets = []githubtest.Reset{{Branch: "main", SHA: r.commits[4].SHA, At: at}}
		r.branch = []int{0, 1, 2, 3, 4}
	}},
	{"nothing in common", func(r *rewrittenBranch, d *githubtest.Dataset) { r.push(d, "", nil, 5) }},
	{"fast-forward", func(r *rewrittenBranch, d *githubtest.Dataset) { r.push(d, "", r.branch, 1) }},
}

// TestRewrittenBranch: after a force-push, a rebase, a switch of the default branch and a reset, the windows and the
// weekly lines are those of the present branch; the sums never fall; a kill -9 and a restart change nothing.
func TestRewrittenBranch(t *testing.T) {
	t.Parallel()
	statistics := receiverConfig + "\nloc: {source: stats_contributors}\n"
	for name, test := range map[string]struct {
		api, config string
		zerosFrom   int
	}{
		"graphql":                      {"graphql", receiverConfig, 0},
		"rest":                         {"rest", receiverConfig, 0},
		"rest, lines from statistics":  {"rest", statistics, 0},
		"graphql, lines from fallback": {"graphql", linesConfig, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRewrittenBranch(t, test.api, test.config, test.zerosFrom)
			for _, step := range rewriteSteps {
				r.server.Update(func(d *githubtest.Dataset) { step.happens(r, d) })
				r.requireBranch(t, step.name)
			}
			gx := r.pages[0]
			gx.Kill()
			gx.start(t)
			gx.awaitComplete(t, org)
			r.requireBranch(t, "kill -9")
			require.Less(t, gx.Stop(), time.Second)
			requireNoSecret(t, gx.Output())
		})
	}
}

// TestRewrittenBranchOnReplicas: replicas on one Redis show the same, present branch, whichever leads when it is
// rewritten: after each rewrite the leader is killed, or a new replica starts.
func TestRewrittenBranchOnReplicas(t *testing.T) {
	t.Parallel()
	r := newRewrittenBranch(t, 0)
	redis := redistest.Start(t)
	config := fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, r.server.URL)
	replicas := startReplicas(t, 2, redis.Address, config)
	show := func() {
		r.pages = nil
		for _, replica := range replicas {
			r.pages = append(r.pages, replica.collector)
		}
	}
	show()
	r.requireBranch(t, "first contact")
	for n, step := range rewriteSteps {
		if n%2 == 0 {
			replicas = append(replicas, startReplicas(t, 1, redis.Address, config)...)
		}
		r.server.Update(func(d *githubtest.Dataset) { step.happens(r, d) })
		show()
		r.requireBranch(t, step.name)
		if n%2 == 1 {
			led := awaitLeader(t, replicas)
			replicas[led].Kill()
			replicas = slices.Delete(replicas, led, led+1)
			show()
			r.requireBranch(t, "the leader was killed after a "+step.name)
		}
	}
	requireEqualPages(t, replicas, 3)
}

// startRewrittenBranch starts a collector that has read a branch of ten commits.
func startRewrittenBranch(t *testing.T, api, config string, zerosFrom int) *rewrittenBranch {
	t.Helper()
	r := newRewrittenBranch(t, zerosFrom)
	r.pages = []*collector{startCollector(t, fmt.Sprintf(config, org, githubtest.DefaultToken, r.server.URL, api))}
	r.requireBranch(t, "first contact")
	return r
}

// newRewrittenBranch serves a branch of ten commits.
func newRewrittenBranch(t *testing.T, zerosFrom int) *rewrittenBranch {
	t.Helper()
	begun := time.Now().Add(-59 * 24 * time.Hour)
	data := &githubtest.Dataset{Org: githubtest.Org{Login: org, From: begun, Until: time.Now()}}
	data.Repos = []githubtest.Repo{{Name: "one", DefaultBranch: "main", CreatedAt: begun}}
	r := &rewrittenBranch{totals: make(map[*collector]map[string]float64)}
	r.push(data, "", nil, 10)
	r.server = githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{
			data,
		},
		Now:           time.Now,
		Limits:        highLimits,
		StatsPending:  -1,
		StatsZeroFrom: zerosFrom,
	})
	return r
}

// push adds n commits, each on the one before it and the first on the last of base, and makes base and them the branch.
func (r *rewrittenBranch) push(d *githubtest.Dataset, branch string, base []int, n int) {
	now := time.Now()
	next := append([]int{}, base...)
	for range n {
		number := len(r.commits)
		at := now.Add(-time.Duration(1+number) * time.Minute)
		if number%2 == 1 {
			at = lastSunday(now).Add(-time.Duration(1+number) * time.Hour)
		}
		c := githubtest.Commit{
			Repo:        "one",
			SHA:         fmt.Sprintf("%040x", 1+number),
			Login:       &branchUsers[number%len(branchUsers)],
			Branch:      branch,
			AuthoredAt:  at,
			CommittedAt: at,
			Additions:   1 << min(number, 20),
			Deletions:   1,
			Parents:     1,
			ParentSHAs:  []string{},

			CommitObject: githubtest.CommitObject{PushedAt: now.Add(-time.Second)},
		}
		if len(next) > 0 {
			c.ParentSHAs = []string{r.commits[next[len(next)-1]].SHA}
		}
		r.commits = append(r.commits, c)
		d.Commits = append(d.Commits, c)
		next = append(next, number)
	}
	r.branch = next
}

// lastSunday returns the end of the last complete week.
func lastSunday(at time.Time) time.Time {
	sunday := at.UTC().Truncate(24 * time.Hour)
	return sunday.AddDate(0, 0, -int(sunday.Weekday()))
}

// requireBranch waits until every page has the windows and the weekly lines of the branch. Meanwhile no sum may fall.
func (r *rewrittenBranch) requireBranch(t *testing.T, when string) {
	t.Helper()
	begun := time.Now()
	for _, gx := range r.pages {
		r.requirePage(t, gx, when)
	}
	t.Logf("%s: %d pages right after %v", when, len(r.pages), time.Since(begun).Round(100*time.Millisecond))
}

// requirePage is requireBranch for one collector.
func (r *rewrittenBranch) requirePage(t *testing.T, gx *collector, when string) {
	t.Helper()
	if r.totals[gx] == nil {
		r.totals[gx] = make(map[string]float64)
	}
	eventually(t, time.Minute, func() error {
		page, err := gx.page(t.Context())
		if err != nil {
			return err
		}
		shown := activityOf(page)
		for name, value := range shown {
			if strings.Contains(name, "_total ") {
				require.GreaterOrEqual(t, value, r.totals[gx][name], "%s after %s", name, when)
				r.totals[gx][name] = value
			}
		}
		for name, want := range r.expected() {
			if shown[name] != want { // absent is 0: all that a user did may be gone
				return fmt.Errorf("%s after %s: %v, want %v", name, when, shown[name], want)
			}
		}
		return nil
	})
}

// expected returns what must be shown, by "metric user".
func (r *rewrittenBranch) expected() map[string]float64 {
	now := time.Now()
	want := make(map[string]float64)
	for _, user := range branchUsers {
		want["gh_activity_commits_24h "+user], want["gh_activity_loc_added_weekly "+user] = 0, 0
	}
	sunday := lastSunday(now)
	for _, n := range r.branch {
		c := &r.commits[n]
		if c.CommittedAt.After(now.Add(-24 * time.Hour)) {
			want["gh_activity_commits_24h "+*c.Login]++
		}
		if c.CommittedAt.Before(sunday) && !c.CommittedAt.Before(sunday.AddDate(0, 0, -7)) {
			want["gh_activity_loc_added_weekly "+*c.Login] += float64(c.Additions)
		}
	}
	return want
}

// activityOf returns the activity metrics of a page, by "metric user".
func activityOf(page string) map[string]float64 {
	values := make(map[string]float64)
	for line := range strings.Lines(page) {
		name, rest, ok := strings.Cut(line, "{")
		_, labels, is := strings.Cut(rest, `user="`)
		user, rest, _ := strings.Cut(labels, `"`)
		_, number, _ := strings.Cut(rest, "} ")
		var value float64
		if ok && is && strings.HasPrefix(name, "gh_activity_") {
			if _, err := fmt.Sscan(number, &value); err == nil {
				values[name+" "+user] = value
			}
		}
	}
	return values
}
