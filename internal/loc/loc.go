// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package loc decides how a repository's weekly lines are got from GitHub's statistics: when these are asked for, what
// an answer means, and when the lines of single commits are read in their place. It has no clock and does no I/O:
//
//	             good answer              2 refresh intervals without one
//	warming ───────────────────▶ ready ◀──────────────────────────────────▶ stale
//	   │                           │               good answer                │
//	   └───────────────────────────┴────── zero answers in a row ─────────────┘
//	                               ▼
//	                           fallback    lines of commits, week by week; after the cooldown
//	                                       the statistics are asked again: good ▶ ready, zero ▶ another cooldown
package loc

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Mode is the source and freshness of a repository's weekly lines.
type Mode uint8

// The modes.
const (
	// ModeWarming has no lines yet: GitHub is still computing them, or its response is not credible.
	ModeWarming Mode = iota
	// ModeReady has the lines of the statistics.
	ModeReady
	// ModeStale has lines that were not confirmed for two refresh intervals.
	ModeStale
	// ModeFallback has the lines of single commits, because the statistics are all zero.
	ModeFallback
)

// NumModes is the number of modes.
const NumModes = 4

// Modes lists every mode.
func Modes() [NumModes]Mode { return [NumModes]Mode{ModeWarming, ModeReady, ModeStale, ModeFallback} }

// String is the mode's name in metrics.
func (m Mode) String() string {
	return [NumModes]string{"warming", "ready", "stale", "fallback"}[min(m, ModeFallback)]
}

// The delays before a retry double from the first to the last. The first is at most a refresh interval.
var (
	pendingDelays = retryDelays{time.Minute, 15 * time.Minute}
	errorDelays   = retryDelays{time.Minute, time.Hour}
	refusedDelays = retryDelays{15 * time.Minute, 6 * time.Hour}
)

// maxZeroDelay bounds the delay after zero statistics that are not believed yet.
const maxZeroDelay = time.Hour

// Rules are the configuration of the state machine.
type Rules struct {
	// RefreshInterval is the maximum age of statistics.
	RefreshInterval time.Duration
	// Fallback reads single commits after ZeroAnswers responses in a row without a line. The statistics are requested
	// again after Cooldown.
	Fallback    bool
	ZeroAnswers int
	Cooldown    time.Duration
}

// State is the state of one repository. Its zero value has no lines.
type State struct {
	// Week is the start of the week that the lines are of, ConfirmedAt when they were last confirmed; zero without
	// lines.
	Week, ConfirmedAt time.Time
	// QuietWeek says that the week had no push.
	QuietWeek bool
	// ZeroAnswers counts the responses in a row that had no line.
	ZeroAnswers int
	// Fallback says that single commits are read until the statistics are requested again, at FallbackUntil.
	Fallback      bool
	FallbackUntil time.Time
	// Incomplete says that the lines are of a part of the week's commits.
	Incomplete bool
	// RewrittenAt is when the default branch was last found to have lost commits, zero for never.
	RewrittenAt time.Time
	Outdated    bool
	// StatisticsRetry is the retry of the statistics, Commits the progress of reading single commits.
	StatisticsRetry Retry
	Commits         CommitProgress
}

// Retry is the time of the next attempt. Wait is the backoff that led to it and that the next failure doubles; zero
// when At is not the end of a backoff.
type Retry struct {
	At   time.Time
	Wait time.Duration
}

// CommitProgress is how far the commits of a week were read.
type CommitProgress struct {
	Week time.Time
	// Head and Position are the place in the listing, Requested is how many commits were requested with their lines.
	Head                string
	Position, Requested int
	Retry               Retry
}

// Situation is what the next step depends on beside the state.
type Situation struct {
	Now time.Time
	// Week is the last complete week, PushedAt the repository's newest push, zero when it is unknown.
	Week     activity.Window
	PushedAt time.Time
	// RewrittenAt is when the default branch was found to have lost commits for the last time, zero when it never was.
	RewrittenAt time.Time
}

// Step is the next action for a repository.
type Step uint8

// The steps.
const (
	StepNone           Step = iota
	StepQuietWeek           // the week had no push, which needs no request
	StepReadStatistics      // request the statistics
	StepReadCommits         // read the lines of commits
)

// WithRewrite returns the state after the default branch has lost commits: the lines and what was read so far may
// include them. The lines stay until others replace them.
func (r *Rules) WithRewrite(s State, at *Situation) State {
	if at.RewrittenAt.Truncate(time.Second).After(s.RewrittenAt) {
		s.RewrittenAt, s.Outdated, s.Commits = at.RewrittenAt.Truncate(time.Second), !s.Week.IsZero(), CommitProgress{}
	}
	return s
}

// NextStep returns the step that is due now, or StepNone and when one is due.
func (r *Rules) NextStep(s *State, at *Situation) (Step, time.Time) {
	if !at.PushedAt.IsZero() && at.PushedAt.Before(at.Week.Start) {
		if s.QuietWeek && s.Week.Equal(at.Week.Start) {
			return StepNone, at.Week.End.Add(at.Week.End.Sub(at.Week.Start))
		}
		return StepQuietWeek, at.Now
	}
	ask, read := r.nextRequestAt(s, at), s.nextCommitsAt(at)
	switch {
	case !at.Now.Before(ask):
		return StepReadStatistics, at.Now
	case r.inFallback(s) && !at.Now.Before(read):
		return StepReadCommits, at.Now
	case r.inFallback(s) && read.Before(ask):
		return StepNone, read
	default:
		return StepNone, ask
	}
}

// inFallback reports whether the fallback is in force: it may have been switched off since.
func (r *Rules) inFallback(s *State) bool { return r.Fallback && s.Fallback }

// nextRequestAt returns when the statistics are requested.
func (r *Rules) nextRequestAt(s *State, at *Situation) time.Time {
	due := s.ConfirmedAt.Add(r.RefreshInterval)
	switch {
	case r.inFallback(s):
		due = s.FallbackUntil
	case s.QuietWeek || s.Outdated || !s.Week.Equal(at.Week.Start):
		due = time.Time{}
	}
	return latest(due, s.StatisticsRetry.At)
}

// nextCommitsAt is when the commits of the week are read.
func (s *State) nextCommitsAt(at *Situation) time.Time {
	switch {
	case s.Week.Equal(at.Week.Start) && !s.QuietWeek && !s.Outdated:
		return at.Week.End.Add(at.Week.End.Sub(at.Week.Start)) // it is known, until there is another one
	case s.Commits.Week.Equal(at.Week.Start):
		return s.Commits.Retry.At
	default:
		return time.Time{}
	}
}

// ModeAt returns the mode at a time; week is the last complete one.
func (r *Rules) ModeAt(s *State, now time.Time, week activity.Window) Mode {
	switch {
	case r.isStale(s, now, week):
		return ModeStale
	case r.inFallback(s):
		return ModeFallback
	case s.Week.IsZero():
		return ModeWarming
	default:
		return ModeReady
	}
}

// isStale reports whether the values are older than they should be. What is final does not age before its week is over.
func (r *Rules) isStale(s *State, now time.Time, week activity.Window) bool {
	if s.Week.IsZero() {
		return false
	}
	fresh := s.ConfirmedAt
	if s.QuietWeek || r.inFallback(s) {
		if !s.Week.Before(week.Start) {
			return false
		}
		fresh = latest(fresh, s.Week.Add(2*week.End.Sub(week.Start)))
	}
	return now.Sub(fresh) > 2*r.RefreshInterval
}

// WithQuietWeek returns the state after a week without a push.
func (r *Rules) WithQuietWeek(s State, at *Situation) State {
	s.Week, s.ConfirmedAt, s.QuietWeek = at.Week.Start, at.Now, true
	s.Incomplete, s.Outdated, s.Commits = false, false, CommitProgress{}
	return s
}

// WithStatistics returns the state after a response that has lines, or no commits at all.
func (r *Rules) WithStatistics(s State, at *Situation) State {
	return State{Week: at.Week.Start, ConfirmedAt: at.Now, RewrittenAt: s.RewrittenAt}
}

// WithPending returns the state after GitHub responded that it is still computing.
func (r *Rules) WithPending(s State, at *Situation) State {
	s.StatisticsRetry = pendingDelays.next(s.StatisticsRetry, at.Now, r.RefreshInterval)
	return s
}

// WithZero returns the state after a response that has commits and no line. Such a response never becomes the lines.
func (r *Rules) WithZero(s State, at *Situation) State {
	s.ZeroAnswers++
	s.Fallback, s.FallbackUntil, s.StatisticsRetry = false, time.Time{}, Retry{
		At: at.Now.Add(min(r.RefreshInterval, maxZeroDelay)),
	}
	switch {
	case s.ZeroAnswers < r.ZeroAnswers:
	case r.Fallback:
		s.Fallback, s.FallbackUntil, s.StatisticsRetry = true, at.Now.Add(r.Cooldown), Retry{}
	default:
		s.StatisticsRetry = Retry{At: at.Now.Add(r.RefreshInterval)}
	}
	return s
}

// WithStatisticsError returns the state after an error of the statistics; refused says that GitHub will respond the
// same if the request is repeated soon.
func (r *Rules) WithStatisticsError(s State, at *Situation, refused bool) State {
	s.StatisticsRetry = delaysAfter(refused).next(s.StatisticsRetry, at.Now, r.RefreshInterval)
	return s
}

// WithCommitsError returns the state after an error of reading commits. A refused reading starts over: the head of the
// listing may be gone.
func (r *Rules) WithCommitsError(s State, at *Situation, refused bool) State {
	s.Commits = s.CommitProgress(at)
	if refused {
		s.Commits = CommitProgress{Week: at.Week.Start, Retry: s.Commits.Retry}
	}
	s.Commits.Retry = delaysAfter(refused).next(s.Commits.Retry, at.Now, r.RefreshInterval)
	return s
}

// WithCommitProgress returns the state after a part of the week's commits was read.
func (r *Rules) WithCommitProgress(s State, at *Situation, head string, position, asked int) State {
	before := s.CommitProgress(at)
	s.Commits = CommitProgress{Week: at.Week.Start, Head: head, Position: position, Requested: before.Requested + asked}
	if asked == 0 {
		s.Commits.Retry.Wait = before.Retry.Wait
	}
	return s
}

// WithWait returns the state while the hourly quota is used up until a time.
func (r *Rules) WithWait(s State, at *Situation, until time.Time) State {
	s.Commits = s.CommitProgress(at)
	s.Commits.Retry = Retry{At: until}
	return s
}

// WithCommits returns the state after the week's commits were read, incomplete when a quota has cut them.
func (r *Rules) WithCommits(s State, at *Situation, incomplete bool) State {
	s.Week, s.ConfirmedAt, s.QuietWeek = at.Week.Start, at.Now, false
	s.Incomplete, s.Outdated, s.Commits = incomplete, false, CommitProgress{}
	return s
}

// CommitProgress returns how far the commits of the situation's week were read.
func (s *State) CommitProgress(at *Situation) CommitProgress {
	if s.Commits.Week.Equal(at.Week.Start) {
		return s.Commits
	}
	return CommitProgress{Week: at.Week.Start}
}

// retryDelays are the waits after a failure: the first one, which doubles, and the longest one.
type retryDelays struct{ first, last time.Duration }

func delaysAfter(refused bool) retryDelays {
	if refused {
		return refusedDelays
	}
	return errorDelays
}

func (w retryDelays) next(before Retry, now time.Time, refresh time.Duration) Retry {
	wait := max(min(w.first, refresh), min(w.last, 2*before.Wait))
	return Retry{At: now.Add(wait), Wait: wait}
}

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
