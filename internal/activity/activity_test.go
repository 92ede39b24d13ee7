// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// atSecond returns the time that is some seconds after noon.
func atSecond(second int) time.Time { return noon.Add(time.Duration(second) * time.Second) }

// secondsOf returns the seconds of a set of windows.
func secondsOf(ws Windows) map[int]bool {
	set := make(map[int]bool)
	for _, w := range ws {
		for s := range 60 {
			if w.Contains(atSecond(s)) {
				set[s] = true
			}
		}
	}
	return set
}

// TestWindows compares sets of windows with sets of seconds, and checks that their windows are sorted and do not touch.
func TestWindows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var ws Windows
		naive := make(map[int]bool)
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			from, until := rapid.IntRange(0, 59).Draw(t, "from"), rapid.IntRange(0, 59).Draw(t, "until")
			w := Window{atSecond(from), atSecond(until)}
			before := slices.Clone(ws)
			was := ws
			add := rapid.Bool().Draw(t, "add")
			if add {
				ws = ws.Add(w)
			} else {
				ws = ws.Remove(w)
			}
			require.Equal(t, before, was, "the set itself does not change")
			for s := from; s < until; s++ {
				naive[s] = add
			}
		}
		for s := range 60 {
			require.Equal(t, naive[s], secondsOf(ws)[s], "second %d of %v", s, ws)
			one := Window{atSecond(s), atSecond(s + 1)}
			require.Equal(t, naive[s], ws.Overlaps(one))
			require.Equal(t, naive[s], ws.Covers(one))
		}
		for i := range ws {
			require.False(t, ws[i].IsEmpty())
			require.True(t, i == 0 || ws[i-1].End.Before(ws[i].Start), "ascending, not touching: %v", ws)
		}
	})
}

func TestWindow(t *testing.T) {
	t.Parallel()
	w := Window{atSecond(10), atSecond(20)}
	require.True(t, w.Contains(atSecond(10)))
	require.False(t, w.Contains(atSecond(20)))
	require.True(t, Window{atSecond(10), atSecond(10)}.IsEmpty())
	require.False(t, w.Overlaps(Window{atSecond(20), atSecond(30)}), "half-open")
	require.True(t, Windows(nil).Covers(Window{atSecond(5), atSecond(5)}))
	require.False(t, Windows{w}.Covers(Window{atSecond(15), atSecond(25)}))
	require.Equal(t, "[2026-03-11T12:00:10Z, 2026-03-11T12:00:20Z)", w.String())
}

func TestChangedStreams(t *testing.T) {
	t.Parallel()
	const settle = 30 * time.Second
	old := noon.Add(-time.Hour)
	older := Signals{
		Streams: EveryStream, Head: "a", PushedAt: old, Pulls: LatestUpdate{1, old}, Issues: LatestUpdate{2, old},
	}
	with := func(change func(s *Signals)) Signals {
		s := older
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		older, now Signals
		want       Streams
	}{
		"equal signals":          {older, older, 0},
		"new head":               {older, with(func(s *Signals) { s.Head = "b" }), StreamsOf(StreamCommits)},
		"push to another branch": {older, with(func(s *Signals) { s.PushedAt = noon }), 0},
		"updated pull request": {
			older, with(func(s *Signals) { s.Pulls = LatestUpdate{1, noon} }),
			StreamsOf(StreamPulls, StreamComments),
		},
		"another pull request": {
			older, with(func(s *Signals) { s.Pulls = LatestUpdate{3, old} }),
			StreamsOf(StreamPulls, StreamComments),
		},
		"updated issue": {
			older, with(func(s *Signals) { s.Issues = LatestUpdate{2, noon} }),
			StreamsOf(StreamComments, StreamIssues),
		},
		"another latest release": {
			older, with(func(s *Signals) { s.Releases.Latest = 7 }), StreamsOf(StreamReleases),
		},
		"another list of releases": {
			older, with(func(s *Signals) { s.Releases.List = 8 }), StreamsOf(StreamReleases),
		},
		"a release published within the settle time": {
			with(func(s *Signals) { s.Releases = ReleaseSignal{7, noon.Add(-10 * time.Second).Unix(), 5} }),
			with(func(s *Signals) { s.Releases = ReleaseSignal{7, noon.Add(-10 * time.Second).Unix(), 5} }),
			StreamsOf(StreamReleases),
		},
		"no older signals": {Signals{}, older, EveryStream},
		"issues without a signal": {
			older, with(func(s *Signals) { s.Streams = s.Streams.Without(StreamComments) }),
			StreamsOf(StreamComments),
		},
		"update within the settle time": {
			with(func(s *Signals) { s.Pulls = LatestUpdate{1, noon.Add(-10 * time.Second)} }),
			with(func(s *Signals) { s.Pulls = LatestUpdate{1, noon.Add(-10 * time.Second)} }),
			StreamsOf(StreamPulls, StreamComments),
		},
		"push time without a head": {
			with(func(s *Signals) { s.Head = "" }), with(func(s *Signals) {
				s.Head, s.PushedAt = "",
					noon.Add(-time.Minute)
			}),
			StreamsOf(StreamCommits),
		},
		"the same push time without a head": {
			with(func(s *Signals) { s.Head, s.HeadReadAt = "read", noon }),
			with(func(s *Signals) { s.Head = "" }), 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := test.now.ChangedStreams(&test.older, noon, settle)
			require.Equal(t, test.want.WithDependent().String(), changed.String())
		})
	}
}

func TestEventValidate(t *testing.T) {
	t.Parallel()
	good := Event{Kind: KindCommit, Repo: 1, Actor: Actor{Login: "ada"}, Time: noon, Measures: Lines(1, 0)}
	require.NoError(t, good.Validate())
	for name, test := range map[string]struct {
		change func(e *Event)
		want   error
	}{
		"no kind":            {func(e *Event) { e.Kind = 0 }, ErrKind},
		"unknown kind":       {func(e *Event) { e.Kind = NumKinds + 1 }, ErrKind},
		"no repository":      {func(e *Event) { e.Repo = 0 }, ErrRepo},
		"zero time":          {func(e *Event) { e.Time = time.Time{} }, ErrTime},
		"after 2106":         {func(e *Event) { e.Time = noon.AddDate(100, 0, 0) }, ErrTime},
		"lines of a comment": {func(e *Event) { e.Kind = KindIssueComment }, ErrMeasures},
		"no login":           {func(e *Event) { e.Actor.Login = "" }, ErrLogin},
		"long login":         {func(e *Event) { e.Actor.Login = strings.Repeat("a", 256) }, ErrLogin},
		"line break":         {func(e *Event) { e.Actor.Login = "a\nb" }, ErrLogin},
		"invalid UTF-8":      {func(e *Event) { e.Actor.Login = "a\xff" }, ErrLogin},
		"escape":             {func(e *Event) { e.Actor.Login = "\x1b[31m" }, ErrLogin},
		"nobody's commit":    {func(e *Event) { e.Actor = NoActor() }, ErrActor},
		"somebody's flow":    {func(e *Event) { e.Kind, e.Measures[1] = KindCloseTime, 0 }, ErrActor},
		"flow":               {func(e *Event) { e.Kind, e.Actor = KindMergeTime, NoActor() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := good
			test.change(&e)
			if test.want == nil {
				require.NoError(t, e.Validate())
				return
			}
			require.ErrorIs(t, e.Validate(), test.want)
		})
	}
}

func TestIDsAreValidatedAndDistinct(t *testing.T) {
	t.Parallel()
	id, err := CommitID("0123456789abcdef0123456789abcdef01234567")
	require.NoError(t, err)
	require.Equal(t, byte(0x67), id[19])
	long, err := CommitID("0123456789abcdef0123456789abcdef01234567" + strings.Repeat("0", 24))
	require.NoError(t, err)
	require.Equal(t, id, long)
	for _, wrong := range []string{"", "abc", strings.Repeat("g", 40)} {
		_, err := CommitID(wrong)
		require.Error(t, err)
	}
	require.NotEqual(t, NumberID(1), NumberID(256))
	a, b := Event{Kind: KindIssueComment, Repo: 1, ID: NumberID(1)}, Event{
		Kind: KindReviewSubmitted, Repo: 1,
		ID: NumberID(1),
	}
	require.NotEqual(t, a.Key(), b.Key())
}

func TestActorsOfAppsAndOfNoAccount(t *testing.T) {
	t.Parallel()
	require.Equal(t, Bot(1, "renovate"), Bot(1, "renovate[bot]"), "both become one login")
	require.True(t, Bot(1, "renovate").IsBot())
	require.False(t, Actor{Login: "robot"}.IsBot())
	for _, a := range []Actor{Ghost(), UnlinkedGitAuthor(), UnattributedCommit(), Other()} {
		require.NoError(t, a.Validate())
	}
}

func TestNamesOfKindsAndStreams(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		require.True(t, k.IsValid())
		require.NotContains(t, k.String(), "kind(")
	}
	require.Equal(t, "kind(15)", Kind(15).String())
	require.Equal(t, StreamCommits, KindCommit.Stream())
	require.Equal(t, StreamPulls, KindReviewSubmitted.Stream())
	require.Equal(t, StreamComments, KindIssueComment.Stream())
	require.Equal(t, StreamIssues, KindIssueClosed.Stream())
	require.Equal(t, StreamReleases, KindReleasePublished.Stream())
	require.Equal(t, "commits+pulls+comments+issues+pull_flow+issue_flow+releases", EveryStream.String())
	require.Equal(t, "unknown", Stream(8).String())
}
