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

// Mode says where a repository's weekly lines stand.
type Mode uint8

// The modes.
const (
	// ModeWarming has no value yet: GitHub is still computing, or its answer cannot be trusted.
	ModeWarming Mode = iota
	// ModeReady has the statistics.
	ModeReady
	// ModeStale has values that were not confirmed for two refresh intervals.
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

// The waits, each doubled from the first to the last. None of the first is longer than a refresh interval.
var (
	pendingDelays = retryDelays{time.Minute, 15 * time.Minute}
	errorDelays   = retryDelays{time.Minute, time.Hour}
	refusedDelays = retryDelays{15 * time.Minute, 6 * time.Hour}
)

// maxZeroDelay is the longest wait after zeros that are not believed yet.
const maxZeroDelay = time.Hour

// Rules are what is configured.
type Rules struct {
	// RefreshInterval is how old statistics may be.
	RefreshInterval time.Duration
	// Fallback reads commits after ZeroAnswers answers in a row without a line. The statistics are asked again after
	// Cooldown.
	Fallback    bool
	ZeroAnswers int
	Cooldown    time.Duration
}

// State is what is known of one repository. Its zero value knows nothing.
type State struct {
	// Week is the beginning of the week that the values are of, ConfirmedAt when they were confirmed last; zero without
	// values.
	Week, ConfirmedAt time.Time
	// QuietWeek says that the values are those of a week without a push.
	QuietWeek bool
	// ZeroAnswers is how many answers in a row had no line.
	ZeroAnswers int
	// Fallback says that the lines of commits are read until the statistics are asked again, at Until.
	Fallback      bool
	FallbackUntil time.Time
	// Incomplete says that the values are those of a part of the week's commits.
	Incomplete bool
	// RewrittenAt is the newest time at which the default branch was found to have lost commits; Outdated says that the
	// values are those of before.
	RewrittenAt time.Time
	Outdated    bool
	// StatisticsRetry is about asking for statistics, Reading about reading commits.
	StatisticsRetry Retry
	Commits         CommitProgress
}

// Retry is when something is tried again, and how long the last wait was.
type Retry struct {
	At   time.Time
	Wait time.Duration
}

// CommitProgress is how far the commits of a week have been read.
type CommitProgress struct {
	Week time.Time
	// Head and Position are the place in the listing, Asked is how many commits were asked for their lines.
	Head                string
	Position, Requested int
	Retry               Retry
}

// Situation is what the next step depends on beside the state.
type Situation struct {
	Now time.Time
	// Week is the last complete week, Pushed the repository's newest push, zero when it is unknown.
	Week     activity.Window
	PushedAt time.Time
	// RewrittenAt is when the default branch was found to have lost commits for the last time, zero when it never was.
	RewrittenAt time.Time
}

// Step is what is to be done.
type Step uint8

// The steps.
const (
	StepNone           Step = iota
	StepQuietWeek           // no user has lines in the week: that is known without a request
	StepReadStatistics      // ask for statistics
	StepReadCommits         // read the lines of commits
)

// WithRewrite takes that the default branch has lost commits: the values and what was read so far may count them. The
// values stay until there are others.
func (r *Rules) WithRewrite(s State, at *Situation) State {
	if at.RewrittenAt.Truncate(time.Second).After(s.RewrittenAt) {
		s.RewrittenAt, s.Outdated, s.Commits = at.RewrittenAt.Truncate(time.Second), !s.Week.IsZero(), CommitProgress{}
	}
	return s
}

// NextStep is what is to be done now, or when there will be something to do.
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

// nextRequestAt is when the statistics are asked for.
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

// ModeAt is the mode at a time; week is the last complete one.
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

// WithQuietWeek takes a week without a push.
func (r *Rules) WithQuietWeek(s State, at *Situation) State {
	s.Week, s.ConfirmedAt, s.QuietWeek = at.Week.Start, at.Now, true
	s.Incomplete, s.Outdated, s.Commits = false, false, CommitProgress{}
	return s
}

// WithStatistics takes an answer that has lines, or no commits at all.
func (r *Rules) WithStatistics(s State, at *Situation) State {
	return State{Week: at.Week.Start, ConfirmedAt: at.Now, RewrittenAt: s.RewrittenAt}
}

// WithPending takes the answer that GitHub is still computing.
func (r *Rules) WithPending(s State, at *Situation) State {
	s.StatisticsRetry = pendingDelays.next(s.StatisticsRetry, at.Now, r.RefreshInterval)
	return s
}

// WithZero takes an answer that has commits and no line. It never becomes a value.
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

// WithStatisticsError takes an error of asking; refused says that GitHub will say the same if it is asked again soon.
func (r *Rules) WithStatisticsError(s State, at *Situation, refused bool) State {
	s.StatisticsRetry = delaysAfter(refused).next(s.StatisticsRetry, at.Now, r.RefreshInterval)
	return s
}

// WithCommitsError takes an error of reading commits. What was refused starts again: the head of the listing may be
// gone.
func (r *Rules) WithCommitsError(s State, at *Situation, refused bool) State {
	s.Commits = s.CommitProgress(at)
	if refused {
		s.Commits = CommitProgress{Week: at.Week.Start, Retry: s.Commits.Retry}
	}
	s.Commits.Retry = delaysAfter(refused).next(s.Commits.Retry, at.Now, r.RefreshInterval)
	return s
}

// WithCommitProgress takes a part of the week's commits that was read.
func (r *Rules) WithCommitProgress(s State, at *Situation, head string, position, asked int) State {
	before := s.CommitProgress(at)
	s.Commits = CommitProgress{Week: at.Week.Start, Head: head, Position: position, Requested: before.Requested + asked}
	if asked == 0 {
		s.Commits.Retry.Wait = before.Retry.Wait
	}
	return s
}

// WithWait takes that the allowance is used up until a time.
func (r *Rules) WithWait(s State, at *Situation, until time.Time) State {
	s.Commits = s.CommitProgress(at)
	s.Commits.Retry = Retry{At: until}
	return s
}

// WithCommits takes that the week's commits were read, incomplete when a cap has cut them.
func (r *Rules) WithCommits(s State, at *Situation, incomplete bool) State {
	s.Week, s.ConfirmedAt, s.QuietWeek = at.Week.Start, at.Now, false
	s.Incomplete, s.Outdated, s.Commits = incomplete, false, CommitProgress{}
	return s
}

// CommitProgress is how far the commits of the situation's week have been read.
func (s *State) CommitProgress(at *Situation) CommitProgress {
	if s.Commits.Week.Equal(at.Week.Start) {
		return s.Commits
	}
	return CommitProgress{Week: at.Week.Start}
}

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

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
