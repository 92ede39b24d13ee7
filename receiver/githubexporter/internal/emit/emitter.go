// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// maxChunkPoints is how many data points one emission has at most: an organization with more is emitted in several.
const maxChunkPoints = 50_000

// Source is one organization as the emitter reads it.
type Source struct {
	Org    string
	View   *ledgerview.View
	Status Status
}

// Status is what a replica shows of its work on an organization. It is read at each emission, by one goroutine.
type Status interface {
	// TermStart returns when this replica began to lead the organization; zero while it does not.
	TermStart() time.Time
	// LastPass returns the end and the duration of the term's last pass, and how long the view last took to catch up.
	LastPass() (lastRun time.Time, took, caughtUp time.Duration)
	// OldestJob returns when the oldest backfill job in flight was published; zero for none.
	OldestJob() time.Time
	// MissingPermissions returns the permissions that the credential lacks.
	MissingPermissions() []string
	// CredentialExpiry returns when the credential expires; zero where that is not known.
	CredentialExpiry() time.Time
	// Quotas returns the present rate limits and the installation that they belong to; false before that is known.
	Quotas() (installation string, quotas map[budget.Resource]budget.Quota, ok bool)
	// EachLinesState calls f for every repository with weekly lines from GitHub's statistics. It reports false where
	// weekly lines are those of the commits.
	EachLinesState(now time.Time, f func(repo string, state *loc.State, mode loc.Mode)) bool
}

// Replica is what the emitter reads of the replica as a whole. It is read at each emission, by one goroutine.
type Replica interface {
	// Leads reports whether this replica leads an organization.
	Leads(org string) bool
	// Report returns the state of the dependencies.
	Report() health.Report
	// IsHealthyFor reports whether a dependency is healthy for an organization; all is its state over all of them.
	IsHealthyFor(org, dependency string, all bool) bool
	// Sizes returns how many series and events the store has of an organization.
	Sizes(org string) (series, events int)
	// CorruptRecords returns how many records of the store were corrupt.
	CorruptRecords() int64
	// Fallback reports whether the store continues in memory without Redis; ok is false where it never does.
	Fallback() (active, ok bool)
	// Backlog returns what waits in the queues of backfill jobs; false where that is not known.
	Backlog() (Backlog, bool)
}

// Backlog is what waits in the queues of backfill jobs, as this replica observed it last.
type Backlog struct {
	// Depth has the number of jobs by the queue's name, those of retry and dead-letter queues as well.
	Depth map[string]int
	// Queues are those of which the age of the oldest job is shown.
	Queues []backfill.QueueDepth
	// Invalid and Returned count messages since the start, by the queue's name.
	Invalid, Returned map[string]int64
}

// Settings are those of an emitter.
type Settings struct {
	Metrics  metadata.MetricsBuilderConfig
	Receiver receiver.Settings
	Next     consumer.Metrics
	Obs      *receiverhelper.ObsReport
	Replica  Replica
	// Interval is the time between two emissions.
	Interval time.Duration
	// ZeroFor is how long the shared counters of a new ledger are shown at 0.
	ZeroFor time.Duration
	// Elected says that leaders are elected, FromLeader that only the leader of an organization emits it, Backfill
	// that there are backfill jobs.
	Elected, FromLeader, Backfill bool
	// OnEmission is called after each emission with its time. nil is none.
	OnEmission func(at time.Time)
}

// organization is the state of an organization's emissions.
type organization struct {
	Source

	summary ledgerview.Summary // of the last emission
	// emits says that this replica emits the organization, emitsTerm is the start of the term in which it does.
	emits     bool
	emitsTerm time.Time
	// seriesShown are the series that the last emission had, by metric.
	seriesShown [ledgerview.NumMetrics]int
	ends        seriesEnds
}

// Emitter turns the views into metrics, at each interval and when Wake is called. Run belongs to one goroutine; Wake,
// Changed and the methods that report its state are safe for concurrent use.
type Emitter struct {
	settings        Settings
	identity        identity
	templates       *metricTemplates
	selfMetrics     *selfMetrics
	orgs            []*organization
	wakeRequested   wakeup.Signal
	pipelineChanged wakeup.Signal // has a token when the pipeline began to reject or to accept metrics

	mu           sync.Mutex
	pipelineErr  error     // of the last emission
	lastEmission time.Time // or the start, before the first one
}

// New makes an emitter without organizations.
func New(settings Settings) *Emitter {
	id := newIdentity(&settings)
	templates := newMetricTemplates(&settings, &id)
	return &Emitter{
		settings: settings, identity: id, templates: templates, selfMetrics: newSelfMetrics(&settings, id, templates),
		wakeRequested: wakeup.NewSignal(), pipelineChanged: wakeup.NewSignal(), lastEmission: time.Now(),
	}
}

// Add adds an organization, before Run.
func (e *Emitter) Add(source Source) { e.orgs = append(e.orgs, &organization{Source: source}) }

// InstanceID returns the service.instance.id of this replica.
func (e *Emitter) InstanceID() string { return e.identity.instance }

// Changed has a token when the pipeline began to reject or to accept metrics.
func (e *Emitter) Changed() <-chan struct{} { return e.pipelineChanged }

// Wake requests an emission before the interval is over. It does not block.
func (e *Emitter) Wake() {
	e.wakeRequested.Notify()
}

// wakeGap is how far an emission that was asked for is apart from the one before and from the next one at a multiple of
// the interval. Requests in between are one: a backend refuses two points of a series in one millisecond.
func wakeGap(interval time.Duration) time.Duration { return min(interval/4, time.Second) }

// Run emits at whole multiples of the interval, as all replicas do: at one moment they show the same. The timestamps
// of the emissions of a process strictly grow.
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

// emit emits every view that has caught up and that this replica shows, and the exporter's own metrics.
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
	}
	e.send(ctx, e.selfMetrics.buildMetrics(e.orgs, now))
	if e.settings.OnEmission != nil {
		e.settings.OnEmission(now)
	}
	e.mu.Lock()
	e.lastEmission = time.Now()
	e.mu.Unlock()
}

// countSeries passes over a view that another replica emits. So its size is known, and this replica knows which series
// end and begin when it takes over. What ended here before is the other replica's to mark.
func (e *Emitter) countSeries(org *organization, now time.Time) {
	counter := &seriesCounter{templates: e.templates}
	org.View.VisitStandby(now, counter)
	org.seriesShown = counter.shown
	org.ends.clear()
}

// seriesCounter counts what a view shows.
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

// MarkStale leaves the end of a series to the replica that emits it.
func (*seriesCounter) MarkStale(ledgerview.Series, ledgerview.Mask) {}

// updateEmits decides whether this replica emits an organization now. Where only leaders emit, a new one begins at the
// first multiple of the interval in its term, however late that emission is: by then the former leader has ceased, and
// this replica's view has what that showed.
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

// send hands metrics to the pipeline, and reports whether it took them. It logs when that begins to fail and when it is
// over.
func (e *Emitter) send(ctx context.Context, md pmetric.Metrics) (taken bool) {
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

// setPipelineErr notes what the pipeline said, and reports whether that is a change.
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

// PipelineError is why the pipeline took nothing the last time.
func (e *Emitter) PipelineError() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pipelineErr == nil {
		return nil
	}
	return fmt.Errorf("the pipeline rejects metrics: %w", e.pipelineErr)
}

// SinceLastEmission is how long the last emission is ago.
func (e *Emitter) SinceLastEmission(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Sub(e.lastEmission)
}

// buildActivity is an organization's view as metrics.
func (e *Emitter) buildActivity(org *organization, now time.Time) []pmetric.Metrics {
	sink := &pointSink{
		templates: e.templates, org: org.Org, expected: org.seriesShown, ends: &org.ends,
		at: pcommon.NewTimestampFromTime(now),
	}
	org.View.Visit(now, sink)
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

// MarkStale notes that metrics of a series ended.
func (s *pointSink) MarkStale(series ledgerview.Series, gone ledgerview.Mask) {
	s.ends.add(series, gone)
}

func (s *pointSink) setLabels(point pmetric.NumberDataPoint, series ledgerview.Series) {
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
