// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestEventAtItsLimits checks that Validate accepts the limits of each field and refuses values just beyond.
func TestEventAtItsLimits(t *testing.T) {
	t.Parallel()
	last := time.Unix(1<<32-1, 0)
	for name, test := range map[string]struct {
		change func(e *Event)
		want   error
	}{
		"last kind": {func(e *Event) { e.Kind, e.Measures = NumKinds, Measures{} }, nil},
		"a kind after the last": {
			func(e *Event) { e.Kind, e.Measures = NumKinds+1, Measures{} },
			ErrKind,
		},
		"largest number of a kind":    {func(e *Event) { e.Kind = 255 }, ErrKind},
		"first second of 1970":        {func(e *Event) { e.Time = time.Unix(0, 0) }, nil},
		"before 1970":                 {func(e *Event) { e.Time = time.Unix(0, -1) }, ErrTime},
		"the last second":             {func(e *Event) { e.Time = last }, nil},
		"fraction of the last second": {func(e *Event) { e.Time = last.Add(time.Second - 1) }, nil},
		"the second after":            {func(e *Event) { e.Time = last.Add(time.Second) }, ErrTime},
		"a time of another zone":      {func(e *Event) { e.Time = noon.In(time.FixedZone("west", -12*3600)) }, nil},
		"a negative repository":       {func(e *Event) { e.Repo = -1 }, ErrRepo},
		"largest numbers of lines":    {func(e *Event) { e.Measures = Lines(1<<32-1, 1<<32-1) }, nil},
		"no lines":                    {func(e *Event) { e.Measures = Lines(0, 0) }, nil},
		"added lines of a review":     {func(e *Event) { e.Kind = KindReviewSubmitted }, ErrMeasures},
		"removed lines of a merge": {
			func(e *Event) { e.Kind, e.Measures = KindPullRequestMerged, Lines(0, 1) },
			ErrMeasures,
		},
		"the longest login": {func(e *Event) { e.Actor.Login = strings.Repeat("a", maxLoginBytes) }, nil},
		"a login one byte too long": {
			func(e *Event) { e.Actor.Login = strings.Repeat("a", maxLoginBytes+1) },
			ErrLogin,
		},
		"a login too long in bytes": {
			func(e *Event) { e.Actor.Login = strings.Repeat("ä", maxLoginBytes/2+1) },
			ErrLogin,
		},
		"a login of other letters":  {func(e *Event) { e.Actor.Login = "Ünïcödé_人" }, nil},
		"an account without its id": {func(e *Event) { e.Actor.ID = 0 }, nil},
		"a zero width space":        {func(e *Event) { e.Actor.Login = "ada\u200b" }, ErrLogin},
		"text from right to left":   {func(e *Event) { e.Actor.Login = "ada\u202e" }, ErrLogin},
		"a zero byte":               {func(e *Event) { e.Actor.Login = "ada\x00" }, ErrLogin},
		"an incomplete character":   {func(e *Event) { e.Actor.Login = "ada\xc3" }, ErrLogin},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Event{Kind: KindCommit, Repo: 1, Actor: Actor{ID: 7, Login: "ada"}, Time: noon, Measures: Lines(1, 0)}
			test.change(&e)
			if test.want == nil {
				require.NoError(t, e.Validate())
				return
			}
			require.ErrorIs(t, e.Validate(), test.want)
		})
	}
}

// TestErrorsAreSafeToLog checks that an error that quotes a response quotes little of it, without control characters.
func TestErrorsAreSafeToLog(t *testing.T) {
	t.Parallel()
	hostile := strings.Repeat("\x1b[31m\n", 1000)
	_, err := CommitID(hostile)
	for _, err := range []error{err, Actor{Login: hostile}.Validate()} {
		require.Error(t, err)
		require.True(t, IsPrintable(err.Error()))
		require.Less(t, len(err.Error()), 500)
	}
}

// TestCommitID checks that an ID has the first 40 digits, in either case, and that other texts are refused.
func TestCommitID(t *testing.T) {
	t.Parallel()
	const sha1 = "0123456789abcdef0123456789abcdef01234567"
	want, err := CommitID(sha1)
	require.NoError(t, err)
	require.Equal(t, sha1, hex.EncodeToString(want[:]))
	for name, test := range map[string]struct {
		name  string
		taken bool
	}{
		"SHA-1":                          {sha1, true},
		"upper case":                     {strings.ToUpper(sha1), true},
		"SHA-256":                        {sha1 + strings.Repeat("f", 24), true},
		"empty":                          {"", false},
		"a digit short":                  {sha1[:39], false},
		"abbreviated":                    {sha1[:7], false},
		"a branch name of 40 characters": {strings.Repeat("main", 10), false},
		"a wrong digit at the end":       {sha1[:39] + "g", false},
		"a blank":                        {" " + sha1[:39], false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := CommitID(test.name)
			if !test.taken {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, want, id)
		})
	}
}

// TestIDsDiffer checks that different numbers and different object names have different IDs.
func TestIDsDiffer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		require.Equal(t, a == b, NumberID(a) == NumberID(b))
		raw := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "name")
		id, err := CommitID(hex.EncodeToString(raw))
		require.NoError(t, err)
		require.Equal(t, raw, id[:])
	})
	require.Equal(t, ID{}, NumberID(0))
	require.Equal(t, ID{19: 1}, NumberID(1))
	require.Equal(t, ID{12: 0x7f, 13: 0xff, 14: 0xff, 15: 0xff, 16: 0xff, 17: 0xff, 18: 0xff, 19: 0xff},
		NumberID(1<<63-1))
}

// TestKey checks that repository, kind and ID make the key; actor, time and lines do not.
func TestKey(t *testing.T) {
	t.Parallel()
	e := Event{
		Kind: KindCommit, Repo: 1, ID: NumberID(1), Actor: Actor{Login: "ada"}, Time: noon,
		Measures: Lines(1, 0),
	}
	same := e
	same.Actor, same.Time, same.Measures = Ghost(), noon.Add(time.Hour), Lines(9, 0)
	require.Equal(t, e.Key(), same.Key())
	for _, change := range []func(e *Event){
		func(e *Event) { e.Kind = KindReviewSubmitted }, func(e *Event) { e.Repo = 2 },
		func(e *Event) { e.ID = NumberID(2) },
	} {
		other := e
		change(&other)
		require.NotEqual(t, e.Key(), other.Key())
	}
}

// TestSpecialActors checks that the actors without an account differ from each other, from people and from bots.
func TestSpecialActors(t *testing.T) {
	t.Parallel()
	logins := make(map[string]bool)
	for _, a := range []Actor{Ghost(), UnlinkedGitAuthor(), UnattributedCommit(), Other(), NoActor()} {
		require.False(t, logins[a.Login], "%s twice", a.Login)
		logins[a.Login] = true
		require.Zero(t, a.ID)
		require.False(t, a.IsBot())
		require.Equal(t, a.Login != LoginGhost, strings.Contains(a.Login, "_"), "no person can have the login %s",
			a.Login)
	}
	for _, login := range []string{"renovate", "renovate[bot]"} {
		bot := Bot(29139614, login)
		require.Equal(t, Actor{ID: 29139614, Login: "renovate[bot]"}, bot)
		require.True(t, bot.IsBot())
		require.NoError(t, bot.Validate())
	}
	require.False(t, Actor{Login: "renovate"}.IsBot())
	require.False(t, Actor{Login: "[bot]ada"}.IsBot())
}

// TestStreams checks that a set has the streams that were added and no others.
func TestStreams(t *testing.T) {
	t.Parallel()
	require.Equal(t, EveryStream,
		StreamsOf(StreamCommits, StreamPulls, StreamComments, StreamIssues, StreamReleases)|FlowStreams)
	require.Equal(t, EveryStream, (EveryStream &^ FlowStreams).WithDependent())
	require.Equal(t, StreamsOf(StreamIssues, StreamIssueFlow), StreamsOf(StreamIssues).WithDependent())
	require.Equal(t, StreamsOf(StreamPullFlow), StreamsOf(StreamPullFlow).WithDependent())
	require.Equal(t, FirstStreams, StreamsOf(StreamCommits, StreamPulls, StreamComments))
	require.Empty(t, Streams(0).String())
	for _, s := range AllStreams() {
		require.True(t, EveryStream.Has(s))
		require.False(t, EveryStream.Without(s).Has(s))
		require.Equal(t, EveryStream, EveryStream.Without(s).With(s))
		require.Equal(t, StreamsOf(s), Streams(0).With(s))
		require.Equal(t, s.String(), StreamsOf(s).String())
		require.Equal(t, Streams(0), Streams(0).Without(s))
	}
	read := make(map[Stream]int)
	for _, k := range Kinds() {
		read[k.Stream()]++
	}
	require.Equal(t, map[Stream]int{
		StreamCommits: 1, StreamPulls: 3, StreamComments: 1, StreamIssues: 2, StreamPullFlow: 5, StreamIssueFlow: 1,
		StreamReleases: 1,
	}, read)
}

// TestOccurrenceID checks that the number, the second and nothing below it distinguish occurrences.
func TestOccurrenceID(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	require.Equal(t, OccurrenceID(7, at), OccurrenceID(7, at.Add(time.Second-1).In(time.FixedZone("", 3600))))
	require.NotEqual(t, OccurrenceID(7, at), OccurrenceID(7, at.Add(time.Second)))
	require.NotEqual(t, OccurrenceID(7, at), OccurrenceID(8, at))
	require.NotEqual(t, NumberID(7), OccurrenceID(7, at))
}

// TestIsSameAccount compares ids, and logins where one has none.
func TestIsSameAccount(t *testing.T) {
	t.Parallel()
	ann := Actor{ID: 1, Login: "ann"}
	for _, test := range []struct {
		one, other Actor
		want       bool
	}{
		{ann, Actor{ID: 1, Login: "renamed"}, true},
		{ann, Actor{ID: 2, Login: "ann"}, false},
		{ann, Actor{Login: "ann"}, true},
		{ann, Ghost(), false},
		{Ghost(), Ghost(), true},
		{Bot(5, "renovate"), Bot(0, "renovate[bot]"), true},
	} {
		require.Equal(t, test.want, test.one.IsSameAccount(test.other), "%v and %v", test.one, test.other)
		require.Equal(t, test.want, test.other.IsSameAccount(test.one), "%v and %v", test.other, test.one)
	}
}
