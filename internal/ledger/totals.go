// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"math"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// NumTotals is the number of totals of a series: one a kind that is attributed to an author, in their order, then one a
// measure of theirs.
const NumTotals = activity.NumAuthorKinds + activity.NumMeasures

// Totals are the cumulative sums of a series. Their order is not stored: see TotalID.
type Totals [NumTotals]uint64

// TotalID identifies a total in stored records. It is the kind's stored value times 256, plus
//
//	0           for the number of events
//	1 to 15     for the sums of the kind's measures in their order
//	16 to 255   for the buckets of the histograms of the kind's measures, 24 for each measure
//
// 0x8000 and more are reserved for totals of removed events. An id keeps its meaning for ever. A reader drops the ids
// that its version does not have.
type TotalID uint16

// maxMeasuresOfKind bounds the measures of a kind, by the ids of their totals.
const maxMeasuresOfKind = 15

const _ = uint(maxMeasuresOfKind - activity.MaxMeasures)

// totalID returns the id of the sum of a kind's measure, or of the number of its events for measure 0.
func totalID(k activity.Kind, measure int) TotalID {
	return TotalID(k)<<8 | TotalID(measure) //nolint:gosec // at most maxMeasuresOfKind
}

// TotalSpec describes one of the Totals.
type TotalSpec struct {
	ID     TotalID
	Kind   activity.Kind
	Stream activity.Stream
	// Optional says that events may have been recorded without the measure.
	Optional bool
	Sum      activity.SumMetrics
}

// totalSpecs describes the Totals by index, and firstMeasure has the index of the total of each kind's first measure.
var totalSpecs, firstMeasure = makeTotalSpecs()

// TotalSpecs describes each of the Totals.
func TotalSpecs() [NumTotals]TotalSpec { return totalSpecs }

// MeasureTotal returns the index in Totals of the sum of a kind's measure, by the measure's index in the kind.
func MeasureTotal(k activity.Kind, measure int) int { return firstMeasure[k.Index()] + measure }

// makeTotalSpecs derives the totals from the table of kinds.
func makeTotalSpecs() (specs [NumTotals]TotalSpec, firstMeasure [activity.NumAuthorKinds]int) {
	next := activity.NumAuthorKinds
	for _, kind := range activity.AuthorKinds() {
		spec := kind.Spec()
		specs[kind.Index()] = TotalSpec{ID: totalID(kind, 0), Kind: kind, Stream: spec.Stream, Sum: spec.CountMetrics}
		firstMeasure[kind.Index()] = next
		for i, m := range spec.Measures {
			specs[next] = TotalSpec{
				ID: totalID(kind, i+1), Kind: kind, Stream: spec.Stream, Optional: m.Optional, Sum: m.SumMetrics,
			}
			next++
		}
	}
	return specs, firstMeasure
}

// AddEvent adds an event of a kind that is attributed to an author.
func (t *Totals) AddEvent(e *activity.Event) {
	kind := e.Kind.Index()
	t[kind]++
	for i, n := range e.Measures[:e.Kind.NumMeasures()] {
		t[firstMeasure[kind]+i] += uint64(n)
	}
}

// Add adds other totals.
func (t *Totals) Add(o *Totals) {
	for i := range t {
		t[i] += o[i]
	}
}

// legacyOrder has the ids of the totals in the order in which they were stored without ids: in frames up to version 4,
// and in Redis.
var legacyOrder = []TotalID{1 << 8, 2 << 8, 3 << 8, 4 << 8, 5 << 8, 1<<8 | 1, 1<<8 | 2}

// LegacyTotalIDs returns the ids of the totals in the order in which earlier versions stored them without ids: in
// frames up to version 4, and in Redis.
func LegacyTotalIDs() []TotalID { return legacyOrder }

// set sets the total with an id; an unknown id is ignored.
func (t *Totals) set(id TotalID, value uint64) {
	for i := range totalSpecs {
		if totalSpecs[i].ID == id {
			t[i] = value
		}
	}
}

// encodePairs returns the totals that are not zero as id, value, id, value, ...
func (c *CarriedTotals) encodePairs() []uint64 {
	var pairs []uint64
	for id, value := range c.All {
		pairs = append(pairs, uint64(id), value)
	}
	return pairs
}

// decodePairs decodes what encodePairs encoded.
func (c *CarriedTotals) decodePairs(pairs []uint64) error {
	if len(pairs)%2 != 0 {
		return errTotals
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == 0 || pairs[i] > math.MaxUint16 {
			return errTotals
		}
		c.Set(TotalID(pairs[i]), pairs[i+1])
	}
	return nil
}

// legacyPairs returns the pairs of totals that are stored in a fixed order without ids.
func legacyPairs(list []uint64) ([]uint64, error) {
	if len(list) != len(legacyOrder) {
		return nil, errTotals
	}
	pairs := make([]uint64, 0, 2*len(list))
	for i, value := range list {
		pairs = append(pairs, uint64(legacyOrder[i]), value)
	}
	return pairs, nil
}

// errTotals is the error of stored totals that no version has written.
var errTotals = errors.New("totals that are not pairs of an id and a value")

// errMeasures is the error of stored measures that no version has written.
var errMeasures = errors.New("measures that the kind does not have")

// EventMeasures returns the measures of an event in the order of its kind. Zeros at the end are dropped.
func EventMeasures(e *activity.Event) []uint64 {
	n := len(e.Measures)
	for n > 0 && e.Measures[n-1] == 0 {
		n--
	}
	if n == 0 {
		return nil
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = uint64(e.Measures[i])
	}
	return list
}

// SetMeasures sets the measures that EventMeasures returned. It returns an error for measures that the event's kind
// does not have.
func SetMeasures(e *activity.Event, measures []uint64) error {
	limit := 0
	if e.Kind.IsValid() {
		limit = e.Kind.NumMeasures()
	}
	if len(measures) > len(e.Measures) {
		return errMeasures
	}
	for i, m := range measures {
		if m > math.MaxUint32 || (m != 0 && i >= limit) {
			return errMeasures
		}
		e.Measures[i] = uint32(m)
	}
	return nil
}
