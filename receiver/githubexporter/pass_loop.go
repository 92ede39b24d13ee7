// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/schedule"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

const (
	// jitter is the fraction of the interval by which passes are moved at random.
	jitter = 0.1
	// pruneInterval is the time between two prunings of events past the retention.
	pruneInterval = time.Hour
	// pruneMargin is how long events are kept beyond the retention: a window as long as the retention is complete on
	// replicas whose clock is behind that of the leader, and where a repository lags.
	pruneMargin = time.Hour
)

// passLoop makes the passes over one organization while this replica leads it. One goroutine runs it.
type passLoop struct {
	org         string
	logger      *zap.Logger
	telemetry   *metadata.TelemetryBuilder
	collector   *collect.Collector
	tallies     *collect.Tallies
	cooldown    *health.Cooldown
	health      *orgHealth
	watchdog    *watchdog
	state       *orgState
	maintenance *maintenance
	// dispatcher continues where a pass ends, nil as in term; and so does what waits at the gates.
	dispatcher *gapDispatcher
	gates      []*termGate
	// vcs reads what the metrics vcs.* need; nil where all of them are off.
	vcs *collect.VCSReader
}

// run makes passes until ctx, the term, ends.
func (l *passLoop) run(ctx context.Context, fence uint64) {
	loop := schedule.Loop{Interval: l.watchdog.interval, Jitter: jitter}
	_ = loop.Run(ctx, func(ctx context.Context) time.Time { // ends with the context only
		l.watchdog.startPass(time.Now())
		notBefore := l.runPass(ctx, fence)
		l.watchdog.endPass(time.Now(), notBefore)
		return notBefore
	})
}

// runPass makes a pass and the maintenance that is due. It returns when the next one may start; zero for any time.
func (l *passLoop) runPass(ctx context.Context, fence uint64) time.Time {
	if cooling := l.cooldown.Err(); cooling != nil {
		l.skipPass(ctx, cooling)
		return time.Time{}
	}
	result, err := l.collector.Pass(ctx, fence)
	if ctx.Err() != nil {
		return time.Time{}
	}
	l.recordPass(ctx, &result, err)
	if err == nil {
		reconciled := l.maintenance.run(ctx, fence)
		l.readVCS(ctx, fence, reconciled)
	}
	return result.RetryAt
}

// readVCS reads what the metrics vcs.* need of the repositories that have changed, after a reconciliation of all that
// were active.
func (l *passLoop) readVCS(ctx context.Context, fence uint64, reconciled bool) {
	if l.vcs == nil || ctx.Err() != nil {
		return
	}
	result, err := l.vcs.Read(ctx, fence, reconciled)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		l.logger.Warn("Failed to record what the metrics vcs.* need; will retry after the next pass.", zap.Error(err))
	case result.Failed > 0:
		l.logger.Warn("Failed to read what some of the metrics vcs.* need; will retry with a backoff.",
			zap.Int("failed", result.Failed), zap.Error(result.Err))
	case result.Cut > 0:
		l.logger.Debug("The metrics vcs.* do not show all branches of some repositories: see vcs::max_refs.",
			zap.Int("repositories", result.Cut))
	}
}

// skipPass counts a pass that is not made because requests to GitHub pause, and reports the cooldown as the read error.
func (l *passLoop) skipPass(ctx context.Context, cooling error) {
	l.tallies.Add(collect.TallyRuns, string(collect.PassSkippedUnhealthy))
	l.health.readErrors.set(l.org, cooling)
	if err := l.collector.Flush(ctx); err != nil && ctx.Err() == nil {
		l.logger.Debug("Failed to flush counters; will retry with the next commit.", zap.Error(err))
	}
}

// recordPass reports a pass to the log, the state, the telemetry and the other roles.
func (l *passLoop) recordPass(ctx context.Context, result *collect.PassResult, err error) {
	l.health.recordPass(result, err)
	l.telemetry.GithubexporterPassDuration.Record(ctx, result.Duration.Seconds(),
		metric.WithAttributes(attribute.String("org", l.org), attribute.String("result", string(result.Status))))
	complete := err == nil && result.Incomplete == nil
	if complete {
		l.health.warnOfFilter(result)
	}
	if result.Duration > l.watchdog.interval {
		l.logger.Warn("Pass took longer than scrape_interval; the next pass starts at once.",
			zap.Duration("took", result.Duration), zap.Duration("scrape_interval", l.watchdog.interval))
	}
	l.state.recordPass(result.Duration, complete)
	if l.dispatcher != nil {
		l.dispatcher.recordPass(result)
	}
	if err != nil {
		return
	}
	for _, gate := range l.gates {
		gate.signalPass(result.Start)
	}
}

// maintenance prunes the ledger of an organization and reconciles it with GitHub, after passes. It belongs to the pass
// loop.
type maintenance struct {
	org       string
	store     ledger.Store
	collector *collect.Collector
	logger    *zap.Logger
	retention time.Duration
	// reconcileInterval is the time between two reconciliations; zero for none.
	reconcileInterval time.Duration

	prunedAt, reconciledAt time.Time
}

// run prunes and reconciles when that is due. It reports whether it reconciled.
func (m *maintenance) run(ctx context.Context, fence uint64) bool {
	now := time.Now()
	if now.Sub(m.prunedAt) >= pruneInterval {
		if err := m.store.Prune(ctx, m.org, now.Add(-m.retention-pruneMargin).Truncate(time.Second)); err != nil &&
			ctx.Err() == nil {
			m.logger.Error("Failed to prune the ledger; will retry after the next pass.", zap.Error(err))
		} else {
			m.prunedAt = now
		}
	}
	if m.reconciledAt.IsZero() {
		m.reconciledAt = now // the first pass has just read the last 24 h
	}
	isDue := m.reconcileInterval > 0 && now.Sub(m.reconciledAt) >= m.reconcileInterval
	if isDue {
		m.reconcile(ctx, fence, now)
	}
	return isDue
}

// reconcile reads the last 24 h of recently active repositories again. Events that passes missed are a warning.
func (m *maintenance) reconcile(ctx context.Context, fence uint64, now time.Time) {
	result, err := m.collector.Reconcile(ctx, fence)
	if ctx.Err() != nil {
		return
	}
	m.reconciledAt = now
	level := zap.InfoLevel
	if result.Found > 0 || result.FoundFlow > 0 || err != nil {
		level = zap.WarnLevel
	}
	m.logger.Log(level, "Reconciliation ended.", zap.Int("repositories", result.Repositories),
		zap.Int("found", result.Found), zap.Int("found_flow", result.FoundFlow),
		zap.Int("failures", len(result.Failures)), zap.Error(err))
}
