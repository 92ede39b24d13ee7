// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// teamsConfig switches teams on, for tests that wait for their changes.
const teamsConfig = `teams: {enabled: true, interval: 1s, exclude: ["*-bots"]}
`

// changingTeams is an organization whose teams change while collectors read it.
type changingTeams struct{ server *githubtest.Server }

// newChangingTeams starts a GitHub with teams of users with activity and without, nested and secret ones.
func newChangingTeams(t *testing.T) *changingTeams {
	t.Helper()
	r := newRenamedAccounts(t)
	r.server.Update(func(d *githubtest.Dataset) {
		d.Teams = []githubtest.Team{
			{Slug: "platform", Members: []string{"ada"}},
			{Slug: "storage", Parent: "platform", Members: []string{"bob", "silent"}},
			{Slug: "docs", Members: []string{"ada", "silent"}},
			{Slug: "all-bots", Members: []string{"ada"}},
			{Slug: "incident-7", Secret: true, Members: []string{"ada", "agent"}},
		}
	})
	return &changingTeams{server: r.server}
}

// expected computes the series from the data: the members of each visible team and of all teams below it.
func (c *changingTeams) expected(t *testing.T) []string {
	t.Helper()
	var want []string
	c.server.Update(func(d *githubtest.Dataset) {
		require.NoError(t, d.Validate())
		served := func(login string) string {
			if to := d.User(login).RenamedTo; to != "" {
				return to
			}
			return login
		}
		for _, team := range d.Teams {
			for above := &team; above != nil; above = d.Team(above.Parent) {
				for _, login := range team.Members {
					if !above.Secret && above.Slug != "all-bots" {
						want = append(want, fmt.Sprintf("gh_user_team_info{org=%q,team=%q,user=%q}",
							org, above.Slug, served(login)))
					}
				}
			}
		}
	})
	slices.Sort(want)
	return slices.Compact(want)
}

// requireOn waits until every page has exactly the series of the data, each with the value 1. No page ever shows the
// secret team.
func (c *changingTeams) requireOn(t *testing.T, when string, pages ...*collector) {
	t.Helper()
	want := make(map[string]float64)
	for _, series := range c.expected(t) {
		want[series] = 1
	}
	for _, gx := range pages {
		eventually(t, time.Minute, func() error {
			page, err := gx.page(t.Context())
			if err != nil {
				return err
			}
			require.NotContains(t, page, "incident-7")
			if diff := cmp.Diff(want, gx.seriesOf(t, "gh_user_team_info")); diff != "" {
				return fmt.Errorf("after %s: %s", when, diff)
			}
			return nil
		})
	}
	t.Logf("right after %s", when)
}

// change changes the teams and waits for the pages at each of some moments.
func (c *changingTeams) change(t *testing.T, pages ...*collector) {
	t.Helper()
	c.requireOn(t, "the first contact", pages...)
	c.server.Update(func(d *githubtest.Dataset) {
		d.Team("platform").Members = append(d.Team("platform").Members, "carol")
		d.Team("docs").Members = []string{"ada"}
	})
	c.requireOn(t, "a member joined, and one left", pages...)
	c.server.Update(func(d *githubtest.Dataset) {
		d.RenameTeam("platform", "foundation")
		d.Teams = append(d.Teams, githubtest.Team{Slug: "disks", Parent: "storage", Members: []string{"dora"}})
	})
	c.requireOn(t, "a team was renamed, and another one nested", pages...)
	c.server.Update(func(d *githubtest.Dataset) { d.RemoveTeam("docs") })
	c.requireOn(t, "a team was deleted", pages...)
}

// TestTeams: the series are the members of the visible teams, with the labels of the activity, while the teams change,
// after kill -9 and after a change of leader, which asks GitHub for nothing again before it is due.
func TestTeams(t *testing.T) {
	t.Parallel()
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			c := newChangingTeams(t)
			config := fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, c.server.URL, api)
			gx := startCollector(t, config+teamsConfig)
			c.change(t, gx)
			gx.awaitJoin(t)
			gx.Kill()
			c.server.Update(func(d *githubtest.Dataset) { d.RemoveTeam("disks") })
			gx.start(t)
			c.requireOn(t, "kill -9", gx)
			c.requirePermission(t, gx)
			requireNoSecret(t, gx.Output())
		})
	}
	t.Run("replicas", func(t *testing.T) {
		t.Parallel()
		c := newChangingTeams(t)
		redis := redistest.Start(t)
		config := fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, c.server.URL) + teamsConfig
		replicas := startReplicas(t, 2, redis.Address, config)
		c.change(t, replicas[0].collector, replicas[1].collector)
		led := awaitLeader(t, replicas)
		replicas[led].Kill()
		c.server.Update(func(d *githubtest.Dataset) { d.Team("storage").Members = []string{"bob", "eve"} })
		c.requireOn(t, "a change of leader", replicas[1-led].collector)
		replicas[led].start(t)
		c.requireOn(t, "the start of a replica", replicas[led].collector)
		requireEqualPages(t, replicas, 3)
	})
}

// awaitJoin waits until each user with activity in a team has the label of that activity.
func (c *collector) awaitJoin(t *testing.T) {
	t.Helper()
	for _, user := range []string{"ada", "bob"} {
		c.awaitValue(t, 1, fmt.Sprintf("gh_user_info{kind=\"person\",org=%q,user=%q}", org, user))
	}
}

// requirePermission takes the permission for teams away: it is named, the members stay, and everything else is read.
// When it is back, the teams are read again.
func (c *changingTeams) requirePermission(t *testing.T, gx *collector) {
	t.Helper()
	const missing = `gh_exporter_missing_permission{org="` + org + `",permission="members"}`
	c.server.AddCredential(githubtest.Credential{Token: githubtest.DefaultToken, Forbidden: []string{"members"}})
	gx.awaitValue(t, 1, missing)
	c.requireOn(t, "the permission is missing", gx)
	eventually(t, time.Minute, func() error {
		if gx.count(t.Context(), fmt.Sprintf("gh_exporter_team_reads_total{org=%q,result=\"refused\"}", org)) == 0 {
			return errors.New("no reading was refused")
		}
		return nil
	})
	gx.awaitComplete(t, org)
	gx.awaitValue(t, 1, fmt.Sprintf("gh_exporter_dependency_health{dependency=\"github_teams\",org=%q}", org))
	gx.awaitValue(t, 1, fmt.Sprintf("gh_exporter_dependency_health{dependency=\"github\",org=%q}", org))
	c.server.AddCredential(githubtest.Credential{Token: githubtest.DefaultToken})
	c.server.Update(func(d *githubtest.Dataset) { d.Team("storage").Members = []string{"bob"} })
	c.requireOn(t, "the permission is back", gx)
	eventually(t, time.Minute, func() error {
		if series := gx.seriesOf(t, "gh_exporter_missing_permission"); len(series) > 0 {
			return fmt.Errorf("still missing: %v", series)
		}
		return nil
	})
}

// TestTeamsAtTakeover: a new leader and a new replica show the teams without a request, as long as none is due.
func TestTeamsAtTakeover(t *testing.T) {
	t.Parallel()
	c := newChangingTeams(t)
	redis := redistest.Start(t)
	config := fmt.Sprintf(sharedConfig, org, githubtest.DefaultToken, c.server.URL) +
		"teams: {enabled: true, exclude: [\"*-bots\"]}\n"
	replicas := startReplicas(t, 2, redis.Address, config)
	c.requireOn(t, "the first contact", replicas[0].collector, replicas[1].collector)
	asked := func() int {
		return c.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Operation == "TeamMembers" })
	}
	require.Equal(t, 1, asked())
	led := awaitLeader(t, replicas)
	replicas[led].Kill()
	late := startReplicas(t, 1, redis.Address, config)
	late[0].awaitValue(t, 1, fmt.Sprintf("gh_user_team_info{org=%q,team=\"storage\",user=\"silent\"}", org))
	awaitLeader(t, append(late, replicas[1-led]))
	c.requireOn(t, "a takeover", replicas[1-led].collector, late[0].collector)
	replicas[1-led].awaitPassOfAnyLeader(t, late[0])
	require.Equal(t, 1, asked(), "within the interval nothing is requested again")
}

// awaitPassOfAnyLeader waits until one of two replicas has made passes.
func (r *replica) awaitPassOfAnyLeader(t *testing.T, other *replica) {
	t.Helper()
	mine, others := newPassCounter(time.Now()), newPassCounter(time.Now())
	eventually(t, time.Minute, func() error {
		err := mine.checkComplete(t, r.collector, org)
		if err != nil && others.checkComplete(t, other.collector, org) == nil {
			return nil
		}
		return err
	})
}
