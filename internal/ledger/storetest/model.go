// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

func drawEvent(t *rapid.T) activity.Event {
	kind := rapid.SampledFrom([]activity.Kind{
		1, 2, 3, 4, 5, activity.KindFirstReview, activity.KindMergeTime, activity.KindIssueCloseTime,
	}).Draw(t, "kind")
	e := Event(kind, rapid.Int64Range(1, 30).Draw(t, "number"), "",
		Noon.Add(-time.Duration(rapid.IntRange(0, 15*24*60).Draw(t, "minutes"))*time.Minute))
	e.Actor = rapid.SampledFrom([]activity.Actor{
		{Login: "ada"}, {Login: "bob"}, {ID: 7, Login: "eve"}, {ID: 7, Login: "eve-2"}, {ID: 8, Login: "kim"},
	}).Draw(t, "user")
	e.Repo = rapid.Int64Range(1, 2).Draw(t, "repo")
	if kind.IsOfRepository() {
		e.Actor = activity.NoActor()
		for i := range kind.Spec().Measures {
			e.Measures[i] = rapid.Uint32Range(0, 90*24*60*60).Draw(t, "seconds")
		}
	}
	return e
}

// model computes the metrics in the plainest way, from the set of events, those ever recorded, and the removed ones.
type model struct {
	ever, kept map[activity.Key]activity.Event
	removed    map[activity.Key]bool
	pruned     time.Time
}

func newModel() *model {
	return &model{
		ever: map[activity.Key]activity.Event{}, kept: map[activity.Key]activity.Event{},
		removed: map[activity.Key]bool{},
	}
}

// remove removes recorded events.
func (m *model) remove(keys []activity.Key) {
	for _, key := range keys {
		if _, recorded := m.kept[key]; recorded {
			m.removed[key] = true
		}
	}
}

// user is an account's newest login.
func (m *model) user(actor activity.Actor) string {
	newest := activity.Event{Actor: actor}
	for _, e := range m.ever {
		if actor.ID == 0 || e.Actor.ID != actor.ID {
			continue
		}
		if e.Time.After(newest.Time) || (e.Time.Equal(newest.Time) && e.Actor.Login > newest.Actor.Login) {
			newest = e
		}
	}
	return newest.Actor.Login
}

// record says how many events are new.
func (m *model) record(events []activity.Event) int {
	before := len(m.ever)
	for _, e := range events {
		_, known := m.ever[e.Key()]
		if _, kept := m.kept[e.Key()]; kept {
			delete(m.removed, e.Key())
		}
		if known || e.Time.Before(Noon.AddDate(0, 0, -14)) || e.Time.Before(m.pruned) {
			continue
		}
		m.ever[e.Key()], m.kept[e.Key()] = e, e
	}
	return len(m.ever) - before
}

func (m *model) prune(before time.Time) {
	if before.After(m.pruned) {
		m.pruned = before
	}
	for key, e := range m.kept {
		if e.Time.Before(m.pruned) {
			delete(m.kept, key)
		}
	}
}

// line is one metric of one series.
type line struct {
	series ledgerview.Series
	metric ledgerview.Metric
}

func plain(s EmittedSeries) map[line]uint64 {
	lines := make(map[line]uint64)
	for series, v := range s {
		for m := range ledgerview.NumMetrics {
			if metric := ledgerview.Metric(m); v.Present.Has(metric) {
				lines[line{series, metric}] = v.Of[m]
			}
		}
	}
	return lines
}

func (m *model) shown(at time.Time) map[line]uint64 {
	lines := make(map[line]uint64)
	for key, e := range m.kept {
		if m.removed[key] || e.Kind.IsOfRepository() {
			continue
		}
		series := ledgerview.Series{Repo: fmt.Sprintf("repo-%d", e.Repo), User: m.user(e.Actor)}
		m.count(lines, series, &e, at)
		if e.Kind == activity.KindCommit {
			added, removed := line{series, ledgerview.MetricLinesAdded}, line{series, ledgerview.MetricLinesRemoved}
			lines[added] += 0
			lines[removed] += 0
			if ledger.LastCompleteWeek(at).Contains(e.Time) {
				lines[added] += uint64(e.Measures[activity.CommitAdditions])
				lines[removed] += uint64(e.Measures[activity.CommitDeletions])
			}
		}
		last := line{series, ledgerview.MetricLastEvent}
		lines[last] = max(lines[last], uint64(e.Time.Unix()))
	}
	m.totals(lines)
	return lines
}

// count adds an event to the windows that are there. The repositories were read for 14 days, so no window of 30 days is
// complete, nor one of 7 days of which a part was pruned.
func (m *model) count(lines map[line]uint64, series ledgerview.Series, e *activity.Event, at time.Time) {
	for _, span := range []activity.Span{activity.SpanDay, activity.Span7Days} {
		start := at.Add(-span.Length())
		if span == activity.Span7Days && m.pruned.After(start) {
			continue
		}
		metric, _ := ledgerview.WindowMetric(e.Kind, span)
		lines[line{series, metric}] += 0
		if e.Time.After(start) {
			lines[line{series, metric}]++
		}
	}
}

// totals adds the sums of the series that are there.
func (m *model) totals(lines map[line]uint64) {
	for _, e := range m.ever {
		if e.Kind.IsOfRepository() {
			continue
		}
		series := ledgerview.Series{Repo: fmt.Sprintf("repo-%d", e.Repo), User: m.user(e.Actor)}
		if _, alive := lines[line{series, ledgerview.MetricLastEvent}]; !alive {
			continue
		}
		lines[line{series, ledgerview.MetricTotal + ledgerview.Metric(e.Kind.Index())}]++
		if e.Kind == activity.KindCommit {
			lines[line{series, ledgerview.MetricTotalLinesAdded}] += uint64(e.Measures[activity.CommitAdditions])
			lines[line{series, ledgerview.MetricTotalLinesRemoved}] += uint64(e.Measures[activity.CommitDeletions])
		}
	}
}

// histogramLine is the sum of a histogram of a repository (bucket -1), or the count of one of its buckets.
type histogramLine struct {
	repo   int64
	metric string
	bucket int
}

// histograms has the sums and counts that are not 0, over all events that were ever recorded.
func (m *model) histograms() map[histogramLine]uint64 {
	lines := make(map[histogramLine]uint64)
	for _, e := range m.ever {
		for i, measure := range e.Kind.Spec().Measures {
			h := measure.Histogram
			if h.Metric == "" {
				continue
			}
			bucket := 0
			for bucket < len(h.Bounds) && e.Measures[i] > h.Bounds[bucket] {
				bucket++
			}
			if e.Measures[i] > 0 {
				lines[histogramLine{e.Repo, h.Metric, -1}] += uint64(e.Measures[i])
			}
			lines[histogramLine{e.Repo, h.Metric, bucket}]++
		}
	}
	return lines
}

// plainHistograms has the sums and counts of a view that are not 0.
func plainHistograms(view *ledgerview.View, at time.Time) map[histogramLine]uint64 {
	lines := make(map[histogramLine]uint64)
	for repo := range int64(3) {
		for i, h := range view.Histograms(repo, at) {
			metric := ledger.HistogramSpecs()[i].Metric
			if h.Sum > 0 {
				lines[histogramLine{repo, metric, -1}] = h.Sum
			}
			for bucket, n := range h.Buckets {
				if n > 0 {
					lines[histogramLine{repo, metric, bucket}] = n
				}
			}
		}
	}
	return lines
}
