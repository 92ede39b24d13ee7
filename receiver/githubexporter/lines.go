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
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// failedLines is the wait after the store did not take what a round has found.
const failedLines = 10 * time.Second

// lines is how an organization's weekly lines are got from statistics. It is nil where they are those of the commits.
type lines struct {
	settings collect.LinesSettings
	// passed has the beginning of a good pass that has ended; applied has a token when the view has changed.
	passed  chan time.Time
	applied chan struct{}
	failing bool
}

func newLines(settings collect.LinesSettings) *lines {
	return &lines{settings: settings, passed: make(chan time.Time, 1), applied: make(chan struct{}, 1)}
}

// pass notes that a good pass has ended.
func (l *lines) pass(began time.Time) {
	if l == nil {
		return
	}
	select {
	case l.passed <- began:
	default:
	}
}

// changed notes that the view has changed.
func (l *lines) changed() {
	if l == nil {
		return
	}
	select {
	case l.applied <- struct{}{}:
	default:
	}
}

// begin forgets the passes of a former term.
func (l *lines) begin() {
	select {
	case <-l.passed:
	default:
	}
}

// await waits for the first pass of the term, and until the view has it: by then it has all that a former leader has written.
func (l *lines) await(ctx context.Context, view *ledger.View) bool {
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
		case <-l.applied:
		}
	}
	return true
}

// leastWait is between two rounds: their times are by the slower of our clock and GitHub's.
const leastWait = time.Second

// wait waits until a time, at most until the end of a pass.
func (l *lines) wait(ctx context.Context, until time.Time) {
	timer := time.NewTimer(max(leastWait, time.Until(until)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-l.passed:
	}
}

// refreshLines gets the weekly lines whenever they are due, until the term ends.
func (o *organization) refreshLines(ctx context.Context, fence uint64) {
	if !o.lines.await(ctx, o.view) {
		return
	}
	work := o.collector.Lines(o.lines.settings, fence, o.view)
	for ctx.Err() == nil {
		done, err := work.Refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		o.reportLines(&done, err)
		if err != nil {
			done.NextAt = time.Now().Add(failedLines)
		}
		o.lines.wait(ctx, done.NextAt)
	}
}

// reportLines logs what a round did. Trouble is logged when it begins.
func (o *organization) reportLines(done *collect.LinesResult, err error) {
	failing := err != nil || len(done.Failures) > 0
	level := zap.DebugLevel
	switch {
	case failing && !o.lines.failing:
		level = zap.WarnLevel
	case done.StatisticsReads+done.CommitReads+done.QuietWeeks > 0:
		level = zap.InfoLevel
	}
	// The repositories that failed wait: a round without them says nothing about them.
	o.lines.failing = failing || (o.lines.failing && done.StatisticsReads+done.CommitReads == 0)
	o.logger.Log(level, "A round over the weekly lines ended.", zap.Int("asked", done.StatisticsReads), zap.Int("read", done.CommitReads),
		zap.Int("quiet", done.QuietWeeks), zap.Time("next", done.NextAt), failuresField(done.Failures), zap.Error(err))
}

// eachState calls a function with what is known of the weekly lines of every repository that is there.
func (o *organization) eachState(now time.Time, f func(repo string, state *loc.State, mode loc.Mode)) {
	week := ledger.LastCompleteWeek(now)
	for _, sample := range o.view.Entries(collect.EntryLinesState) {
		name, there := o.view.RepoName(sample.RepoID())
		state, err := loc.Decode(sample.Data)
		if there && err == nil {
			f(name, &state, o.lines.settings.Rules.ModeAt(&state, now, week))
		}
	}
}

// lines records where the weekly lines of repositories stand.
func (o *operations) lines(org *organization, now time.Time, at pcommon.Timestamp, c counts) {
	if org.lines == nil {
		return
	}
	waits := c.of(collect.TallyLinesWait)
	o.builder.RecordGhExporterLocFallbackBudgetExhaustedDataPoint(at, waits, org.name)
	org.eachState(now, func(repo string, state *loc.State, mode loc.Mode) {
		for _, m := range loc.Modes() {
			o.builder.RecordGhExporterLocSourceModeDataPoint(at, flag(m == mode), org.name, repo, metadata.MapAttributeLocMode[m.String()])
		}
		if state.Fallback {
			o.builder.RecordGhExporterLocFallbackIncompleteDataPoint(at, flag(state.Incomplete), org.name, repo)
		}
	})
}

// lines says which weekly lines nobody has confirmed for too long.
func (w *watch) lines(now time.Time) error {
	var errs []error
	for _, org := range w.receiver.orgs {
		stale, one := 0, ""
		if org.lines != nil {
			org.eachState(now, func(repo string, _ *loc.State, mode loc.Mode) {
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
