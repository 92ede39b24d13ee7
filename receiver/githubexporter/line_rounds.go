// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/internal/loc/rounds"
)

// linesRetryDelay is the wait after a round whose result could not be committed.
const linesRetryDelay = 10 * time.Second

// lineRounds makes rounds over the weekly lines of an organization, which read GitHub's statistics, while this replica
// leads it.
type lineRounds struct {
	settings  rounds.Settings
	collector *collect.Collector
	view      *ledgerview.View
	logger    *zap.Logger
	gate      *termGate

	failing bool // whether the last round failed; it belongs to run
}

func newLineRounds(
	settings rounds.Settings, collector *collect.Collector, view *ledgerview.View, logger *zap.Logger,
) *lineRounds {
	return &lineRounds{
		settings: settings, collector: collector, view: view, logger: logger, gate: newTermGate(view),
	}
}

// minRoundInterval is the shortest time between two rounds, whose times are by the slower of two clocks, GitHub's and
// that of this process.
const minRoundInterval = time.Second

// waitUntil waits until a time, at most until the next pass ends.
func (l *lineRounds) waitUntil(ctx context.Context, until time.Time) {
	timer := time.NewTimer(max(minRoundInterval, time.Until(until)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-l.gate.passed:
	}
}

// run makes rounds over the repositories whose weekly lines are due, until ctx, the term, ends.
func (l *lineRounds) run(ctx context.Context, fence uint64) {
	if !l.gate.awaitFirstPass(ctx) {
		return
	}
	work := rounds.New(l.settings, l.collector, fence, l.view)
	for ctx.Err() == nil {
		round, err := work.Run(ctx)
		if ctx.Err() != nil {
			return
		}
		l.logRound(&round, err)
		if err != nil {
			round.NextAt = time.Now().Add(linesRetryDelay)
		}
		l.waitUntil(ctx, round.NextAt)
	}
}

// logRound logs the outcome of a round: the first failing one as a warning.
func (l *lineRounds) logRound(round *rounds.Result, err error) {
	failing := err != nil || len(round.Failures) > 0
	level := zap.DebugLevel
	switch {
	case failing && !l.failing:
		level = zap.WarnLevel
	case round.StatisticsReads+round.CommitReads+round.QuietWeeks > 0:
		level = zap.InfoLevel
	}
	// Repositories that failed wait: a round that reads none has no result for them.
	l.failing = failing || (l.failing && round.StatisticsReads+round.CommitReads == 0)
	l.logger.Log(level, "Round over the weekly lines ended.",
		zap.Int("asked", round.StatisticsReads), zap.Int("read", round.CommitReads),
		zap.Int("quiet", round.QuietWeeks), zap.Time("next", round.NextAt),
		failuresField(commitFailures(round.Failures)),
		zap.Error(err))
}

// commitFailures returns the failures of a round as failures of the commit stream, which the lines belong to.
func commitFailures(failures []rounds.Failure) []collect.Failure {
	list := make([]collect.Failure, len(failures))
	for i, f := range failures {
		list[i] = collect.Failure{RepoID: f.RepoID, Repo: f.Repo, Stream: activity.StreamCommits, Err: f.Err}
	}
	return list
}

// eachState calls f with the state of the weekly lines of every repository in the view, and its mode now.
func (l *lineRounds) eachState(now time.Time, f func(repo string, state *loc.State, mode loc.Mode)) {
	week := ledger.LastCompleteWeek(now)
	for _, entry := range l.view.Entries(ledger.EntryLinesState) {
		name, ok := l.view.RepoName(entry.Repo)
		state, err := loc.Decode(entry.Data)
		if ok && err == nil {
			f(name, &state, l.settings.Rules.ModeAt(&state, now, week))
		}
	}
}
