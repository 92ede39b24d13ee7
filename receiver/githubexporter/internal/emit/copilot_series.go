// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"cmp"
	"slices"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// CopilotSettings configure the metrics of Copilot reports.
type CopilotSettings struct {
	// ScopeLabel adds the labels scope and window, PullRequests shows the metrics of pull requests.
	ScopeLabel, PullRequests bool
	// UserLabel returns the label of a user; false for a user who is not shown.
	UserLabel func(activity.Actor) (string, bool)
	// Scopes are the values of the label scope of the counters.
	Scopes []string
}

// CopilotOwner is an organization or an enterprise with Copilot reports.
type CopilotOwner struct {
	// Name is the value of the label org.
	Name string
	// Documents is whose documents they are in the ledger of the organization.
	Documents ledger.CopilotOwner
}

const (
	// allUsers is the label of what is about all users, allRepositories that of all repositories.
	allUsers        = "all"
	allRepositories = "*"
)

// copilotLabels are the labels of a series, apart from that of its owner. An empty one is absent.
type copilotLabels struct {
	repo, user, scope, window, team       string
	feature, ide, language, model, subset string
	day                                   report.Day
}

// subsetName returns the name of the label that has what a metric counts; empty for none.
func subsetName(m usage.Metric) string {
	switch m {
	case usage.MetricActiveUsers:
		return "kind"
	case usage.MetricSeats:
		return "state"
	case usage.MetricPullRequests, usage.MetricMinutesToMerge, usage.MetricCLI:
		return "what"
	case usage.MetricAdoptionUsers:
		return "phase"
	default:
		return ""
	}
}

// put sets the labels as attributes.
func (l *copilotLabels) put(attributes pcommon.Map, org string, m usage.Metric) {
	attributes.EnsureCapacity(6)
	attributes.PutStr("org", org)
	for _, label := range [...]struct{ name, value string }{
		{"repo", l.repo},
		{"user", l.user},
		{"scope", l.scope},
		{"window", l.window},
		{"team", l.team},
		{"day", l.day.String()},
		{"feature", l.feature},
		{"ide", l.ide},
		{"language", l.language},
		{"model", l.model},
		{subsetName(m), l.subset},
	} {
		if label.value != "" && label.name != "" {
			attributes.PutStr(label.name, label.value)
		}
	}
}

// copilotValues are the values of the metrics with the same labels.
type copilotValues struct {
	of      [usage.NumMetrics]float64
	present [usage.NumMetrics]bool
	// from is the position of the report that has the value.
	from [usage.NumMetrics]uint8
}

// isPullRequests reports whether a metric is about pull requests.
func isPullRequests(m usage.Metric) bool {
	return (m >= usage.MetricPRsCreated && m <= usage.MetricPRsReviewedByCopilot) ||
		m == usage.MetricPullRequests || m == usage.MetricMinutesToMerge
}

// isOfNewestDay reports whether a metric is about the newest day of a report, not about all its days.
func isOfNewestDay(m usage.Metric) bool {
	switch m {
	case usage.MetricActiveUsers, usage.MetricMinutesToMerge, usage.MetricAdoptionUsers, usage.MetricReportDay:
		return true
	default:
		return false
	}
}

// copilotTable computes the series of an owner from the stored reports.
type copilotTable struct {
	settings     *CopilotSettings
	isEnterprise bool
	series       map[copilotLabels]*copilotValues
}

// maxReportAge is how many days after its newest day a report is shown. Afterwards none of its days is among the last
// 28, and only the age of the report is shown.
const maxReportAge = 28

// isOutdated reports whether a report is too old to be shown. That of seats is as old as its reading.
func isOutdated(of *copilot.Header, today report.Day) bool {
	newest := of.Span.Last
	if newest == 0 {
		newest = report.DayOf(of.ReadAt)
	}
	return newest+maxReportAge < today
}

// readCopilotTable returns the series of an owner on a day. Of two reports with the same series one has its value: for
// a metric of the newest day the one with the newest day, otherwise that of 28 days. Of single days the newest one is
// shown, of older ones only what has the label day.
func readCopilotTable(
	settings *CopilotSettings, isEnterprise bool, reports []copilot.Report, today report.Day,
) (map[copilotLabels]*copilotValues, error) {
	table := &copilotTable{
		settings: settings, isEnterprise: isEnterprise, series: make(map[copilotLabels]*copilotValues),
	}
	newest := make(map[report.Type]report.Day)
	for i := range reports {
		target := &reports[i].Target
		newest[target.Type] = max(newest[target.Type], target.Day)
	}
	for _, ofNewestDay := range []bool{false, true} {
		slices.SortStableFunc(reports, func(a, b copilot.Report) int { return compareReports(&a, &b, ofNewestDay) })
		for i := range reports {
			r := &reports[i]
			isOlder, outdated := r.Target.Day < newest[r.Target.Type], isOutdated(&r.Header, today)
			err := r.EachSample(func(sample usage.Sample) {
				isShown := (!isOlder || sample.Labels.Day != 0) && (!outdated || sample.Metric == usage.MetricReportDay)
				if isShown && isOfNewestDay(sample.Metric) == ofNewestDay {
					table.add(i, &r.Header, &sample)
				}
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return table.series, nil
}

// compareReports orders reports: those of 28 days first or, if it is the newest day that counts, by their last day.
func compareReports(a, b *copilot.Report, ofNewestDay bool) int {
	byDay := cmp.Compare(b.Span.Last, a.Span.Last)
	byWindow := cmp.Compare(a.Target.Type.Window, b.Target.Type.Window)
	if ofNewestDay {
		return cmp.Or(byDay, byWindow)
	}
	return cmp.Or(byWindow, byDay)
}

// add adds a sample of the report at a position. Users with one label are one series.
func (t *copilotTable) add(position int, of *copilot.Header, sample *usage.Sample) {
	m := sample.Metric
	if m >= usage.NumMetrics || (isPullRequests(m) && !t.settings.PullRequests) {
		return
	}
	labels, ok := t.labelsOf(of, sample)
	if !ok {
		return
	}
	values := t.series[labels]
	if values == nil {
		values = &copilotValues{}
		t.series[labels] = values
	}
	from := uint8(min(position, 255)) //nolint:gosec // bounded
	switch {
	case !values.present[m]:
		values.of[m], values.present[m], values.from[m] = sample.Value, true, from
	case values.from[m] == from && sample.Labels.User != usage.User{}:
		values.of[m] += sample.Value
	}
}

// labelsOf returns the labels of a sample; false for a user who is not shown.
func (t *copilotTable) labelsOf(of *copilot.Header, sample *usage.Sample) (copilotLabels, bool) {
	from := &sample.Labels
	labels := copilotLabels{subset: from.Kind}
	if t.settings.ScopeLabel || sample.Metric == usage.MetricReportDay {
		labels.scope = of.Scope
	}
	switch m := sample.Metric; {
	case m == usage.MetricActiveUsers:
		labels.window = from.Window
	case t.settings.ScopeLabel && !isOfNewestDay(m):
		labels.window = of.Window
	}
	if sample.Metric <= usage.MetricPRsReviewedByCopilot {
		labels.repo = allRepositories
		labels.feature, labels.ide, labels.language, labels.model = from.Feature, from.IDE, from.Language, from.Model
		labels.day = from.Day
	}
	if from.Repository != "" {
		labels.repo = t.repository(from)
	}
	if sample.Metric > usage.MetricPRsReviewedByCopilot && sample.Metric != usage.MetricCreditsUsed {
		return labels, true
	}
	labels.user, labels.team = allUsers, from.Team
	if from.User == (usage.User{}) {
		return labels, true
	}
	var isShown bool
	labels.user, isShown = t.settings.UserLabel(actorOf(from.User))
	return labels, isShown
}

// repository returns the name of a repository, in an enterprise with that of its owner.
func (t *copilotTable) repository(labels *usage.Labels) string {
	if t.isEnterprise && labels.Owner != "" {
		return labels.Owner + "/" + labels.Repository
	}
	return labels.Repository
}

// actorOf returns a user as an actor. One without a login is named by the id.
func actorOf(user usage.User) activity.Actor {
	id, err := strconv.ParseInt(string(user.ID), 10, 64)
	if err != nil || id < 0 {
		id = 0
	}
	return activity.Actor{ID: id, Login: cmp.Or(user.Login, string(user.ID))}
}
