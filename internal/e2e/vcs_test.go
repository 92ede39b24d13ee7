// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
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
`

// vcsData is an organization with pull requests in each state.
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
	merged, closed := ago(20), ago(30)
	data.Pulls = []githubtest.Pull{
		{Repo: "one", Number: 1, Login: new("ada"), CreatedAt: ago(10), Additions: 7, Deletions: 2},
		{Repo: "one", Number: 2, Login: new("ada"), CreatedAt: ago(9), Draft: true, ReadyAt: []time.Time{ago(5)}},
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

// vcsExpected computes the series from the data, those of durations without their values. REST has less of them.
func vcsExpected(server *githubtest.Server, api string, open, closed int) map[string]float64 {
	series := func(metric string, labels ...string) string { return vcsSeries(server, metric, labels...) }
	state := func(s string) string { return series("vcs_change_count", fmt.Sprintf("vcs_change_state=%q", s)) }
	head := func(n int) string { return fmt.Sprintf(`vcs_ref_head_name="change-%d"`, n) }
	const base = `vcs_ref_base_name="main"`
	want := map[string]float64{
		state("open"): float64(open), state("wip"): 1,
		series("vcs_contributor_count"):                              2,
		`vcs_repository_count{vcs_owner_name="acme"}`:                1,
		series("vcs_ref_count", `vcs_ref_type="branch"`):             1,
		series("vcs_ref_count", `vcs_ref_type="tag"`):                2,
		series("vcs_change_time_to_merge_seconds", head(4), base):    20 * 3600,
		series("vcs_change_time_to_approval_seconds", head(4), base): 10 * 3600,
		state("closed"): float64(closed), state("merged"): 1,
	}
	for n, lines := range map[int][2]float64{1: {7, 2}, 2: {}, 3: {}} {
		if n == 1 && open == 1 {
			continue
		}
		for i, kind := range []string{"added", "removed"} {
			want[series("vcs_ref_lines_delta", fmt.Sprintf(`vcs_change_id="%d"`, n), head(n), base,
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

// TestVCSMetrics compares each value of the metrics of the semantic conventions with the data, and again when a pull
// request was closed: then the series of its branch ends.
func TestVCSMetrics(t *testing.T) {
	t.Parallel()
	eachStoreAndAPI(t, func(t *testing.T, api string, start func(t *testing.T, receiver string) *replica) {
		now := time.Now().UTC().Truncate(time.Second)
		server := githubtest.Start(t, githubtest.Settings{
			Datasets: []*githubtest.Dataset{vcsData(now)}, Now: time.Now, Limits: highLimits,
		})
		gx := start(t, fmt.Sprintf(vcsConfig, "acme", githubtest.DefaultToken, server.URL, api))
		requireVCS := func(want map[string]float64, durations map[string]time.Duration) {
			t.Helper()
			eventually(t, 2*time.Minute, func() error {
				got := gx.seriesOf(t, "vcs_")
				var err error
				for name, began := range durations {
					value, there := got[name]
					if took := time.Since(now).Seconds() + began.Seconds(); !there || value > took || value < took-30 {
						err = errors.Join(err, fmt.Errorf("%s is %v (%v), want about %v", name, value, there, took))
					}
					delete(got, name)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					return errors.Join(err, errors.New(diff))
				}
				return err
			})
		}
		duration := func(state string, n int) string {
			return vcsSeries(server, "vcs_change_duration_seconds", fmt.Sprintf("vcs_change_state=%q", state),
				fmt.Sprintf(`vcs_ref_head_name="change-%d"`, n))
		}
		durations := map[string]time.Duration{}
		if api == "graphql" {
			durations = map[string]time.Duration{
				duration("open", 1): 10 * time.Hour, duration("open", 2): 5 * time.Hour,
				duration("wip", 3): 8 * time.Hour,
			}
		}
		requireVCS(vcsExpected(server, api, 2, 1), durations)

		server.Update(func(d *githubtest.Dataset) { d.Pulls[0].ClosedAt = new(time.Now().UTC().Truncate(time.Second)) })
		delete(durations, duration("open", 1))
		requireVCS(vcsExpected(server, api, 1, 2), durations)
		require.False(t, gx.HasExited())
	})
}
