package githubexporter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// dispatchRetryDelay is the wait after jobs could not be published, firstFailed after the first time: a process that starts has
	// not reached the queue yet.
	dispatchRetryDelay      = 10 * time.Second
	firstDispatchRetryDelay = time.Second
	// storeRetryDelay is the wait of a job when the store is in trouble, afterCredential when GitHub refuses the credential.
	storeRetryDelay      = 30 * time.Second
	credentialRetryDelay = 5 * time.Minute
	// backfillLogInterval is how often the log says how far backfill is.
	backfillLogInterval = time.Minute
)

// Read implements backfill.Reader.
func (o *organization) Read(ctx context.Context, job backfill.Job) (missing bool, err error) {
	if err := o.deferWhileCooling(o.cooldown.Err()); err != nil {
		return false, err
	}
	filled, err := o.collector.Fill(ctx, collect.FillRequest{
		RepoID: job.RepoID, Repo: job.Repo, Streams: job.Streams, Window: job.Window, Force: job.Reason == backfill.ReasonOperator,
	})
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, collect.ErrUnknownRepository):
		return false, backfill.Discard(err)
	case err != nil:
		return false, backfill.Defer(storeRetryDelay, err)
	}
	return filled.Streams != 0, o.jobError(&filled)
}

// jobError says how it goes on with a job of which something could not be read. A limit or a refused credential is not the
// job's fault.
func (o *organization) jobError(filled *collect.FillResult) error {
	var errs []error
	for _, f := range filled.Failures {
		errs = append(errs, fmt.Errorf("%s: %w", f.Stream, f.Err))
	}
	err := errors.Join(errs...)
	if at := filled.RetryAt(); !at.IsZero() {
		return backfill.Defer(time.Until(at), err)
	}
	if cooling := o.deferWhileCooling(err); cooling != nil {
		return cooling
	}
	if !filled.NotBefore.IsZero() {
		return backfill.Defer(time.Until(filled.NotBefore), err)
	}
	if credential := (*github.CredentialError)(nil); errors.As(err, &credential) {
		return backfill.Defer(credentialRetryDelay, err)
	}
	return err
}

// deferWhileCooling puts a job off that would have to ask GitHub during a cooldown.
func (o *organization) deferWhileCooling(err error) error {
	if cooling := (*health.CooldownError)(nil); errors.As(err, &cooling) {
		return backfill.Defer(time.Until(cooling.Until), err)
	}
	return nil
}

// RecordResult implements backfill.Reader.
func (o *organization) RecordResult(ctx context.Context, result backfill.Result) {
	o.tallies.Add(collect.TallyJobs, string(result))
	if err := o.collector.Flush(ctx); err != nil && ctx.Err() == nil {
		o.logger.Debug("Failed to flush counters; will retry with the next commit.", zap.Error(err))
	}
}

// missedStreams are the failures of passes that no dispatch has seen yet.
type missedStreams struct {
	mu       sync.Mutex
	failures []collect.Failure
	unread   []collect.RepoStream
}

func (m *missedStreams) add(sum *collect.PassResult) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures, m.unread = append(m.failures, sum.Failures...), append(m.unread, sum.Deferred...)
}

func (m *missedStreams) drain() ([]collect.Failure, []collect.RepoStream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	failures, later := m.failures, m.unread
	m.failures, m.unread = nil, nil
	return failures, later
}

// missReason names why a stream was not read.
func missReason(f *collect.Failure, cooling bool) backfill.Reason {
	if unavailable := (*github.UnavailableError)(nil); errors.As(f.Err, &unavailable) && (cooling || errors.As(f.Err, new(*health.CooldownError))) {
		return backfill.ReasonUnhealthy
	}
	if limit := (*github.LimitError)(nil); errors.As(f.Err, &limit) {
		return backfill.ReasonRateLimited
	}
	if f.AllFailed {
		return backfill.ReasonScrapeError
	}
	return backfill.ReasonPartial
}

// runDispatcher makes jobs of what is missing, after every pass and at every sweep, until the term ends.
func (o *organization) runDispatcher(ctx context.Context, j *jobQueue) {
	c := &j.receiver.config.Backfill
	dispatcher := backfill.NewDispatcher(backfill.DispatchSettings{
		Org: o.name, Queue: orgJobs{j, o.config.key()}, Claims: j.claims, Now: time.Now, NewID: rand.Text,
		Counters: backfill.Counters{
			Enqueued: func(r backfill.Reason, n int) { o.tallies.AddN(collect.TallyEnqueued, uint64(n), string(r)) }, //nolint:gosec // a count
			Deduped:  func(r backfill.Reason, n int) { o.tallies.AddN(collect.TallyDeduped, uint64(n), string(r)) },  //nolint:gosec // a count
			Deferred: func(cause string, n int) { o.tallies.AddN(collect.TallyDeferred, uint64(n), cause) },          //nolint:gosec // a count
		},
		Coalesce: c.CoalesceWindow, MaxPerMinute: c.MaxEnqueuesPerOrgPerMinute, StaleAfter: claimTimeout(c), ExpireAfter: c.DedupTTL,
	})
	queue := j.queueOf(o.config)
	progress := backfillLog{
		logger: o.logger, setVanishing: func(n int) error { return j.errors.setVanishing(o.name, queue, n) },
	}
	for ctx.Err() == nil {
		wait := o.dispatchOnce(ctx, dispatcher, &progress, c.SweepInterval)
		o.pause(ctx, wait, true)
	}
	_ = j.errors.setVanishing(o.name, queue, 0) // the next leader finds it out
}

// dispatchOnce says how long to wait before the next time.
func (o *organization) dispatchOnce(
	ctx context.Context, dispatcher *backfill.Dispatcher, progress *backfillLog, interval time.Duration,
) time.Duration {
	failures, later := o.missed.drain()
	cooling := o.cooldown.Err() != nil
	for i := range failures {
		dispatcher.RecordMiss(failures[i].RepoID, failures[i].Stream, missReason(&failures[i], cooling))
	}
	for _, l := range later {
		dispatcher.RecordMiss(l.RepoID, l.Stream, backfill.ReasonLeaderGap)
	}
	cov, err := o.store.Coverage(ctx, o.name)
	var done backfill.DispatchResult
	if err == nil {
		done, err = dispatcher.Dispatch(ctx, &cov, o.collector.PendingStreams)
	}
	if ctx.Err() != nil {
		return 0
	}
	o.setOldestJob(done.Oldest)
	progress.report(&cov, &done, err, time.Now())
	switch {
	case err != nil && progress.failures == 1:
		return min(interval, firstDispatchRetryDelay)
	case err != nil:
		return min(interval, dispatchRetryDelay)
	case !done.RetryAt.IsZero():
		return min(interval, max(time.Second, time.Until(done.RetryAt)))
	default:
		return interval
	}
}

func (o *organization) setOldestJob(at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.oldestJobAt = at
}

func (o *organization) oldestJobInFlight() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.oldestJobAt
}

// loggedFailureInARow is which failure in a row is logged.
const loggedFailureInARow = 2

// backfillLog logs how the gaps become fewer.
type backfillLog struct {
	logger      *zap.Logger
	failures    int // in a row
	logged      time.Time
	missingTime time.Duration // missing time over all streams when it was logged
	// setVanishing notes how many windows have jobs that vanish, and gives the trouble that this is.
	setVanishing    func(windows int) error
	vanishingLogged bool // whether it was logged
}

func (p *backfillLog) report(cov *ledger.Coverage, done *backfill.DispatchResult, err error, now time.Time) {
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
	p.reportVanishing(done)
	gaps, left := sumGaps(cov)
	switch {
	case gaps == 0 && !p.logged.IsZero():
		p.logger.Info("All gaps are filled.")
		p.logged = time.Time{}
	case gaps > 0 && now.Sub(p.logged) >= backfillLogInterval:
		p.logger.Info("Backfill in progress.", zap.Int("gaps", gaps), zap.Int("jobs_published", done.Published),
			zap.Int("jobs_in_progress", done.InProgress), zap.Int("jobs_deferred", done.Deferred), p.estimate(left, now))
		p.logged, p.missingTime = now, left
	}
}

// reportVanishing logs when jobs begin to vanish, and when they do so no more.
func (p *backfillLog) reportVanishing(done *backfill.DispatchResult) {
	err := p.setVanishing(done.RepeatedlyLost)
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

// estimate is when all is read if it goes on as since the last line.
func (p *backfillLog) estimate(left time.Duration, now time.Time) zap.Field {
	if p.logged.IsZero() || left >= p.missingTime {
		return zap.Skip()
	}
	rate := float64(p.missingTime-left) / float64(now.Sub(p.logged))
	return zap.Duration("estimated_remaining", time.Duration(float64(left)/rate).Round(time.Second))
}

// sumGaps counts the gaps and adds them up.
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
