// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// maxChunkPoints bounds the data points that are sent to the pipeline at once: an organization with more is emitted in
// several chunks.
const maxChunkPoints = 50_000

// pointSink makes data points from the series that a view visits. It implements ledgerview's visitor, and belongs to
// one emission.
type pointSink struct {
	templates *metricTemplates
	org       string
	at        pcommon.Timestamp
	ends      *seriesEnds
	// expected is the number of series of each metric in the last emission, shown the number in this one.
	expected, shown [ledgerview.NumMetrics]int

	fullChunks []pmetric.Metrics
	current    pmetric.Metrics
	metrics    pmetric.MetricSlice
	points     [ledgerview.NumMetrics]pmetric.NumberDataPointSlice
	count      int
}

// Emit adds the points of a series.
func (s *pointSink) Emit(series ledgerview.Series, values *ledgerview.Values) {
	s.ensureChunk()
	s.ends.cancelMarkers(series, values.Present)
	start := min(s.at, pcommon.NewTimestampFromTime(time.Unix(values.StartTime, 0)))
	for m := range ledgerview.NumMetrics {
		if !s.templates.enabled[m] || !values.Present.Has(ledgerview.Metric(m)) {
			continue
		}
		s.shown[m]++
		point := s.points[m].AppendEmpty()
		point.SetIntValue(int64(values.Of[m])) //nolint:gosec // counts
		if s.templates.cumulative[m] {
			point.SetStartTimestamp(start)
		}
		s.setLabels(point, series)
	}
}

// MarkStale records that metrics of a series ended.
func (s *pointSink) MarkStale(series ledgerview.Series, gone ledgerview.Mask) {
	s.ends.add(series, gone)
}

// setLabels sets the time and the attributes of a point.
func (s *pointSink) setLabels(point pmetric.NumberDataPoint, series ledgerview.Series) {
	point.SetTimestamp(s.at)
	attributes := point.Attributes()
	attributes.EnsureCapacity(3)
	attributes.PutStr("org", s.org)
	attributes.PutStr("repo", series.Repo)
	attributes.PutStr("user", series.User)
	s.count++
}

// ensureChunk starts a new chunk when there is none or the present one is full.
func (s *pointSink) ensureChunk() {
	if s.metrics != (pmetric.MetricSlice{}) && s.count < maxChunkPoints {
		return
	}
	s.closeChunk()
	s.current = pmetric.NewMetrics()
	rm := s.current.ResourceMetrics().AppendEmpty()
	s.templates.setResource(rm, s.org)
	s.metrics = rm.ScopeMetrics().AppendEmpty().Metrics()
	s.templates.setScope(rm.ScopeMetrics().At(0))
	s.metrics.EnsureCapacity(ledgerview.NumMetrics)
	for m := range ledgerview.NumMetrics {
		if s.templates.enabled[m] {
			metric := s.metrics.AppendEmpty()
			s.templates.template[m].CopyTo(metric)
			s.points[m] = points(metric)
			s.points[m].EnsureCapacity(min(s.expected[m], maxChunkPoints/ledgerview.NumMetrics))
		}
	}
}

// closeChunk ends the present chunk, and removes metrics without points from it.
func (s *pointSink) closeChunk() {
	if s.metrics == (pmetric.MetricSlice{}) {
		return
	}
	s.metrics.RemoveIf(func(m pmetric.Metric) bool { return points(m).Len() == 0 })
	s.fullChunks = append(s.fullChunks, s.current)
	s.metrics, s.count = pmetric.MetricSlice{}, 0
}

// chunks ends the present chunk and returns all of them.
func (s *pointSink) chunks() []pmetric.Metrics {
	s.closeChunk()
	return s.fullChunks
}
