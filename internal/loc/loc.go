// Package loc decides how a repository's weekly lines are got from GitHub's statistics: when these are asked for, what an
// answer means, and when the lines of single commits are read in their place. It has no clock and does no I/O:
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
	// ModeStale has values that nobody has confirmed for two refresh intervals.
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
	whilePending = waits{time.Minute, 15 * time.Minute}
	afterError   = waits{time.Minute, time.Hour}
	afterRefusal = waits{15 * time.Minute, 6 * time.Hour}
)

// afterZero is the longest wait after zeros that are not believed yet.
const afterZero = time.Hour

// Rules are what is configured.
type Rules struct {
	// Refresh is how old statistics may be.
	Refresh time.Duration
	// Fallback reads commits after ZeroAnswers answers in a row without a line. The statistics are asked again after Cooldown.
	Fallback    bool
	ZeroAnswers int
	Cooldown    time.Duration
}

// State is what is known of one repository. Its zero value knows nothing.
type State struct {
	// Week is the beginning of the week that the values are of, Refreshed when they were confirmed last; zero without values.
	Week, Refreshed time.Time
	// Quiet says that the values are those of a week without a push.
	Quiet bool
	// Zeros is how many answers in a row had no line.
	Zeros int
	// Fallback says that the lines of commits are read until the statistics are asked again, at Until.
	Fallback bool
	Until    time.Time
	// Incomplete says that the values are those of a part of the week's commits.
	Incomplete bool
	// Rewound is the newest time at which the default branch was found to have lost commits; Outdated says that the
	// values are those of before.
	Rewound  time.Time
	Outdated bool
	// Asking is about asking for statistics, Reading about reading commits.
	Asking  Retry
	Reading Reading
}

// Retry is when something is tried again, and how long the last wait was.
type Retry struct {
	At   time.Time
	Wait time.Duration
}

// Reading is how far the commits of a week have been read.
type Reading struct {
	Week time.Time
	// Head and Position are the place in the listing, Asked is how many commits were asked for their lines.
	Head            string
	Position, Asked int
	Retry           Retry
}

// Situation is what the next step depends on beside the state.
type Situation struct {
	Now time.Time
	// Week is the last complete week, Pushed the repository's newest push, zero when nobody knows.
	Week   activity.Window
	Pushed time.Time
	// Rewound is when the default branch was found to have lost commits for the last time, zero when it never was.
	Rewound time.Time
}

// Step is what is to be done.
type Step uint8

// The steps.
const (
	StepNone  Step = iota
	StepQuiet      // nobody has lines in the week: that is known without a request
	StepAsk        // ask for statistics
	StepRead       // read the lines of commits
)

// Rewind takes that the default branch has lost commits: the values and what was read so far may count them. The values
// stay until there are others.
func (r *Rules) Rewind(s State, at *Situation) State {
	if at.Rewound.Truncate(time.Second).After(s.Rewound) {
		s.Rewound, s.Outdated, s.Reading = at.Rewound.Truncate(time.Second), !s.Week.IsZero(), Reading{}
	}
	return s
}

// Next is what is to be done now, or when there will be something to do.
func (r *Rules) Next(s *State, at *Situation) (Step, time.Time) {
	if !at.Pushed.IsZero() && at.Pushed.Before(at.Week.Start) {
		if s.Quiet && s.Week.Equal(at.Week.Start) {
			return StepNone, at.Week.End.Add(at.Week.End.Sub(at.Week.Start))
		}
		return StepQuiet, at.Now
	}
	ask, read := r.askAt(s, at), s.readAt(at)
	switch {
	case !at.Now.Before(ask):
		return StepAsk, at.Now
	case r.falls(s) && !at.Now.Before(read):
		return StepRead, at.Now
	case r.falls(s) && read.Before(ask):
		return StepNone, read
	default:
		return StepNone, ask
	}
}

// falls reports whether the fallback is in force: it may have been switched off since.
func (r *Rules) falls(s *State) bool { return r.Fallback && s.Fallback }

// askAt is when the statistics are asked for.
func (r *Rules) askAt(s *State, at *Situation) time.Time {
	due := s.Refreshed.Add(r.Refresh)
	switch {
	case r.falls(s):
		due = s.Until
	case s.Quiet || s.Outdated || !s.Week.Equal(at.Week.Start):
		due = time.Time{}
	}
	return later(due, s.Asking.At)
}

// readAt is when the commits of the week are read.
func (s *State) readAt(at *Situation) time.Time {
	switch {
	case s.Week.Equal(at.Week.Start) && !s.Quiet && !s.Outdated:
		return at.Week.End.Add(at.Week.End.Sub(at.Week.Start)) // it is known, until there is another one
	case s.Reading.Week.Equal(at.Week.Start):
		return s.Reading.Retry.At
	default:
		return time.Time{}
	}
}

// Mode is the mode at a time; week is the last complete one.
func (r *Rules) Mode(s *State, now time.Time, week activity.Window) Mode {
	switch {
	case r.stale(s, now, week):
		return ModeStale
	case r.falls(s):
		return ModeFallback
	case s.Week.IsZero():
		return ModeWarming
	default:
		return ModeReady
	}
}

// stale reports whether the values are older than they should be. What is final does not age before its week is over.
func (r *Rules) stale(s *State, now time.Time, week activity.Window) bool {
	if s.Week.IsZero() {
		return false
	}
	fresh := s.Refreshed
	if s.Quiet || r.falls(s) {
		if !s.Week.Before(week.Start) {
			return false
		}
		fresh = later(fresh, s.Week.Add(2*week.End.Sub(week.Start)))
	}
	return now.Sub(fresh) > 2*r.Refresh
}

// Silent takes a week without a push.
func (r *Rules) Silent(s State, at *Situation) State {
	s.Week, s.Refreshed, s.Quiet = at.Week.Start, at.Now, true
	s.Incomplete, s.Outdated, s.Reading = false, false, Reading{}
	return s
}

// Good takes an answer that has lines, or no commits at all.
func (r *Rules) Good(s State, at *Situation) State {
	return State{Week: at.Week.Start, Refreshed: at.Now, Rewound: s.Rewound}
}

// Pending takes the answer that GitHub is still computing.
func (r *Rules) Pending(s State, at *Situation) State {
	s.Asking = whilePending.next(s.Asking, at.Now, r.Refresh)
	return s
}

// Zero takes an answer that has commits and no line. It never becomes a value.
func (r *Rules) Zero(s State, at *Situation) State {
	s.Zeros++
	s.Fallback, s.Until, s.Asking = false, time.Time{}, Retry{At: at.Now.Add(min(r.Refresh, afterZero))}
	switch {
	case s.Zeros < r.ZeroAnswers:
	case r.Fallback:
		s.Fallback, s.Until, s.Asking = true, at.Now.Add(r.Cooldown), Retry{}
	default:
		s.Asking = Retry{At: at.Now.Add(r.Refresh)}
	}
	return s
}

// Failed takes an error of asking; refused says that GitHub will say the same if it is asked again soon.
func (r *Rules) Failed(s State, at *Situation, refused bool) State {
	s.Asking = errorWaits(refused).next(s.Asking, at.Now, r.Refresh)
	return s
}

// ReadFailed takes an error of reading commits. What was refused begins anew: the head of the listing may be gone.
func (r *Rules) ReadFailed(s State, at *Situation, refused bool) State {
	s.Reading = s.ReadingOf(at)
	if refused {
		s.Reading = Reading{Week: at.Week.Start, Retry: s.Reading.Retry}
	}
	s.Reading.Retry = errorWaits(refused).next(s.Reading.Retry, at.Now, r.Refresh)
	return s
}

// Progress takes a part of the week's commits that was read.
func (r *Rules) Progress(s State, at *Situation, head string, position, asked int) State {
	before := s.ReadingOf(at)
	s.Reading = Reading{Week: at.Week.Start, Head: head, Position: position, Asked: before.Asked + asked}
	if asked == 0 {
		s.Reading.Retry.Wait = before.Retry.Wait
	}
	return s
}

// Waits takes that the allowance is used up until a time.
func (r *Rules) Waits(s State, at *Situation, until time.Time) State {
	s.Reading = s.ReadingOf(at)
	s.Reading.Retry = Retry{At: until}
	return s
}

// Read takes that the week's commits were read, incomplete when a cap has cut them.
func (r *Rules) Read(s State, at *Situation, incomplete bool) State {
	s.Week, s.Refreshed, s.Quiet = at.Week.Start, at.Now, false
	s.Incomplete, s.Outdated, s.Reading = incomplete, false, Reading{}
	return s
}

// ReadingOf is how far the commits of the situation's week have been read.
func (s *State) ReadingOf(at *Situation) Reading {
	if s.Reading.Week.Equal(at.Week.Start) {
		return s.Reading
	}
	return Reading{Week: at.Week.Start}
}

type waits struct{ first, last time.Duration }

func errorWaits(refused bool) waits {
	if refused {
		return afterRefusal
	}
	return afterError
}

func (w waits) next(before Retry, now time.Time, refresh time.Duration) Retry {
	wait := max(min(w.first, refresh), min(w.last, 2*before.Wait))
	return Retry{At: now.Add(wait), Wait: wait}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
