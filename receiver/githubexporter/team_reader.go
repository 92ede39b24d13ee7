// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/teams"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// The first and the longest wait after a reading of teams that failed. The longest one is at most the interval.
const (
	teamsRetryDelay    = 10 * time.Second
	maxTeamsRetryDelay = 15 * time.Minute
)

// membersPermission is the permission that teams need
// (https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens).
const membersPermission = "members"

// Results of a reading, as the counter has them.
const (
	teamsSuccess = "success"
	teamsPartial = "partial"
	teamsFailure = "failure"
	teamsRefused = "refused"
	teamsLimited = "limited"
)

// teamReader reads the teams of an organization while this replica leads it. missingPermissions and err are safe for
// concurrent use.
type teamReader struct {
	settings teams.Settings
	gate     *termGate
	tallies  *collect.Tallies
	// checkPaused returns why the circuit breaker forbids requests now, nil when it allows them.
	checkPaused func() error
	logger      *zap.Logger

	mu sync.Mutex
	// missing are the permissions that the credential lacked in the last reading, failure is why it was not complete.
	missing []string
	failure error
}

// run reads the teams when they are due, until ctx, the term, ends.
func (t *teamReader) run(ctx context.Context, fence uint64) {
	defer t.record(nil, nil) // only a leader reports what it could not read
	if !t.gate.awaitFirstPass(ctx) {
		return
	}
	reader, log := teams.New(t.settings), &teamLog{logger: t.logger}
	delay := t.firstDelay()
	for nextAt := reader.DueAt(); ; {
		if wakeup.Sleep(ctx, max(0, time.Until(nextAt))) != nil {
			return
		}
		if t.checkPaused() != nil {
			nextAt = time.Now().Add(t.firstDelay())
			continue
		}
		result, err := reader.Read(ctx, fence)
		if ctx.Err() != nil {
			return
		}
		outcome := t.recordResult(&result, err)
		if outcome == teamsSuccess || outcome == teamsPartial || outcome == teamsRefused {
			delay, nextAt = t.firstDelay(), time.Now().Add(t.settings.Interval)
		} else {
			nextAt = retryTime(err, time.Now().Add(delay))
			delay = min(2*delay, maxTeamsRetryDelay, max(t.settings.Interval, teamsRetryDelay))
		}
		log.record(&result, outcome, err, nextAt)
	}
}

// firstDelay returns the wait after the first reading that fails.
func (t *teamReader) firstDelay() time.Duration { return min(teamsRetryDelay, t.settings.Interval) }

// retryTime returns when a reading is repeated that failed: when the limit ends, or else at a time.
func retryTime(err error, otherwise time.Time) time.Time {
	limit, ok := errors.AsType[*transport.LimitError](err)
	if ok && limit.RetryAt.After(otherwise) {
		return limit.RetryAt
	}
	return otherwise
}

// recordResult counts a reading, keeps what it says about the credential, and returns its outcome.
func (t *teamReader) recordResult(result *teams.Result, err error) string {
	var missing []string
	outcome, failure := teamsSuccess, err
	forbidden, isForbidden := errors.AsType[*transport.ForbiddenError](err)
	switch {
	case errors.As(err, new(*transport.LimitError)):
		outcome, failure, missing = teamsLimited, t.err(), t.missingPermissions()
	case isForbidden:
		if lacks, ok := forbidden.LacksPermission(membersPermission); ok {
			missing, failure = lacks, nil // the permission is named: nothing has failed
		}
		outcome = teamsRefused
	case err != nil:
		outcome, missing = teamsFailure, t.missingPermissions()
	case len(result.Failures) > 0:
		first := &result.Failures[0]
		outcome = teamsPartial
		failure = fmt.Errorf("%d teams, among them %s: %w", len(result.Failures), first.Slug, first.Err)
	}
	t.tallies.Add(collect.TallyTeamReads, outcome)
	t.record(missing, failure)
	return outcome
}

// record keeps what the credential lacks, and why the last reading failed.
func (t *teamReader) record(missing []string, failure error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.missing, t.failure = missing, failure
}

// missingPermissions returns the permissions that the credential lacks for the teams. Of nil there are none.
func (t *teamReader) missingPermissions() []string {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.missing)
}

// err returns why the last reading of the term was not complete. Of nil there is none.
func (t *teamReader) err() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failure
}

// teamLog logs readings: one that begins to fail as a warning, not each.
type teamLog struct {
	logger    *zap.Logger
	outcome   string
	unmatched []string
}

func (l *teamLog) record(result *teams.Result, outcome string, err error, nextAt time.Time) {
	isNew := l.outcome != outcome
	l.outcome = outcome
	if err == nil && !slices.Equal(l.unmatched, result.Unmatched) {
		if l.unmatched = result.Unmatched; len(l.unmatched) > 0 {
			l.logger.Warn("Patterns in teams::include or teams::exclude match no team. Only * and ? are wildcards; "+
				"case is ignored. Secret teams are read with teams::secret alone.",
				zap.Strings("patterns", l.unmatched))
		}
	}
	fields := []zap.Field{
		zap.String("result", outcome), zap.Int("listed", result.Listed), zap.Int("selected", result.Selected),
		zap.Int("changed", result.Changed), zap.Int("removed", result.Removed), zap.Time("next", nextAt),
		zap.Int("failed", len(result.Failures)), zap.Error(err),
	}
	if err == nil && len(result.Failures) > 0 {
		fields[len(fields)-1] = zap.NamedError("failure", result.Failures[0].Err)
	}
	switch {
	case outcome != teamsSuccess && isNew:
		l.logger.Warn("Teams were not read completely; what is known of them stays for a day.", fields...)
	case outcome == teamsSuccess && (isNew || result.Changed+result.Removed > 0):
		l.logger.Info("Teams were read.", fields...)
	default:
		l.logger.Debug("Reading of the teams ended.", fields...)
	}
}
