// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

const (
	// dispatchRetryDelay is the wait after jobs could not be published, firstDispatchRetryDelay that after the first
	// time: a process that starts has not connected to the queue yet.
	dispatchRetryDelay      = 10 * time.Second
	firstDispatchRetryDelay = time.Second
	// backfillLogInterval is the time between two log lines about the progress of backfill.
	backfillLogInterval = time.Minute
)

// gapDispatcher publishes backfill jobs for the gaps of an organization while this replica leads it. One goroutine runs
// it.
type gapDispatcher struct {
	org, key  string // the organization's login, and its key
	logger    *zap.Logger
	store     ledger.Store
	collector *collect.Collector
	tallies   *collect.Tallies
	cooldown  *health.Cooldown
	state     *orgState
	queue     *jobQueue
	config    *BackfillConfig

	missed  missedStreams
	reports missedReports
	copilot map[string]*copilotJobs // by source
	// isFailing says that jobs could not be published, several times in a row.
	isFailing atomic.Bool
	// passEnded has a token when a pass has ended: there may be gaps to publish jobs for.
	passEnded wakeup.Signal
}

// recordPass records the streams that a pass did not read, with the reasons for their jobs, and makes run dispatch now.
// It is safe for concurrent use.
func (d *gapDispatcher) recordPass(result *collect.PassResult) {
	d.missed.add(result)
	d.passEnded.Notify()
}

// missedStreams collects the failures of passes until the next dispatch. It is safe for concurrent use.
type missedStreams struct {
	mu       sync.Mutex
	failures []collect.Failure
	unread   []collect.RepoStream
}

func (m *missedStreams) add(result *collect.PassResult) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures, m.unread = append(m.failures, result.Failures...), append(m.unread, result.Deferred...)
}

func (m *missedStreams) drain() ([]collect.Failure, []collect.RepoStream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	failures, unread := m.failures, m.unread
	m.failures, m.unread = nil, nil
	return failures, unread
}

// requestReports replaces the days of a source's reports that are missing, and makes run dispatch now if there are
// others than before. It reports whether jobs can be published. It is safe for concurrent use.
func (d *gapDispatcher) requestReports(source string, missed []backfill.MissedReport) bool {
	if d.reports.set(source, missed) {
		d.passEnded.Notify()
	}
	return !d.isFailing.Load()
}

// missedReports has the days of reports that are missing, by source. It is safe for concurrent use.
type missedReports struct {
	mu       sync.Mutex
	bySource map[string][]backfill.MissedReport
}

// set reports whether the days of the source are others than before.
func (m *missedReports) set(source string, missed []backfill.MissedReport) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Equal(m.bySource[source], missed) {
		return false
	}
	if m.bySource == nil {
		m.bySource = make(map[string][]backfill.MissedReport)
	}
	m.bySource[source] = missed
	return true
}

func (m *missedReports) all() []backfill.MissedReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []backfill.MissedReport
	for _, source := range slices.Sorted(maps.Keys(m.bySource)) {
		all = append(all, m.bySource[source]...)
	}
	return all
}

// missReason returns the reason of the job for a stream that failed. isCooling says that requests to GitHub pause.
func missReason(f *collect.Failure, isCooling bool) backfill.Reason {
	if unavailable := (*transport.UnavailableError)(nil); errors.As(f.Err, &unavailable) &&
		(isCooling || errors.As(f.Err, new(*health.CooldownError))) {
		return backfill.ReasonUnhealthy
	}
	if limit := (*transport.LimitError)(nil); errors.As(f.Err, &limit) {
		return backfill.ReasonRateLimited
	}
	if f.AllFailed {
		return backfill.ReasonScrapeError
	}
	return backfill.ReasonPartial
}

// run publishes jobs for gaps after every pass and at every sweep, until ctx, the term, ends.
func (d *gapDispatcher) run(ctx context.Context) {
	c := d.config
	dispatcher := backfill.NewDispatcher(backfill.DispatchSettings{
		Org: d.org, Queue: orgJobs{d.queue, d.key}, Claims: d.queue.claims, Now: time.Now, NewID: rand.Text,
		IsMissing: func(ctx context.Context, m *backfill.MissedReport) (bool, error) {
			return d.copilot[m.Source].IsMissing(ctx, m)
		},
		Counters: backfill.Counters{
			Enqueued: func(r backfill.Reason, n int) {
				d.tallies.AddN(collect.TallyEnqueued, uint64(n), string(r)) //nolint:gosec // a count
			},
			Deduped: func(r backfill.Reason, n int) {
				d.tallies.AddN(collect.TallyDeduped, uint64(n), string(r)) //nolint:gosec // a count
			},
			Deferred: func(cause string, n int) {
				d.tallies.AddN(collect.TallyDeferred, uint64(n), cause) //nolint:gosec // a count
			},
		},
		Coalesce: c.CoalesceWindow, MaxPerMinute: c.MaxEnqueuesPerOrgPerMinute, StaleAfter: c.claimTimeout(),
		ExpireAfter: c.DedupTTL,
	})
	queue := d.queue.queueOf(d.key)
	progress := backfillLog{
		logger: d.logger, setVanishing: func(n int) error { return d.queue.errors.setVanishing(d.org, queue, n) },
	}
	for ctx.Err() == nil {
		wait := d.dispatchOnce(ctx, dispatcher, &progress, c.SweepInterval)
		d.sleep(ctx, wait)
	}
	_ = d.queue.errors.setVanishing(d.org, queue, 0) // the next leader observes it again
	d.isFailing.Store(false)
}

// sleep waits for a duration, or until a pass ends, or ctx.
func (d *gapDispatcher) sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-d.passEnded:
	}
}

// dispatchOnce publishes the jobs that are due. It returns the wait before the next dispatch, at most interval.
func (d *gapDispatcher) dispatchOnce(
	ctx context.Context, dispatcher *backfill.Dispatcher, progress *backfillLog, interval time.Duration,
) time.Duration {
	failures, unread := d.missed.drain()
	isCooling := d.cooldown.Err() != nil
	for i := range failures {
		dispatcher.RecordMiss(failures[i].RepoID, failures[i].Stream, missReason(&failures[i], isCooling))
	}
	for _, l := range unread {
		dispatcher.RecordMiss(l.RepoID, l.Stream, backfill.ReasonLeaderGap)
	}
	dispatcher.SetMissedReports(d.reports.all())
	cov, err := d.store.Coverage(ctx, d.org)
	var result backfill.DispatchResult
	if err == nil {
		result, err = dispatcher.Dispatch(ctx, &cov, d.collector.PendingStreams)
	}
	if ctx.Err() != nil {
		return 0
	}
	d.state.setOldestJob(result.Oldest)
	progress.report(&cov, &result, err, time.Now())
	d.isFailing.Store(progress.failures >= loggedFailureInARow)
	switch {
	case err != nil && progress.failures == 1:
		return min(interval, firstDispatchRetryDelay)
	case err != nil:
		return min(interval, dispatchRetryDelay)
	case !result.RetryAt.IsZero():
		return min(interval, max(time.Second, time.Until(result.RetryAt)))
	default:
		return interval
	}
}

// loggedFailureInARow is the number of the failure in a row that is logged: the first one may be a short interruption.
const loggedFailureInARow = 2

// backfillLog logs the progress of backfill. It belongs to the goroutine of the dispatcher.
type backfillLog struct {
	logger      *zap.Logger
	failures    int           // in a row
	loggedAt    time.Time     // of the last line about the progress; zero when there is no gap
	missingTime time.Duration // length of all gaps in that line
	// setVanishing sets the number of windows whose jobs the queue lost again and again. It returns the error that this
	// is; nil for zero.
	setVanishing    func(windows int) error
	vanishingLogged bool // whether the loss of jobs was logged
}

// report logs the result of a dispatch: failures from the second one in a row on, and the progress once a minute.
func (p *backfillLog) report(cov *ledger.Coverage, result *backfill.DispatchResult, err error, now time.Time) {
	if err != nil {
		if p.failures++; p.failures == loggedFailureInARow {
			p.logger.Error("Failed to publish backfill jobs; their windows remain gaps until a retry succeeds.",
				zap.Error(err))
		}
		return
	}
	if p.failures >= loggedFailureInARow {
		p.logger.Info("Backfill jobs are published again.")
	}
	p.failures = 0
	p.reportVanishing(result)
	gaps, left := sumGaps(cov)
	switch {
	case gaps == 0 && !p.loggedAt.IsZero():
		p.logger.Info("All gaps are filled.")
		p.loggedAt = time.Time{}
	case gaps > 0 && now.Sub(p.loggedAt) >= backfillLogInterval:
		p.logger.Info("Backfill in progress.", zap.Int("gaps", gaps), zap.Int("jobs_published", result.Published),
			zap.Int("jobs_in_progress", result.InProgress), zap.Int("jobs_deferred", result.Deferred),
			p.estimate(left, now))
		p.loggedAt, p.missingTime = now, left
	}
}

// reportVanishing logs when the queue begins to lose jobs again and again, and when it delivers them again.
func (p *backfillLog) reportVanishing(result *backfill.DispatchResult) {
	err := p.setVanishing(result.RepeatedlyLost)
	switch {
	case err != nil && !p.vanishingLogged:
		p.logger.Warn("Published backfill jobs are not delivered; their windows remain gaps, and the jobs are "+
			"published again.",
			zap.Error(err))
	case err == nil && p.vanishingLogged:
		p.logger.Info("Published backfill jobs are delivered again.")
	}
	p.vanishingLogged = err != nil
}

// estimate returns the field with the time until all gaps are read, at the rate since the last line; zap.Skip() when
// there is none.
func (p *backfillLog) estimate(left time.Duration, now time.Time) zap.Field {
	if p.loggedAt.IsZero() || left >= p.missingTime {
		return zap.Skip()
	}
	rate := float64(p.missingTime-left) / float64(now.Sub(p.loggedAt))
	return zap.Duration("estimated_remaining", time.Duration(float64(left)/rate).Round(time.Second))
}

// sumGaps returns the number of gaps of all streams, and the sum of their lengths.
func sumGaps(cov *ledger.Coverage) (gaps int, left time.Duration) {
	for _, r := range cov.Repos {
		for _, s := range activity.AllStreams() {
			for _, w := range r.Gaps(s) {
				gaps++
				left += w.End.Sub(w.Start)
			}
		}
	}
	return gaps, left
}
