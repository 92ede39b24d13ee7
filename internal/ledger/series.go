package ledger

import (
	"encoding/binary"
	"slices"
	"sort"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Metric is one of the activity metrics.
type Metric uint8

// The activity metrics: the counts of the last 24 h and the totals have one metric a kind, in the order of the kinds.
const (
	MetricCount             Metric = 0
	MetricLinesAdded               = MetricCount + activity.NumKinds
	MetricLinesRemoved             = MetricLinesAdded + 1
	MetricLastEvent                = MetricLinesRemoved + 1
	MetricTotal                    = MetricLastEvent + 1
	MetricTotalLinesAdded          = MetricTotal + TotalLinesAdded
	MetricTotalLinesRemoved        = MetricTotal + TotalLinesRemoved
	NumMetrics                     = int(MetricTotal) + NumTotals
)

// Mask is a set of metrics.
type Mask uint16

// Has reports whether m is in the set.
func (set Mask) Has(m Metric) bool { return set&(1<<m) != 0 }

// Values are the values of a series by metric, of those metrics that Present has. The last event is in Unix seconds.
type Values struct {
	Present Mask
	Of      [NumMetrics]uint64
	// StartTime is the time from which the totals count, in Unix seconds.
	StartTime int64
}

func (v *Values) set(m Metric, value uint64) {
	v.Present |= 1 << m
	v.Of[m] = value
}

// merge adds the values of another series that is shown under the same label.
func (v *Values) merge(o *Values) {
	for m := range Metric(NumMetrics) {
		switch {
		case !o.Present.Has(m):
		case m == MetricLastEvent:
			v.set(m, max(v.Of[m], o.Of[m]))
		default:
			v.set(m, v.Of[m]+o.Of[m])
		}
	}
}

// setTotals sets the totals in open of the kinds that have any events, and the totals of lines if there are commits.
func (v *Values) setTotals(totals *Totals, open Mask) {
	for i, total := range totals[:activity.NumKinds] {
		if total > 0 {
			v.set(MetricTotal+Metric(i), total)
		}
	}
	if totals[activity.KindCommit.Index()] > 0 {
		v.set(MetricTotalLinesAdded, totals[TotalLinesAdded])
		v.set(MetricTotalLinesRemoved, totals[TotalLinesRemoved])
	}
	v.Present &= open | (1<<MetricTotal - 1)
}

// series is a user in a repository: the events, and the totals since the ledger started.
type series struct {
	events [activity.NumKinds][]timedEvent
	// removed are events that were removed and may be restored.
	removed *[activity.NumKinds][]timedEvent
	totals  Totals
	shown   Mask
	sorted  bool
	newest  uint32 // the time of the newest event, 0 without any
}

// timedEvent is an event of a series: its id, its time in Unix seconds, and a commit's lines.
type timedEvent struct {
	id                       uint64
	at, additions, deletions uint32
}

// compactID returns 64 bits that identify an event among those of its kind in its repository. A number is its own; of a
// commit's object name 64 bits are as good as 160.
func compactID(id *activity.ID) uint64 {
	return binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[12:])
}

func (s *series) add(e *activity.Event) {
	s.totals.AddEvent(e)
	s.sorted = false
	list := &s.events[e.Kind.Index()]
	*list = append(*list, timedEvent{compactID(&e.ID), unix32(e.Time), e.Additions, e.Deletions})
	s.newest = max(s.newest, unix32(e.Time))
}

// remove moves events of a kind to the removed ones; the totals stay.
func (s *series) remove(kind activity.Kind, ids map[uint64]bool) {
	if len(s.events[kind.Index()]) == 0 {
		return
	}
	if s.removed == nil {
		s.removed = new([activity.NumKinds][]timedEvent)
	}
	s.sorted = false
	moveByID(&s.events[kind.Index()], &s.removed[kind.Index()], ids)
	s.setNewest()
}

// restore moves removed events of a kind back.
func (s *series) restore(kind activity.Kind, ids map[uint64]bool) {
	if s.removed == nil {
		return
	}
	s.sorted = false
	moveByID(&s.removed[kind.Index()], &s.events[kind.Index()], ids)
	s.setNewest()
}

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

// moveByID moves the events with some ids from one list to another.
func moveByID(from, to *[]timedEvent, ids map[uint64]bool) {
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
	for _, kind := range activity.Kinds() {
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
	v.set(MetricCount+Metric(kind.Index()), uint64(upTo-countUntil(list, at.day[stream]))) //nolint:gosec // a count
	if kind == activity.KindCommit && at.hasWeek {
		s.weekValues(at, v)
	}
	return newest
}

func (s *series) weekValues(at *evaluationTimes, v *Values) {
	var added, removed uint64
	commits := s.events[activity.KindCommit.Index()]
	for _, c := range commits[countUntil(commits, at.weekStart-1):countUntil(commits, at.weekEnd-1)] {
		added += uint64(c.additions)
		removed += uint64(c.deletions)
	}
	v.set(MetricLinesAdded, added)
	v.set(MetricLinesRemoved, removed)
}

// countUntil returns how many of the events happened at t or before.
func countUntil(list []timedEvent, t int64) int {
	return sort.Search(len(list), func(i int) bool { return int64(list[i].at) > t })
}
