// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// series identifies a series of the activity metrics. Of those by repository, user is the label le.
type series struct{ metric, repo, user string }

// expectedMetrics computes the activity metrics from the data files in the plainest way: it shares no code with the
// exporter.
type expectedMetrics struct {
	data     *githubtest.Dataset
	timeline githubtest.Timeline
	visible  time.Time // nothing that happened later was served
	at       time.Time // the moment that the rolling windows end
	metrics  map[series]float64
}

// expectedAt returns the expected metrics at a time, of the events that GitHub had shown by visible.
func expectedAt(data *githubtest.Dataset, timeline githubtest.Timeline, visible, at time.Time) map[series]float64 {
	t := &expectedMetrics{data: data, timeline: timeline, visible: visible, at: at, metrics: make(map[series]float64)}
	for _, c := range data.Commits {
		t.addEvent("commits", c.Repo, login(c.Login, "unlinked_git_author"), c.CommittedAt)
		t.addLines(&c)
	}
	for _, p := range data.Pulls {
		author := login(p.Login, "ghost")
		t.addEvent("prs_opened", p.Repo, author, p.CreatedAt)
		if p.MergedAt != nil {
			t.addEvent("prs_merged", p.Repo, author, *p.MergedAt)
		}
	}
	for _, r := range data.Reviews {
		if r.SubmittedAt != nil {
			t.addEvent("reviews_submitted", r.Repo, login(r.Login, "ghost"), *r.SubmittedAt)
		}
	}
	for _, c := range data.Comments {
		t.addEvent("issue_comments", c.Repo, login(c.Login, "ghost"), c.CreatedAt)
	}
	for _, is := range data.OpenedIssues() {
		author := login(is.Login, "ghost")
		t.addEvent("issues_opened", is.Repo, author, is.CreatedAt)
		for _, at := range is.ClosedAt {
			t.addEvent("issues_closed", is.Repo, author, at)
		}
	}
	for _, repo := range data.Repos {
		for _, r := range repo.Releases {
			t.addEvent("releases_published", repo.Name, cmp.Or(r.Login, "ghost"), r.PublishedAt)
		}
	}
	t.addFlow()
	return t.metrics
}

// login returns a login, or otherwise where it is nil.
func login(login *string, otherwise string) string {
	if login == nil {
		return otherwise
	}
	return *login
}

// addEvent counts an event if GitHub has shown it.
func (t *expectedMetrics) addEvent(kind, repo, user string, data time.Time) {
	happened := t.timeline.ToServed(data)
	if happened.After(t.visible) {
		return
	}
	t.metrics[series{"gh_activity_" + kind + "_total", repo, user}]++
	t.add("gh_activity_"+kind+"_24h", repo, user, 1, happened.After(t.at.Add(-24*time.Hour)))
	t.add("gh_activity_"+kind+"_7d", repo, user, 1, happened.After(t.at.Add(-7*24*time.Hour)))
	last := series{"gh_activity_last_event_unixtime", repo, user}
	t.metrics[last] = max(t.metrics[last], float64(happened.Unix()))
}

// addLines counts a commit's lines; those of merge commits do not count, but show that there are commits.
func (t *expectedMetrics) addLines(c *githubtest.Commit) {
	happened := t.timeline.ToServed(c.CommittedAt)
	if happened.After(t.visible) {
		return
	}
	if c.Parents > 1 {
		c.Additions, c.Deletions = 0, 0
	}
	user := login(c.Login, "unlinked_git_author")
	weekEnd := t.at.UTC().Truncate(24 * time.Hour)
	for weekEnd.Weekday() != time.Sunday {
		weekEnd = weekEnd.Add(-24 * time.Hour)
	}
	week := !happened.Before(weekEnd.Add(-7*24*time.Hour)) && happened.Before(weekEnd)
	t.add("gh_activity_loc_added_weekly", c.Repo, user, c.Additions, week)
	t.add("gh_activity_loc_removed_weekly", c.Repo, user, c.Deletions, week)
	t.add("gh_activity_loc_added_total", c.Repo, user, c.Additions, true)
	t.add("gh_activity_loc_removed_total", c.Repo, user, c.Deletions, true)
}

// add adds to a series when the event counts; when it does not, the series exists all the same.
func (t *expectedMetrics) add(metric, repo, user string, n int, counts bool) {
	if !counts {
		n = 0
	}
	t.metrics[series{metric, repo, user}] += float64(n)
}

// expectedLinesAt is expectedAt where commits are read without lines: there are no sums of lines, and of the weekly
// lines only those that GitHub can report. The statistics have the users with an account and a commit that is not a
// merge. Where all commits of the week were read, and where there was no push since it began, all users are known.
func expectedLinesAt(
	data *githubtest.Dataset,
	timeline githubtest.Timeline,
	at time.Time,
	fallback bool,
) map[series]float64 {
	listed := make(map[series]bool)
	for _, c := range data.Commits {
		if c.Login != nil && c.Parents < 2 && !timeline.ToServed(c.CommittedAt).After(timeline.Start) {
			listed[series{"", c.Repo, *c.Login}] = true
		}
	}
	quiet := quietRepos(data, timeline, at)
	metrics := expectedAt(data, timeline, timeline.Start, at)
	for s := range metrics {
		switch s.metric {
		case "gh_activity_loc_added_total", "gh_activity_loc_removed_total":
			delete(metrics, s)
		case "gh_activity_loc_added_weekly", "gh_activity_loc_removed_weekly":
			if !fallback && !quiet[s.repo] && !listed[series{"", s.repo, s.user}] {
				delete(metrics, s)
			}
		}
	}
	return metrics
}

// quietRepos returns the repositories without a push since the last complete week began.
func quietRepos(data *githubtest.Dataset, timeline githubtest.Timeline, at time.Time) map[string]bool {
	sunday := at.UTC().Truncate(24 * time.Hour)
	for sunday.Weekday() != time.Sunday {
		sunday = sunday.Add(-24 * time.Hour)
	}
	quiet := make(map[string]bool)
	for _, r := range data.Repos {
		quiet[r.Name] = true
	}
	for _, c := range data.Commits {
		if happened := timeline.ToServed(
			c.CommittedAt,
		); !happened.After(timeline.Start) &&
			!happened.Before(sunday.Add(-7*24*time.Hour)) {
			quiet[c.Repo] = false
		}
	}
	return quiet
}
