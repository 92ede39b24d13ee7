// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

const (
	// maxSeriesEnds bounds the ended series of an organization that still need markers.
	maxSeriesEnds = 100_000
	// maxChunkMarkers bounds the staleness markers that are sent at once. Each has a metric of its own.
	maxChunkMarkers = 10_000
)

// seriesEnds are the activity series of an organization that ended: each emission has staleness markers for them until
// the pipeline has accepted markerEmissions of them. It belongs to the emitter.
type seriesEnds struct {
	ended map[ledgerview.Series]*seriesEnd
}

// seriesEnd has the metrics of a series that ended, and for each the number of further emissions with a marker.
type seriesEnd struct {
	metrics ledgerview.Mask
	left    [ledgerview.NumMetrics]uint8
}

// add adds metrics of a series that ended. Beyond maxSeriesEnds it drops the series, which gets no markers: backends
// let it expire.
func (e *seriesEnds) add(series ledgerview.Series, gone ledgerview.Mask) {
	if e.ended == nil {
		e.ended = make(map[ledgerview.Series]*seriesEnd)
	}
	end := e.ended[series]
	if end == nil {
		if len(e.ended) >= maxSeriesEnds {
			return
		}
		end = &seriesEnd{}
		e.ended[series] = end
	}
	end.metrics = end.metrics.Union(gone)
	for m := range end.left {
		if gone.Has(ledgerview.Metric(m)) {
			end.left[m] = markerEmissions
		}
	}
}

// cancelMarkers removes the metrics of a series that are shown again.
func (e *seriesEnds) cancelMarkers(series ledgerview.Series, shown ledgerview.Mask) {
	if len(e.ended) == 0 {
		return
	}
	if end := e.ended[series]; end != nil {
		end.metrics = end.metrics.Without(shown)
		if end.metrics.IsEmpty() {
			delete(e.ended, series)
		}
	}
}

// recordAccepted records that the pipeline accepted the markers of all ended series.
func (e *seriesEnds) recordAccepted() {
	for series, end := range e.ended {
		for m := range end.left {
			if !end.metrics.Has(ledgerview.Metric(m)) {
				continue
			}
			if end.left[m]--; end.left[m] == 0 {
				end.metrics.Remove(ledgerview.Metric(m))
			}
		}
		if end.metrics.IsEmpty() {
			delete(e.ended, series)
		}
	}
}

// clear removes all ended series.
func (e *seriesEnds) clear() { e.ended = nil }

// sendMarkers sends the staleness markers of all ended series with send, in chunks, until send reports false. It
// reports whether all were sent. Each marker needs a metric of its own: the Prometheus exporter leaves out the points
// of a metric that come after one without a value.
func (e *seriesEnds) sendMarkers(
	templates *metricTemplates, org string, at pcommon.Timestamp, send func(pmetric.Metrics) bool,
) bool {
	sink := &pointSink{templates: templates, org: org, at: at}
	for series, end := range e.ended {
		sink.appendMarkers(series, end.metrics)
		if sink.count < maxChunkMarkers {
			continue
		}
		for _, md := range sink.chunks() {
			if !send(md) {
				return false
			}
		}
		sink.fullChunks = nil
	}
	for _, md := range sink.chunks() {
		if !send(md) {
			return false
		}
	}
	return true
}

// appendMarkers adds a staleness marker for each of the metrics of a series.
func (s *pointSink) appendMarkers(series ledgerview.Series, metrics ledgerview.Mask) {
	s.ensureChunk()
	for m := range ledgerview.NumMetrics {
		if !s.templates.enabled[m] || !metrics.Has(ledgerview.Metric(m)) {
			continue
		}
		metric := s.metrics.AppendEmpty()
		s.templates.template[m].CopyTo(metric)
		point := points(metric).AppendEmpty()
		point.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
		s.setLabels(point, series)
	}
}
