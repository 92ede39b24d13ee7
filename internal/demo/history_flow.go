// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// flowStep is the distance of two samples of the histograms, of which the dashboards show the increase of days.
const flowStep = 6 * time.Hour

// writeFlow writes the histograms of pull requests and issues.
func (h *History) writeFlow(out *historyWriter) {
	byRepo := h.flowEvents()
	for _, repo := range slices.Sorted(maps.Keys(byRepo)) {
		events := byRepo[repo]
		slices.SortFunc(events, func(a, b activity.Event) int { return a.Time.Compare(b.Time) })
		for i := range ledger.HistogramSpecs() {
			h.writeHistogram(out, repo, events, &ledger.HistogramSpecs()[i])
		}
	}
}

// writeHistogram writes the samples of a histogram of a repository, one series after the other.
func (h *History) writeHistogram(
	out *historyWriter, repo string, events []activity.Event, spec *ledger.HistogramSpec,
) {
	times := h.flowSteps()
	histograms := make([]ledger.Histogram, len(times))
	var totals ledger.RepositoryTotals
	next := 0
	for i, at := range times {
		for next < len(events) && !events[next].Time.After(at) {
			totals.AddEvent(&events[next])
			next++
		}
		histograms[i] = totals.Clone().Histogram(spec)
	}
	last := &histograms[len(histograms)-1]
	if last.Count() == 0 {
		return
	}
	name, label := prometheusName(spec), fmt.Sprintf("repo=%q", repo)
	for bucket := range last.Buckets {
		le := "+Inf"
		if bucket < len(spec.Bounds) {
			le = strconv.FormatFloat(float64(spec.Bounds[bucket]), 'g', -1, 64)
		}
		for i := range times {
			var count uint64
			for _, n := range histograms[i].Buckets[:bucket+1] {
				count += n
			}
			out.sample(name+"_bucket", fmt.Sprintf("%s,le=%q", label, le), float64(count), times[i])
		}
	}
	for i := range times {
		out.sample(name+"_sum", label, float64(histograms[i].Sum), times[i])
	}
	for i := range times {
		out.sample(name+"_count", label, float64(histograms[i].Count()), times[i])
	}
	if spec.ZerosMetric != "" {
		zeros := strings.ReplaceAll(spec.ZerosMetric, ".", "_") + "_total"
		for i := range times {
			out.sample(zeros, label, float64(histograms[i].Buckets[0]), times[i])
		}
	}
}

// prometheusName returns the name of a histogram in Prometheus. Those of durations have the unit of a second.
func prometheusName(spec *ledger.HistogramSpec) string {
	name := strings.ReplaceAll(spec.Metric, ".", "_")
	if strings.Contains(name, "time_to") || strings.HasSuffix(name, "draft") {
		name += "_seconds"
	}
	return name
}

// flowSteps returns the times of the samples.
func (h *History) flowSteps() []time.Time {
	var list []time.Time
	for at := h.Timeline.Start.Add(-time.Minute); at.After(h.Since); at = at.Add(-flowStep) {
		list = append(list, at)
	}
	slices.Reverse(list) // the first ones are of the look-back's first hours, and have what happened until then
	return list
}

// flowEvents returns what happened since the begin of the look-back, by repository.
func (h *History) flowEvents() map[string][]activity.Event {
	byRepo := make(map[string][]activity.Event)
	add := func(repo string, events []activity.Event) {
		for _, e := range events {
			if !e.Time.Before(h.Since) {
				byRepo[repo] = append(byRepo[repo], e)
			}
		}
	}
	reviews := make(map[string][]flow.Review)
	for _, r := range h.Data.Reviews {
		if r.SubmittedAt != nil {
			key := fmt.Sprint(r.Repo, "#", r.Pull)
			reviews[key] = append(reviews[key], flow.Review{
				ID: r.ID, Author: flowActor(r.Login), At: h.Timeline.ToServed(*r.SubmittedAt),
				Approves: r.State == "APPROVED",
			})
		}
	}
	for i := range h.Data.Pulls {
		p := &h.Data.Pulls[i]
		pull := h.flowPull(p)
		pull.Reviews = reviews[fmt.Sprint(p.Repo, "#", p.Number)]
		add(p.Repo, flow.Rules{}.PullRequestEvents(pull))
	}
	for _, issue := range h.Data.OpenedIssues() {
		var closings []time.Time
		for _, at := range issue.ClosedAt {
			closings = append(closings, h.Timeline.ToServed(at))
		}
		add(issue.Repo, flow.IssueEvents(1, int64(issue.Number), h.Timeline.ToServed(issue.CreatedAt), closings))
	}
	return byRepo
}

// flowActor returns the actor of a login, nil for a deleted account.
func flowActor(login *string) activity.Actor {
	if login == nil {
		return activity.Ghost()
	}
	return activity.Actor{Login: *login}
}

// flowPull returns a pull request without its reviews.
func (h *History) flowPull(p *githubtest.Pull) *flow.PullRequest {
	pull := &flow.PullRequest{
		Repo: 1, Number: int64(p.Number), Author: flowActor(p.Login), Created: h.Timeline.ToServed(p.CreatedAt),
		Updated: h.Timeline.Start.AddDate(1, 0, 0),
		Draft:   p.Draft, Lines: int64(p.Additions + p.Deletions),
	}
	add := func(change flow.ChangeType, times ...time.Time) {
		for _, at := range times {
			pull.Changes = append(pull.Changes, flow.Change{Type: change, At: h.Timeline.ToServed(at)})
		}
	}
	add(flow.ReadyForReview, p.ReadyAt...)
	add(flow.ConvertedToDraft, p.DraftAt...)
	add(flow.Closed, p.Closings...)
	add(flow.Reopened, p.ReopenedAt...)
	if p.ClosedAt != nil {
		add(flow.Closed, *p.ClosedAt)
	}
	if p.MergedAt != nil {
		pull.Merged = h.Timeline.ToServed(*p.MergedAt)
	}
	return pull
}
