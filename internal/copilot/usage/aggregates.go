// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"cmp"
	"iter"
	"strconv"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// Aggregates adds up the days of an aggregate report. It is for one goroutine.
type Aggregates struct {
	settings Settings
	table    table
	days     map[report.Day]*report.Aggregate // without their arrays
	counts   Counts
	newest   report.Day
}

// NewAggregates starts a report.
func NewAggregates(settings Settings) *Aggregates {
	settings.Span.Last = min(settings.Span.Last, settings.Span.First+MaxSpan-1)
	return &Aggregates{settings: settings, table: newTable(settings), days: make(map[report.Day]*report.Aggregate)}
}

// Add adds a day.
func (a *Aggregates) Add(row *report.Aggregate) {
	switch {
	case !a.settings.Span.Contains(row.Day):
		a.counts.Dropped[DropOutsideWindow]++
		return
	case a.days[row.Day] != nil:
		a.counts.Dropped[DropDuplicate]++
		return
	}
	a.counts.Used++
	a.newest = max(a.newest, row.Day)
	a.table.add(0, row.Day, &row.Counters, &row.Breakdowns)
	day := *row
	day.Breakdowns = report.Breakdowns{}
	a.days[row.Day] = &day
}

// Counts returns how many days were used and dropped.
func (a *Aggregates) Counts() Counts { return a.counts }

// Newest returns the newest day; no day without any.
func (a *Aggregates) Newest() report.Day { return a.newest }

// Samples returns the samples of the report.
func (a *Aggregates) Samples() iter.Seq[Sample] {
	return joined(a.table.samples(func(int32) Labels { return Labels{} }), a.pullRequests, a.pullRequestKinds,
		a.minutesToMerge, a.cli, a.activeUsers, a.phases, reportDay(a.newest))
}

// eachDay returns the days that are there, in their order.
func (a *Aggregates) eachDay() iter.Seq[*report.Aggregate] {
	return func(yield func(*report.Aggregate) bool) {
		for at := a.settings.Span.First; at <= a.settings.Span.Last; at++ {
			if day := a.days[at]; day != nil && !yield(day) {
				return
			}
		}
	}
}

// total returns the sum of a count over the days that have it.
func (a *Aggregates) total(get func(*report.Aggregate) report.Count) report.Count {
	var total report.Count
	for day := range a.eachDay() {
		if value, ok := get(day).Get(); ok {
			sum, _ := total.Get()
			total = report.CountOf(addCounts(sum, value))
		}
	}
	return total
}

// newestOf returns an amount of the newest day that has it.
func (a *Aggregates) newestOf(get func(*report.Aggregate) report.Amount) report.Amount {
	var newest report.Amount
	for day := range a.eachDay() {
		if amount := get(day); !amount.IsZero() {
			newest = amount
		}
	}
	return newest
}

// yieldCount yields a count if it is present. It returns false when the consumer stops.
func yieldCount(yield func(Sample) bool, metric Metric, labels Labels, count report.Count) bool {
	value, ok := count.Get()
	return !ok || yield(Sample{metric, labels, float64(value)})
}

func (a *Aggregates) pullRequests(yield func(Sample) bool) {
	for _, of := range []struct {
		metric Metric
		get    func(*report.PullRequests) report.Count
	}{
		{MetricPRsCreated, func(p *report.PullRequests) report.Count { return p.Created }},
		{MetricPRsReviewed, func(p *report.PullRequests) report.Count { return p.Reviewed }},
		{MetricPRsCreatedByCopilot, func(p *report.PullRequests) report.Count { return p.CreatedByCopilot }},
		{MetricPRsReviewedByCopilot, func(p *report.PullRequests) report.Count { return p.ReviewedByCopilot }},
	} {
		if !a.settings.ByDay {
			count := a.total(func(d *report.Aggregate) report.Count { return of.get(&d.PullRequests) })
			if !yieldCount(yield, of.metric, Labels{}, count) {
				return
			}
			continue
		}
		for day := range a.eachDay() {
			if !yieldCount(yield, of.metric, Labels{Day: day.Day}, of.get(&day.PullRequests)) {
				return
			}
		}
	}
}

func (a *Aggregates) pullRequestKinds(yield func(Sample) bool) {
	for _, of := range []struct {
		kind string
		get  func(*report.PullRequests) report.Count
	}{
		{"merged", func(p *report.PullRequests) report.Count { return p.Merged }},
		{"merged_created_by_copilot", func(p *report.PullRequests) report.Count { return p.MergedCreatedByCopilot }},
		{"merged_reviewed_by_copilot", func(p *report.PullRequests) report.Count { return p.MergedReviewedByCopilot }},
		{"suggestions", func(p *report.PullRequests) report.Count { return p.Suggestions }},
		{"applied_suggestions", func(p *report.PullRequests) report.Count { return p.AppliedSuggestions }},
		{"copilot_suggestions", func(p *report.PullRequests) report.Count { return p.CopilotSuggestions }},
		{"copilot_applied_suggestions", func(p *report.PullRequests) report.Count {
			return p.CopilotAppliedSuggestions
		}},
	} {
		count := a.total(func(d *report.Aggregate) report.Count { return of.get(&d.PullRequests) })
		if !yieldCount(yield, MetricPullRequests, Labels{Kind: of.kind}, count) {
			return
		}
	}
}

func (a *Aggregates) minutesToMerge(yield func(Sample) bool) {
	for _, of := range []struct {
		kind string
		get  func(*report.PullRequests) report.Amount
	}{
		{"any", func(p *report.PullRequests) report.Amount { return p.MinutesToMerge }},
		{"copilot_authored", func(p *report.PullRequests) report.Amount { return p.MinutesToMergeCopilotAuthored }},
		{"copilot_reviewed", func(p *report.PullRequests) report.Amount { return p.MinutesToMergeCopilotReviewed }},
	} {
		value, ok := a.newestOf(func(d *report.Aggregate) report.Amount { return of.get(&d.PullRequests) }).Get()
		if ok && !yield(Sample{MetricMinutesToMerge, Labels{Kind: of.kind}, value}) {
			return
		}
	}
}

func (a *Aggregates) cli(yield func(Sample) bool) {
	for _, of := range []struct {
		kind string
		get  func(*report.CLI) report.Count
	}{
		{"sessions", func(c *report.CLI) report.Count { return c.Sessions }},
		{"requests", func(c *report.CLI) report.Count { return c.Requests }},
		{"prompts", func(c *report.CLI) report.Count { return c.Prompts }},
		{"prompt_tokens", func(c *report.CLI) report.Count { return c.TokenUsage.PromptTokens }},
		{"output_tokens", func(c *report.CLI) report.Count { return c.TokenUsage.OutputTokens }},
	} {
		count := a.total(func(d *report.Aggregate) report.Count {
			if d.CLI == nil {
				return report.Count{}
			}
			return of.get(d.CLI)
		})
		if !yieldCount(yield, MetricCLI, Labels{Kind: of.kind}, count) {
			return
		}
	}
}

// activeUsers yields the distinct users of the newest day.
func (a *Aggregates) activeUsers(yield func(Sample) bool) {
	day := a.days[a.newest]
	if day == nil {
		return
	}
	for _, of := range []struct {
		kind                   string
		daily, weekly, monthly report.Count
	}{
		{"any", day.Daily, day.Weekly, day.Monthly},
		{"chat", report.Count{}, report.Count{}, day.MonthlyChat},
		{"agent", report.Count{}, report.Count{}, day.MonthlyAgent},
		{"cli", day.DailyCLI, day.WeeklyCLI, day.MonthlyCLI},
		{"cloud_agent", day.DailyCloudAgent, day.WeeklyCloudAgent, day.MonthlyCloudAgent},
		{"review_active", day.DailyReviewActive, day.WeeklyReviewActive, day.MonthlyReviewActive},
		{"review_passive", day.DailyReviewPassive, day.WeeklyReviewPassive, day.MonthlyReviewPassive},
		{"app", day.DailyApp, day.WeeklyApp, day.MonthlyApp},
	} {
		if !yieldCount(yield, MetricActiveUsers, Labels{Window: "1d", Kind: of.kind}, of.daily) ||
			!yieldCount(yield, MetricActiveUsers, Labels{Window: "7d", Kind: of.kind}, of.weekly) ||
			!yieldCount(yield, MetricActiveUsers, Labels{Window: "28d", Kind: of.kind}, of.monthly) {
			return
		}
	}
}

// phases yields the engaged users of each adoption phase on the newest day.
func (a *Aggregates) phases(yield func(Sample) bool) {
	day := a.days[a.newest]
	if day == nil {
		return
	}
	yielded := make(map[string]bool)
	for i := range day.Phases {
		name := phaseName(&day.Phases[i].Phase)
		if yielded[name] {
			continue
		}
		yielded[name] = true
		if !yieldCount(yield, MetricAdoptionUsers, Labels{Kind: name}, day.Phases[i].EngagedUsers) {
			return
		}
	}
}

func phaseName(phase *report.Phase) string {
	number, ok := phase.Number.Get()
	name := report.CleanLabel(phase.Name)
	if name == "" && ok {
		return "Phase " + strconv.FormatInt(number, 10)
	}
	return cmp.Or(name, unknownName)
}
