package githubexporter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// maxChunkPoints is how many data points one emission has at most: an organization with more is emitted in several.
const maxChunkPoints = 50_000

// emitter turns the views into metrics, each interval and when something new is worth showing at once.
type emitter struct {
	receiver        *githubReceiver
	templates       *metricTemplates
	selfMetrics     *selfMetrics
	wakeRequested   wakeup.Signal
	pipelineChanged wakeup.Signal // has a token when the pipeline's answer changed

	mu           sync.Mutex
	pipelineErr  error     // what the pipeline said last
	lastEmission time.Time // of the last emission, or of the beginning
}

func newEmitter(r *githubReceiver) *emitter {
	return &emitter{
		receiver: r, templates: newMetricTemplates(r), selfMetrics: newSelfMetrics(r), wakeRequested: wakeup.NewSignal(),
		pipelineChanged: wakeup.NewSignal(), lastEmission: time.Now(),
	}
}

// wake asks for an emission before the interval is over.
func (e *emitter) wake() {
	e.wakeRequested.Notify()
}

// wakeGap is how far an emission that was asked for is apart from the one before and from the next one at a multiple of
// the interval. Requests in between are one: a backend refuses two points of a series in one millisecond.
func wakeGap(interval time.Duration) time.Duration { return min(interval/4, time.Second) }

// run emits at whole multiples of the interval, as all replicas do: at one moment they show the same. The timestamps
// of the emissions of a process strictly grow.
func (e *emitter) run(ctx context.Context, interval time.Duration) {
	var last time.Time
	for {
		at := e.awaitNext(ctx, last, interval)
		if ctx.Err() != nil {
			return
		}
		if at.Equal(last) {
			continue // that emission was made: the timer was late after a wake, or the clock stepped back
		}
		e.emit(ctx, at)
		last = at
	}
}

// awaitNext waits until the next emission, and returns its timestamp: a multiple of the interval, or now after a wake.
func (e *emitter) awaitNext(ctx context.Context, last time.Time, interval time.Duration) time.Time {
	tick := time.Now().Truncate(interval).Add(interval)
	timer := time.NewTimer(time.Until(tick))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return tick
	case <-timer.C:
		return tick
	case <-e.wakeRequested:
	}
	gap := wakeGap(interval)
	wait := time.Until(last.Add(gap))
	if due := time.Now().Add(max(0, wait)); due.After(tick.Add(-gap)) {
		wait = time.Until(tick)
	}
	if wait > 0 {
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	e.wakeRequested.Clear() // this emission serves it
	if now := time.Now(); now.Before(tick.Add(-gap / 2)) {
		return now
	}
	return tick
}

// emit emits every view that has caught up and that this replica shows, and the exporter's own metrics.
func (e *emitter) emit(ctx context.Context, now time.Time) {
	at := pcommon.NewTimestampFromTime(now)
	for _, org := range e.receiver.orgs {
		org.summary = org.view.Summary()
		e.receiver.updateEmits(org, now)
		if !org.summary.CaughtUp {
			continue
		}
		if !org.emits {
			e.countSeries(org, now)
			continue
		}
		e.emitOrganization(ctx, org, at, e.buildActivity(org, now))
	}
	e.send(ctx, e.selfMetrics.buildMetrics(now))
	e.receiver.reportUnmatchedUsers(now)
	e.mu.Lock()
	e.lastEmission = time.Now()
	e.mu.Unlock()
}

// countSeries passes over a view that another replica emits. So its size is known, and this replica knows which series end
// and begin when it takes over. What ended here before is the other replica's to mark.
func (e *emitter) countSeries(org *organization, now time.Time) {
	counter := &seriesCounter{templates: e.templates}
	org.view.VisitStandby(now, counter)
	org.seriesShown = counter.shown
	org.ends.clear()
}

// seriesCounter counts what a view shows.
type seriesCounter struct {
	templates *metricTemplates
	shown     [ledger.NumMetrics]int
}

// Emit counts a series.
func (c *seriesCounter) Emit(_ ledger.Series, values *ledger.Values) {
	for m := range ledger.NumMetrics {
		if c.templates.enabled[m] && values.Present.Has(ledger.Metric(m)) {
			c.shown[m]++
		}
	}
}

// MarkStale leaves the end of a series to the replica that emits it.
func (*seriesCounter) MarkStale(ledger.Series, ledger.Mask) {}

// updateEmits decides whether this replica emits an organization now. Where only leaders emit, a new one begins at the
// first multiple of the interval in its term, however late that emission is: by then the former leader has ceased, and
// this replica's view has what that showed.
func (r *githubReceiver) updateEmits(org *organization, now time.Time) {
	if r.config.EmitFrom == emitFromAll {
		org.emits = true
		return
	}
	term := org.termStart()
	switch {
	case term.IsZero():
		org.emits = false
	case r.config.LeaderElection == nil:
		org.emits = true
	case !org.emits || !term.Equal(org.emitsTerm):
		org.emits = now.Equal(now.Truncate(r.config.EmitInterval)) && term.Before(now)
	}
	org.emitsTerm = term
}

// send hands metrics to the pipeline, and reports whether it took them. It logs when that begins to fail and when it is
// over.
func (e *emitter) send(ctx context.Context, md pmetric.Metrics) (taken bool) {
	points := md.DataPointCount()
	if points == 0 || ctx.Err() != nil {
		return ctx.Err() == nil
	}
	obsCtx := e.receiver.obs.StartMetricsOp(ctx)
	err := e.receiver.next.ConsumeMetrics(obsCtx, md)
	e.receiver.obs.EndMetricsOp(obsCtx, metadata.Type.String(), points, err)
	if ctx.Err() == nil && e.setPipelineErr(err) {
		if err != nil {
			e.receiver.settings.Logger.Warn("Pipeline rejected metrics.", zap.Error(err))
		} else {
			e.receiver.settings.Logger.Info("Pipeline accepts metrics again.")
		}
	}
	return err == nil
}

// setPipelineErr notes what the pipeline said, and reports whether that is a change.
func (e *emitter) setPipelineErr(err error) (changed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	changed = (err != nil) != (e.pipelineErr != nil)
	e.pipelineErr = err
	if changed {
		e.pipelineChanged.Notify()
	}
	return changed
}

// pipelineError is why the pipeline took nothing the last time.
func (e *emitter) pipelineError() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pipelineErr == nil {
		return nil
	}
	return fmt.Errorf("the pipeline rejects metrics: %w", e.pipelineErr)
}

// sinceLastEmission is how long the last emission is ago.
func (e *emitter) sinceLastEmission(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Sub(e.lastEmission)
}

// buildActivity is an organization's view as metrics.
func (e *emitter) buildActivity(org *organization, now time.Time) []pmetric.Metrics {
	sink := &pointSink{
		templates: e.templates, org: org.name, expected: org.seriesShown, ends: &org.ends, at: pcommon.NewTimestampFromTime(now),
	}
	org.view.Visit(now, sink)
	org.seriesShown = sink.shown
	return sink.chunks()
}

// pointSink collects what a view shows.
type pointSink struct {
	templates *metricTemplates
	org       string
	at        pcommon.Timestamp
	ends      *seriesEnds
	// expected is how many series of each metric there were the last time, shown how many there are now.
	expected, shown [ledger.NumMetrics]int

	fullChunks []pmetric.Metrics
	current    pmetric.Metrics
	metrics    pmetric.MetricSlice
	points     [ledger.NumMetrics]pmetric.NumberDataPointSlice
	count      int
}

// Emit adds the points of a series.
func (s *pointSink) Emit(series ledger.Series, values *ledger.Values) {
	s.ensureChunk()
	s.ends.cancelMarkers(series, values.Present)
	start := min(s.at, pcommon.NewTimestampFromTime(time.Unix(values.StartTime, 0)))
	for m := range ledger.NumMetrics {
		if !s.templates.enabled[m] || !values.Present.Has(ledger.Metric(m)) {
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

// MarkStale notes that metrics of a series ended.
func (s *pointSink) MarkStale(series ledger.Series, gone ledger.Mask) { s.ends.add(series, gone) }

func (s *pointSink) setLabels(point pmetric.NumberDataPoint, series ledger.Series) {
	point.SetTimestamp(s.at)
	attributes := point.Attributes()
	attributes.EnsureCapacity(3)
	attributes.PutStr("org", s.org)
	attributes.PutStr("repo", series.Repo)
	attributes.PutStr("user", series.User)
	s.count++
}

// ensureChunk begins a new chunk when there is none or it is full.
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
	s.metrics.EnsureCapacity(ledger.NumMetrics)
	for m := range ledger.NumMetrics {
		if s.templates.enabled[m] {
			metric := s.metrics.AppendEmpty()
			s.templates.template[m].CopyTo(metric)
			s.points[m] = points(metric)
			s.points[m].EnsureCapacity(min(s.expected[m], maxChunkPoints/ledger.NumMetrics))
		}
	}
}

// closeChunk ends a chunk. Metrics without points are taken out.
func (s *pointSink) closeChunk() {
	if s.metrics == (pmetric.MetricSlice{}) {
		return
	}
	s.metrics.RemoveIf(func(m pmetric.Metric) bool { return points(m).Len() == 0 })
	s.fullChunks = append(s.fullChunks, s.current)
	s.metrics, s.count = pmetric.MetricSlice{}, 0
}

func (s *pointSink) chunks() []pmetric.Metrics {
	s.closeChunk()
	return s.fullChunks
}

// points are the data points of a gauge or a sum.
func points(m pmetric.Metric) pmetric.NumberDataPointSlice {
	if m.Type() == pmetric.MetricTypeSum {
		return m.Sum().DataPoints()
	}
	return m.Gauge().DataPoints()
}
