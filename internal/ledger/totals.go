package ledger

import (
	"errors"
	"math"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// NumTotals is the number of totals of a series: one a kind, then lines added and lines removed.
const NumTotals = activity.NumKinds + 2

// Indexes of the lines in Totals.
const (
	TotalLinesAdded   = activity.NumKinds
	TotalLinesRemoved = activity.NumKinds + 1
)

// Totals are the cumulative sums of a series.
type Totals [NumTotals]uint64

// AddEvent adds an event.
func (t *Totals) AddEvent(e *activity.Event) {
	t[e.Kind.Index()]++
	t[TotalLinesAdded] += uint64(e.Additions)
	t[TotalLinesRemoved] += uint64(e.Deletions)
}

// add adds other totals.
func (t *Totals) add(o *Totals) {
	for i := range t {
		t[i] += o[i]
	}
}

// TotalID identifies a total in stored records: the kind's stored value times 256, plus 0 for the number of events, 1
// to 15 for the sums of the kind's measures in their order, and 16 and more for the buckets of a histogram. An id keeps
// its meaning for ever. A reader drops the ids that its version does not have.
type TotalID uint16

// totalID returns the id of the sum of a kind's measure, or of the number of its events for measure 0.
func totalID(k activity.Kind, measure int) TotalID {
	return TotalID(k)<<8 | TotalID(measure) //nolint:gosec // there are few measures
}

// TotalIDs returns the id of each of the Totals.
func TotalIDs() [NumTotals]TotalID {
	var ids [NumTotals]TotalID
	for _, k := range activity.Kinds() {
		ids[k.Index()] = totalID(k, 0)
	}
	ids[TotalLinesAdded], ids[TotalLinesRemoved] = totalID(activity.KindCommit, 1), totalID(activity.KindCommit, 2)
	return ids
}

// legacyOrder has the ids of the totals in the order in which they were stored without ids: in frames up to version 4,
// and in Redis.
var legacyOrder = []TotalID{
	totalID(activity.KindCommit, 0), totalID(activity.KindPullRequestOpened, 0),
	totalID(activity.KindPullRequestMerged, 0),
	totalID(activity.KindReviewSubmitted, 0), totalID(activity.KindIssueComment, 0),
	totalID(activity.KindCommit, 1), totalID(activity.KindCommit, 2),
}

// LegacyTotalIDs returns the ids of totals that are stored without them, in their order.
func LegacyTotalIDs() []TotalID { return legacyOrder }

// Set sets the total with an id; an unknown id is ignored.
func (t *Totals) Set(id TotalID, value uint64) {
	for i, known := range TotalIDs() {
		if known == id {
			t[i] = value
		}
	}
}

// encodePairs returns the totals that are not zero as id, value, id, value, ...
func (t *Totals) encodePairs() []uint64 {
	pairs := make([]uint64, 0, 2*NumTotals)
	for i, id := range TotalIDs() {
		if t[i] != 0 {
			pairs = append(pairs, uint64(id), t[i])
		}
	}
	return pairs
}

// decodePairs decodes what encodePairs encoded.
func decodePairs(pairs []uint64) (t Totals, err error) {
	if len(pairs)%2 != 0 {
		return t, errListLength
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == 0 || pairs[i] > math.MaxUint16 {
			return t, errTableIndex
		}
		t.Set(TotalID(pairs[i]), pairs[i+1])
	}
	return t, nil
}

// legacyPairs returns the pairs of totals that are stored in a fixed order without ids.
func legacyPairs(list []uint64) ([]uint64, error) {
	if len(list) != len(legacyOrder) {
		return nil, errListLength
	}
	pairs := make([]uint64, 0, 2*len(list))
	for i, value := range list {
		pairs = append(pairs, uint64(legacyOrder[i]), value)
	}
	return pairs, nil
}

// numMeasures returns the number of measures of a kind's events.
func numMeasures(k activity.Kind) int {
	if k == activity.KindCommit {
		return 2
	}
	return 0
}

var errMeasures = errors.New("measures that the kind does not have")

// EventMeasures returns the measures of an event in the order of its kind: of a commit the lines added and the lines
// deleted. Zeros at the end are dropped.
func EventMeasures(e *activity.Event) []uint64 {
	switch {
	case e.Deletions != 0:
		return []uint64{uint64(e.Additions), uint64(e.Deletions)}
	case e.Additions != 0:
		return []uint64{uint64(e.Additions)}
	default:
		return nil
	}
}

// SetMeasures sets the measures that EventMeasures returned. It returns an error for measures that the event's kind
// does not have.
func SetMeasures(e *activity.Event, measures []uint64) error {
	lines := [2]*uint32{&e.Additions, &e.Deletions}
	if len(measures) > len(lines) {
		return errMeasures
	}
	for i, m := range measures {
		if m > math.MaxUint32 || (m != 0 && i >= numMeasures(e.Kind)) {
			return errMeasures
		}
		*lines[i] = uint32(m)
	}
	return nil
}
