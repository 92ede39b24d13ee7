// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// factsConfig is the configuration of the test of facts: organization, token, endpoint, API, store.
const factsConfig = `
orgs:
  - name: %s
    auth: {token: %s}
    scrape_interval: 2s
    lookback: 1440h
    repositories: {exclude: [left-out]}
github: {endpoint: %q, api: %s, retry: {initial_interval: 100ms, max_interval: 1s}}
repository_labels: {topics: [cncf, team-a], properties: [tier]}
%s
retention: 1440h
emit_interval: 1s
`

// TestFactsMatchTheData compares every fact of every repository, as Prometheus has it, with the data: at three times
// while they arrive, and after a kill -9.
func TestFactsMatchTheData(t *testing.T) {
	for _, api := range []string{"graphql", "rest"} {
		for _, store := range []string{"embedded", "redis"} {
			t.Run(api+"/"+store, func(t *testing.T) {
				t.Parallel()
				testFacts(t, api, store)
			})
		}
	}
}

func testFacts(t *testing.T, api, store string) {
	t.Helper()
	data := describe(loadData(t))
	timeline := githubtest.EndingAt(data, 72*time.Hour, time.Now(), (72*time.Hour).Seconds()/60)
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{data.Clone()}, Limits: highLimits, Timeline: timeline,
	})
	timeline = server.Timeline()
	server.HideAfter(timeline.Start)
	settings := "storage: file_storage"
	if store == "redis" {
		settings = fmt.Sprintf("redis: {endpoints: [%q]}", redistest.Start(t).Address)
	}
	gx := startCollector(t, fmt.Sprintf(factsConfig, org, githubtest.DefaultToken, server.URL, api, settings))
	prom := startPrometheus(t, gx.metrics)
	var visible time.Time
	for moment, arrived := range []time.Duration{0, 30 * time.Second, 65 * time.Second} {
		visible = timeline.Start.Add(arrived)
		waitUntil(t, visible)
		change := func(d *githubtest.Dataset) { changeFacts(d, moment) }
		change(data)
		server.Update(change)
		server.HideAfter(visible)
		gx.awaitComplete(t, org)
		compareFacts(t, prom, expectedFacts(data, timeline, visible))
	}
	gx.Kill()
	gx.start(t)
	gx.awaitComplete(t, org)
	compareFacts(t, prom, expectedFacts(data, timeline, visible))
	gx.Stop()
	requireNoSecret(t, gx.Output())
}

// describe adds properties and counts to the repositories, and some repositories without activity.
func describe(data *githubtest.Dataset) *githubtest.Dataset {
	data.Org.Repos, data.Org.Commits = 0, 0 // they are not those of the files any more
	end := data.LastEventTime()
	old := end.AddDate(-2, 0, 0)
	for _, name := range []string{"stale", "empty", "left-out", "an-archive"} {
		data.Repos = append(data.Repos, githubtest.Repo{Name: name, DefaultBranch: "trunk", CreatedAt: old})
		if name != "empty" {
			sha := fmt.Sprintf("%040x", 0xfac75+len(data.Commits))
			data.Commits = append(data.Commits, githubtest.Commit{
				Repo: name, SHA: sha, AuthoredAt: old, CommittedAt: old, Login: new("ada"), Parents: 1,
			})
		}
	}
	data.Repo("left-out").Visibility, data.Repo("an-archive").Archived = "internal", true
	for i := range data.Repos {
		r := &data.Repos[i]
		tagged := end.Add(-time.Duration(10+i) * time.Hour) // most of them while the test runs
		r.Pushes = append(r.Pushes, tagged)
		r.Size, r.Language, r.Template = 100+i, []string{"Go", "C++", ""}[i%3], i%4 == 0
		r.Topics, r.Properties = []string{"cncf", "unlisted"}[:i%3%2+1], map[string]any{"tier": strconv.Itoa(i % 2)}
		if r.Name == "empty" {
			r.Pushes, r.Size = nil, 0
			continue
		}
		r.Tags = []githubtest.Tag{{Name: "v0", At: old.Add(time.Hour)}, {Name: "v1", At: tagged}}
		r.Releases = []githubtest.Release{
			{ID: int64(1000 + i), Tag: "v1", Login: "ada", CreatedAt: tagged, PublishedAt: tagged},
		}
	}
	return data
}

// changeFacts changes what has no time: a little at each moment.
func changeFacts(d *githubtest.Dataset, moment int) {
	for i := range d.Repos {
		r := &d.Repos[i]
		if i%2 == 0 || moment == 0 {
			r.Stars, r.Watchers, r.Forks = 10*moment+i, 3*moment+i, moment
		}
	}
	d.Repo("stale").Language = []string{"Go", "Rust", ""}[moment]
	d.Repo("stale").Private = moment == 2
}

// expectedFacts computes the facts from the data in the plainest way.
func expectedFacts(
	data *githubtest.Dataset, timeline githubtest.Timeline, visible time.Time,
) map[string]float64 {
	want := noRepositories()
	last := make(map[string]float64)
	for s, at := range expectedAt(data.Clone(), timeline, visible, visible) {
		if s.metric == "gh_activity_last_event_unixtime" {
			last[s.repo] = max(last[s.repo], at)
		}
	}
	for i := range data.Repos {
		r := &data.Repos[i]
		addFacts(want, data, r, timeline, visible, last[r.Name])
	}
	return want
}

// noRepositories returns the numbers of repositories when there is none.
func noRepositories() map[string]float64 {
	want := make(map[string]float64)
	for _, visibility := range []string{"public", "private", "internal"} {
		for _, state := range []string{"active", "archived", "fork", "empty"} {
			want[fmt.Sprintf("gh_repo_count{state=%q,visibility=%q}", state, visibility)] = 0
		}
	}
	return want
}

// isLeftOut reports whether a repository is counted and not read.
func isLeftOut(r *githubtest.Repo) bool { return r.Archived || r.Fork || r.Name == "left-out" }

// addFacts adds the facts of a repository whose newest event has the given time. It returns false when there is no such
// repository yet.
func addFacts(
	want map[string]float64, data *githubtest.Dataset, r *githubtest.Repo, timeline githubtest.Timeline,
	visible time.Time, last float64,
) (repositoryFacts, bool) {
	isVisible := func(at time.Time) bool { return !timeline.ToServed(at).After(visible) }
	if !isVisible(r.CreatedAt) {
		return repositoryFacts{}, false
	}
	facts := factsOf(data, r, isVisible)
	want[fmt.Sprintf("gh_repo_count{state=%q,visibility=%q}", facts.state, facts.visibility)]++
	if isLeftOut(r) {
		return facts, true
	}
	add := func(name string, value float64) { want[fmt.Sprintf("gh_repo_%s{repo=%q}", name, r.Name)] = value }
	want["gh_repo_info"+facts.infoLabels(r)] = 1
	add("stars", float64(r.Stars))
	add("forks", float64(r.Forks))
	add("watchers", float64(r.Watchers))
	add("size_bytes", float64(r.Size*1024))
	add("branches", float64(len(facts.branches)))
	add("tags", float64(facts.tags))
	add("releases", float64(facts.releases))
	add("created_unixtime", float64(timeline.ToServed(r.CreatedAt).Unix()))
	add("pushed_unixtime", float64(timeline.ToServed(facts.pushed).Unix()))
	if !facts.released.IsZero() {
		add("latest_release_unixtime", float64(timeline.ToServed(facts.released).Unix()))
	}
	if last > 0 && time.Unix(int64(last), 0).After(visible.AddDate(0, 0, -59)) {
		add("last_event_unixtime", last)
	}
	return facts, true
}

// repositoryFacts are the facts of a repository that have to be computed.
type repositoryFacts struct {
	visibility, state string
	branches          map[string]bool
	tags, releases    int
	pushed, released  time.Time
}

// factsOf computes the facts of a repository from what is visible.
func factsOf(data *githubtest.Dataset, r *githubtest.Repo, isVisible func(time.Time) bool) repositoryFacts {
	f := repositoryFacts{
		visibility: cmp.Or(r.Visibility, map[bool]string{true: "private", false: "public"}[r.Private]),
		branches:   make(map[string]bool),
	}
	push := func(at time.Time) {
		if isVisible(at) && at.After(f.pushed) {
			f.pushed = at
		}
	}
	for i := range data.Commits {
		if c := &data.Commits[i]; c.Repo == r.Name && isVisible(c.PushTime()) {
			f.branches[cmp.Or(c.Branch, r.DefaultBranch)] = true
			push(c.PushTime())
		}
	}
	for _, at := range r.Pushes {
		push(at)
	}
	if f.pushed.IsZero() && !r.PushedAt.IsZero() {
		push(r.PushedAt)
	}
	f.pushed = [2]time.Time{f.pushed, r.CreatedAt}[map[bool]int{true: 1}[f.pushed.IsZero()]]
	for _, tag := range r.Tags {
		if isVisible(tag.At) {
			f.tags++
		}
	}
	var newest time.Time
	for i := range r.Releases {
		release := &r.Releases[i]
		if !isVisible(release.PublishedAt) {
			continue
		}
		f.releases++
		if !release.Prerelease && !release.CreatedAt.Before(newest) {
			newest, f.released = release.CreatedAt, release.PublishedAt
		}
	}
	switch {
	case r.Archived:
		f.state = "archived"
	case r.Fork:
		f.state = "fork"
	case len(f.branches) == 0:
		f.state = "empty"
	default:
		f.state = "active"
	}
	return f
}

// infoLabels returns the labels of a repository's properties.
func (f *repositoryFacts) infoLabels(r *githubtest.Repo) string {
	labels := map[string]string{
		"repo": r.Name, "visibility": f.visibility, "archived": "false", "fork": "false",
		"template": strconv.FormatBool(r.Template), "property_tier": r.Properties["tier"].(string),
		"topic_cncf": strconv.FormatBool(slices.Contains(r.Topics, "cncf")), "topic_team_a": "false",
	}
	if f.state != "empty" {
		labels["default_branch"] = r.DefaultBranch
		if r.Language != "" {
			labels["language"] = r.Language
		}
	}
	return labelsText(labels)
}

// labelsText formats labels in the order of their names.
func labelsText(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// compareFacts waits until Prometheus has exactly the expected facts.
func compareFacts(t *testing.T, prom *prometheus, want map[string]float64) {
	t.Helper()
	const facts = "count|info|stars|forks|watchers|size_bytes|branches|tags|releases|created_unixtime|" +
		"pushed_unixtime|last_event_unixtime|latest_release_unixtime"
	eventually(t, time.Minute, func() error {
		query := fmt.Sprintf(`{__name__=~"gh_repo_(%s)",org=%q}`, facts, org)
		samples, err := prom.query(t.Context(), query, time.Now())
		if err != nil {
			return err
		}
		found := make(map[string]float64, len(samples))
		for _, s := range samples {
			name := s.Metric["__name__"]
			for _, label := range []string{"__name__", "job", "instance", "org"} {
				delete(s.Metric, label)
			}
			value, err := strconv.ParseFloat(s.Value[1].(string), 64)
			require.NoError(t, err)
			found[name+labelsText(s.Metric)] = value
		}
		if difference := gocmp.Diff(want, found); difference != "" {
			return fmt.Errorf("Prometheus differs from the data (-data +Prometheus):\n%s", difference)
		}
		t.Logf("%d facts are as the data say", len(found))
		return nil
	})
}
