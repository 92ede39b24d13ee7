package githubexporter

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/schedule"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

const (
	// jitter is how much of the interval passes are moved.
	jitter = 0.1
	// pruneInterval is how often events past the retention are taken out.
	pruneInterval = time.Hour
	// followRetryDelay is the wait after the store could not be followed.
	followRetryDelay = 10 * time.Second
	// invalidLogInterval is how often a value that cannot be is shown in the log.
	invalidLogInterval = time.Minute
	// flushTimeout bounds the last commit of a term.
	flushTimeout = 500 * time.Millisecond
)

// organization is everything about one organization: its loop, its view and what is known of its last pass.
type organization struct {
	name              string
	config            *OrgConfig
	retention         time.Duration
	reconcileInterval time.Duration
	logger            *zap.Logger
	telemetry         *metadata.TelemetryBuilder
	store             ledger.Store // authority
	collector         *collect.Collector
	tallies           *collect.Tallies
	queue             *jobQueue // nil when there is no backfill
	missed            missedStreams
	weekly            *weeklyLines // nil where weekly lines are those of the commits
	http              *http.Client
	client            *github.Client
	cooldown          *health.Cooldown
	credentialState   *credentialState
	health            *orgHealth
	monitor           *health.Monitor
	view              *ledger.View
	termStore         *termStore
	leases            *leases
	// lease is the one under which this replica leads it.
	lease       string
	leaderWatch leaderWatch
	// wake asks for an emission now.
	wake func()
	// passEnded has a token when a pass has ended: there may be gaps to fill.
	passEnded wakeup.Signal

	// summary, emits, shown and ends are of the last emission; they belong to the emitter. emits says that this
	// replica emits the organization, emitsTerm is the beginning of the term in which it does.
	summary     ledger.Summary
	emits       bool
	emitsTerm   time.Time
	seriesShown [ledger.NumMetrics]int
	ends        seriesEnds

	watchdog watchdog
	// ledgerStart is when the ledger began that is followed; it belongs to follow.
	ledgerStart time.Time

	mu              sync.Mutex
	termStartedAt   time.Time // when this replica began to lead; zero while it follows
	lastRun         time.Time
	lastTook        time.Duration
	caughtUp        time.Duration
	prunedAt        time.Time
	reconciledAt    time.Time
	invalidLoggedAt time.Time
	oldestJobAt     time.Time // that is under way; zero when there is none, or this replica follows
	// completeAt is when this replica first made a pass that saw all repositories; zero before.
	completeAt time.Time
	// filterReported is what was last found of the settings of repositories; it belongs to who makes passes.
	filterReported string
}

// runPasses makes passes until the term ends.
func (o *organization) runPasses(ctx context.Context, fence uint64) {
	loop := schedule.Loop{Interval: o.config.ScrapeInterval, Jitter: jitter}
	_ = loop.Run(ctx, func(ctx context.Context) time.Time { // ends with the context only
		o.watchdog.startPass(time.Now())
		notBefore := o.runPass(ctx, fence)
		o.watchdog.endPass(time.Now(), o.config.ScrapeInterval, notBefore)
		return notBefore
	})
}

// recordInvalidValue counts a value that no honest answer has, and shows one of many.
func (o *organization) recordInvalidValue(err error) {
	o.tallies.Add(collect.TallyInvalid)
	now := time.Now()
	o.mu.Lock()
	show := now.Sub(o.invalidLoggedAt) >= invalidLogInterval
	if show {
		o.invalidLoggedAt = now
	}
	o.mu.Unlock()
	if show {
		o.logger.Warn("Ignoring an invalid value in a GitHub response; further occurrences are only counted.",
			zap.Error(err))
	}
}

// logSchemaError logs that the server's GraphQL schema does not take a query.
func (o *organization) logSchemaError(err *github.SchemaError) {
	o.logger.Warn("The server's GraphQL schema lacks a queried field. Falling back to REST where REST has the "+
		"data; other windows remain gaps.", zap.Error(err))
}

// skipPass is a turn while GitHub is not to be asked.
func (o *organization) skipPass(ctx context.Context, cooling error) {
	o.tallies.Add(collect.TallyRuns, string(collect.PassSkippedUnhealthy))
	o.health.readErrors.set(o.name, cooling)
	if err := o.collector.Flush(ctx); err != nil && ctx.Err() == nil {
		o.logger.Debug("Failed to flush counters; will retry with the next commit.", zap.Error(err))
	}
}

// runPass makes a pass and what is due after it. It says when the next one may begin.
func (o *organization) runPass(ctx context.Context, fence uint64) time.Time {
	if cooling := o.cooldown.Err(); cooling != nil {
		o.skipPass(ctx, cooling)
		return time.Time{}
	}
	sum, err := o.collector.Pass(ctx, fence)
	if ctx.Err() != nil {
		return time.Time{}
	}
	o.recordPass(ctx, &sum, err)
	if err == nil {
		o.weekly.signalPass(sum.Start)
		o.maintain(ctx, fence)
	}
	return sum.RetryAt
}

// recordPass makes a pass known: log, status, telemetry.
func (o *organization) recordPass(ctx context.Context, sum *collect.PassResult, err error) {
	o.health.recordPass(sum, err)
	if o.queue != nil {
		o.missed.add(sum)
	}
	o.telemetry.GithubexporterPassDuration.Record(ctx, sum.Duration.Seconds(),
		metric.WithAttributes(attribute.String("org", o.name), attribute.String("result", string(sum.Status))))
	complete := err == nil && sum.Incomplete == nil
	o.mu.Lock()
	first := o.lastRun.IsZero()
	o.lastRun, o.lastTook = time.Now(), sum.Duration
	if complete && o.completeAt.IsZero() {
		o.completeAt = o.lastRun
	}
	o.mu.Unlock()
	if complete {
		o.warnOfFilter(sum)
	}
	if sum.Duration > o.config.ScrapeInterval {
		o.logger.Warn("Pass took longer than scrape_interval; the next pass starts at once.",
			zap.Duration("took", sum.Duration), zap.Duration("scrape_interval", o.config.ScrapeInterval))
	}
	if first {
		o.wake()
	}
	o.passEnded.Notify()
}

// firstComplete is when this replica first made a pass that saw all repositories; zero before.
func (o *organization) firstComplete() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.completeAt
}

// warnOfFilter warns of settings of repositories that select nothing, once for each change.
func (o *organization) warnOfFilter(sum *collect.PassResult) {
	none := sum.Repositories == 0
	found := fmt.Sprintf("%q %t", sum.UnmatchedPatterns, none)
	if found == o.filterReported {
		return
	}
	o.filterReported = found
	if un := &sum.UnmatchedPatterns; len(un.Include)+len(un.Exclude) > 0 {
		o.logger.Warn("Patterns in repositories::include or repositories::exclude match no repository of the "+
			"organization. Only * and ? are wildcards; case is ignored.",
			zap.Strings("include", un.Include), zap.Strings("exclude", un.Exclude))
	}
	if none {
		o.logger.Warn("No repository of the organization is read: the credential sees none that the settings of " +
			"repositories select.")
	}
}

// maintain prunes and reconciles when it is time.
func (o *organization) maintain(ctx context.Context, fence uint64) {
	now := time.Now()
	if now.Sub(o.prunedAt) >= pruneInterval {
		if err := o.store.Prune(ctx, o.name, now.Add(-o.retention).Truncate(time.Second)); err != nil && ctx.Err() == nil {
			o.logger.Error("Failed to prune the ledger; will retry after the next pass.", zap.Error(err))
		} else {
			o.prunedAt = now
		}
	}
	if o.reconciledAt.IsZero() {
		o.reconciledAt = now // the first pass has just read the last 24 h
	}
	if o.reconcileInterval > 0 && now.Sub(o.reconciledAt) >= o.reconcileInterval {
		o.runReconciliation(ctx, fence, now)
	}
}

func (o *organization) runReconciliation(ctx context.Context, fence uint64, now time.Time) {
	sum, err := o.collector.Reconcile(ctx, fence)
	if ctx.Err() != nil {
		return
	}
	o.reconciledAt = now
	level := zap.InfoLevel
	if sum.Found > 0 || err != nil {
		level = zap.WarnLevel
	}
	o.logger.Log(level, "Reconciliation ended.", zap.Int("repositories", sum.Repositories),
		zap.Int("found", sum.Found), zap.Int("failures", len(sum.Failures)), zap.Error(err))
}

// pause waits, at most until the end of a pass when that may have brought something to do.
func (o *organization) pause(ctx context.Context, wait time.Duration, afterPass bool) {
	if wait <= 0 {
		return
	}
	passed := o.passEnded
	if !afterPass {
		passed = nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-passed:
	}
}

// follow keeps the view up to date.
func (o *organization) follow(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		err := o.store.Follow(ctx, o.name, func(c ledger.Change) error {
			if c.Reset {
				began = time.Now()
			}
			o.logLedgerReset(&c)
			o.leaderWatch.observe(&c, time.Now())
			o.view.Apply(c)
			o.weekly.signalViewChange()
			if c.CaughtUp {
				o.recordCatchUp(time.Since(began))
			}
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		o.logger.Error("Failed to follow the store; will retry.", zap.Error(err))
		o.pause(ctx, followRetryDelay, false)
	}
}

// logLedgerReset says when the view begins anew with a ledger that is not the one before: what was recorded is read again.
func (o *organization) logLedgerReset(c *ledger.Change) {
	was := o.ledgerStart
	if c.Reset || !c.LedgerStart.IsZero() {
		o.ledgerStart = c.LedgerStart
	}
	if c.Reset && !was.IsZero() && !was.Equal(c.LedgerStart) {
		o.logger.Warn("Store was reset or replaced; re-reading its contents from GitHub.",
			zap.Time("ledger_start", c.LedgerStart), zap.Time("former_ledger_start", was))
	}
}

func (o *organization) recordCatchUp(took time.Duration) {
	o.mu.Lock()
	o.caughtUp = took
	o.mu.Unlock()
	o.wake()
}

// clearTerm forgets the last pass: it is the leader who shows it.
func (o *organization) clearTerm() {
	o.watchdog.stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lastRun, o.oldestJobAt, o.termStartedAt = time.Time{}, time.Time{}, time.Time{}
}

// startTerm notes that this replica leads from now on.
func (o *organization) startTerm() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.termStartedAt = time.Now()
}

// termStart is when this replica began to lead; zero while it follows.
func (o *organization) termStart() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.termStartedAt
}

// lastPass is what is known of the last pass and of the view's last catching-up.
func (o *organization) lastPass() (lastRun time.Time, lastTook, caughtUp time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lastRun, o.lastTook, o.caughtUp
}
