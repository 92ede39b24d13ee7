package githubexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// chunkPoints is how many data points one emission has at most: an organization with more is emitted in several.
const chunkPoints = 50_000

// emitter turns the views into metrics, each interval and when something new is worth showing at once.
type emitter struct {
	receiver   *githubReceiver
	forms      *forms
	operations *operations
	woken      chan struct{}
	failing    bool
}

func newEmitter(r *githubReceiver) *emitter {
	return &emitter{
		receiver: r, forms: newForms(r), operations: newOperations(r), woken: make(chan struct{}, 1),
	}
}

// wake asks for an emission before the interval is over.
func (e *emitter) wake() {
	select {
	case e.woken <- struct{}{}:
	default:
	}
}

func (e *emitter) run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-e.woken:
		}
		e.emit(ctx, time.Now())
	}
}

// emit emits every view that has caught up, and the exporter's own metrics.
func (e *emitter) emit(ctx context.Context, now time.Time) {
	for _, org := range e.receiver.orgs {
		org.summary = org.view.Summary()
		if !org.summary.Caught {
			continue
		}
		for _, md := range e.activity(org, now) {
			e.send(ctx, md)
		}
	}
	e.send(ctx, e.operations.metrics(now))
}

// send hands metrics to the pipeline. It logs when that begins to fail and when it is over.
func (e *emitter) send(ctx context.Context, md pmetric.Metrics) {
	points := md.DataPointCount()
	if points == 0 || ctx.Err() != nil {
		return
	}
	obsCtx := e.receiver.obs.StartMetricsOp(ctx)
	err := e.receiver.next.ConsumeMetrics(obsCtx, md)
	e.receiver.obs.EndMetricsOp(obsCtx, metadata.Type.String(), points, err)
	if failing := err != nil && ctx.Err() == nil; failing != e.failing {
		e.failing = failing
		if failing {
			e.receiver.settings.Logger.Warn("The pipeline refuses metrics.", zap.Error(err))
		} else {
			e.receiver.settings.Logger.Info("The pipeline takes metrics again.")
		}
	}
}

// activity is an organization's view as metrics.
func (e *emitter) activity(org *organization, now time.Time) []pmetric.Metrics {
	sink := &sink{
		forms: e.forms, org: org.name, expect: org.shown,
		at: pcommon.NewTimestampFromTime(now), start: pcommon.NewTimestampFromTime(org.summary.Began),
	}
	org.view.Visit(now, sink)
	org.shown = sink.shown
	return sink.chunks()
}

// sink collects what a view shows.
type sink struct {
	forms     *forms
	org       string
	at, start pcommon.Timestamp
	// expect is how many series of each metric there were the last time, shown how many there are now.
	expect, shown [ledger.NumMetrics]int

	done    []pmetric.Metrics
	current pmetric.Metrics
	metrics pmetric.MetricSlice
	points  [ledger.NumMetrics]pmetric.NumberDataPointSlice
	count   int
}

// Show adds the points of a series.
func (s *sink) Show(series ledger.Series, values *ledger.Values) {
	s.room()
	for m := range ledger.NumMetrics {
		if !s.forms.enabled[m] || !values.Present.Has(ledger.Metric(m)) {
			continue
		}
		s.shown[m]++
		point := s.points[m].AppendEmpty()
		point.SetIntValue(int64(values.Of[m])) //nolint:gosec // counts
		s.fill(point, m, series)
	}
}

// End adds staleness marks. Each needs a metric of its own: the Prometheus exporter leaves out the points of a metric
// that come after one without a value.
func (s *sink) End(series ledger.Series, gone ledger.Mask) {
	s.room()
	for m := range ledger.NumMetrics {
		if !s.forms.enabled[m] || !gone.Has(ledger.Metric(m)) {
			continue
		}
		metric := s.metrics.AppendEmpty()
		s.forms.prototype[m].CopyTo(metric)
		point := points(metric).AppendEmpty()
		point.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
		s.fill(point, m, series)
	}
}

func (s *sink) fill(point pmetric.NumberDataPoint, m int, series ledger.Series) {
	point.SetTimestamp(s.at)
	if s.forms.cumulative[m] {
		point.SetStartTimestamp(s.start)
	}
	attributes := point.Attributes()
	attributes.EnsureCapacity(3)
	attributes.PutStr("org", s.org)
	attributes.PutStr("repo", series.Repo)
	attributes.PutStr("user", series.User)
	s.count++
}

// room begins a new chunk when there is none or it is full.
func (s *sink) room() {
	if s.metrics != (pmetric.MetricSlice{}) && s.count < chunkPoints {
		return
	}
	s.close()
	s.current = pmetric.NewMetrics()
	rm := s.current.ResourceMetrics().AppendEmpty()
	s.forms.resource(rm, s.org)
	s.metrics = rm.ScopeMetrics().AppendEmpty().Metrics()
	s.forms.scope(rm.ScopeMetrics().At(0))
	s.metrics.EnsureCapacity(ledger.NumMetrics)
	for m := range ledger.NumMetrics {
		if s.forms.enabled[m] {
			metric := s.metrics.AppendEmpty()
			s.forms.prototype[m].CopyTo(metric)
			s.points[m] = points(metric)
			s.points[m].EnsureCapacity(min(s.expect[m], chunkPoints/ledger.NumMetrics))
		}
	}
}

// close ends a chunk. Metrics without points are taken out.
func (s *sink) close() {
	if s.metrics == (pmetric.MetricSlice{}) {
		return
	}
	s.metrics.RemoveIf(func(m pmetric.Metric) bool { return points(m).Len() == 0 })
	s.done = append(s.done, s.current)
	s.metrics, s.count = pmetric.MetricSlice{}, 0
}

func (s *sink) chunks() []pmetric.Metrics {
	s.close()
	return s.done
}

// points are the data points of a gauge or a sum.
func points(m pmetric.Metric) pmetric.NumberDataPointSlice {
	if m.Type() == pmetric.MetricTypeSum {
		return m.Sum().DataPoints()
	}
	return m.Gauge().DataPoints()
}
