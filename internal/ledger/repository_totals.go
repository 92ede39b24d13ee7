// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// RepositoryTotals are the cumulative sums of the events that are attributed to a repository: the histograms of their
// measures, one after the other. Nil is a repository without such events.
type RepositoryTotals []uint64

// HistogramSpec describes a histogram of the RepositoryTotals.
type HistogramSpec struct {
	activity.HistogramSpec
	Kind activity.Kind
	// Measure is the index of the measure in its kind.
	Measure int
	// first is the index of the sum in RepositoryTotals. The counts of the buckets follow.
	first int
}

// Histogram is the distribution of a measure over the events of a repository.
type Histogram struct {
	Sum uint64
	// Buckets has the number of events by HistogramSpec.Bucket, not cumulative.
	Buckets []uint64
}

// Count returns the number of events.
func (h *Histogram) Count() uint64 {
	var n uint64
	for _, bucket := range h.Buckets {
		n += bucket
	}
	return n
}

// histogramSpecs describes the histograms, repositoryTotalIDs has the id of each of the RepositoryTotals, and
// repositoryTotalIndexes the index of each id.
var histogramSpecs, repositoryTotalIDs = makeHistogramSpecs()

var repositoryTotalIndexes = func() map[TotalID]int {
	indexes := make(map[TotalID]int, len(repositoryTotalIDs))
	for i, id := range repositoryTotalIDs {
		indexes[id] = i
	}
	return indexes
}()

// HistogramSpecs describes the histograms of the RepositoryTotals, in the order of the kinds and of their measures. It
// must not be changed.
func HistogramSpecs() []HistogramSpec { return histogramSpecs }

// The ids of buckets: see TotalID.
const (
	firstBucketID       = 16
	maxBucketsOfMeasure = 24
)

// makeHistogramSpecs derives the histograms from the table of kinds.
func makeHistogramSpecs() (specs []HistogramSpec, ids []TotalID) {
	for _, kind := range activity.Kinds() {
		for i, m := range kind.Spec().Measures {
			if m.Histogram.Metric == "" {
				continue
			}
			specs = append(specs, HistogramSpec{HistogramSpec: m.Histogram, Kind: kind, Measure: i, first: len(ids)})
			ids = append(ids, totalID(kind, i+1))
			for bucket := range len(m.Histogram.Bounds) + 1 {
				ids = append(ids, totalID(kind, firstBucketID+i*maxBucketsOfMeasure+bucket))
			}
		}
	}
	return specs, ids
}

// Histogram returns a histogram, whose memory is that of the totals. It is empty in nil totals.
func (t RepositoryTotals) Histogram(spec *HistogramSpec) Histogram {
	n := len(spec.Bounds) + 1
	if t == nil {
		return Histogram{Buckets: make([]uint64, n)}
	}
	return Histogram{Sum: t[spec.first], Buckets: t[spec.first+1 : spec.first+1+n]}
}

// AddEvent adds an event that is attributed to the repository.
func (t *RepositoryTotals) AddEvent(e *activity.Event) {
	t.allocate()
	for i := range histogramSpecs {
		if spec := &histogramSpecs[i]; spec.Kind == e.Kind {
			value := e.Measures[spec.Measure]
			(*t)[spec.first] += uint64(value)
			(*t)[spec.first+1+spec.Bucket(value)]++
		}
	}
}

// Add adds other totals.
func (t *RepositoryTotals) Add(o RepositoryTotals) {
	if o == nil {
		return
	}
	t.allocate()
	for i := range o {
		(*t)[i] += o[i]
	}
}

// allocate makes nil totals ones of zeros.
func (t *RepositoryTotals) allocate() {
	if *t == nil {
		*t = make(RepositoryTotals, len(repositoryTotalIDs))
	}
}

// Clone returns a copy.
func (t RepositoryTotals) Clone() RepositoryTotals { return slices.Clone(t) }

// all calls yield with the id and the value of each total that is not zero.
func (t RepositoryTotals) all(yield func(TotalID, uint64) bool) {
	for i, value := range t {
		if value != 0 && !yield(repositoryTotalIDs[i], value) {
			return
		}
	}
}

// set sets the total with an id; an unknown id is ignored.
func (t *RepositoryTotals) set(id TotalID, value uint64) {
	if i, known := repositoryTotalIndexes[id]; known {
		t.allocate()
		(*t)[i] = value
	}
}
