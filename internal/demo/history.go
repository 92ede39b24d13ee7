// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// historyStep is the distance of two samples of the history. An increase over an hour needs some samples.
const historyStep = 15 * time.Minute

// History is what Prometheus would have if it had scraped the exporter since the look-back began.
type History struct {
	Data     *githubtest.Dataset
	Copilot  *copilottest.Dataset
	Timeline githubtest.Timeline
	// Since is the begin of the look-back.
	Since time.Time
	// Labels are those that Prometheus adds to the target: job and instance.
	Labels map[string]string
}

// seriesKey identifies a series of users.
type seriesKey struct{ metric, repo, user string }

// occurrence is an event, or n lines of one.
type occurrence struct {
	at time.Time
	n  int
}

// Write writes the history in the format of OpenMetrics.
func (h *History) Write(w io.Writer) error {
	out := &historyWriter{Writer: bufio.NewWriter(w), labels: h.labels()}
	series := h.occurrences()
	keys := slices.SortedFunc(maps.Keys(series), func(a, b seriesKey) int {
		return cmp.Or(
			strings.Compare(a.metric, b.metric), strings.Compare(a.repo, b.repo), strings.Compare(a.user, b.user),
		)
	})
	for _, key := range keys {
		list := series[key]
		slices.SortFunc(list, func(a, b occurrence) int { return a.at.Compare(b.at) })
		h.writeSeries(out, key, list)
	}
	h.writeLastEvents(out, series)
	h.writeStocks(out)
	h.writeFlow(out)
	h.writeCopilot(out)
	_, _ = out.WriteString("# EOF\n")
	return out.Flush()
}

// labels returns the labels of every series.
func (h *History) labels() string {
	list := []string{fmt.Sprintf("org=%q", h.Data.Org.Login)}
	for _, name := range slices.Sorted(maps.Keys(h.Labels)) {
		list = append(list, fmt.Sprintf("%s=%q", name, h.Labels[name]))
	}
	return strings.Join(list, ",")
}

// historyWriter writes samples. bufio.Writer keeps the first error until Flush.
type historyWriter struct {
	*bufio.Writer

	labels string
}

func (w *historyWriter) sample(metric, labels string, value float64, at time.Time) {
	_, _ = fmt.Fprintf(w, "%s{%s,%s} %v %d\n", metric, w.labels, labels, value, at.Unix())
}

// steps returns the times of the samples: the last one is a minute before the start of the timeline.
func (h *History) steps() []time.Time {
	var list []time.Time
	for at := h.Timeline.Start.Add(-time.Minute); at.After(h.Since); at = at.Add(-historyStep) {
		list = append(list, at)
	}
	slices.Reverse(list)
	return list
}

// occurrences returns what happened between the begin of the look-back and the start, by series.
func (h *History) occurrences() map[seriesKey][]occurrence {
	series := make(map[seriesKey][]occurrence)
	add := func(metric, repo string, login *string, otherwise string, at time.Time, n int) {
		served := h.Timeline.ToServed(at)
		if served.Before(h.Since) || served.After(h.Timeline.Start) {
			return
		}
		if login != nil {
			otherwise = *login
		}
		key := seriesKey{metric, repo, otherwise}
		series[key] = append(series[key], occurrence{served, n})
	}
	for _, c := range h.Data.Commits {
		add("commits", c.Repo, c.Login, "unlinked_git_author", c.CommittedAt, 1)
		if c.Parents > 1 {
			c.Additions, c.Deletions = 0, 0
		}
		add("loc_added", c.Repo, c.Login, "unlinked_git_author", c.CommittedAt, c.Additions)
		add("loc_removed", c.Repo, c.Login, "unlinked_git_author", c.CommittedAt, c.Deletions)
	}
	for _, p := range h.Data.Pulls {
		add("prs_opened", p.Repo, p.Login, "ghost", p.CreatedAt, 1)
		if p.MergedAt != nil {
			add("prs_merged", p.Repo, p.Login, "ghost", *p.MergedAt, 1)
		}
	}
	for _, r := range h.Data.Reviews {
		if r.SubmittedAt != nil {
			add("reviews_submitted", r.Repo, r.Login, "ghost", *r.SubmittedAt, 1)
		}
	}
	for _, c := range h.Data.Comments {
		add("issue_comments", c.Repo, c.Login, "ghost", c.CreatedAt, 1)
	}
	for _, issue := range h.Data.OpenedIssues() {
		add("issues_opened", issue.Repo, issue.Login, "ghost", issue.CreatedAt, 1)
		for _, at := range issue.ClosedAt {
			add("issues_closed", issue.Repo, issue.Login, "ghost", at, 1)
		}
	}
	for i := range h.Data.Repos {
		for _, r := range h.Data.Repos[i].Releases {
			add("releases_published", h.Data.Repos[i].Name, new(cmp.Or(r.Login, "ghost")), "ghost", r.PublishedAt, 1)
		}
	}
	return series
}

// writeSeries writes the sum of a series, from 0 on, and its window.
func (h *History) writeSeries(out *historyWriter, key seriesKey, list []occurrence) {
	labels := fmt.Sprintf("repo=%q,user=%q", key.repo, key.user)
	for i, at := range h.steps() {
		if at.Add(historyStep).Before(list[0].at) {
			continue // the next sample is still before the first event
		}
		out.sample("gh_activity_"+key.metric+"_total", labels, sumBetween(list, time.Time{}, at), at)
		from, end, suffix := at.Add(-24*time.Hour), at, "_24h"
		if strings.HasPrefix(key.metric, "loc_") {
			end = lastSunday(at)
			from, suffix = end.AddDate(0, 0, -7), "_weekly"
		}
		if (suffix == "_24h" || !from.Before(h.Since)) && (i > 0 || !at.Before(list[0].at)) {
			out.sample("gh_activity_"+key.metric+suffix, labels, sumBetween(list, from, end), at)
		}
	}
}

// writeLastEvents writes the time of the newest event of each user in each repository.
func (h *History) writeLastEvents(out *historyWriter, series map[seriesKey][]occurrence) {
	times := make(map[seriesKey][]time.Time)
	for key, list := range series {
		for _, o := range list {
			user := seriesKey{"", key.repo, key.user}
			times[user] = append(times[user], o.at)
		}
	}
	for key, list := range times {
		slices.SortFunc(list, time.Time.Compare)
		for _, at := range h.steps() {
			i, _ := slices.BinarySearchFunc(list, at.Add(time.Nanosecond), time.Time.Compare)
			if i > 0 {
				labels := fmt.Sprintf("repo=%q,user=%q", key.repo, key.user)
				out.sample("gh_activity_last_event_unixtime", labels, float64(list[i-1].Unix()), at)
			}
		}
	}
}

// sumBetween adds up what happened after from, up to and including the end.
func sumBetween(list []occurrence, from, end time.Time) float64 {
	sum := 0
	for _, o := range list {
		if o.at.After(from) && !o.at.After(end) {
			sum += o.n
		}
	}
	return float64(sum)
}

// lastSunday returns the begin of the week of a time.
func lastSunday(at time.Time) time.Time {
	day := at.UTC().Truncate(24 * time.Hour)
	return day.AddDate(0, 0, -int(day.Weekday()))
}

// writeCopilot writes the metrics of the aggregate of 28 days, of which the newest day is two days back at each time.
func (h *History) writeCopilot(out *historyWriter) {
	if h.Copilot == nil {
		return
	}
	days := make(map[string]copilottest.Row)
	for _, row := range h.Copilot.Aggregates {
		days[row["day"].(string)] = row
	}
	for _, metric := range copilotMetrics() {
		for _, at := range h.steps() {
			if value, ok := metric.value(days, at.UTC().AddDate(0, 0, -2)); ok {
				out.sample(metric.name, metric.labels, value, at)
			}
		}
	}
}
