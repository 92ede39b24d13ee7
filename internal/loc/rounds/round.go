// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rounds

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
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
)

const (
	// quietBatchSize is how many repositories with a quiet week are stored in one commit.
	quietBatchSize = 500
	// maxSteps bounds the steps of a repository in a round: statistics, which are zero, commits, a wait.
	maxSteps = 4
	// credentialRetryDelay is the wait after GitHub has refused the credential, and pausedRetryDelay the one while
	// Settings.CheckPaused returns an error.
	credentialRetryDelay = 5 * time.Minute
	pausedRetryDelay     = time.Minute
	// maxClockLead is by how much the time of a push may be ahead of the coverage's edge.
	maxClockLead = 24 * time.Hour
)

// errEmptyStatistics is the error of statistics without commits of a repository that has commits.
var errEmptyStatistics = &transport.UnavailableError{
	Response: transport.Response{Endpoint: "/repos/{owner}/{repo}/stats/contributors"},
	Err:      errors.New("no commits where there were some"),
}

// round is one iteration over the repositories.
type round struct {
	rounds *Rounds
	// week is the last one that was complete when the last pass started: that pass has seen every push of it.
	week  activity.Window
	repos []*ledger.RepoCoverage

	mu     sync.Mutex
	result Result
	halted bool
}

// newRound makes a round. Repositories whose lines were confirmed longest ago come first.
func newRound(rounds *Rounds, cov *ledger.Coverage) *round {
	r := &round{rounds: rounds, week: ledger.LastCompleteWeek(cov.Edge)}
	for _, repo := range cov.Repos {
		if !repo.IsGone() && !cov.Edge.IsZero() {
			r.repos = append(r.repos, repo)
		}
	}
	confirmedAt := func(repo *ledger.RepoCoverage) time.Time { return rounds.states.repo(repo.ID).state.ConfirmedAt }
	slices.SortFunc(r.repos, func(a, b *ledger.RepoCoverage) int {
		return cmp.Or(confirmedAt(a).Compare(confirmedAt(b)), cmp.Compare(a.ID, b.ID))
	})
	r.scheduleAt(rounds.collector.Now().Add(rounds.settings.Rules.RefreshInterval))
	return r
}

// scheduleAt moves Result.NextAt forward to a step's time.
func (r *round) scheduleAt(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.halted && (r.result.NextAt.IsZero() || at.Before(r.result.NextAt)) {
		r.result.NextAt = at
	}
}

// halt stops the round; the next one is due at until.
func (r *round) halt(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.halted || until.After(r.result.NextAt) {
		r.result.NextAt = until
	}
	r.halted = true
}

// isHalted reports whether the round was stopped.
func (r *round) isHalted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.halted
}

// updateResult changes the result under the lock.
func (r *round) updateResult(change func(result *Result)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.result)
}

// addFailure adds the failed reading of a repository to the result.
func (r *round) addFailure(repo *activity.Repository, err error) {
	r.updateResult(func(result *Result) {
		result.Failures = append(result.Failures, Failure{RepoID: repo.ID, Repo: repo.Name, Err: err})
	})
}

// situation returns what the rules need to know about a repository. The push time is known only when no gap in its
// commits may hide a later push.
func (r *round) situation(cov *ledger.RepoCoverage) *loc.Situation {
	at := &loc.Situation{
		Now: r.rounds.collector.Now(), Week: r.week,
		RewrittenAt: r.rounds.collector.RewrittenAt(cov.ID, r.rounds.states.entry),
	}
	sinceWeek := activity.Window{Start: r.week.Start, End: at.Now.Add(maxClockLead)}
	if !cov.Missing[activity.StreamCommits].Overlaps(sinceWeek) {
		at.PushedAt = cov.Signals.PushedAt
	}
	return at
}

// commitQuietWeeks stores the lines of the repositories without a push in the week. They need no request.
func (r *round) commitQuietWeeks(ctx context.Context) error {
	var steps []*stepResult
	rules := &r.rounds.settings.Rules
	for _, cov := range r.repos {
		repo, at := r.rounds.states.repo(cov.ID), r.situation(cov)
		state := rules.WithRewrite(repo.state, at)
		if step, _ := rules.NextStep(&state, at); step == loc.StepQuietWeek {
			steps = append(steps, &stepResult{
				repoID: cov.ID, repo: repo, state: rules.WithQuietWeek(state, at),
				lines: &ledger.WeeklyLines{Week: r.week.Start, Complete: true},
			})
		}
	}
	for chunk := range slices.Chunk(steps, quietBatchSize) {
		if err := r.rounds.commit(ctx, chunk...); err != nil {
			return err
		}
		r.updateResult(func(result *Result) { result.QuietWeeks += len(chunk) })
	}
	return nil
}

// advanceRepositories makes every step that is due, of several repositories at a time.
func (r *round) advanceRepositories(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(r.rounds.settings.Concurrency)
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

// advanceRepository makes the steps of a repository until the next one is due later, or the round is halted.
func (r *round) advanceRepository(ctx context.Context, cov *ledger.RepoCoverage) error {
	repo, known := r.rounds.collector.Repository(cov), r.rounds.states.repo(cov.ID)
	rules := &r.rounds.settings.Rules
	for range maxSteps {
		if r.isHalted() {
			return nil
		}
		at := r.situation(cov)
		state := rules.WithRewrite(known.state, at)
		step, next := rules.NextStep(&state, at)
		if step == loc.StepNone {
			r.scheduleAt(next)
			return nil
		}
		if r.rounds.settings.CheckPaused() != nil {
			r.halt(at.Now.Add(pausedRetryDelay))
			return nil
		}
		result := &stepResult{repoID: cov.ID, repo: known, state: state, part: known.part}
		read := r.readCommits
		if step == loc.StepReadStatistics {
			read = r.readStatistics
		}
		changed := read(ctx, &repo, cov.Signals.Head != "", at, result)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !changed:
			return nil // the round is halted
		}
		if err := r.rounds.commit(ctx, result); err != nil {
			return err
		}
	}
	r.scheduleAt(r.rounds.collector.Now())
	return nil
}

// readStatistics requests the statistics of a repository and updates the step with them. It reports whether the step
// has anything to commit.
func (r *round) readStatistics(
	ctx context.Context, repo *activity.Repository, hadCommits bool, at *loc.Situation, step *stepResult,
) bool {
	rules := &r.rounds.settings.Rules
	stats, err := r.rounds.settings.Source.ReadContributors(ctx, r.rounds.settings.Org, *repo)
	if err == nil && stats.Empty && hadCommits {
		err = errEmptyStatistics
	}
	switch {
	case ctx.Err() != nil || r.haltOn(err, at):
		return false
	case err != nil:
		r.addFailure(repo, err)
		step.state = rules.WithStatisticsError(step.state, at, isRefused(err))
		return true
	case stats.Pending:
		step.state = rules.WithPending(step.state, at)
	case stats.HasNoLines():
		step.state = rules.WithZero(step.state, at)
	default:
		step.state, step.part = rules.WithStatistics(step.state, at), ledger.WeeklyLines{}
		step.lines = statisticsLines(&stats, r.week, at.Now.Add(-r.rounds.settings.Retention))
	}
	r.updateResult(func(result *Result) { result.StatisticsReads++ })
	return true
}

// readCommits requests the lines of the week's commits as far as the quotas allow and updates the step with them. It
// reports whether the step has anything to commit.
func (r *round) readCommits(
	ctx context.Context, repo *activity.Repository, hadCommits bool, at *loc.Situation, step *stepResult,
) bool {
	settings := &r.rounds.settings
	rules, progress := &settings.Rules, step.state.CommitProgress(at)
	sums, complete := resumePart(&progress, &step.part)
	left := settings.MaxCommits - progress.Requested
	if allowed, _ := r.rounds.quota.remaining(at.Now); allowed == 0 {
		r.deferCommits(at, step)
		return true
	}
	result, err := settings.Source.ReadCommitLines(ctx, github.CommitLinesRequest{
		Org: settings.Org, Repo: *repo, HadCommits: hadCommits, Window: r.week, Head: progress.Head,
		Position: progress.Position, MaxCommits: left,
		Reserve: func(n int) int { return r.rounds.quota.reserve(at.Now, n) }, Priority: budget.Background,
	}, func(events []activity.Event) error {
		for i := range events {
			measures := &events[i].Measures
			sums.add(
				events[i].Actor, uint64(measures[activity.CommitAdditions]), uint64(measures[activity.CommitDeletions]),
			)
		}
		return nil
	})
	if ctx.Err() != nil {
		return false
	}
	r.updateResult(func(result *Result) { result.CommitReads++ })
	advanced := result.Position > progress.Position
	step.state = rules.WithCommitProgress(step.state, at, result.Head, result.Position, result.Requested)
	step.part = *sums.weeklyLines(r.week, complete)
	switch {
	case r.haltOn(err, at):
		return advanced
	case err != nil:
		r.addFailure(repo, err)
		step.state = rules.WithCommitsError(step.state, at, isRefused(err))
	case result.Complete || result.Requested >= left:
		complete = complete && result.Complete
		step.state = rules.WithCommits(step.state, at, !complete)
		step.lines, step.part = sums.weeklyLines(r.week, complete), ledger.WeeklyLines{}
	default:
		r.deferCommits(at, step)
	}
	return true
}

// deferCommits defers the remaining commits of a week to the next hour's quota.
func (r *round) deferCommits(at *loc.Situation, step *stepResult) {
	_, until := r.rounds.quota.remaining(at.Now)
	r.rounds.settings.OnQuotaExhausted()
	step.state = r.rounds.settings.Rules.WithWait(step.state, at, until)
}

// haltOn halts the round when an error is not about one repository: the limit of the credential, or the credential.
func (r *round) haltOn(err error, at *loc.Situation) bool {
	var limit *transport.LimitError
	switch {
	case errors.As(err, &limit) && !limit.RetryAt.IsZero():
		r.halt(limit.RetryAt)
	case limit != nil:
		r.halt(at.Now)
	case errors.As(err, new(*transport.CredentialError)):
		r.halt(at.Now.Add(credentialRetryDelay))
	default:
		return false
	}
	return true
}

// isRefused reports whether GitHub will answer the same if the request is repeated soon.
func isRefused(err error) bool {
	return errors.As(err, new(*transport.ForbiddenError)) || errors.As(err, new(*transport.NotFoundError))
}
