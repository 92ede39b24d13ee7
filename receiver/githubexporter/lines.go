package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// linesRetryDelay is the wait after the store did not take what a round has found.
const linesRetryDelay = 10 * time.Second

// weeklyLines is how an organization's weekly lines are got from statistics. It is nil where they are those of the commits.
type weeklyLines struct {
	settings collect.LinesSettings
	// passed has the beginning of a good pass that has ended; applied has a token when the view has changed.
	passed      chan time.Time
	viewChanged wakeup.Signal
	failing     bool
}

func newWeeklyLines(settings collect.LinesSettings) *weeklyLines {
	return &weeklyLines{settings: settings, passed: make(chan time.Time, 1), viewChanged: wakeup.NewSignal()}
}

// signalPass notes that a good pass has ended.
func (l *weeklyLines) signalPass(began time.Time) {
	if l == nil {
		return
	}
	select {
	case l.passed <- began:
	default:
	}
}

// signalViewChange notes that the view has changed.
func (l *weeklyLines) signalViewChange() {
	if l == nil {
		return
	}
	l.viewChanged.Notify()
}

// discardPasses forgets the passes of a former term.
func (l *weeklyLines) discardPasses() {
	select {
	case <-l.passed:
	default:
	}
}

// awaitFirstPass waits for the first pass of the term, and until the view has it: by then it has all that a former leader has written.
func (l *weeklyLines) awaitFirstPass(ctx context.Context, view *ledger.View) bool {
	var began time.Time
	select {
	case <-ctx.Done():
		return false
	case began = <-l.passed:
	}
	for !view.IsCaughtUp() || view.Edge().Before(began) {
		select {
		case <-ctx.Done():
			return false
		case <-l.viewChanged:
		}
	}
	return true
}

// minRoundInterval is between two rounds: their times are by the slower of our clock and GitHub's.
const minRoundInterval = time.Second

// waitUntil waits until a time, at most until the end of a pass.
func (l *weeklyLines) waitUntil(ctx context.Context, until time.Time) {
	timer := time.NewTimer(max(minRoundInterval, time.Until(until)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-l.passed:
	}
}

// runLineRounds gets the weekly lines whenever they are due, until the term ends.
func (o *organization) runLineRounds(ctx context.Context, fence uint64) {
	if !o.weekly.awaitFirstPass(ctx, o.view) {
		return
	}
	work := o.collector.Lines(o.weekly.settings, fence, o.view)
	for ctx.Err() == nil {
		done, err := work.Refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		o.logLineRound(&done, err)
		if err != nil {
			done.NextAt = time.Now().Add(linesRetryDelay)
		}
		o.weekly.waitUntil(ctx, done.NextAt)
	}
}

// logLineRound logs what a round did. Trouble is logged when it begins.
func (o *organization) logLineRound(done *collect.LinesResult, err error) {
	failing := err != nil || len(done.Failures) > 0
	level := zap.DebugLevel
	switch {
	case failing && !o.weekly.failing:
		level = zap.WarnLevel
	case done.StatisticsReads+done.CommitReads+done.QuietWeeks > 0:
		level = zap.InfoLevel
	}
	// The repositories that failed wait: a round without them says nothing about them.
	o.weekly.failing = failing || (o.weekly.failing && done.StatisticsReads+done.CommitReads == 0)
	o.logger.Log(level, "Round over the weekly lines ended.",
		zap.Int("asked", done.StatisticsReads), zap.Int("read", done.CommitReads),
		zap.Int("quiet", done.QuietWeeks), zap.Time("next", done.NextAt), failuresField(done.Failures), zap.Error(err))
}

// eachLinesState calls a function with what is known of the weekly lines of every repository that is there.
func (o *organization) eachLinesState(now time.Time, f func(repo string, state *loc.State, mode loc.Mode)) {
	week := ledger.LastCompleteWeek(now)
	for _, sample := range o.view.Entries(collect.EntryLinesState) {
		name, there := o.view.RepoName(sample.RepoID())
		state, err := loc.Decode(sample.Data)
		if there && err == nil {
			f(name, &state, o.weekly.settings.Rules.ModeAt(&state, now, week))
		}
	}
}

// recordLines records where the weekly lines of repositories stand.
func (o *selfMetrics) recordLines(org *organization, now time.Time, at pcommon.Timestamp, c sharedCounters) {
	if org.weekly == nil {
		return
	}
	waits := c.value(collect.TallyLinesWait)
	o.builder.RecordGhExporterLocFallbackBudgetExhaustedDataPoint(at, waits, org.name)
	org.eachLinesState(now, func(repo string, state *loc.State, mode loc.Mode) {
		for _, m := range loc.Modes() {
			o.builder.RecordGhExporterLocSourceModeDataPoint(at, boolValue(m == mode), org.name, repo, metadata.MapAttributeLocMode[m.String()])
		}
		if state.Fallback {
			o.builder.RecordGhExporterLocFallbackIncompleteDataPoint(at, boolValue(state.Incomplete), org.name, repo)
		}
	})
}

// linesError says which weekly lines nobody has confirmed for too long.
func (w *healthProber) linesError(now time.Time) error {
	var errs []error
	for _, org := range w.receiver.orgs {
		stale, one := 0, ""
		if org.weekly != nil {
			org.eachLinesState(now, func(repo string, _ *loc.State, mode loc.Mode) {
				if mode == loc.ModeStale {
					stale++
					one = repo
				}
			})
		}
		if stale > 0 {
			errs = append(errs, fmt.Errorf("organization %s: the weekly lines of %d repositories, such as %s, are stale", org.name, stale, one))
		}
	}
	return errors.Join(errs...)
}
