// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"strings"
	"unique"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// repoLabels are the labels of a series besides org and repo, in their order. Equal ones are equal values, and exist
// once in memory. The zero value is none.
type repoLabels struct{ pairs unique.Handle[string] }

// newRepoLabels returns the labels with the given names and values, by turns. One with an empty value is absent.
func newRepoLabels(pairs ...string) repoLabels {
	var text strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			text.WriteString(pairs[i] + separator + pairs[i+1] + separator)
		}
	}
	if text.Len() == 0 {
		return repoLabels{}
	}
	return repoLabels{unique.Make(text.String())}
}

// put sets the labels as attributes.
func (l repoLabels) put(attributes pcommon.Map) {
	if l == (repoLabels{}) {
		return
	}
	parts := strings.Split(l.pairs.Value(), separator)
	for i := 0; i+1 < len(parts); i += 2 {
		attributes.PutStr(parts[i], parts[i+1])
	}
}

// repoSeries identifies the series of an organization with the same labels. Those of the organization as a whole have
// no repository.
type repoSeries struct {
	repo   string
	labels repoLabels
}

// repoSeriesState has the metrics of a series that the visits showed.
type repoSeriesState struct {
	// shown are those of the visit with a number, before those of the one before it.
	shown, before repoMask
	visit         uint32
}

// endedRepoSeries identifies a series of one metric that ended.
type endedRepoSeries struct {
	repoSeries

	metric repoMetric
}

// repoHistory is which series by repository were shown in the last visit, and which have ended: each emission has
// staleness markers for those until the pipeline has accepted markerEmissions of them. It belongs to the emitter.
type repoHistory struct {
	visit uint32
	shown map[repoSeries]repoSeriesState
	// ended has the number of further emissions with a marker.
	ended map[endedRepoSeries]uint8
	// count is the number of series of each metric in the last visit.
	count [numRepoMetrics]int
}

// startVisit starts a visit.
func (h *repoHistory) startVisit() {
	if h.shown == nil {
		h.shown, h.ended = make(map[repoSeries]repoSeriesState), make(map[endedRepoSeries]uint8)
	}
	h.visit++
	h.count = [numRepoMetrics]int{}
}

// add records that the visit shows a metric of a series.
func (h *repoHistory) add(series repoSeries, m repoMetric) {
	state := h.shown[series]
	if state.visit != h.visit {
		state = repoSeriesState{before: state.shown, visit: h.visit}
	}
	state.shown |= m.mask()
	h.shown[series] = state
	h.count[m]++
	if len(h.ended) > 0 {
		delete(h.ended, endedRepoSeries{series, m})
	}
}

// isShown reports whether the visit shows a metric of a series already.
func (h *repoHistory) isShown(series repoSeries, m repoMetric) bool {
	state := h.shown[series]
	return state.visit == h.visit && state.shown&m.mask() != 0
}

// finish ends a visit: what the one before showed and this one does not has ended.
func (h *repoHistory) finish() {
	for series, state := range h.shown {
		if state.visit == h.visit {
			h.markEnded(series, state.before&^state.shown)
			continue
		}
		h.markEnded(series, state.shown)
		delete(h.shown, series)
	}
}

// markEnded records that metrics of a series ended. Beyond maxSeriesEnds it drops them: backends let them expire.
func (h *repoHistory) markEnded(series repoSeries, gone repoMask) {
	for m := range numRepoMetrics {
		if gone&m.mask() != 0 && len(h.ended) < maxSeriesEnds {
			h.ended[endedRepoSeries{series, m}] = markerEmissions
		}
	}
}

// recordAccepted records that the pipeline accepted the markers of all ended series.
func (h *repoHistory) recordAccepted() {
	for series, left := range h.ended {
		if left--; left == 0 {
			delete(h.ended, series)
		} else {
			h.ended[series] = left
		}
	}
}

// dropEnded drops the ended series, for which another replica sends the markers.
func (h *repoHistory) dropEnded() { clear(h.ended) }
