package collect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
)

// quietBatchSize is how many quiet repositories are one commit.
const quietBatchSize = 500

// errEmptyStatistics is the error of statistics of no commits where there are some.
var errEmptyStatistics = &github.UnavailableError{Response: github.Response{Endpoint: "/repos/{owner}/{repo}/stats/contributors"}, Err: errors.New("no commits where there were some")}

// round is one round over the repositories.
type round struct {
	lines *Lines
	// week is the last one that was over when the last pass began: that pass has seen every push of it.
	week  activity.Window
	repos []*ledger.RepoCoverage

	mu     sync.Mutex
	result LinesResult
	halted bool
}

func newRound(l *Lines, cov *ledger.Coverage) *round {
	r := &round{lines: l, week: ledger.LastCompleteWeek(cov.Edge)}
	for _, repo := range cov.Repos {
		if !repo.IsGone() && !cov.Edge.IsZero() {
			r.repos = append(r.repos, repo)
		}
	}
	slices.SortFunc(r.repos, func(a, b *ledger.RepoCoverage) int { // those first that wait for longest
		if n := l.repo(a.ID).state.ConfirmedAt.Compare(l.repo(b.ID).state.ConfirmedAt); n != 0 {
			return n
		}
		return cmp.Compare(a.ID, b.ID)
	})
	r.scheduleAt(l.collector.now().Add(l.settings.Rules.RefreshInterval))
	return r
}

// scheduleAt notes that there is something to do at a time.
func (r *round) scheduleAt(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.halted && (r.result.NextAt.IsZero() || at.Before(r.result.NextAt)) {
		r.result.NextAt = at
	}
}

// halt ends the round; there is nothing to do before a time.
func (r *round) halt(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.halted || until.After(r.result.NextAt) {
		r.result.NextAt = until
	}
	r.halted = true
}

func (r *round) isHalted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.halted
}

func (r *round) updateResult(change func(done *LinesResult)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.result)
}

func (r *round) situation(cov *ledger.RepoCoverage) *loc.Situation {
	at := &loc.Situation{Now: r.lines.collector.now(), Week: r.week, RewrittenAt: r.lines.rewoundAt(cov.ID)}
	if !cov.Missing[activity.StreamCommits].Overlaps(activity.Window{Start: r.week.Start, End: at.Now.Add(recentWindow)}) {
		at.PushedAt = cov.Signals.PushedAt // otherwise there may have been one that nobody has seen
	}
	return at
}

// commitQuietWeeks takes the repositories in which nobody has lines in the week, without a request.
func (r *round) commitQuietWeeks(ctx context.Context) error {
	var steps []*stepResult
	for _, cov := range r.repos {
		known, at := r.lines.repo(cov.ID), r.situation(cov)
		state := r.lines.settings.Rules.WithRewrite(known.state, at)
		if step, _ := r.lines.settings.Rules.NextStep(&state, at); step == loc.StepQuietWeek {
			steps = append(steps, &stepResult{
				repoID: cov.ID, repo: known, state: r.lines.settings.Rules.WithQuietWeek(state, at),
				lines: &ledger.WeeklyLines{Week: r.week.Start, Complete: true},
			})
		}
	}
	for chunk := range slices.Chunk(steps, quietBatchSize) {
		if err := r.lines.commit(ctx, chunk...); err != nil {
			return err
		}
		r.updateResult(func(done *LinesResult) { done.QuietWeeks += len(chunk) })
	}
	return nil
}

// advanceRepositories takes every step that is due, with several repositories at a time.
func (r *round) advanceRepositories(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(r.lines.collector.settings.Concurrency)
	for _, cov := range r.repos {
		if groupCtx.Err() != nil || r.isHalted() {
			break
		}
		group.Go(func() error { return r.advanceRepository(groupCtx, cov) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// maxSteps is how many steps a repository has in a round at most: it is asked, has zeros, is read, and waits.
const maxSteps = 4

func (r *round) advanceRepository(ctx context.Context, cov *ledger.RepoCoverage) error {
	repo, known := r.lines.collector.repository(cov), r.lines.repo(cov.ID)
	for range maxSteps {
		if r.isHalted() {
			return nil
		}
		at := r.situation(cov)
		state := r.lines.settings.Rules.WithRewrite(known.state, at)
		step, next := r.lines.settings.Rules.NextStep(&state, at)
		if step == loc.StepNone {
			r.scheduleAt(next)
			return nil
		}
		if r.lines.settings.CheckPaused() != nil {
			r.halt(at.Now.Add(pausedRetryDelay))
			return nil
		}
		result := &stepResult{repoID: cov.ID, repo: known, state: state, part: known.part}
		changed := false
		if step == loc.StepReadStatistics {
			changed = r.readStatistics(ctx, &repo, cov.Signals.Head != "", at, result)
		} else {
			changed = r.readCommits(ctx, &repo, cov.Signals.Head != "", at, result)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !changed {
			return nil // the round is over
		}
		if err := r.lines.commit(ctx, result); err != nil {
			return err
		}
	}
	r.scheduleAt(r.lines.collector.now())
	return nil
}

// readStatistics asks for statistics, and reports whether anything is known that was not.
func (r *round) readStatistics(ctx context.Context, repo *activity.Repository, had bool, at *loc.Situation, step *stepResult) bool {
	rules := &r.lines.settings.Rules
	told, err := r.lines.settings.Source.ReadContributors(ctx, r.lines.collector.settings.Org, *repo)
	if err == nil && told.Empty && had {
		err = errEmptyStatistics
	}
	switch {
	case ctx.Err() != nil || r.haltOn(err, at):
		return false
	case err != nil:
		r.addFailure(repo, err)
		step.state = rules.WithStatisticsError(step.state, at, isRefused(err))
		return true
	case told.Pending:
		step.state = rules.WithPending(step.state, at)
	case told.HasNoLines():
		step.state = rules.WithZero(step.state, at)
	default:
		step.state, step.part = rules.WithStatistics(step.state, at), ledger.WeeklyLines{}
		step.lines = r.statisticsLines(&told, at)
	}
	r.updateResult(func(done *LinesResult) { done.StatisticsReads++ })
	return true
}

// haltOn ends the round when an error says that every other request would be refused as well.
func (r *round) haltOn(err error, at *loc.Situation) bool {
	after, until, halts := roundHaltedUntil(err)
	if !halts {
		return false
	}
	if until.IsZero() {
		until = at.Now.Add(after)
	}
	r.halt(until)
	return true
}

func (r *round) addFailure(repo *activity.Repository, err error) {
	r.updateResult(func(done *LinesResult) {
		done.Failures = append(done.Failures, Failure{RepoID: repo.ID, Repo: repo.Name, Stream: activity.StreamCommits, Err: err})
	})
}

// statisticsLines are the week's lines as the statistics tell them. They have users who have lines, and those who had commits within the
// retention. Of others nothing is known: there are at most a hundred, and none without an account.
func (r *round) statisticsLines(told *github.ContributorStats, at *loc.Situation) *ledger.WeeklyLines {
	retained := at.Now.Add(-r.lines.settings.Retention)
	users := make(lineSums)
	for i := range told.Contributors {
		for _, w := range told.Contributors[i].Weeks {
			switch {
			case w.Start.Equal(r.week.Start):
				users.add(told.Contributors[i].Actor, w.Added, w.Removed)
			case w.Start.AddDate(0, 0, 7).After(retained):
				users.add(told.Contributors[i].Actor, 0, 0)
			}
		}
	}
	return users.weeklyLines(r.week, told.Empty)
}

// lineSums are lines by user.
type lineSums map[activity.Actor]ledger.UserLines

func (s lineSums) add(who activity.Actor, added, removed uint64) {
	sum := s[who]
	s[who] = ledger.UserLines{Actor: who, Added: sum.Added + added, Removed: sum.Removed + removed}
}

func (s lineSums) weeklyLines(week activity.Window, everybody bool) *ledger.WeeklyLines {
	w := &ledger.WeeklyLines{Week: week.Start, Complete: everybody}
	for _, user := range s {
		w.Users = append(w.Users, user)
	}
	return w
}

// readCommits reads the lines of the week's commits as far as the caps allow, and reports whether anything is known that was not.
func (r *round) readCommits(ctx context.Context, repo *activity.Repository, had bool, at *loc.Situation, step *stepResult) bool {
	rules, reading := &r.lines.settings.Rules, step.state.CommitProgress(at)
	whole, sums := r.resumePart(&reading, &step.part)
	left := r.lines.settings.MaxCommits - reading.Requested
	if allowed, _ := r.lines.quota.remaining(at.Now); allowed == 0 {
		r.deferCommits(at, step)
		return true
	}
	outcome, err := r.lines.settings.Source.ReadCommitLines(ctx, github.CommitLinesRequest{
		Org: r.lines.collector.settings.Org, Repo: *repo, HadCommits: had, Window: r.week, Head: reading.Head, Position: reading.Position, MaxCommits: left,
		Reserve: func(n int) int { return r.lines.quota.reserve(at.Now, n) }, Priority: budget.Background,
	}, func(events []activity.Event) error {
		for i := range events {
			sums.add(events[i].Actor, uint64(events[i].Measures[activity.CommitAdditions]), uint64(events[i].Measures[activity.CommitDeletions]))
		}
		return nil
	})
	if ctx.Err() != nil {
		return false
	}
	r.updateResult(func(done *LinesResult) { done.CommitReads++ })
	moved := outcome.Position > reading.Position
	step.state = rules.WithCommitProgress(step.state, at, outcome.Head, outcome.Position, outcome.Requested)
	step.part = *sums.weeklyLines(r.week, whole)
	switch {
	case r.haltOn(err, at):
		return moved
	case err != nil:
		r.addFailure(repo, err)
		step.state = rules.WithCommitsError(step.state, at, isRefused(err))
	case outcome.Complete || outcome.Requested >= left:
		whole = whole && outcome.Complete
		step.state = rules.WithCommits(step.state, at, !whole)
		step.lines, step.part = sums.weeklyLines(r.week, whole), ledger.WeeklyLines{}
	default:
		r.deferCommits(at, step)
	}
	return true
}

// deferCommits puts the rest of a week off until there is another hour's allowance.
func (r *round) deferCommits(at *loc.Situation, step *stepResult) {
	_, until := r.lines.quota.remaining(at.Now)
	r.lines.collector.tallies.Add(TallyLinesWait)
	step.state = r.lines.settings.Rules.WithWait(step.state, at, until)
}

// resumePart is what was read of the week before, and whether nothing of it was left out.
func (r *round) resumePart(reading *loc.CommitProgress, part *ledger.WeeklyLines) (whole bool, sums lineSums) {
	sums = make(lineSums)
	if reading.Position == 0 || !part.Week.Equal(reading.Week) {
		return true, sums
	}
	for _, u := range part.Users {
		sums.add(u.Actor, u.Added, u.Removed)
	}
	return part.Complete, sums
}
