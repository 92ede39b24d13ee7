// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

const (
	// maxSeriesEnds bounds the series of an organization whose end is still to be marked.
	maxSeriesEnds = 100_000
	// maxChunkMarkers is how many marks one emission has at most. Each has a metric of its own.
	maxChunkMarkers = 10_000
)

// seriesEnds are series of an organization that ended: marks say so in each emission until the pipeline has taken
// enough of them. They belong to the emitter.
type seriesEnds struct {
	marks map[ledgerview.Series]*seriesEnd
}

// seriesEnd is the metrics of a series that ended, and how many more emissions that the pipeline takes mark each of
// them.
type seriesEnd struct {
	metrics ledgerview.Mask
	left    [ledgerview.NumMetrics]uint8
}

// add adds the end of metrics of a series. Beyond the bound it is marked by none: what is shown elsewhere expires.
func (e *seriesEnds) add(series ledgerview.Series, gone ledgerview.Mask) {
	if e.marks == nil {
		e.marks = make(map[ledgerview.Series]*seriesEnd)
	}
	end := e.marks[series]
	if end == nil {
		if len(e.marks) >= maxSeriesEnds {
			return
		}
		end = &seriesEnd{}
		e.marks[series] = end
	}
	end.metrics = end.metrics.Union(gone)
	for m := range end.left {
		if gone.Has(ledgerview.Metric(m)) {
			end.left[m] = markerEmissions
		}
	}
}

// cancelMarkers drops the marks of the metrics of a series that are shown again.
func (e *seriesEnds) cancelMarkers(series ledgerview.Series, shown ledgerview.Mask) {
	if len(e.marks) == 0 {
		return
	}
	if end := e.marks[series]; end != nil {
		end.metrics = end.metrics.Without(shown)
		if end.metrics.IsEmpty() {
			delete(e.marks, series)
		}
	}
}

// recordAccepted notes that the pipeline took all marks.
func (e *seriesEnds) recordAccepted() {
	for series, end := range e.marks {
		for m := range end.left {
			if !end.metrics.Has(ledgerview.Metric(m)) {
				continue
			}
			if end.left[m]--; end.left[m] == 0 {
				end.metrics.Remove(ledgerview.Metric(m))
			}
		}
		if end.metrics.IsEmpty() {
			delete(e.marks, series)
		}
	}
}

func (e *seriesEnds) clear() { e.marks = nil }

// sendMarkers gives staleness marks as metrics to send, some at a time, until one is not taken. It reports whether all
// were taken. Each mark needs a metric of its own: the Prometheus exporter leaves out the points of a metric that come
// after one without a value.
func (e *seriesEnds) sendMarkers(forms *metricTemplates, org string, at pcommon.Timestamp,
	send func(pmetric.Metrics) bool,
) bool {
	sink := &pointSink{templates: forms, org: org, at: at}
	for series, end := range e.marks {
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

// appendMarkers adds staleness marks of metrics of a series.
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

// emitOrganization emits what a view shows, and the ends of what it does not show any more.
func (e *Emitter) emitOrganization(
	ctx context.Context, org *organization, at pcommon.Timestamp, chunks []pmetric.Metrics,
) {
	taken := true
	for _, md := range chunks {
		taken = e.send(ctx, md) && taken
	}
	if e.sendEnds(ctx, org, at) && taken {
		org.ends.recordAccepted()
	}
}

func (e *Emitter) sendEnds(ctx context.Context, org *organization, at pcommon.Timestamp) bool {
	return org.ends.sendMarkers(e.templates, org.Org, at, func(md pmetric.Metrics) bool { return e.send(ctx, md) })
}
