// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// vcsConfig switches on the metrics of the semantic conventions.
const vcsConfig = disabledConfig + `
metrics:
  vcs.repository.count: {enabled: true}
  vcs.ref.count: {enabled: true}
  vcs.change.count: {enabled: true}
  vcs.contributor.count: {enabled: true}
  vcs.change.duration: {enabled: true}
  vcs.change.time_to_approval: {enabled: true}
  vcs.change.time_to_merge: {enabled: true}
  vcs.ref.lines_delta: {enabled: true}
  vcs.ref.revisions_delta: {enabled: true}
  vcs.ref.time: {enabled: true}
`

// vcsData is an organization with pull requests in each state, and three branches beside the default one: two commits
// ahead, merged, and one that is deleted later.
func vcsData(now time.Time) *githubtest.Dataset {
	data := &githubtest.Dataset{Org: githubtest.Org{Login: "acme", From: now.AddDate(0, 0, -10), Until: now}}
	ago := func(hours int) time.Time { return now.Add(-time.Duration(hours) * time.Hour) }
	data.Repos = []githubtest.Repo{{Name: "one", CreatedAt: now.AddDate(0, 0, -9)}}
	data.Repos[0].Tags = []githubtest.Tag{{Name: "v1", At: ago(49)}, {Name: "v2", At: ago(48)}}
	for i, login := range []string{"ada", "bob", "ada"} {
		data.Commits = append(data.Commits, githubtest.Commit{
			Repo: "one", SHA: fmt.Sprintf("%040x", i+1), Login: &login, Parents: 1,
			AuthoredAt: ago(50 - i), CommittedAt: ago(50 - i),
		})
	}
	for i, branch := range []string{"fix/a", "fix/a", "", "gone"} {
		data.Commits = append(data.Commits, githubtest.Commit{
			Repo: "one", SHA: fmt.Sprintf("%040x", i+4), Login: new("bob"), Parents: 1, Branch: branch,
			AuthoredAt: ago(47 - i), CommittedAt: ago(47 - i),
		})
	}
	data.Repos[0].Resets = []githubtest.Reset{{Branch: "merged", SHA: data.Commits[1].SHA, At: ago(48)}}
	merged, closed := ago(20), ago(30)
	data.Pulls = []githubtest.Pull{
		{Repo: "one", Number: 1, Login: new("ada"), CreatedAt: ago(10), Additions: 7, Deletions: 2},
		{
			Repo: "one", Number: 2, Login: new("ada"), CreatedAt: ago(9), Draft: true, ReadyAt: []time.Time{ago(5)},
			Head: "fix/a",
		},
		{Repo: "one", Number: 3, Login: new("ada"), CreatedAt: ago(8), Draft: true},
		{Repo: "one", Number: 4, Login: new("ada"), CreatedAt: ago(40), MergedAt: &merged, ClosedAt: &merged},
		{Repo: "one", Number: 5, Login: new("ada"), CreatedAt: ago(41), ClosedAt: &closed},
	}
	approved := ago(30)
	data.Reviews = []githubtest.Review{{
		Repo: "one", Pull: 4, ID: 70, Login: new("bob"), SubmittedAt: &approved, State: "APPROVED",
	}}
	return data
}

// vcsSeries returns a series of the repository with more labels, by their names, as the page has it.
func vcsSeries(server *githubtest.Server, metric string, labels ...string) string {
	all := []string{
		`vcs_owner_name="acme"`, `vcs_repository_name="one"`,
		fmt.Sprintf(`vcs_repository_url_full="%s/acme/one"`, server.URL),
	}
	for _, label := range labels {
		at := 0
		for at < len(all) && all[at] < label {
			at++
		}
		all = append(all[:at], append([]string{label}, all[at:]...)...)
	}
	return metric + "{" + strings.Join(all, ",") + "}"
}

// vcsHead returns the label with the branch of a pull request.
func vcsHead(n int) string {
	if n == 2 {
		return `vcs_ref_head_name="fix/a"`
	}
	return fmt.Sprintf(`vcs_ref_head_name="change-%d"`, n)
}

// vcsState is what a test changes in the data.
type vcsState struct {
	// open and closed are numbers of pull requests, pushed is how many commits were pushed to the default branch, and
	// fixed how many to the branch fix/a.
	open, closed, pushed, fixed int
	// isDeleted says that the branch "gone" is.
	isDeleted bool
}

// vcsExpected computes the series from the data, those of durations without their values. REST has less of them.
func vcsExpected(server *githubtest.Server, api string, now *vcsState) map[string]float64 {
	open := now.open
	series := func(metric string, labels ...string) string { return vcsSeries(server, metric, labels...) }
	state := func(s string) string { return series("vcs_change_count", fmt.Sprintf("vcs_change_state=%q", s)) }
	const base = `vcs_ref_base_name="main"`
	branches := map[string][2]int{
		"fix/a": {2 + now.fixed, 1 + now.pushed}, "merged": {0, 2 + now.pushed}, "gone": {1, now.pushed},
	}
	if now.isDeleted {
		delete(branches, "gone")
	}
	want := map[string]float64{
		state("open"): float64(open), state("wip"): 1,
		series("vcs_contributor_count"):                                 2,
		`vcs_repository_count{vcs_owner_name="acme"}`:                   1,
		series("vcs_ref_count", `vcs_ref_type="branch"`):                float64(1 + len(branches)),
		series("vcs_ref_count", `vcs_ref_type="tag"`):                   2,
		series("vcs_change_time_to_merge_seconds", vcsHead(4), base):    20 * 3600,
		series("vcs_change_time_to_approval_seconds", vcsHead(4), base): 10 * 3600,
		state("closed"): float64(now.closed), state("merged"): 1,
	}
	for name, numbers := range branches {
		for i, direction := range []string{"ahead", "behind"} {
			labels := []string{
				fmt.Sprintf("vcs_ref_head_name=%q", name), base, `vcs_ref_base_type="branch"`,
				`vcs_ref_head_type="branch"`, fmt.Sprintf("vcs_revision_delta_direction=%q", direction),
			}
			if name == "fix/a" {
				labels = append(labels, `vcs_change_id="2"`)
			}
			want[series("vcs_ref_revisions_delta", labels...)] = float64(numbers[i])
		}
	}
	for n, lines := range map[int][2]float64{1: {7, 2}, 2: {}, 3: {}} {
		if n == 1 && open == 1 {
			continue
		}
		for i, kind := range []string{"added", "removed"} {
			want[series("vcs_ref_lines_delta", fmt.Sprintf(`vcs_change_id="%d"`, n), vcsHead(n), base,
				`vcs_ref_base_type="branch"`, `vcs_ref_head_type="branch"`,
				fmt.Sprintf("vcs_line_change_type=%q", kind))] = lines[i]
		}
	}
	if api == "rest" {
		maps.DeleteFunc(want, func(name string, _ float64) bool {
			return strings.Contains(name, "approval") || strings.Contains(name, "lines_delta") ||
				name == state("closed") || name == state("merged")
		})
	}
	return want
}

// vcsDurations are the series whose values grow, with what they were when the test began.
func vcsDurations(server *githubtest.Server, api string, now *vcsState) map[string]time.Duration {
	durations := make(map[string]time.Duration)
	age := func(branch string, d time.Duration) {
		durations[vcsSeries(server, "vcs_ref_time_seconds", fmt.Sprintf("vcs_ref_head_name=%q", branch),
			`vcs_ref_head_type="branch"`)] = d
	}
	age("fix/a", 47*time.Hour)
	if !now.isDeleted {
		age("gone", 44*time.Hour)
	}
	if api == "rest" {
		return durations
	}
	duration := func(state string, n int, d time.Duration) {
		durations[vcsSeries(server, "vcs_change_duration_seconds", fmt.Sprintf("vcs_change_state=%q", state),
			vcsHead(n))] = d
	}
	duration("open", 2, 5*time.Hour)
	duration("wip", 3, 8*time.Hour)
	if now.open > 1 {
		duration("open", 1, 10*time.Hour)
	}
	return durations
}

// vcsSystem is what a test of the metrics of the conventions runs.
type vcsSystem struct {
	t        *testing.T
	api      string
	began    time.Time
	server   *githubtest.Server
	replicas []*replica
	state    vcsState
}

// startVCSSystem starts GitHub and one collector with the embedded store, or two with a Redis.
func startVCSSystem(t *testing.T, store, api string) *vcsSystem {
	t.Helper()
	s := &vcsSystem{t: t, api: api, began: time.Now().UTC().Truncate(time.Second), state: vcsState{open: 2, closed: 1}}
	s.server = githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{vcsData(s.began)}, Now: time.Now, Limits: highLimits,
	})
	receiver := fmt.Sprintf(vcsConfig, "acme", githubtest.DefaultToken, s.server.URL, api)
	if store == "embedded" {
		s.replicas = []*replica{startEmbedded(t, receiver)}
	} else {
		s.replicas = startReplicas(t, 2, redistest.Start(t).Address, receiver)
	}
	return s
}

// differences compares what a replica shows with the data.
func (s *vcsSystem) differences(r *replica) error {
	got := r.seriesOf(s.t, "vcs_")
	var err error
	for name, began := range vcsDurations(s.server, s.api, &s.state) {
		value, there := got[name]
		if took := time.Since(s.began).Seconds() + began.Seconds(); !there || value > took || value < took-30 {
			err = errors.Join(err, fmt.Errorf("%s is %v (%v), want about %v", name, value, there, took))
		}
		delete(got, name)
	}
	if diff := cmp.Diff(vcsExpected(s.server, s.api, &s.state), got); diff != "" {
		return errors.Join(err, errors.New(diff))
	}
	return err
}

// requireVCS waits until every replica that runs shows what the data have.
func (s *vcsSystem) requireVCS(what string) {
	s.t.Helper()
	began := time.Now()
	for n, r := range s.replicas {
		if r.HasExited() {
			continue
		}
		eventually(s.t, 2*time.Minute, func() error {
			if err := s.differences(r); err != nil {
				return fmt.Errorf("%s: replica %d: %w", what, n, err)
			}
			return nil
		})
	}
	s.t.Logf("%s: as the data have it after %s", what, time.Since(began).Round(100*time.Millisecond))
}

// push adds a commit to a branch, empty for the default one.
func (s *vcsSystem) push(branch string) {
	at := time.Now().UTC().Truncate(time.Second)
	s.server.Update(func(d *githubtest.Dataset) {
		d.Commits = append(d.Commits, githubtest.Commit{
			Repo: "one", SHA: fmt.Sprintf("%040x", len(d.Commits)+100), Login: new("ada"), Parents: 1, Branch: branch,
			AuthoredAt: at, CommittedAt: at,
		})
	})
	if branch == "" {
		s.state.pushed++
	} else {
		s.state.fixed++
	}
}

// endSeries closes a pull request and deletes a branch.
func (s *vcsSystem) endSeries() {
	at := time.Now().UTC().Truncate(time.Second)
	s.server.Update(func(d *githubtest.Dataset) {
		d.Pulls[0].ClosedAt = &at
		d.Repos[0].Resets = append(d.Repos[0].Resets, githubtest.Reset{Branch: "gone", At: at})
	})
	s.state.open, s.state.closed, s.state.isDeleted = 1, 2, true
}

// comparisons returns how many branches GitHub was asked to compare with the default one.
func (s *vcsSystem) comparisons() int {
	n := 0
	for _, r := range s.server.Requests() {
		switch {
		case r.Operation == "Comparisons":
			n += len(r.Variables) / 3
		case strings.Contains(r.Route, "/compare/") && r.Query == "page=1&per_page=1":
			n++
		}
	}
	return n
}

// killLeader kills the leader while a branch moves: that branch alone is compared again. A single collector starts
// again; of two, the killed one starts when the other one shows what it has read.
func (s *vcsSystem) killLeader() {
	s.t.Helper()
	killed := s.replicas[0]
	if len(s.replicas) > 1 {
		killed = s.replicas[awaitLeader(s.t, s.replicas)]
	}
	killed.Kill()
	before := s.comparisons()
	s.push("fix/a")
	if len(s.replicas) == 1 {
		killed.start(s.t)
	}
	s.requireVCS("after kill -9")
	require.Equal(s.t, before+1, s.comparisons())
	if len(s.replicas) > 1 {
		killed.start(s.t)
	}
}

// cutRedis separates replicas from Redis while the default branch moves, until something is true.
func (s *vcsSystem) cutRedis(until func(), replicas ...*replica) {
	s.t.Helper()
	for _, r := range replicas {
		r.redis.cut()
	}
	s.push("")
	until()
	for _, r := range replicas {
		r.redis.mend()
	}
}

// failGitHub lets GitHub answer nothing for some passes while branches move: what is shown stays.
func (s *vcsSystem) failGitHub() {
	s.t.Helper()
	s.server.InjectFault(githubtest.Fault{Effect: githubtest.Status(http.StatusBadGateway)})
	waitUntil(s.t, time.Now().Add(3*time.Second))
	for _, r := range s.replicas {
		require.NoError(s.t, s.differences(r), "during the outage")
	}
	s.push("")
	s.push("fix/a")
	waitUntil(s.t, time.Now().Add(2*time.Second))
	s.server.ClearFaults()
}

// TestVCSMetrics compares each value of the metrics of the semantic conventions with the data: at first contact, when
// series end, after kill -9, after an outage of GitHub and, with two replicas, after a change of leader without a kill
// and after an outage of Redis. Something changes each time.
func TestVCSMetrics(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"embedded", "redis"} {
		for _, api := range []string{"graphql", "rest"} {
			t.Run(store+"/"+api, func(t *testing.T) {
				t.Parallel()
				s := startVCSSystem(t, store, api)
				s.requireVCS("first contact")
				s.endSeries()
				s.push("")
				s.requireVCS("when series end")
				s.killLeader()
				s.requireVCS("with all replicas")
				s.failGitHub()
				s.requireVCS("after an outage of GitHub")
				if store == "redis" {
					led := awaitLeader(t, s.replicas)
					s.cutRedis(func() { awaitTerm(t, s.replicas, time.Now().Add(-time.Second), led) }, s.replicas[led])
					s.requireVCS("after a change of leader")
					until := time.Now().Add(4 * time.Second)
					s.cutRedis(func() { waitUntil(t, until) }, s.replicas...)
					s.requireVCS("after an outage of Redis")
				}
				for _, r := range s.replicas {
					require.False(t, r.HasExited())
					requireNoSecret(t, r.Output())
				}
			})
		}
	}
}
