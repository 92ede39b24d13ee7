// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package loc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

var (
	rules = Rules{RefreshInterval: 24 * time.Hour, Fallback: true, ZeroAnswers: 2, Cooldown: 168 * time.Hour}
	// sunday is the end of the last complete week.
	sunday = time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)
)

const weekLong = 7 * 24 * time.Hour

// situation is one after some time in the week that begins on Sunday.
func situation(after time.Duration) *Situation {
	now := sunday.Add(after)
	end := sunday
	for !now.Before(end.Add(weekLong)) {
		end = end.Add(weekLong)
	}
	return &Situation{Now: now, Week: activity.Window{Start: end.Add(-weekLong), End: end}, PushedAt: now}
}

// TestStory is the life of a repository, response by response.
func TestStory(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	type line struct {
		after time.Duration
		take  func(r *Rules, s State, at *Situation) State
		mode  Mode
		step  Step          // right afterwards
		next  time.Duration // when there is something to do, if not now
	}
	nothing := func(_ *Rules, s State, _ *Situation) State { return s }
	pending, zero, good := (*Rules).WithPending, (*Rules).WithZero, (*Rules).WithStatistics
	failed := func(r *Rules, s State, at *Situation) State { return r.WithStatisticsError(s, at, false) }
	refused := func(r *Rules, s State, at *Situation) State { return r.WithStatisticsError(s, at, true) }
	read := func(r *Rules, s State, at *Situation) State { return r.WithCommits(s, at, false) }
	capped := func(r *Rules, s State, at *Situation) State { return r.WithCommits(s, at, true) }
	progress := func(r *Rules, s State, at *Situation) State { return r.WithCommitProgress(s, at, "head", 10, 9) }
	waits := func(r *Rules, s State, at *Situation) State {
		return r.WithWait(s, at, at.Now.Truncate(time.Hour).Add(time.Hour))
	}
	readFailed := func(r *Rules, s State, at *Situation) State { return r.WithCommitsError(s, at, false) }
	off := rules
	off.Fallback = false
	quick := rules
	quick.RefreshInterval = 10 * time.Minute
	for name, test := range map[string]struct {
		rules Rules
		lines []line
	}{
		"computed": {rules, []line{
			{0, nothing, ModeWarming, StepReadStatistics, 0},
			{0, pending, ModeWarming, StepNone, time.Minute},
			{time.Minute, pending, ModeWarming, StepNone, 3 * time.Minute},
			{3 * time.Minute, good, ModeReady, StepNone, day + 3*time.Minute},
			{day + 3*time.Minute, nothing, ModeReady, StepReadStatistics, 0},
			{day + 3*time.Minute, pending, ModeReady, StepNone, day + 4*time.Minute},
			{day + 4*time.Minute, good, ModeReady, StepNone, 2*day + 4*time.Minute},
			{7 * day, nothing, ModeStale, StepReadStatistics, 0},
		}},
		"stale": {rules, []line{
			{0, good, ModeReady, StepNone, day},
			{day, failed, ModeReady, StepNone, day + time.Minute},
			{2 * day, failed, ModeReady, StepNone, 2*day + 2*time.Minute},
			{2*day + time.Hour, refused, ModeStale, StepNone, 2*day + time.Hour + 15*time.Minute},
			{2*day + 2*time.Hour, refused, ModeStale, StepNone, 2*day + 2*time.Hour + 30*time.Minute},
			{3 * day, good, ModeReady, StepNone, 4 * day},
		}},
		"zero once": {rules, []line{
			{0, zero, ModeWarming, StepNone, time.Hour},
			{time.Hour, pending, ModeWarming, StepNone, time.Hour + time.Minute},
			{2 * time.Hour, good, ModeReady, StepNone, day + 2*time.Hour},
			{day + 2*time.Hour, zero, ModeReady, StepNone, day + 3*time.Hour},
			{day + 3*time.Hour, good, ModeReady, StepNone, 2*day + 3*time.Hour},
		}},
		"a short interval": {quick, []line{
			{0, zero, ModeWarming, StepNone, 10 * time.Minute},
			{10 * time.Minute, refused, ModeWarming, StepNone, 20 * time.Minute},
			{20 * time.Minute, refused, ModeWarming, StepNone, 40 * time.Minute},
		}},
		"fallback": {rules, []line{
			{0, zero, ModeWarming, StepNone, time.Hour},
			{time.Hour, zero, ModeFallback, StepReadCommits, 0},
			{time.Hour, progress, ModeFallback, StepReadCommits, 0},
			{time.Hour, waits, ModeFallback, StepNone, 2 * time.Hour},
			{2 * time.Hour, nothing, ModeFallback, StepReadCommits, 0},
			{2 * time.Hour, readFailed, ModeFallback, StepNone, 2*time.Hour + time.Minute},
			{3 * time.Hour, read, ModeFallback, StepNone, 7 * day},
			{6 * day, nothing, ModeFallback, StepNone, 7 * day},
			{7 * day, nothing, ModeFallback, StepReadCommits, 0},
			{7 * day, capped, ModeFallback, StepNone, 7*day + time.Hour},
			{7*day + time.Hour, nothing, ModeFallback, StepReadStatistics, 0},
			{7*day + time.Hour, pending, ModeFallback, StepNone, 7*day + time.Hour + time.Minute},
			{7*day + 2*time.Hour, zero, ModeFallback, StepNone, 14 * day},
			{14 * day, nothing, ModeFallback, StepReadCommits, 0},
			{14*day + 2*time.Hour, nothing, ModeFallback, StepReadStatistics, 0},
			{14*day + 2*time.Hour, pending, ModeFallback, StepReadCommits, 0},
			{14*day + 3*time.Hour, good, ModeReady, StepNone, 15*day + 3*time.Hour},
			{15*day + 3*time.Hour, zero, ModeReady, StepNone, 15*day + 4*time.Hour},
		}},
		"fallback without a way": {rules, []line{
			{0, zero, ModeWarming, StepNone, time.Hour},
			{time.Hour, zero, ModeFallback, StepReadCommits, 0},
			{time.Hour, read, ModeFallback, StepNone, 7 * day},
			{9 * day, nothing, ModeFallback, StepReadStatistics, 0},
			{9 * day, zero, ModeFallback, StepReadCommits, 0},
			{9*day + time.Second, readFailed, ModeStale, StepNone, 9*day + time.Minute + time.Second},
			{10 * day, read, ModeFallback, StepNone, 14 * day},
		}},
		"fallback off": {off, []line{
			{0, zero, ModeWarming, StepNone, time.Hour},
			{time.Hour, zero, ModeWarming, StepNone, day + time.Hour},
			{day + time.Hour, good, ModeReady, StepNone, 2*day + time.Hour},
			{2*day + time.Hour, zero, ModeReady, StepNone, 2*day + 2*time.Hour},
			{4 * day, zero, ModeStale, StepNone, 5 * day},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s State
			for i, l := range test.lines {
				at := situation(l.after)
				s = l.take(&test.rules, s, at)
				step, next := test.rules.NextStep(&s, at)
				require.Equal(t, l.step, step, "line %d", i)
				if l.step == StepNone {
					require.Equal(t, sunday.Add(l.next), next, "line %d", i)
				}
				require.Equal(t, l.mode.String(), test.rules.ModeAt(&s, at.Now, at.Week).String(), "line %d", i)
			}
		})
	}
}

// TestQuiet: a week without a push is known without a request, and stays so until there is one.
func TestQuiet(t *testing.T) {
	t.Parallel()
	at := situation(time.Hour)
	at.PushedAt = at.Week.Start.Add(-time.Second)
	var s State
	step, _ := rules.NextStep(&s, at)
	require.Equal(t, StepQuietWeek, step)
	s = rules.WithQuietWeek(s, at)
	step, next := rules.NextStep(&s, at)
	require.Equal(t, StepNone, step)
	require.Equal(t, sunday.Add(weekLong), next)
	require.Equal(t, ModeReady, rules.ModeAt(&s, sunday.Add(6*24*time.Hour), at.Week), "what is final does not age")

	pushed := situation(2 * time.Hour)
	step, _ = rules.NextStep(&s, pushed)
	require.Equal(t, StepReadStatistics, step)
	following := situation(weekLong)
	following.PushedAt = at.PushedAt
	step, _ = rules.NextStep(&s, following)
	require.Equal(t, StepQuietWeek, step)
	require.Equal(t, ModeReady, rules.ModeAt(&s, following.Now.Add(48*time.Hour), following.Week))
	require.Equal(t, ModeStale, rules.ModeAt(&s, following.Now.Add(49*time.Hour), following.Week))
}

// TestWhatWasReadOfAnotherWeek is of no use.
func TestWhatWasReadOfAnotherWeek(t *testing.T) {
	t.Parallel()
	at := situation(0)
	s := rules.WithCommitProgress(State{Fallback: true, FallbackUntil: at.Now.Add(100 * weekLong)}, at, "head", 10, 9)
	s = rules.WithCommitProgress(s, at, "head", 20, 8)
	require.Equal(
		t, CommitProgress{Week: at.Week.Start, Head: "head", Position: 20, Requested: 17}, s.CommitProgress(at),
	)
	next := situation(weekLong)
	require.Equal(t, CommitProgress{Week: next.Week.Start}, s.CommitProgress(next))
	require.Equal(t, 3, rules.WithCommitProgress(s, next, "other", 3, 3).Commits.Requested)
	require.Zero(t, rules.WithCommitsError(s, next, false).Commits.Position)
	require.Zero(t, rules.WithWait(s, next, next.Now).Commits.Position)
	require.Empty(t, rules.WithCommitsError(s, at, true).Commits.Head, "what was refused begins anew")
	require.Equal(t, 17, rules.WithCommitsError(s, at, false).Commits.Requested)
}

// TestRewind: lines that may count commits which the branch has lost are shown until others are known, and those are
// got at once.
func TestRewind(t *testing.T) {
	t.Parallel()
	at := situation(time.Hour)
	rewound := situation(2 * time.Hour)
	rewound.RewrittenAt = rewound.Now
	fallback := State{Fallback: true, FallbackUntil: at.Now.Add(100 * weekLong), ZeroAnswers: 2}
	read := func(s State) State { return rules.WithCommits(s, rewound, false) }
	for name, test := range map[string]struct {
		state State
		step  Step
		take  func(s State) State
	}{
		"statistics": {
			rules.WithStatistics(State{}, at), StepReadStatistics,
			func(s State) State { return rules.WithStatistics(s, rewound) },
		},
		"commits": {rules.WithCommits(fallback, at, true), StepReadCommits, read},
		"a part":  {rules.WithCommitProgress(fallback, at, "head", 10, 9), StepReadCommits, read},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := rules.WithRewrite(test.state, rewound)
			require.Equal(t, test.state.Week, s.Week, "it is shown as it was")
			require.Equal(t, CommitProgress{}, s.Commits)
			require.Equal(t, s, rules.WithRewrite(s, rewound), "once")
			for _, state := range []State{s, rules.WithStatisticsError(s, at, false), rules.WithPending(s, at)} {
				again, err := Decode(state.Encode())
				require.NoError(t, err)
				later := *rewound
				later.Now = later.Now.Add(time.Hour)
				step, _ := rules.NextStep(&again, &later)
				require.Equal(t, test.step, step)
			}
			s = test.take(s)
			require.False(t, s.Outdated)
			step, _ := rules.NextStep(&s, rewound)
			require.Equal(t, StepNone, step)
			require.Equal(t, s, rules.WithRewrite(s, rewound))
		})
	}
	require.Equal(
		t, byte(version), (&State{Week: sunday}).Encode()[0], "who does not know rewrites reads what has none",
	)
}

// TestSwitchedOff: a repository in fallback asks again when the fallback is switched off.
func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	off := rules
	off.Fallback = false
	at := situation(time.Hour)
	s := State{Fallback: true, FallbackUntil: at.Now.Add(weekLong), ZeroAnswers: 2}
	step, _ := off.NextStep(&s, at)
	require.Equal(t, StepReadStatistics, step)
	require.Equal(t, ModeWarming, off.ModeAt(&s, at.Now, at.Week))
}

// drawState draws any state in whole seconds.
func drawState(t *rapid.T) State {
	moment := func(name string) time.Time {
		n := rapid.Uint32().Draw(t, name)
		if n == 0 {
			return time.Time{}
		}
		return time.Unix(int64(n), 0).UTC()
	}
	retry := func(name string) Retry {
		return Retry{
			At: moment(name), Wait: time.Duration(rapid.IntRange(0, 100_000).Draw(t, name+" wait")) * time.Second,
		}
	}
	rewound := moment("rewound")
	return State{
		RewrittenAt: rewound, Outdated: !rewound.IsZero() && rapid.Bool().Draw(t, "outdated"),
		Week: moment("week"), ConfirmedAt: moment("refreshed"), QuietWeek: rapid.Bool().Draw(t, "quiet"),
		ZeroAnswers: rapid.IntRange(0, 9).Draw(t, "zeros"),
		Fallback:    rapid.Bool().Draw(t, "fallback"), FallbackUntil: moment("until"),
		Incomplete: rapid.Bool().Draw(t, "incomplete"), StatisticsRetry: retry("asking"),
		Commits: CommitProgress{
			Week: moment("reading"), Head: rapid.StringMatching(`[0-9a-f]{0,64}`).Draw(t, "head"),
			Position:  rapid.IntRange(0, 1_000_000).Draw(t, "position"),
			Requested: rapid.IntRange(0, 1_000_000).Draw(t, "asked"), Retry: retry("retry"),
		},
	}
}

// TestRunsForEver: whatever GitHub answers, a repository is never left alone for longer than its waits, no zero becomes
// a value, a good answer always makes it ready, and statistics are not asked more often than they should be.
func TestRunsForEver(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := rules
		r.Fallback = rapid.Bool().Draw(t, "fallback")
		r.ZeroAnswers = rapid.IntRange(1, 4).Draw(t, "zeros")
		var s State
		at := situation(0)
		asked := time.Time{}
		for i := range 200 {
			if rapid.IntRange(0, 9).Draw(t, "rewound") == 0 && at.Now.After(at.RewrittenAt) {
				at.RewrittenAt, asked = at.Now, time.Time{}
				s = r.WithRewrite(s, at)
				require.Equal(t, !s.Week.IsZero(), s.Outdated)
			}
			step, next := r.NextStep(&s, at)
			before := s
			switch step {
			case StepNone:
				require.True(t, next.After(at.Now), "step %d", i)
				require.LessOrEqual(t, next.Sub(at.Now), max(r.Cooldown, r.RefreshInterval, 2*weekLong))
				rewound := at.RewrittenAt
				at = situation(next.Sub(sunday))
				at.RewrittenAt = rewound
				continue
			case StepReadStatistics:
				require.GreaterOrEqual(t, at.Now.Sub(asked), time.Minute)
				asked = at.Now
				switch rapid.IntRange(0, 4).Draw(t, "answer") {
				case 0:
					s = r.WithPending(s, at)
				case 1:
					s = r.WithZero(s, at)
				case 2:
					s = r.WithStatisticsError(s, at, rapid.Bool().Draw(t, "refused"))
				default:
					s = r.WithStatistics(s, at)
					require.Equal(t, ModeReady, r.ModeAt(&s, at.Now, at.Week))
					continue
				}
				require.Equal(t, before.Week, s.Week)
				require.Equal(t, before.ConfirmedAt, s.ConfirmedAt)
			case StepReadCommits:
				require.True(t, r.Fallback && s.ZeroAnswers >= r.ZeroAnswers)
				switch rapid.IntRange(0, 3).Draw(t, "reading") {
				case 0:
					s = r.WithCommitsError(s, at, false)
				case 1:
					s = r.WithWait(r.WithCommitProgress(s, at, "head", 1, 1), at, at.Now.Add(time.Hour))
				default:
					s = r.WithCommits(s, at, rapid.Bool().Draw(t, "capped"))
					require.Equal(t, at.Week.Start, s.Week)
				}
			case StepQuietWeek:
				require.Fail(t, "it is pushed all the time")
			}
		}
	})
}

func TestCodec(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		got, err := Decode(s.Encode())
		require.NoError(t, err)
		require.Equal(t, s, got)
	})
	good := (&State{Week: sunday, Commits: CommitProgress{Head: "abc"}}).Encode()
	for name, data := range map[string][]byte{
		"nothing": nil, "another version": append([]byte{9}, good[1:]...),
		"unknown flags": append([]byte{version, 0xff}, good[2:]...),
		"cut":           good[:len(good)-1], "more": append(good, 'x'), "head only": good[:2],
	} {
		_, err := Decode(data)
		require.ErrorIs(t, err, ErrInvalidState, name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(
		(&State{Week: sunday, ZeroAnswers: 2, Fallback: true, Commits: CommitProgress{
			Head:     "abc",
			Position: 3,
		}}).Encode(),
	)
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Decode(s.Encode())
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}
