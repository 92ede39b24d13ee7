package ledger

import (
	"slices"
	"sort"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Metric is one of the activity metrics.
type Metric uint8

// The activity metrics: the counts of the last 24 h and the totals are one a kind, in the order of the kinds.
const (
	MetricCount      Metric = 0
	MetricLinesAdded        = MetricCount + activity.NumKinds
	MetricLinesGone         = MetricLinesAdded + 1
	MetricLastEvent         = MetricLinesGone + 1
	MetricTotal             = MetricLastEvent + 1
	MetricTotalAdded        = MetricTotal + TotalAdded
	MetricTotalGone         = MetricTotal + TotalRemoved
	NumMetrics              = int(MetricTotal) + NumTotals
)

// Mask is a set of metrics.
type Mask uint16

// Has reports whether m is in the set.
func (set Mask) Has(m Metric) bool { return set&(1<<m) != 0 }

// Values are the values of a series, by metric, and which of them there are. The last event is in Unix seconds.
type Values struct {
	Present Mask
	Of      [NumMetrics]uint64
}

func (v *Values) set(m Metric, value uint64) {
	v.Present |= 1 << m
	v.Of[m] = value
}

// series is a user in a repository: when what happened, in Unix seconds, and the totals since the ledger began.
type series struct {
	commits []commit
	times   [activity.NumKinds - 1][]uint32 // of the kinds after the commits
	totals  Totals
	shown   Mask
	sorted  bool
}

// commit is a commit's date and lines.
type commit struct {
	at, additions, deletions uint32
}

func (s *series) add(e *activity.Event) {
	s.totals.Count(e)
	s.sorted = false
	at := unix32(e.Time)
	if e.Kind == activity.KindCommit {
		s.commits = append(s.commits, commit{at, e.Additions, e.Deletions})
		return
	}
	times := &s.times[e.Kind.Index()-1]
	*times = append(*times, at)
}

func (s *series) events() int {
	n := len(s.commits)
	for _, times := range s.times {
		n += len(times)
	}
	return n
}

// sort brings everything into the order of time. Most of what comes is newer than what is there, so it is done late.
func (s *series) sort() {
	if s.sorted {
		return
	}
	slices.SortFunc(s.commits, func(a, b commit) int { return int(int64(a.at) - int64(b.at)) })
	for i := range s.times {
		slices.Sort(s.times[i])
	}
	s.sorted = true
}

// prune forgets what happened before a time; the totals stay.
func (s *series) prune(before uint32) {
	s.sort()
	s.commits = trim(s.commits, s.commitsUntil(int64(before)-1))
	for i, times := range s.times {
		s.times[i] = trim(times, until(times, int64(before)-1))
	}
}

// trim cuts off the first n and lets go of their memory.
func trim[T any](list []T, n int) []T {
	if n == 0 {
		return list
	}
	return slices.Clone(list[n:])
}

// values computes the series' values as of the moments.
func (s *series) values(at *moments, v *Values) {
	s.sort()
	*v = Values{}
	last := int64(-1)
	for _, kind := range activity.Kinds() {
		newest := s.kindValues(kind, at, v)
		last = max(last, newest)
	}
	if last < 0 {
		*v = Values{}
		return
	}
	v.set(MetricLastEvent, uint64(last))
	for i, total := range s.totals[:activity.NumKinds] {
		if total > 0 {
			v.set(MetricTotal+Metric(i), total)
		}
	}
	if s.totals[activity.KindCommit.Index()] > 0 {
		v.set(MetricTotalAdded, s.totals[TotalAdded])
		v.set(MetricTotalGone, s.totals[TotalRemoved])
	}
}

// kindValues sets the values of one kind and gives its newest event within the retention, -1 when there is none.
func (s *series) kindValues(kind activity.Kind, at *moments, v *Values) int64 {
	stream := kind.Stream()
	upTo := s.until(kind, at.until[stream])
	if upTo == 0 {
		return -1
	}
	newest := s.at(kind, upTo-1)
	if newest <= at.retained[stream] {
		return -1
	}
	v.set(MetricCount+Metric(kind.Index()), uint64(upTo-s.until(kind, at.day[stream]))) //nolint:gosec // a count
	if kind == activity.KindCommit && at.hasWeek {
		s.weekValues(at, v)
	}
	return newest
}

func (s *series) weekValues(at *moments, v *Values) {
	var added, removed uint64
	for _, c := range s.commits[s.commitsUntil(at.weekStart-1):s.commitsUntil(at.weekEnd-1)] {
		added += uint64(c.additions)
		removed += uint64(c.deletions)
	}
	v.set(MetricLinesAdded, added)
	v.set(MetricLinesGone, removed)
}

// until is how many events of a kind happened at t or before.
func (s *series) until(kind activity.Kind, t int64) int {
	if kind == activity.KindCommit {
		return s.commitsUntil(t)
	}
	return until(s.times[kind.Index()-1], t)
}

// at is when event i of a kind happened.
func (s *series) at(kind activity.Kind, i int) int64 {
	if kind == activity.KindCommit {
		return int64(s.commits[i].at)
	}
	return int64(s.times[kind.Index()-1][i])
}

func (s *series) commitsUntil(t int64) int {
	return sort.Search(len(s.commits), func(i int) bool { return int64(s.commits[i].at) > t })
}

func until(times []uint32, t int64) int {
	return sort.Search(len(times), func(i int) bool { return int64(times[i]) > t })
}
