// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// stateConfig switches on what the tests of state compare and what is off by default.
const stateConfig = `repository_labels: {topics: [cncf, team-a], properties: [tier]}
teams: {enabled: true, interval: 3s}
metrics:
  vcs.repository.count: {enabled: true}
  vcs.ref.count: {enabled: true}
  vcs.change.count: {enabled: true}
`

// withState adds the settings of state to those of a receiver.
func withState(receiver string) string { return withoutLeftOut(receiver) + stateConfig }

// withoutLeftOut leaves a repository of the data of describe out.
func withoutLeftOut(receiver string) string {
	const lookback = "    lookback: "
	return strings.Replace(receiver, lookback, "    repositories: {exclude: [left-out]}\n"+lookback, 1)
}

// describeState adds to data what is no event: facts, requested reviews and teams. The releases, which are events, stay
// as they are.
func describeState(data *githubtest.Dataset) *githubtest.Dataset {
	releases := make(map[string][]githubtest.Release)
	for i := range data.Repos {
		releases[data.Repos[i].Name] = data.Repos[i].Releases
	}
	describe(data)
	for i := range data.Repos {
		data.Repos[i].Releases = releases[data.Repos[i].Name]
	}
	for i := range data.Pulls {
		if p := &data.Pulls[i]; i%3 == 0 {
			p.ReviewRequests = []githubtest.ReviewRequest{
				{Login: "eve", At: p.CreatedAt.Add(time.Minute)}, {Team: "owners", At: p.CreatedAt.Add(time.Hour)},
			}
		}
	}
	data.Teams = []githubtest.Team{
		{Slug: "owners", Members: []string{*data.Pulls[0].Login}},
		{Slug: "silent", Parent: "owners", Members: []string{"silent"}},
	}
	return data
}

// changeState changes what has no time of its own.
func changeState(d *githubtest.Dataset) {
	changeFacts(d, 2)
	d.Team("silent").Members = []string{"eve", "silent"}
}

// expectedState computes from the data what repositories and teams show besides events: facts, what is open, members,
// and the metrics of the conventions. It shares no code with the exporter.
type expectedState struct {
	api      string
	timeline githubtest.Timeline
	teams    []githubtest.Team
	repos    []*githubtest.Dataset // one for each repository
	events   [][]time.Time         // the served times of the events of each, sorted
}

// newExpectedState splits data by repository.
func newExpectedState(data *githubtest.Dataset, timeline githubtest.Timeline, api string) *expectedState {
	e := &expectedState{api: api, timeline: timeline, teams: data.Clone().Teams}
	for i := range data.Repos {
		repo := onlyRepo(data, data.Repos[i].Name)
		e.repos, e.events = append(e.repos, repo), append(e.events, eventTimes(repo, timeline))
	}
	return e
}

// onlyRepo returns a copy of the data of a repository.
func onlyRepo(data *githubtest.Dataset, name string) *githubtest.Dataset {
	d := data.Clone()
	d.Repos = slices.DeleteFunc(d.Repos, func(r githubtest.Repo) bool { return r.Name != name })
	d.Commits = slices.DeleteFunc(d.Commits, func(c githubtest.Commit) bool { return c.Repo != name })
	d.Pulls = slices.DeleteFunc(d.Pulls, func(p githubtest.Pull) bool { return p.Repo != name })
	d.Reviews = slices.DeleteFunc(d.Reviews, func(r githubtest.Review) bool { return r.Repo != name })
	d.Comments = slices.DeleteFunc(d.Comments, func(c githubtest.Comment) bool { return c.Repo != name })
	d.Issues = slices.DeleteFunc(d.Issues, func(i githubtest.Issue) bool { return i.Repo != name })
	return d
}

// eventTimes returns the served times of all events of users, sorted.
func eventTimes(d *githubtest.Dataset, timeline githubtest.Timeline) (times []time.Time) {
	add := func(at ...time.Time) {
		for _, t := range at {
			times = append(times, timeline.ToServed(t))
		}
	}
	for i := range d.Commits {
		add(d.Commits[i].CommittedAt)
	}
	for i := range d.Pulls {
		add(d.Pulls[i].CreatedAt)
		if d.Pulls[i].MergedAt != nil {
			add(*d.Pulls[i].MergedAt)
		}
	}
	for i := range d.Reviews {
		if d.Reviews[i].SubmittedAt != nil {
			add(*d.Reviews[i].SubmittedAt)
		}
	}
	for i := range d.Comments {
		add(d.Comments[i].CreatedAt)
	}
	for _, is := range d.OpenedIssues() {
		add(is.CreatedAt)
		add(is.ClosedAt...)
	}
	for i := range d.Repos {
		for _, r := range d.Repos[i].Releases {
			add(r.PublishedAt)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// at returns the series of what GitHub shows until a time, without the labels of the organization.
func (e *expectedState) at(visible time.Time) map[string]float64 {
	want := noRepositories()
	all := 0.
	for i, data := range e.repos {
		last := 0.
		for _, at := range e.events[i] {
			if !at.After(visible) {
				last = float64(at.Unix())
			}
		}
		facts, ok := addFacts(want, data, &data.Repos[0], e.timeline, visible, last)
		if !ok {
			continue
		}
		all++
		if r := &data.Repos[0]; !isLeftOut(r) {
			e.addOpen(want, data, visible)
			refs := "vcs_ref_count{vcs_ref_type=%q,vcs_repository_name=%q}"
			want[fmt.Sprintf(refs, "branch", r.Name)] = float64(len(facts.branches))
			want[fmt.Sprintf(refs, "tag", r.Name)] = float64(facts.tags)
		}
	}
	want["vcs_repository_count{}"] = all
	e.addTeams(want)
	return want
}

// addOpen adds what is open in a repository, and its pull requests by state.
func (e *expectedState) addOpen(want map[string]float64, data *githubtest.Dataset, visible time.Time) {
	repo := data.Repos[0].Name
	for name, value := range wantStocks(data, e.timeline, visible) {
		want[strings.Replace(name, fmt.Sprintf("org=%q,", data.Org.Login), "", 1)] = value
	}
	changes := func(state string) string {
		return fmt.Sprintf("vcs_change_count{vcs_change_state=%q,vcs_repository_name=%q}", state, repo)
	}
	s := data.StocksAt(repo, lastDataTime(e.timeline, visible))
	want[changes("open")], want[changes("wip")] = float64(s.Ready), float64(s.Draft)
	if e.api == "rest" {
		return
	}
	opened, merged := 0, 0
	for i := range data.Pulls {
		p := &data.Pulls[i]
		if !e.timeline.ToServed(p.CreatedAt).After(visible) {
			opened++
		}
		if p.MergedAt != nil && !e.timeline.ToServed(*p.MergedAt).After(visible) {
			merged++
		}
	}
	want[changes("merged")], want[changes("closed")] = float64(merged), float64(opened-merged-s.Ready-s.Draft)
}

// addTeams adds the members of the teams, and those of a team to the one above it.
func (e *expectedState) addTeams(want map[string]float64) {
	for i := range e.teams {
		for _, member := range e.teams[i].Members {
			for _, slug := range []string{e.teams[i].Slug, e.teams[i].Parent} {
				if slug != "" {
					want[fmt.Sprintf("gh_user_team_info{team=%q,user=%q}", slug, member)] = 1
				}
			}
		}
	}
}

// lastDataTime returns the last data time that is served until a time: served times are whole seconds.
func lastDataTime(timeline githubtest.Timeline, visible time.Time) time.Time {
	return timeline.ToData(visible.Truncate(time.Second).Add(time.Second - time.Nanosecond))
}

// stateOf returns the series of repositories and teams on a page, without the labels of the organization.
func stateOf(page string) map[string]float64 {
	left := []string{"org=", "instance=", "vcs_owner_name=", "vcs_repository_url_full="}
	found := make(map[string]float64)
	for line := range strings.Lines(page) {
		metric, rest, _ := strings.Cut(line, "{")
		labels, text, ok := strings.Cut(strings.TrimSpace(rest), "} ")
		if !ok || !strings.HasPrefix(metric, "gh_repo_") && !strings.HasPrefix(metric, "vcs_") &&
			metric != "gh_user_team_info" {
			continue
		}
		list := slices.DeleteFunc(pageLabel.FindAllString(labels, -1), func(label string) bool {
			return strings.HasSuffix(label, `=""`) ||
				slices.ContainsFunc(left, func(name string) bool { return strings.HasPrefix(label, name) })
		})
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			found[metric+"{"+strings.Join(list, ",")+"}"] = value
		}
	}
	return found
}

// awaitState waits until every replica shows the expected state, and nothing else of its kind.
func awaitState(t *testing.T, replicas []*replica, want map[string]float64) {
	t.Helper()
	for i, r := range replicas {
		eventually(t, time.Minute, func() error {
			page, err := r.page(t.Context())
			if difference := cmp.Diff(want, stateOf(page)); err == nil && difference != "" {
				err = fmt.Errorf("replica %d differs from the data (-data +page):\n%s", i, difference)
			}
			return err
		})
	}
	t.Logf("%d series of facts, of what is open and of teams are as the data say", len(want))
}

// stateHistory is what was true of each series since when.
type stateHistory struct {
	steps map[string][]stateStep
	last  map[string]float64
}

// newStateHistory returns a history without anything but the events: at the first contact the newest one is not
// necessarily read first.
func newStateHistory(e *expectedState) *stateHistory {
	h := &stateHistory{steps: make(map[string][]stateStep)}
	for i, data := range e.repos {
		name := fmt.Sprintf("gh_repo_last_event_unixtime{repo=%q}", data.Repos[0].Name)
		for _, at := range e.events[i] {
			if at.Before(e.timeline.Start) {
				h.steps[name] = append(h.steps[name], stateStep{at, float64(at.Unix()), true})
			}
		}
	}
	return h
}

// stateStep is a value since a time, or that there is none.
type stateStep struct {
	at      time.Time
	value   float64
	isThere bool
}

// add adds what the data say from one time to another. It changes with the seconds.
func (h *stateHistory) add(e *expectedState, from, until time.Time) {
	for at := from; !at.After(until); at = at.Truncate(time.Second).Add(time.Second) {
		now := e.at(at)
		for name, value := range now {
			if last, ok := h.last[name]; !ok || last != value {
				h.steps[name] = append(h.steps[name], stateStep{at, value, true})
			}
		}
		for name := range h.last {
			if _, ok := now[name]; !ok {
				h.steps[name] = append(h.steps[name], stateStep{at: at})
			}
		}
		h.last = now
	}
}

// String returns the step for an error.
func (s stateStep) String() string {
	return fmt.Sprint(s.at.Format(time.TimeOnly), " ", s.value, " ", s.isThere)
}

// stateSample is a page: what it showed, and when it was complete. A replica that does not answer shows nothing.
type stateSample struct {
	at    time.Time
	shown map[string]float64
}

// check returns what a replica showed that was not true at any time between what it had shown before and the sample.
// What it has shown it shows until there is nothing to show, but for what is open: without a complete pass for a minute
// that is unknown.
func (h *stateHistory) check(samples []stateSample) (wrong []error) {
	reached, shown := make(map[string]int), make(map[string]bool)
	find := func(name string, at time.Time, matches func(*stateStep) bool) bool {
		steps := h.steps[name]
		for i := reached[name]; i < len(steps) && !steps[i].at.After(at); i++ {
			if matches(&steps[i]) {
				reached[name] = i
				return true
			}
		}
		return false
	}
	for _, s := range samples {
		if len(s.shown) == 0 {
			clear(shown) // it starts again
			continue
		}
		for name, value := range s.shown {
			if !find(name, s.at, func(step *stateStep) bool { return step.isThere && step.value == value }) {
				next := h.steps[name][min(reached[name], len(h.steps[name])):]
				wrong = append(wrong, fmt.Errorf("%s: %s is %v, and may be one of %d: %v", s.at.Format(time.StampMilli),
					name, value, len(next), next[:min(3, len(next))]))
			}
			shown[name] = true
		}
		for name := range shown {
			if _, ok := s.shown[name]; ok {
				continue
			}
			delete(shown, name)
			metric, _, _ := strings.Cut(name, "{")
			isGone := func(step *stateStep) bool { return !step.isThere }
			if !slices.Contains(stockMetrics, metric) && !find(name, s.at, isGone) {
				wrong = append(wrong, fmt.Errorf("%s: %s is shown no more", s.at.Format(time.StampMilli), name))
			}
		}
	}
	return wrong
}

// stateWatch reads the pages of replicas all the time.
type stateWatch struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	samples [][]stateSample // of each replica; only those that differ from the one before
}

// watchState starts to read the pages of replicas, once a second as they are emitted.
func watchState(t *testing.T, replicas []*replica) *stateWatch {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &stateWatch{cancel: cancel, samples: make([][]stateSample, len(replicas))}
	for i, r := range replicas {
		address := *r.collector // its process changes meanwhile
		w.running.Go(func() {
			for tick := time.Tick(time.Second); ctx.Err() == nil; {
				select {
				case <-ctx.Done():
					return
				case <-tick:
				}
				page, err := address.page(ctx)
				sample := stateSample{at: time.Now()}
				if err == nil {
					sample.shown = stateOf(page)
				}
				if list := w.samples[i]; len(list) == 0 || !maps.Equal(list[len(list)-1].shown, sample.shown) {
					w.samples[i] = append(list, sample)
				}
			}
		})
	}
	t.Cleanup(cancel)
	return w
}

// requireTrue ends the watch, and requires that everything that was shown was true.
func (w *stateWatch) requireTrue(t *testing.T, h *stateHistory) {
	t.Helper()
	w.cancel()
	w.running.Wait()
	for i, samples := range w.samples {
		wrong := h.check(samples)
		require.Empty(t, wrong, "replica %d: %d wrong ones in %d pages", i, len(wrong), len(samples))
		require.Greater(t, len(samples), 2, "pages of replica %d that differ from the one before", i)
		t.Logf("replica %d: %d pages that differ from the one before are true", i, len(samples))
	}
}
