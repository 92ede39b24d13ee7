// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"cmp"
	"iter"

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

// cell has the sums of a key, and which of them are present.
type cell struct {
	cellKey
	sums    [numCounters]int64
	present uint8
}

// table adds up the counters of rows.
type table struct {
	settings Settings
	cells    []cell
	index    map[cellKey]int32
	names    []string
	nameIDs  map[string]int32
	credits  []report.Amount // of each subject
}

func newTable(settings Settings) table {
	return table{settings: settings, index: make(map[cellKey]int32), nameIDs: make(map[string]int32)}
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
	values := countersOf(counters)
	var c *cell
	for i, count := range values {
		value, ok := count.Get()
		if !ok {
			continue
		}
		if c == nil {
			c = t.cellOf(key)
		}
		c.present |= 1 << i
		c.sums[i] = addCounts(c.sums[i], value)
	}
}

func (t *table) cellOf(key cellKey) *cell {
	at, ok := t.index[key]
	if !ok {
		at = int32(len(t.cells)) //nolint:gosec // bounded by the memory
		t.cells = append(t.cells, cell{cellKey: key})
		t.index[key] = at
	}
	return &t.cells[at]
}

// addCredits adds an amount to that of a subject. Credits have neither days nor dimensions.
func (t *table) addCredits(subject int32, credits report.Amount) {
	value, ok := credits.Get()
	if !ok {
		return
	}
	for int(subject) >= len(t.credits) {
		t.credits = append(t.credits, report.Amount{})
	}
	sum, _ := t.credits[subject].Get()
	t.credits[subject] = report.AmountOf(sum + value)
}

// samples returns the sums. labelsOf returns the labels of a subject.
func (t *table) samples(labelsOf func(subject int32) Labels) iter.Seq[Sample] {
	return joined(t.counterSamples(labelsOf), t.creditSamples(labelsOf))
}

func (t *table) creditSamples(labelsOf func(subject int32) Labels) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for subject, credits := range t.credits {
			value, ok := credits.Get()
			if ok && !yield(Sample{MetricCreditsUsed, labelsOf(int32(subject)), value}) {
				return
			}
		}
	}
}

func (t *table) counterSamples(labelsOf func(subject int32) Labels) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for i := range t.cells {
			c := &t.cells[i]
			labels := labelsOf(c.subject)
			labels.Day = c.day
			t.setDimension(&labels, c)
			for metric, value := range c.sums {
				if c.present&(1<<metric) == 0 {
					continue
				}
				if !yield(Sample{Metric(metric), labels, float64(value)}) {
					return
				}
			}
		}
	}
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
