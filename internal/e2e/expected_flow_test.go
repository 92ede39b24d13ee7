// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// The upper bounds of the buckets, as the label le.
var (
	durationBounds = []float64{
		300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 86400, 2 * 86400, 3 * 86400, 5 * 86400, 7 * 86400,
		14 * 86400, 30 * 86400,
	}
	reviewBounds = []float64{0, 1, 2, 3, 5, 10, 20}
	lineBounds   = []float64{10, 50, 100, 250, 500, 1000, 5000}
)

// observe adds an observation at a time to a histogram, if GitHub has shown it. The label le is in the place of the
// user.
func (t *expectedMetrics) observe(metric, repo string, bounds []float64, happened time.Time, value float64) {
	if happened.After(t.visible) {
		return
	}
	for _, bound := range bounds {
		t.add(metric+"_bucket", repo, strconv.FormatFloat(bound, 'g', -1, 64), 1, value <= bound)
	}
	t.add(metric+"_bucket", repo, "+Inf", 1, true)
	t.add(metric+"_count", repo, "", 1, true)
	t.metrics[series{metric + "_sum", repo, ""}] += value
}

// clockEvent is something that moves the clock of a pull request.
type clockEvent struct {
	at   time.Time
	what string
}

// flowOf is a pull request with its reviews, in served times.
type flowOf struct {
	*expectedMetrics

	pull    *githubtest.Pull
	reviews []githubtest.Review
	events  []clockEvent
}

// addFlow adds the observations of all pull requests and issues.
func (t *expectedMetrics) addFlow() {
	reviews := make(map[string][]githubtest.Review)
	for _, r := range t.data.Reviews {
		if r.SubmittedAt != nil && !strings.HasSuffix(login(r.Login, ""), "[bot]") {
			key := r.Repo + "#" + strconv.Itoa(r.Pull)
			reviews[key] = append(reviews[key], r)
		}
	}
	for i := range t.data.Pulls {
		p := &t.data.Pulls[i]
		f := &flowOf{expectedMetrics: t, pull: p}
		for _, r := range reviews[p.Repo+"#"+strconv.Itoa(p.Number)] {
			if login(r.Login, "ghost") != login(p.Login, "ghost") {
				f.reviews = append(f.reviews, r)
			}
		}
		f.addEvents()
		f.observeAll()
	}
	for _, is := range t.data.OpenedIssues() {
		created := t.timeline.ToServed(is.CreatedAt)
		for _, closed := range is.ClosedAt {
			at := t.timeline.ToServed(closed)
			t.observe("gh_issue_time_to_close_seconds", is.Repo, durationBounds, at, at.Sub(created).Seconds())
		}
	}
}

// addEvents adds what moves the clock, the oldest first.
func (f *flowOf) addEvents() {
	add := func(what string, times ...time.Time) {
		for _, at := range times {
			f.events = append(f.events, clockEvent{at, what})
		}
	}
	add("draft", f.pull.DraftAt...)
	add("ready", f.pull.ReadyAt...)
	slices.SortFunc(f.events, func(a, b clockEvent) int { return a.at.Compare(b.at) })
	for i := range f.events { // those of one second keep their order
		f.events[i].at = f.timeline.ToServed(f.events[i].at)
	}
}

// waited returns how long a pull request that was ready had waited at a time, and how long it had been a draft before.
func (f *flowOf) waited(until time.Time) (ready, draft time.Duration) {
	at, isDraft := f.timeline.ToServed(f.pull.CreatedAt), f.pull.Draft
	pass := func(next time.Time) {
		if isDraft {
			draft += next.Sub(at)
		} else {
			ready += next.Sub(at)
		}
		at = next
	}
	for _, e := range f.events {
		if e.at.After(until) {
			break
		}
		pass(e.at)
		if isDraft = e.what == "draft"; !isDraft {
			ready = 0 // the clock starts again
		}
	}
	pass(until)
	return ready, draft
}

// observeAll adds the observations of the pull request.
func (f *flowOf) observeAll() {
	var first, approval time.Time
	for _, r := range f.reviews {
		at := f.timeline.ToServed(*r.SubmittedAt)
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if r.State == "APPROVED" && (approval.IsZero() || at.Before(approval)) {
			approval = at
		}
	}
	f.observeWait("gh_pr_time_to_first_review_seconds", first)
	f.observeWait("gh_pr_time_to_approval_seconds", approval)
	closings := slices.Clone(f.pull.Closings)
	if f.pull.MergedAt != nil {
		f.observeMerge(f.timeline.ToServed(*f.pull.MergedAt))
	} else if f.pull.ClosedAt != nil {
		closings = append(closings, *f.pull.ClosedAt)
	}
	for _, closed := range closings {
		f.observeWait("gh_pr_time_to_close_seconds", f.timeline.ToServed(closed))
	}
}

// observeWait adds the wait until a time, none for the zero time.
func (f *flowOf) observeWait(metric string, at time.Time) {
	if at.IsZero() {
		return
	}
	ready, _ := f.waited(at)
	f.observe(metric, f.pull.Repo, durationBounds, at, ready.Seconds())
}

// observeMerge adds the observations of a merge.
func (f *flowOf) observeMerge(merged time.Time) {
	f.observeWait("gh_pr_time_to_merge_seconds", merged)
	_, draft := f.waited(merged)
	f.observe("gh_pr_draft_seconds", f.pull.Repo, durationBounds, merged, draft.Seconds())
	reviews := 0
	for _, r := range f.reviews {
		if !f.timeline.ToServed(*r.SubmittedAt).After(merged) {
			reviews++
		}
	}
	f.observe("gh_pr_reviews", f.pull.Repo, reviewBounds, merged, float64(reviews))
	f.observe("gh_pr_lines", f.pull.Repo, lineBounds, merged, float64(f.pull.Additions+f.pull.Deletions))
	if !merged.After(f.visible) {
		f.add("gh_pr_merged_without_review_total", f.pull.Repo, "", 1, reviews == 0)
	}
}
