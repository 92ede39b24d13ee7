// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// Emitter makes metrics from the views of organizations and sends them to the pipeline, at each interval and when Wake
// is called. Run belongs to one goroutine; Wake, Changed and the methods that report its state are safe for concurrent
// use.
type Emitter struct {
	settings  Settings
	identity  identity
	templates *metricTemplates
	// copilotTemplates is nil where Copilot reports are not shown.
	copilotTemplates *copilotTemplates
	selfMetrics      *selfMetrics
	orgs             []*organization
	wakeRequested    wakeup.Signal
	pipelineChanged  wakeup.Signal // has a token when the pipeline began to reject or to accept metrics

	mu           sync.Mutex
	pipelineErr  error     // of the last emission
	lastEmission time.Time // or the start, before the first one
}

// New returns an emitter without organizations.
func New(settings Settings) *Emitter {
	id := newIdentity(&settings)
	templates := newMetricTemplates(&settings, &id)
	var copilot *copilotTemplates
	if settings.Copilot != nil {
		copilot = newCopilotTemplates(&settings)
	}
	return &Emitter{
		settings: settings, identity: id, templates: templates, copilotTemplates: copilot,
		selfMetrics:   newSelfMetrics(&settings, id, templates, copilot),
		wakeRequested: wakeup.NewSignal(), pipelineChanged: wakeup.NewSignal(), lastEmission: time.Now(),
	}
}

// Add adds an organization, before Run.
func (e *Emitter) Add(source Source) {
	org := &organization{Source: source}
	for _, owner := range source.Copilot {
		org.copilot = append(org.copilot, &copilotReports{CopilotOwner: owner})
	}
	e.orgs = append(e.orgs, org)
}

// InstanceID returns the service.instance.id of this replica.
func (e *Emitter) InstanceID() string { return e.identity.instance }

// Changed has a token when the pipeline began to reject or to accept metrics.
func (e *Emitter) Changed() <-chan struct{} { return e.pipelineChanged }

// Wake requests an emission before the interval is over. It does not block.
func (e *Emitter) Wake() {
	e.wakeRequested.Notify()
}

// wakeGap returns the least time between an emission that Wake requested and its neighbours. Requests within it are
// merged: a backend refuses two points of a series in one millisecond.
func wakeGap(interval time.Duration) time.Duration { return min(interval/4, time.Second) }

// Run emits at whole multiples of the interval, and after Wake, until ctx ends. All replicas emit at the same
// multiples, so that they show the same at one moment. The timestamps of a process strictly grow.
func (e *Emitter) Run(ctx context.Context) {
	interval := e.settings.Interval
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
func (e *Emitter) awaitNext(ctx context.Context, last time.Time, interval time.Duration) time.Time {
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

// emit emits, at a time, each view that has caught up and that this replica emits, and the exporter's own metrics.
func (e *Emitter) emit(ctx context.Context, now time.Time) {
	at := pcommon.NewTimestampFromTime(now)
	for _, org := range e.orgs {
		org.summary = org.View.Summary()
		e.updateEmits(org, now)
		if !org.summary.CaughtUp {
			continue
		}
		if !org.emits {
			e.countSeries(org, now)
			continue
		}
		e.emitOrganization(ctx, org, at, e.buildActivity(org, now))
		e.emitRepositories(ctx, org, now)
		e.emitCopilot(ctx, org, at)
	}
	e.send(ctx, e.selfMetrics.buildMetrics(e.orgs, now))
	if e.settings.OnEmission != nil {
		e.settings.OnEmission(now)
	}
	e.mu.Lock()
	e.lastEmission = time.Now()
	e.mu.Unlock()
}

// emitOrganization sends the points of a view, and the staleness markers of its ended series.
func (e *Emitter) emitOrganization(
	ctx context.Context, org *organization, at pcommon.Timestamp, chunks []pmetric.Metrics,
) {
	accepted := true
	for _, md := range chunks {
		accepted = e.send(ctx, md) && accepted
	}
	if e.sendMarkers(ctx, org, at) && accepted {
		org.ends.recordAccepted()
	}
}

// sendMarkers sends the staleness markers of an organization, and reports whether the pipeline accepted all of them.
func (e *Emitter) sendMarkers(ctx context.Context, org *organization, at pcommon.Timestamp) bool {
	return org.ends.sendMarkers(e.templates, org.Org, at, func(md pmetric.Metrics) bool { return e.send(ctx, md) })
}

// countSeries visits a view that another replica emits, without sending points. So its size is known, and the view
// records which series end and begin if this replica takes over. Staleness markers are left to the other replica.
func (e *Emitter) countSeries(org *organization, now time.Time) {
	counter := &seriesCounter{templates: e.templates}
	org.View.VisitStandby(now, counter)
	org.seriesShown = counter.shown
	org.ends.clear()
	e.countRepositories(org, now)
	for _, reports := range org.copilot {
		reports.clear()
	}
}

// seriesCounter counts the series that a view visits, by metric.
type seriesCounter struct {
	templates *metricTemplates
	shown     [ledgerview.NumMetrics]int
}

// Emit counts a series.
func (c *seriesCounter) Emit(_ ledgerview.Series, values *ledgerview.Values) {
	for m := range ledgerview.NumMetrics {
		if c.templates.enabled[m] && values.Present.Has(ledgerview.Metric(m)) {
			c.shown[m]++
		}
	}
}

// MarkStale does nothing: the replica that emits the series sends the markers.
func (*seriesCounter) MarkStale(ledgerview.Series, ledgerview.Mask) {}

// updateEmits sets whether this replica emits an organization now. Where only leaders emit, it stops when its term
// ends, and a new leader starts at the first multiple of the interval in its term, however late that emission is: by
// then the former leader has stopped, and the view has what that leader emitted.
func (e *Emitter) updateEmits(org *organization, now time.Time) {
	if !e.settings.FromLeader {
		org.emits = true
		return
	}
	term := org.Status.TermStart()
	switch {
	case term.IsZero():
		org.emits = false
	case !e.settings.Elected:
		org.emits = true
	case !org.emits || !term.Equal(org.emitsTerm):
		org.emits = now.Equal(now.Truncate(e.settings.Interval)) && term.Before(now)
	}
	org.emitsTerm = term
}

// send sends metrics to the pipeline, and reports whether it accepted them. It logs when the pipeline begins to reject
// metrics, and when it accepts them again.
func (e *Emitter) send(ctx context.Context, md pmetric.Metrics) (accepted bool) {
	points := md.DataPointCount()
	if points == 0 || ctx.Err() != nil {
		return ctx.Err() == nil
	}
	obsCtx := e.settings.Obs.StartMetricsOp(ctx)
	err := e.settings.Next.ConsumeMetrics(obsCtx, md)
	e.settings.Obs.EndMetricsOp(obsCtx, metadata.Type.String(), points, err)
	if ctx.Err() == nil && e.setPipelineErr(err) {
		if err != nil {
			e.settings.Receiver.Logger.Warn("Pipeline rejected metrics.", zap.Error(err))
		} else {
			e.settings.Receiver.Logger.Info("Pipeline accepts metrics again.")
		}
	}
	return err == nil
}

// setPipelineErr sets the pipeline's last error, nil for none, and reports whether rejecting began or ended.
func (e *Emitter) setPipelineErr(err error) (changed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	changed = (err != nil) != (e.pipelineErr != nil)
	e.pipelineErr = err
	if changed {
		e.pipelineChanged.Notify()
	}
	return changed
}

// PipelineError returns why the pipeline rejected the last metrics; nil when it accepted them.
func (e *Emitter) PipelineError() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pipelineErr == nil {
		return nil
	}
	return fmt.Errorf("the pipeline rejects metrics: %w", e.pipelineErr)
}

// SinceLastEmission returns the time since the last emission or, before the first one, since the start.
func (e *Emitter) SinceLastEmission(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Sub(e.lastEmission)
}

// buildActivity returns the view of an organization as metrics, in chunks.
func (e *Emitter) buildActivity(org *organization, now time.Time) []pmetric.Metrics {
	sink := &pointSink{
		templates: e.templates, org: org.Org, expected: org.seriesShown, ends: &org.ends,
		at: pcommon.NewTimestampFromTime(now),
	}
	org.View.Visit(now, sink)
	org.seriesShown = sink.shown
	return sink.chunks()
}
