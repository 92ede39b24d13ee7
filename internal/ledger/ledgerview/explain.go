// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// EventRef identifies an event of a view.
type EventRef struct {
	Repo int64
	Kind activity.Kind
	ID   CompactID
	// Time is when it happened, Measures are its measures.
	Time     time.Time
	Measures activity.Measures
}

// CompactID identifies an event among those of its kind in its repository; see NewCompactID.
type CompactID uint64

// NewCompactID returns the CompactID of an event with an id.
func NewCompactID(id *activity.ID) CompactID { return CompactID(compactID(id)) }

// Explanation is what the value of a metric with a window, of one account's events in a repository, is made of.
// Accounts with one label are one series: their explanations are parts of its value.
type Explanation struct {
	Series

	Metric Metric
	// After and Until are the window: exclusive start, inclusive end.
	After, Until time.Time
	Events       []EventRef
}

// Explain calls yield with the events behind each value that a visit at a time would show over a window. The time of
// the last event and the totals have no window.
func (v *View) Explain(now time.Time, yield func(*Explanation)) {
	v.visitLabelled(func(cov *ledger.RepoCoverage, label *userLabel, s *series) {
		at := v.evaluationTimes(cov, now)
		s.explain(cov.ID, Series{cov.Name, label.text}, &at, yield)
	})
}

// visitLabelled calls visit with each series, sorted, of a repository and an account that are shown.
func (v *View) visitLabelled(visit func(cov *ledger.RepoCoverage, label *userLabel, s *series)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	owners := v.nameOwners()
	for id, repo := range v.repos {
		cov := v.cov.Repos[id]
		if cov == nil || cov.IsGone() || owners[cov.Name] != id {
			continue
		}
		for n, s := range repo.series {
			if label := v.accounts.list[n].label; label != nil {
				s.sort()
				visit(cov, label, s)
			}
		}
	}
}

// explain explains the windows of a series that are sorted.
func (s *series) explain(repo int64, name Series, at *evaluationTimes, yield func(*Explanation)) {
	var shown Values
	if !s.windowValues(at, &shown) {
		return
	}
	for total := range windows {
		kind := totalSpecs[total].Kind
		stream, list := kind.Stream(), s.events[kind.Index()]
		for _, w := range windows[total] {
			if !shown.Present.Has(w.metric) {
				continue
			}
			span := &at.spans[w.span]
			explanation := Explanation{
				Series: name, Metric: w.metric, After: time.Unix(span.after[stream], 0).UTC(),
				Until: time.Unix(span.until[stream], 0).UTC(),
			}
			explanation.add(repo, kind, list[countUntil(list, span.after[stream]):countUntil(list, span.until[stream])])
			yield(&explanation)
		}
	}
}

// MeasureOf returns which measure of its events a metric with a window adds up; false when it counts the events.
func MeasureOf(m Metric) (measure int, ok bool) {
	for _, kind := range activity.AuthorKinds() {
		for i := range kind.NumMeasures() {
			for _, w := range windows[ledger.MeasureTotal(kind, i)] {
				if w.metric == m {
					return i, true
				}
			}
		}
	}
	return 0, false
}

// EventsBetween calls yield with the events of each kind, account and repository from an exclusive start to an
// inclusive end, whatever has been read: it counts what the ledger has.
func (v *View) EventsBetween(after, until time.Time, yield func(*Explanation)) {
	v.visitLabelled(func(cov *ledger.RepoCoverage, label *userLabel, s *series) {
		for _, kind := range activity.AuthorKinds() {
			list := s.events[kind.Index()]
			found := Explanation{
				Series: Series{cov.Name, label.text}, After: after, Until: until,
				Metric: MetricCount + Metric(kind.Index()), //nolint:gosec // a kind
			}
			found.add(cov.ID, kind, list[countUntil(list, after.Unix()):countUntil(list, until.Unix())])
			if len(found.Events) > 0 {
				yield(&found)
			}
		}
	})
}

// add adds events of a kind.
func (e *Explanation) add(repo int64, kind activity.Kind, list []timedEvent) {
	for _, event := range list {
		e.Events = append(e.Events, EventRef{
			Repo: repo, Kind: kind, ID: CompactID(event.id), Time: time.Unix(int64(event.at), 0).UTC(),
			Measures: event.measures,
		})
	}
}
