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
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

const (
	// jitter is how much of the interval passes are moved.
	jitter = 0.1
	// pruneInterval is how often events past the retention are taken out.
	pruneInterval = time.Hour
	// failedFollow is the wait after the store could not be followed.
	failedFollow = 10 * time.Second
	// invalidInterval is how often a value that cannot be is shown in the log.
	invalidInterval = time.Minute
	// flushFor bounds the last commit of a term.
	flushFor = 500 * time.Millisecond
)

// organization is everything about one organization: its loop, its view and what is known of its last pass.
type organization struct {
	name      string
	config    *OrgConfig
	retention time.Duration
	reconcile time.Duration
	logger    *zap.Logger
	telemetry *metadata.TelemetryBuilder
	store     ledger.Store // authority
	collector *collect.Collector
	tallies   *collect.Tallies
	jobs      *jobs // nil when there is no backfill
	missed    missed
	lines     *lines // nil where weekly lines are those of the commits
	http      *http.Client
	client    *github.Client
	cooldown  *health.Cooldown
	limits    *limits
	condition *condition
	monitor   *health.Monitor
	view      *ledger.View
	authority *authority
	leases    *leases
	// lease is the one under which this replica leads it.
	lease       string
	leaderWatch leaderWatch
	// wake asks for an emission now.
	wake func()
	// passed has a token when a pass has ended: there may be gaps to fill.
	passed chan struct{}

	// summary, emits, shown and ends are of the last emission; they belong to the emitter. emits says that this
	// replica emits the organization, emitsTerm is the beginning of the term in which it does.
	summary   ledger.Summary
	emits     bool
	emitsTerm time.Time
	shown     [ledger.NumMetrics]int
	ends      seriesEnds

	progress progress
	// ledgerBegan is when the ledger began that is followed; it belongs to follow.
	ledgerBegan time.Time

	mu           sync.Mutex
	term         time.Time // when this replica began to lead; zero while it follows
	lastRun      time.Time
	lastTook     time.Duration
	caughtUp     time.Duration
	pruned       time.Time
	reconciled   time.Time
	shownInvalid time.Time
	oldestJob    time.Time // that is under way; zero when there is none, or this replica follows
	// completeAt is when this replica first made a pass that saw all repositories; zero before.
	completeAt time.Time
	// filtered is what was last found of the settings of repositories; it belongs to who makes passes.
	filtered string
}

// schedule makes passes until the term ends.
func (o *organization) schedule(ctx context.Context, fence uint64) {
	loop := schedule.Loop{Interval: o.config.ScrapeInterval, Jitter: jitter}
	_ = loop.Run(ctx, func(ctx context.Context) time.Time { // ends with the context only
		o.progress.begin(time.Now())
		notBefore := o.turn(ctx, fence)
		o.progress.end(time.Now(), o.config.ScrapeInterval, notBefore)
		return notBefore
	})
}

// invalid counts a value that no honest answer has, and shows one of many.
func (o *organization) invalid(err error) {
	o.tallies.Add(collect.TallyInvalid)
	now := time.Now()
	o.mu.Lock()
	show := now.Sub(o.shownInvalid) >= invalidInterval
	if show {
		o.shownInvalid = now
	}
	o.mu.Unlock()
	if show {
		o.logger.Warn("An answer of GitHub has a value that cannot be; it is left out. Others like it are only counted for a while.", zap.Error(err))
	}
}

// schemaLacks logs that the server's GraphQL schema does not take a query.
func (o *organization) schemaLacks(err *github.SchemaError) {
	o.logger.Warn("The GraphQL schema of the server lacks a field of a query. What REST has is read with REST; "+
		"the rest stays a gap.", zap.Error(err))
}

// skip is a turn while GitHub is not to be asked.
func (o *organization) skip(ctx context.Context, cooling error) {
	o.tallies.Add(collect.TallyRuns, string(collect.PassSkippedUnhealthy))
	o.condition.troubles.set(o.name, cooling)
	if err := o.collector.Flush(ctx); err != nil && ctx.Err() == nil {
		o.logger.Debug("What was counted goes with the next commit.", zap.Error(err))
	}
}

// turn makes a pass and what is due after it. It says when the next one may begin.
func (o *organization) turn(ctx context.Context, fence uint64) time.Time {
	if cooling := o.cooldown.Err(); cooling != nil {
		o.skip(ctx, cooling)
		return time.Time{}
	}
	sum, err := o.collector.Pass(ctx, fence)
	if ctx.Err() != nil {
		return time.Time{}
	}
	o.report(ctx, &sum, err)
	if err == nil {
		o.lines.pass(sum.Start)
		o.afterPass(ctx, fence)
	}
	return sum.RetryAt
}

// report makes a pass known: log, status, telemetry.
func (o *organization) report(ctx context.Context, sum *collect.PassResult, err error) {
	o.condition.passed(sum, err)
	if o.jobs != nil {
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
		o.reportFilter(sum)
	}
	if sum.Duration > o.config.ScrapeInterval {
		o.logger.Warn("A pass takes longer than the scrape interval; the next one begins when it ends.",
			zap.Duration("took", sum.Duration), zap.Duration("scrape_interval", o.config.ScrapeInterval))
	}
	if first {
		o.wake()
	}
	select {
	case o.passed <- struct{}{}:
	default:
	}
}

// firstComplete is when this replica first made a pass that saw all repositories; zero before.
func (o *organization) firstComplete() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.completeAt
}

// reportFilter warns of settings of repositories that select nothing, once for each change.
func (o *organization) reportFilter(sum *collect.PassResult) {
	none := sum.Repositories == 0
	found := fmt.Sprintf("%q %t", sum.UnmatchedPatterns, none)
	if found == o.filtered {
		return
	}
	o.filtered = found
	if un := &sum.UnmatchedPatterns; len(un.Include)+len(un.Exclude) > 0 {
		o.logger.Warn("Patterns in repositories::include or repositories::exclude match no repository of the organization. "+
			"Only * and ? are wildcards; case is ignored.",
			zap.Strings("include", un.Include), zap.Strings("exclude", un.Exclude))
	}
	if none {
		o.logger.Warn("No repository of the organization is read: " +
			"the credential sees none that the settings of repositories select.")
	}
}

// afterPass prunes and reconciles when it is time.
func (o *organization) afterPass(ctx context.Context, fence uint64) {
	now := time.Now()
	if now.Sub(o.pruned) >= pruneInterval {
		if err := o.store.Prune(ctx, o.name, now.Add(-o.retention).Truncate(time.Second)); err != nil && ctx.Err() == nil {
			o.logger.Error("Pruning the ledger failed; it is tried again after the next pass.", zap.Error(err))
		} else {
			o.pruned = now
		}
	}
	if o.reconciled.IsZero() {
		o.reconciled = now // the first pass has just read the last 24 h
	}
	if o.reconcile > 0 && now.Sub(o.reconciled) >= o.reconcile {
		o.reconcileNow(ctx, fence, now)
	}
}

func (o *organization) reconcileNow(ctx context.Context, fence uint64, now time.Time) {
	sum, err := o.collector.Reconcile(ctx, fence)
	if ctx.Err() != nil {
		return
	}
	o.reconciled = now
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
	passed := o.passed
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
			o.noteLedger(&c)
			o.leaderWatch.follow(&c, time.Now())
			o.view.Apply(c)
			o.lines.changed()
			if c.CaughtUp {
				o.caught(time.Since(began))
			}
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		o.logger.Error("Following the store failed; it is tried again.", zap.Error(err))
		o.pause(ctx, failedFollow, false)
	}
}

// noteLedger says when the view begins anew with a ledger that is not the one before: what was recorded is read again.
func (o *organization) noteLedger(c *ledger.Change) {
	was := o.ledgerBegan
	if c.Reset || !c.LedgerStart.IsZero() {
		o.ledgerBegan = c.LedgerStart
	}
	if c.Reset && !was.IsZero() && !was.Equal(c.LedgerStart) {
		o.logger.Warn("The store is not what it was: it has lost its memory, or is another one. What it held is read from GitHub again.",
			zap.Time("ledger_began", c.LedgerStart), zap.Time("former_ledger_began", was))
	}
}

func (o *organization) caught(took time.Duration) {
	o.mu.Lock()
	o.caughtUp = took
	o.mu.Unlock()
	o.wake()
}

// rest forgets the last pass: it is the leader who shows it.
func (o *organization) rest() {
	o.progress.rest()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lastRun, o.oldestJob, o.term = time.Time{}, time.Time{}, time.Time{}
}

// beginTerm notes that this replica leads from now on.
func (o *organization) beginTerm() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.term = time.Now()
}

// leadsSince is when this replica began to lead; zero while it follows.
func (o *organization) leadsSince() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.term
}

// state is what is known of the last pass and of the view's last catching-up.
func (o *organization) state() (lastRun time.Time, lastTook, caughtUp time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lastRun, o.lastTook, o.caughtUp
}
