// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilotstore"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// copilotReports are the series of an owner's Copilot reports, computed again when the view has other ones. They belong
// to the emitter.
type copilotReports struct {
	CopilotOwner

	isRead    bool
	version   uint64     // of the view, when the reports were read
	day       report.Day // when they were read
	isCorrupt bool
	series    map[copilotLabels]*copilotValues
	shown     [usage.NumMetrics]int
	// ended has, by series and metric, the number of further emissions with a staleness marker.
	ended map[copilotSeries]uint8
}

// copilotSeries identifies a series of an owner.
type copilotSeries struct {
	labels copilotLabels
	metric usage.Metric
}

// clear forgets the series, which another replica emits from now on: they get no markers.
func (r *copilotReports) clear() { *r = copilotReports{CopilotOwner: r.CopilotOwner} }

// maxReadAttempts is how often the reports are read in one emission while the view changes.
const maxReadAttempts = 3

// refresh reads the reports of the view when they have changed since the last call, and once a day, because they age.
// Reports that do not fit together leave the series as they were, until the view has others.
func (r *copilotReports) refresh(
	settings *CopilotSettings, view *ledgerview.View, today report.Day, logger *zap.Logger,
) {
	for range maxReadAttempts {
		version := view.CopilotVersion()
		if (r.isRead && version == r.version && today == r.day) || !view.IsCaughtUp() {
			return
		}
		series, err := r.read(settings, view, today)
		if version != view.CopilotVersion() {
			continue // parts of two versions
		}
		r.version, r.day, r.isRead = version, today, true
		if err == nil {
			r.isCorrupt = false
			r.replace(series)
			return
		}
		if !r.isCorrupt {
			logger.Warn("Stored Copilot reports are corrupt; their metrics keep their last values until the leader "+
				"has read the reports again.", zap.String("owner", r.Name), zap.Error(err))
		}
		r.isCorrupt = true
	}
}

// read returns the series of the reports in the view, on a day.
func (r *copilotReports) read(
	settings *CopilotSettings, view *ledgerview.View, today report.Day,
) (map[copilotLabels]*copilotValues, error) {
	reports, err := copilot.ReadReports(copilotstore.ViewLoader(view, r.Documents))
	if err != nil {
		return nil, err
	}
	return readCopilotTable(settings, r.Documents.Enterprise != "", reports, today)
}

// replace replaces the series, and records which ones ended.
func (r *copilotReports) replace(series map[copilotLabels]*copilotValues) {
	for key := range r.ended {
		if values := series[key.labels]; values != nil && values.present[key.metric] {
			delete(r.ended, key)
		}
	}
	for labels, before := range r.series {
		values := series[labels]
		for m, wasPresent := range before.present {
			if !wasPresent || (values != nil && values.present[m]) || len(r.ended) >= maxSeriesEnds {
				continue
			}
			if r.ended == nil {
				r.ended = make(map[copilotSeries]uint8)
			}
			r.ended[copilotSeries{labels, usage.Metric(m)}] = markerEmissions
		}
	}
	r.series = series
}

// recordAccepted records that the pipeline accepted the markers of all ended series.
func (r *copilotReports) recordAccepted() {
	for key, left := range r.ended {
		if left--; left == 0 {
			delete(r.ended, key)
		} else {
			r.ended[key] = left
		}
	}
}

// emitCopilot sends the metrics of the Copilot reports in an organization's ledger.
func (e *Emitter) emitCopilot(ctx context.Context, org *organization, at pcommon.Timestamp) {
	for _, reports := range org.copilot {
		reports.refresh(e.settings.Copilot, org.View, report.DayOf(at.AsTime()), e.settings.Receiver.Logger)
		sink := &copilotSink{emitter: e, owner: reports.Name, at: at, isAccepted: true}
		for labels, values := range reports.series {
			sink.add(ctx, &labels, values)
		}
		sink.flush(ctx)
		for key := range reports.ended {
			sink.addMarker(ctx, &key)
		}
		sink.flush(ctx)
		reports.shown = sink.shown
		if sink.isAccepted {
			reports.recordAccepted()
		}
	}
}

// copilotSink makes data points of series and sends them in chunks.
type copilotSink struct {
	emitter *Emitter
	owner   string
	at      pcommon.Timestamp

	isAccepted bool
	shown      [usage.NumMetrics]int
	current    pmetric.Metrics
	metrics    pmetric.MetricSlice
	points     [usage.NumMetrics]pmetric.NumberDataPointSlice
	hasPoints  [usage.NumMetrics]bool
	count      int
}

// add adds the points of the metrics with the same labels.
func (s *copilotSink) add(ctx context.Context, labels *copilotLabels, values *copilotValues) {
	templates := s.emitter.copilotTemplates
	for m, isPresent := range values.present {
		if !isPresent || !templates.enabled[m] {
			continue
		}
		s.ensureChunk(ctx, maxChunkPoints)
		if !s.hasPoints[m] {
			metric := s.metrics.AppendEmpty()
			templates.template[m].CopyTo(metric)
			s.points[m], s.hasPoints[m] = points(metric), true
		}
		point := s.points[m].AppendEmpty()
		point.SetTimestamp(s.at)
		switch usage.Metric(m) {
		case usage.MetricMinutesToMerge, usage.MetricCreditsUsed:
			point.SetDoubleValue(values.of[m])
		default:
			point.SetIntValue(int64(values.of[m]))
		}
		labels.put(point.Attributes(), s.owner, usage.Metric(m))
		s.shown[m]++
		s.count++
	}
}

// addMarker adds the staleness marker of a series. Each marker needs a metric of its own: the Prometheus exporter
// leaves out the points of a metric that come after one without a value.
func (s *copilotSink) addMarker(ctx context.Context, key *copilotSeries) {
	templates := s.emitter.copilotTemplates
	if !templates.enabled[key.metric] {
		return
	}
	s.ensureChunk(ctx, maxChunkMarkers)
	metric := s.metrics.AppendEmpty()
	templates.template[key.metric].CopyTo(metric)
	point := points(metric).AppendEmpty()
	point.SetTimestamp(s.at)
	point.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	key.labels.put(point.Attributes(), s.owner, key.metric)
	s.count++
}

// ensureChunk starts a chunk when there is none, and sends one that has as many points as it may have.
func (s *copilotSink) ensureChunk(ctx context.Context, limit int) {
	if s.count >= limit {
		s.flush(ctx)
	}
	if s.count > 0 {
		return
	}
	s.current = pmetric.NewMetrics()
	rm := s.current.ResourceMetrics().AppendEmpty()
	s.emitter.templates.setResource(rm, s.owner)
	sm := rm.ScopeMetrics().AppendEmpty()
	s.emitter.templates.setScope(sm)
	s.metrics = sm.Metrics()
}

// flush sends the points that were added.
func (s *copilotSink) flush(ctx context.Context) {
	if s.count > 0 {
		s.isAccepted = s.emitter.send(ctx, s.current) && s.isAccepted
	}
	s.count, s.hasPoints = 0, [usage.NumMetrics]bool{}
}
