// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"cmp"
	"iter"
	"math"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// numCounters is the number of counters of a row, which are the metrics from 0 on.
const numCounters = int(MetricLinesDeleted) + 1

func countersOf(c *report.Counters) [numCounters]report.Count {
	return [numCounters]report.Count{
		c.Interactions, c.Generations, c.Acceptances, c.LinesSuggestedToAdd, c.LinesSuggestedToDelete, c.LinesAdded,
		c.LinesDeleted,
	}
}

// dimension is what a total is of.
type dimension uint8

const (
	dimensionNone dimension = iota // everything in a row
	dimensionFeature
	dimensionIDE
	dimensionLanguage
	dimensionModel
)

// cellKey identifies a sum. Subjects are users or teams, by their positions.
type cellKey struct {
	subject   int32
	name      int32
	day       report.Day // none for the whole span
	dimension dimension
}

// cell has the sums of a key, and which of them are present. A report has one for each user, so that its size counts:
// a sum that is too large for it is in table.large.
type cell struct {
	cellKey
	present uint8
	sums    [numCounters]uint32
}

// isLarge stands for a sum in table.large.
const isLarge = math.MaxUint32

// sumKey identifies a sum of a cell by its metric.
type sumKey struct{ cell, metric int32 }

// table adds up the counters of rows.
type table struct {
	settings Settings
	cells    list[cell]
	large    map[sumKey]int64
	// totals has, for each subject, the position of the cell of everything in the whole span from 1 on, and 0 for none;
	// index has the positions of the other cells.
	totals  list[int32]
	index   map[cellKey]int32
	names   []string
	nameIDs map[string]int32
	credits list[report.Amount] // of each subject
}

func newTable(settings Settings) table {
	return table{
		settings: settings, large: make(map[sumKey]int64), index: make(map[cellKey]int32),
		nameIDs: make(map[string]int32),
	}
}

// add adds a row to the sums of a subject.
func (t *table) add(subject int32, day report.Day, counters *report.Counters, arrays *report.Breakdowns) {
	if !t.settings.ByDay {
		day = 0
	}
	t.addCounters(cellKey{subject: subject, day: day}, counters)
	b := &t.settings.Breakdown
	for _, array := range [...]struct {
		isOn      bool
		dimension dimension
		totals    []report.Totals
	}{
		{b.Feature, dimensionFeature, arrays.ByFeature},
		{b.IDE, dimensionIDE, arrays.ByIDE},
		{b.Language, dimensionLanguage, arrays.ByLanguage},
		{b.Model, dimensionModel, arrays.ByModel},
	} {
		if !array.isOn {
			continue
		}
		for i := range array.totals {
			totals := &array.totals[i]
			name := t.nameID(nameOf(totals, array.dimension))
			t.addCounters(cellKey{subject, name, day, array.dimension}, &totals.Counters)
		}
	}
}

// unknownName is GitHub's value for what it does not know.
const unknownName = "unknown"

func nameOf(totals *report.Totals, d dimension) string {
	return cmp.Or(report.CleanLabel([...]string{
		dimensionFeature: totals.Feature, dimensionIDE: totals.IDE, dimensionLanguage: totals.Language,
		dimensionModel: totals.Model,
	}[d]), unknownName)
}

func (t *table) nameID(name string) int32 {
	id, ok := t.nameIDs[name]
	if !ok {
		id = int32(len(t.names)) //nolint:gosec // bounded by the memory
		t.names = append(t.names, name)
		t.nameIDs[name] = id
	}
	return id
}

func (t *table) addCounters(key cellKey, counters *report.Counters) {
	at := int32(-1)
	for metric, count := range countersOf(counters) {
		value, ok := count.Get()
		if !ok {
			continue
		}
		if at < 0 {
			at = t.cellAt(key)
		}
		t.addCount(at, int32(metric), value)
	}
}

// cellAt returns the position of a key's cell, which it makes when there is none.
func (t *table) cellAt(key cellKey) int32 {
	if key.isTotal() {
		total := t.totals.at(int(key.subject))
		if *total == 0 {
			*total = t.newCell(key) + 1
		}
		return *total - 1
	}
	at, ok := t.index[key]
	if !ok {
		at = t.newCell(key)
		t.index[key] = at
	}
	return at
}

// isTotal reports whether a key is that of everything in the whole span.
func (k *cellKey) isTotal() bool { return k.dimension == dimensionNone && k.day == 0 }

func (t *table) newCell(key cellKey) int32 {
	at := t.cells.size
	t.cells.at(at).cellKey = key
	return int32(at) //nolint:gosec // bounded by the memory
}

func (t *table) addCount(at, metric int32, value int64) {
	c := t.cells.at(int(at))
	c.present |= 1 << metric
	sum := addCounts(t.sum(at, metric), value)
	if sum >= isLarge {
		t.large[sumKey{at, metric}] = sum
	}
	c.sums[metric] = uint32(min(sum, isLarge)) //nolint:gosec // bounded
}

// sum returns a sum of the cell at a position.
func (t *table) sum(at, metric int32) int64 {
	if sum := t.cells.at(int(at)).sums[metric]; sum < isLarge {
		return int64(sum)
	}
	return t.large[sumKey{at, metric}]
}

// addCredits adds an amount to that of a subject. Credits have neither days nor dimensions.
func (t *table) addCredits(subject int32, credits report.Amount) {
	value, ok := credits.Get()
	if !ok {
		return
	}
	total := t.credits.at(int(subject))
	sum, _ := total.Get()
	*total = report.AmountOf(sum + value)
}

// samples returns the sums, those with the same labels after each other. labelsOf returns the labels of a subject.
func (t *table) samples(labelsOf func(subject int32) Labels) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for at := range t.cells.size {
			if !t.yieldCell(int32(at), labelsOf, yield) {
				return
			}
		}
		for at := range t.credits.size {
			subject := int32(at)
			if at < t.totals.size && *t.totals.at(at) > 0 {
				continue // with its counters
			}
			if !t.yieldCredits(subject, labelsOf(subject), yield) {
				return
			}
		}
	}
}

// yieldCell yields the samples of a cell, and with those of everything the credits of the subject.
func (t *table) yieldCell(at int32, labelsOf func(subject int32) Labels, yield func(Sample) bool) bool {
	c := t.cells.at(int(at))
	labels := labelsOf(c.subject)
	labels.Day = c.day
	t.setDimension(&labels, c)
	for metric := range int32(numCounters) {
		if c.present&(1<<metric) == 0 {
			continue
		}
		if !yield(Sample{Metric(metric), labels, float64(t.sum(at, metric))}) {
			return false
		}
	}
	return !c.isTotal() || t.yieldCredits(c.subject, labels, yield)
}

func (t *table) yieldCredits(subject int32, labels Labels, yield func(Sample) bool) bool {
	if int(subject) >= t.credits.size {
		return true
	}
	value, ok := t.credits.at(int(subject)).Get()
	return !ok || yield(Sample{MetricCreditsUsed, labels, value})
}

func (t *table) setDimension(labels *Labels, c *cell) {
	switch c.dimension {
	case dimensionNone:
	case dimensionFeature:
		labels.Feature = t.names[c.name]
	case dimensionIDE:
		labels.IDE = t.names[c.name]
	case dimensionLanguage:
		labels.Language = t.names[c.name]
	case dimensionModel:
		labels.Model = t.names[c.name]
	}
}
