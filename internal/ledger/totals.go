package ledger

import (
	"errors"
	"math"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// NumTotals is the number of cumulative sums of a series: one a kind, then lines added and lines removed.
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

// plus adds other sums.
func (t *Totals) plus(o *Totals) {
	for i := range t {
		t[i] += o[i]
	}
}

// TotalID names a sum where it is stored: the kind's stored value times 256, plus 0 for the number of events, 1 and
// more for the sums of the kind's measures in their order, and 16 and more for the buckets of a histogram. An id never
// changes its meaning, and one that this version does not know is left out.
type TotalID uint16

// totalID is the id of the sum of a kind's measure; 0 is the number of its events.
func totalID(k activity.Kind, measure int) TotalID {
	return TotalID(k)<<8 | TotalID(measure) //nolint:gosec // there are few measures
}

// TotalIDs has the id of each of the Totals.
func TotalIDs() [NumTotals]TotalID {
	var ids [NumTotals]TotalID
	for _, k := range activity.Kinds() {
		ids[k.Index()] = totalID(k, 0)
	}
	ids[TotalLinesAdded], ids[TotalLinesRemoved] = totalID(activity.KindCommit, 1), totalID(activity.KindCommit, 2)
	return ids
}

// legacyOrder has the ids of the sums in the order in which they were stored before they had ids: in frames of version
// 4 and less, and in Redis.
var legacyOrder = []TotalID{
	totalID(activity.KindCommit, 0), totalID(activity.KindPullRequestOpened, 0),
	totalID(activity.KindPullRequestMerged, 0),
	totalID(activity.KindReviewSubmitted, 0), totalID(activity.KindIssueComment, 0),
	totalID(activity.KindCommit, 1), totalID(activity.KindCommit, 2),
}

// LegacyTotalIDs are the ids of sums that are stored without them, in their order.
func LegacyTotalIDs() []TotalID { return legacyOrder }

// Set sets the sum with an id; one that is not known is left out.
func (t *Totals) Set(id TotalID, value uint64) {
	for i, known := range TotalIDs() {
		if known == id {
			t[i] = value
		}
	}
}

// pairs are the sums that are not zero as id, value, id, value, ...
func (t *Totals) pairs() []uint64 {
	pairs := make([]uint64, 0, 2*NumTotals)
	for i, id := range TotalIDs() {
		if t[i] != 0 {
			pairs = append(pairs, uint64(id), t[i])
		}
	}
	return pairs
}

// totalsOf reads what pairs wrote.
func totalsOf(pairs []uint64) (t Totals, err error) {
	if len(pairs)%2 != 0 {
		return t, errLength
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == 0 || pairs[i] > math.MaxUint16 {
			return t, errPlace
		}
		t.Set(TotalID(pairs[i]), pairs[i+1])
	}
	return t, nil
}

// legacyPairs gives the pairs of sums that are stored in their order.
func legacyPairs(list []uint64) ([]uint64, error) {
	if len(list) != len(legacyOrder) {
		return nil, errLength
	}
	pairs := make([]uint64, 0, 2*len(list))
	for i, value := range list {
		pairs = append(pairs, uint64(legacyOrder[i]), value)
	}
	return pairs, nil
}

// numMeasures is how many measures an event of a kind has.
func numMeasures(k activity.Kind) int {
	if k == activity.KindCommit {
		return 2
	}
	return 0
}

var errMeasures = errors.New("measures that the kind does not have")

// EventMeasures are the measures of an event in the order in which its kind has them: of a commit the lines added and the
// lines deleted. Zeros at the end are left out.
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

// SetMeasures gives an event of a kind the measures that MeasuresOf gave, and refuses what its kind does not have.
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
