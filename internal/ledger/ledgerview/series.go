// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"encoding/binary"
	"slices"
	"sort"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// series is a user in a repository: the events, and the totals since the ledger started.
type series struct {
	events [activity.NumAuthorKinds][]timedEvent
	// removed are events that were removed and may be restored.
	removed      *[activity.NumAuthorKinds][]timedEvent
	totals       ledger.Totals
	shownMetrics Mask
	sorted       bool
	newest       uint32 // the time of the newest event, 0 without any
}

// timedEvent is an event of a series: its id, its time in Unix seconds, and a commit's lines.
type timedEvent struct {
	id       uint64
	at       uint32
	measures activity.Measures
}

// compactID returns 64 bits that identify an event among those of its kind in its repository. A number is its own; of a
// commit's object name 64 bits are as good as 160.
func compactID(id *activity.ID) uint64 {
	return binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[12:])
}

// add adds an event, and counts it in the totals.
func (s *series) add(e *activity.Event) {
	s.totals.AddEvent(e)
	s.sorted = false
	list := &s.events[e.Kind.Index()]
	*list = append(*list, timedEvent{compactID(&e.ID), ledger.Unix32(e.Time), e.Measures})
	s.newest = max(s.newest, ledger.Unix32(e.Time))
}

// remove moves events of a kind to the removed ones; the totals stay.
func (s *series) remove(kind activity.Kind, ids map[uint64]bool) {
	if len(s.events[kind.Index()]) == 0 {
		return
	}
	if s.removed == nil {
		s.removed = new([activity.NumAuthorKinds][]timedEvent)
	}
	s.sorted = false
	moveEventsByID(&s.events[kind.Index()], &s.removed[kind.Index()], ids)
	s.setNewest()
}

// restore moves removed events of a kind back.
func (s *series) restore(kind activity.Kind, ids map[uint64]bool) {
	if s.removed == nil {
		return
	}
	s.sorted = false
	moveEventsByID(&s.removed[kind.Index()], &s.events[kind.Index()], ids)
	s.setNewest()
}

// setNewest computes the time of the newest event.
func (s *series) setNewest() {
	s.newest = 0
	for _, list := range s.events {
		for i := range list {
			s.newest = max(s.newest, list[i].at)
		}
	}
}

// isAlive reports whether there is an event within the retention before a time, in Unix nanoseconds.
func (s *series) isAlive(now int64, retention time.Duration) bool {
	return s.numEvents() > 0 && int64(s.newest) > (now-int64(retention))/int64(time.Second)
}

// moveEventsByID moves the events with some ids from one list to another.
func moveEventsByID(from, to *[]timedEvent, ids map[uint64]bool) {
	moved := func(e timedEvent) bool { return ids[e.id] }
	if !slices.ContainsFunc(*from, moved) {
		return
	}
	for _, e := range *from {
		if moved(e) {
			*to = append(*to, e)
		}
	}
	*from = slices.DeleteFunc(*from, moved)
}

// numEvents returns the number of events without the removed ones.
func (s *series) numEvents() int {
	n := 0
	for _, list := range s.events {
		n += len(list)
	}
	return n
}

// sort orders the events by time. It is done when values are computed, because most events are newer than those before.
func (s *series) sort() {
	if s.sorted {
		return
	}
	for _, list := range s.events {
		slices.SortFunc(list, func(a, b timedEvent) int { return int(int64(a.at) - int64(b.at)) })
	}
	s.sorted = true
}

// prune drops the events before a time; the totals stay.
func (s *series) prune(before uint32) {
	s.sort()
	for i, list := range s.events {
		s.events[i] = trimFront(list, countUntil(list, int64(before)-1))
	}
	if s.removed == nil {
		return
	}
	for i := range s.removed {
		s.removed[i] = slices.DeleteFunc(s.removed[i], func(e timedEvent) bool { return e.at < before })
	}
}

// trimFront drops the first n values and releases their memory.
func trimFront[T any](list []T, n int) []T {
	if n == 0 {
		return list
	}
	return slices.Clone(list[n:])
}

// windowValues computes the values of the series except the totals. It reports whether there is an event within the
// retention; without one there is no value.
func (s *series) windowValues(at *evaluationTimes, v *Values) bool {
	s.sort()
	*v = Values{}
	last := int64(-1)
	for _, kind := range activity.AuthorKinds() {
		newest := s.kindValues(kind, at, v)
		last = max(last, newest)
	}
	if last < 0 {
		*v = Values{}
		return false
	}
	v.set(MetricLastEvent, uint64(last))
	return true
}

// kindValues sets the values of one kind and returns the time of its newest event within the retention, -1 without one.
func (s *series) kindValues(kind activity.Kind, at *evaluationTimes, v *Values) int64 {
	stream, list := kind.Stream(), s.events[kind.Index()]
	upTo := countUntil(list, at.until[stream])
	if upTo == 0 {
		return -1
	}
	newest := int64(list[upTo-1].at)
	if newest <= at.retained[stream] {
		return -1
	}
	for _, w := range windows[kind.Index()] {
		if span := &at.spans[w.span]; span.isRead.Has(stream) {
			v.set(w.metric, uint64(upTo-countUntil(list, span.after[stream]))) //nolint:gosec // a count
		}
	}
	if kind.NumMeasures() > 0 {
		s.measureValues(kind, at, v)
	}
	return newest
}

// measureValues sets the sums of a kind's measures over their windows, unless a window was not read.
func (s *series) measureValues(kind activity.Kind, at *evaluationTimes, v *Values) {
	stream, list := kind.Stream(), s.events[kind.Index()]
	for i := range kind.Spec().Measures {
		total := ledger.MeasureTotal(kind, i)
		if totalSpecs[total].Optional && !at.hasOptional {
			continue
		}
		for _, w := range windows[total] {
			span := &at.spans[w.span]
			if !span.isRead.Has(stream) {
				continue
			}
			var sum uint64
			for _, e := range list[countUntil(list, span.after[stream]):countUntil(list, span.until[stream])] {
				sum += uint64(e.measures[i])
			}
			v.set(w.metric, sum)
		}
	}
}

// countUntil returns how many of the events happened at t or before.
func countUntil(list []timedEvent, t int64) int {
	return sort.Search(len(list), func(i int) bool { return int64(list[i].at) > t })
}
