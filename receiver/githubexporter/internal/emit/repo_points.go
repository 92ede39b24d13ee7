// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// repoSink makes data points of the metrics by repository, in chunks, and records in the history which series there
// are. It belongs to one emission.
type repoSink struct {
	emitter *Emitter
	org     string
	at      pcommon.Timestamp
	history *repoHistory
	// isCounting says that the series are recorded and no points are made.
	isCounting bool
	// branches are the pull requests that are added when all repositories were visited.
	branches []branchRows
	// compared are the branches that are added then.
	compared []comparedRows

	fullChunks []pmetric.Metrics
	current    pmetric.Metrics
	metrics    pmetric.MetricSlice
	metric     [numRepoMetrics]pmetric.Metric
	hasMetric  [numRepoMetrics]bool
	count      int
}

// addGauge adds a point of a gauge.
func (s *repoSink) addGauge(m repoMetric, series repoSeries, value uint64) {
	if !s.admit(m, series) {
		return
	}
	point := s.metricOf(m).Gauge().DataPoints().AppendEmpty()
	point.SetIntValue(int64(value)) //nolint:gosec // counts and times
	point.SetTimestamp(s.at)
	s.putLabels(point.Attributes(), m, series)
}

// addNumber adds a gauge where the number is known.
func (s *repoSink) addNumber(m repoMetric, series repoSeries, n activity.Number) {
	if n.IsKnown {
		s.addGauge(m, series, n.Value)
	}
}

// addTime adds a gauge with the seconds of a time since 1970, none for a zero time.
func (s *repoSink) addTime(m repoMetric, series repoSeries, at time.Time) {
	if seconds := at.Unix(); !at.IsZero() && seconds > 0 {
		s.addGauge(m, series, uint64(seconds))
	}
}

// addSum adds a point of a sum that counts since start.
func (s *repoSink) addSum(m repoMetric, series repoSeries, start time.Time, value uint64) {
	if !s.admit(m, series) {
		return
	}
	point := s.metricOf(m).Sum().DataPoints().AppendEmpty()
	point.SetIntValue(int64(value)) //nolint:gosec // a count
	point.SetTimestamp(s.at)
	point.SetStartTimestamp(min(s.at, pcommon.NewTimestampFromTime(start)))
	s.putLabels(point.Attributes(), m, series)
}

// histogramValue is the value of a histogram. Counts has one number more than Bounds.
type histogramValue struct {
	Bounds []float64
	Counts []uint64
	Sum    float64
}

// addHistogram adds a point of a histogram that counts since start.
func (s *repoSink) addHistogram(m repoMetric, series repoSeries, start time.Time, value *histogramValue) {
	if !s.admit(m, series) {
		return
	}
	point := s.metricOf(m).Histogram().DataPoints().AppendEmpty()
	var count uint64
	for _, n := range value.Counts {
		count += n
	}
	point.SetCount(count)
	point.SetSum(value.Sum)
	point.ExplicitBounds().FromRaw(value.Bounds)
	point.BucketCounts().FromRaw(value.Counts)
	point.SetTimestamp(s.at)
	point.SetStartTimestamp(min(s.at, pcommon.NewTimestampFromTime(start)))
	s.putLabels(point.Attributes(), m, series)
}

// admit records a series, and reports whether its point is to be added.
func (s *repoSink) admit(m repoMetric, series repoSeries) bool {
	if !s.emitter.templates.repos.enabled[m] {
		return false
	}
	s.history.add(series, m)
	return !s.isCounting
}

// metricOf returns the metric of the present chunk to which a point is added.
func (s *repoSink) metricOf(m repoMetric) pmetric.Metric {
	s.ensureChunk(maxChunkPoints)
	if !s.hasMetric[m] {
		s.metric[m], s.hasMetric[m] = s.metrics.AppendEmpty(), true
		s.emitter.templates.repos.template[m].CopyTo(s.metric[m])
	}
	s.count++
	return s.metric[m]
}

// putLabels sets the attributes of a point of a metric.
func (s *repoSink) putLabels(attributes pcommon.Map, m repoMetric, series repoSeries) {
	switch {
	case repoRecords[m].isConventional:
		s.putVCSLabels(attributes, series.repo)
	case series.repo != "":
		attributes.PutStr("org", s.org)
		attributes.PutStr("repo", series.repo)
	default:
		attributes.PutStr("org", s.org)
	}
	series.labels.put(attributes)
}

// addMarker adds the staleness marker of a series. Each marker needs a metric of its own: the Prometheus exporter
// leaves out the points of a metric that come after one without a value.
func (s *repoSink) addMarker(ended endedRepoSeries) {
	s.ensureChunk(maxChunkMarkers)
	metric := s.metrics.AppendEmpty()
	s.emitter.templates.repos.template[ended.metric].CopyTo(metric)
	s.count++
	flags := pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)
	if metric.Type() == pmetric.MetricTypeHistogram {
		point := metric.Histogram().DataPoints().AppendEmpty()
		point.SetTimestamp(s.at)
		point.SetFlags(flags)
		s.putLabels(point.Attributes(), ended.metric, ended.repoSeries)
		return
	}
	point := points(metric).AppendEmpty()
	point.SetTimestamp(s.at)
	point.SetFlags(flags)
	s.putLabels(point.Attributes(), ended.metric, ended.repoSeries)
}

// ensureChunk starts a chunk when there is none, or the present one has as many points as it may have.
func (s *repoSink) ensureChunk(limit int) {
	if s.count >= limit {
		s.closeChunk()
	}
	if s.count > 0 {
		return
	}
	s.current = pmetric.NewMetrics()
	rm := s.current.ResourceMetrics().AppendEmpty()
	s.emitter.templates.setResource(rm, s.org)
	sm := rm.ScopeMetrics().AppendEmpty()
	s.emitter.templates.setScope(sm)
	s.metrics = sm.Metrics()
}

// closeChunk ends the present chunk.
func (s *repoSink) closeChunk() {
	if s.count > 0 {
		s.fullChunks = append(s.fullChunks, s.current)
	}
	s.count, s.hasMetric = 0, [numRepoMetrics]bool{}
}

// buildRepositories returns the metrics by repository of a view, with the staleness markers of those that ended, in
// chunks; none where the view is incomplete.
func (e *Emitter) buildRepositories(org *organization, now time.Time) []pmetric.Metrics {
	sink := e.visitRepositories(org, now, false)
	sink.closeChunk()
	for ended := range org.repos.ended {
		sink.addMarker(ended)
	}
	sink.closeChunk()
	return sink.fullChunks
}

// countRepositories records which series by repository the replica that emits the organization shows, and leaves their
// staleness markers to it.
func (e *Emitter) countRepositories(org *organization, now time.Time) {
	e.visitRepositories(org, now, true)
	org.repos.dropEnded()
}

// visitRepositories adds what a view has of all repositories to a sink.
func (e *Emitter) visitRepositories(org *organization, now time.Time, isCounting bool) *repoSink {
	sink := &repoSink{
		emitter: e, org: org.Org, at: pcommon.NewTimestampFromTime(now), history: &org.repos, isCounting: isCounting,
	}
	org.repos.startVisit()
	totals := org.View.RepoTotals()
	addRepoTotals(sink, totals)
	addVCSTotal(sink, totals)
	isComplete := org.View.EachRepository(now, func(r *ledgerview.Repository) {
		addRepository(sink, r)
		addVCS(sink, r)
	})
	e.reportCut(org, sink.addBranches(now)+sink.addCompared(now))
	if isComplete {
		org.repos.finish()
	}
	return sink
}

// emitRepositories sends the metrics by repository of an organization.
func (e *Emitter) emitRepositories(ctx context.Context, org *organization, now time.Time) {
	isAccepted := true
	for _, md := range e.buildRepositories(org, now) {
		isAccepted = e.send(ctx, md) && isAccepted
	}
	if isAccepted {
		org.repos.recordAccepted()
	}
}
