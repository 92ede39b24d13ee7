// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestUnsettledSignalsCountAsChanged checks that an update within the settle time before it was observed counts as
// changed, to the nanosecond; heads need no settle time.
func TestUnsettledSignalsCountAsChanged(t *testing.T) {
	t.Parallel()
	const settle = 30 * time.Second
	border := noon.Add(-settle)
	signals := func(pushed, pulls, issues time.Time) Signals {
		return Signals{
			Streams: EveryStream, HeadReadAt: noon, PushedAt: pushed, Pulls: LatestUpdate{1, pulls},
			Issues: LatestUpdate{2, issues},
		}
	}
	old := border.Add(-time.Hour)
	for name, test := range map[string]struct {
		signals Signals
		want    Streams
	}{
		"everything settled":          {signals(old, old, old), 0},
		"at the border":               {signals(border, border, border), 0},
		"push right after the border": {signals(border.Add(1), border, border), StreamsOf(StreamCommits)},
		"push that was not read": {
			Signals{Streams: EveryStream, HeadReadAt: old, PushedAt: old.Add(1)},
			StreamsOf(StreamCommits),
		},
		"pull right after the border": {
			signals(border, border.Add(1), border),
			StreamsOf(StreamPulls, StreamComments),
		},
		"issue right after the border": {signals(border, border, border.Add(1)), StreamsOf(StreamComments,
			StreamIssues)},
		"dated after the observation": {signals(old, old, noon.Add(time.Hour)), StreamsOf(StreamComments,
			StreamIssues)},
		"no push, pull request or issue yet": {Signals{Streams: EveryStream}, 0},
		"times in another zone":              {signals(old.In(time.FixedZone("east", 3600)), old, old), 0},
		"a head, and a push just before":     {Signals{Streams: EveryStream, Head: "a", PushedAt: noon}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			older := test.signals
			older.PushedAt, older.Pulls.UpdatedAt = older.PushedAt.UTC(), older.Pulls.UpdatedAt.UTC()
			changed := test.signals.ChangedStreams(&older, noon, settle)
			require.Equal(t, test.want.WithDependent().String(), changed.String())
		})
	}
}

// TestSignalsOfEmptyLists checks that the first pull request, the removal of the last issue and a first push change
// their streams.
func TestSignalsOfEmptyLists(t *testing.T) {
	t.Parallel()
	old := noon.Add(-time.Hour)
	empty := Signals{Streams: EveryStream}
	for name, test := range map[string]struct {
		older, now Signals
		want       Streams
	}{
		"first head": {empty, Signals{Streams: EveryStream, Head: "a", PushedAt: old}, StreamsOf(StreamCommits)},
		// The older signals have the head that was read: only a push since then can have taken it away.
		"head gone with a push": {
			Signals{Streams: EveryStream, Head: "a", PushedAt: old.Add(-time.Hour)},
			Signals{Streams: EveryStream, PushedAt: old},
			StreamsOf(StreamCommits),
		},
		"first push": {empty, Signals{Streams: EveryStream, PushedAt: old}, StreamsOf(StreamCommits)},
		"first pull request": {
			empty,
			Signals{Streams: EveryStream, Pulls: LatestUpdate{1, old}},
			StreamsOf(StreamPulls, StreamComments),
		},
		"first issue": {
			empty,
			Signals{Streams: EveryStream, Issues: LatestUpdate{1, old}},
			StreamsOf(StreamComments, StreamIssues),
		},
		"last issue gone": {
			Signals{Streams: EveryStream, Issues: LatestUpdate{1, old}},
			empty,
			StreamsOf(StreamComments, StreamIssues),
		},
		"an older one is the newest after a deletion": {
			Signals{Streams: EveryStream, Pulls: LatestUpdate{2, old}},
			Signals{Streams: EveryStream, Pulls: LatestUpdate{1, old.Add(-time.Hour)}},
			StreamsOf(StreamPulls, StreamComments),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := test.now.ChangedStreams(&test.older, noon, time.Second)
			require.Equal(t, test.want.WithDependent().String(), changed.String())
		})
	}
}

// TestStreamsWithoutASignal checks that a stream without a signal on one side counts as changed, and only that one.
func TestStreamsWithoutASignal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		streams := rapid.Map(rapid.IntRange(0, int(EveryStream)), func(n int) Streams { return Streams(n) })
		old := noon.Add(-time.Hour)
		now := Signals{
			Streams: streams.Draw(t, "now"), Head: rapid.SampledFrom([]string{"", "a"}).Draw(t, "head"),
			HeadReadAt: old, PushedAt: old, Pulls: LatestUpdate{1, old}, Issues: LatestUpdate{2, old},
		}
		older := now
		older.Streams = streams.Draw(t, "older")
		require.Equal(t, EveryStream&^(now.Streams&older.Streams), now.ChangedStreams(&older, noon, time.Minute))
	})
}

// TestReleaseSignals checks what signals of releases show when discovery did not read the list, and when it was too
// long to show everything.
func TestReleaseSignals(t *testing.T) {
	t.Parallel()
	old := noon.Add(-time.Hour)
	recorded := Signals{Streams: EveryStream, Releases: ReleaseSignal{-7, old.Unix(), 5}}
	with := func(latest int64, list uint64, published time.Time) Signals {
		return Signals{Streams: EveryStream, Releases: ReleaseSignal{latest, published.Unix(), list}}
	}
	for name, test := range map[string]struct {
		older, now Signals
		changed    bool
	}{
		"list not read, the same latest":    {recorded, with(7, 0, old.Add(-time.Hour)), false},
		"list not read, another latest":     {recorded, with(8, 0, old.Add(-time.Hour)), true},
		"list read, and the same":           {recorded, with(-7, 5, old), false},
		"list read, and another":            {recorded, with(-7, 6, old), true},
		"list never read":                   {Signals{Streams: EveryStream}, with(0, 0, old.Add(-time.Hour)), true},
		"list read for the first time":      {Signals{Streams: EveryStream}, with(0, 5, old.Add(-time.Hour)), true},
		"no signal, as with REST":           {recorded, Signals{}, true},
		"list not read, no latest any more": {recorded, Signals{Streams: EveryStream}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := test.now
			now.KeepReleaseList(&test.older)
			changed := now.ChangedStreams(&test.older, noon, time.Second)
			require.Equal(t, test.changed, changed.Has(StreamReleases))
		})
	}
	for name, test := range map[string]struct {
		now   Signals
		quiet bool
	}{
		"no releases":           {Signals{Streams: EveryStream, Releases: ReleaseSignal{List: 1}}, true},
		"an old release":        {Signals{Streams: EveryStream, Releases: ReleaseSignal{7, old.Unix(), 1}}, true},
		"a new release":         {Signals{Streams: EveryStream, Releases: ReleaseSignal{7, noon.Unix(), 1}}, false},
		"a part of the list":    {Signals{Streams: EveryStream, Releases: ReleaseSignal{-7, old.Unix(), 1}}, false},
		"the list was not read": {Signals{Streams: EveryStream, Releases: ReleaseSignal{7, old.Unix(), 0}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.quiet, test.now.QuietStreams(noon).Has(StreamReleases))
		})
	}
}
