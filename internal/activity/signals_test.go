package activity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestSignalsSettle: what was newer than the settling time when it was seen counts as moved, to the nanosecond; heads
// are exact and need not settle.
func TestSignalsSettle(t *testing.T) {
	t.Parallel()
	const settle = 30 * time.Second
	border := noon.Add(-settle)
	signals := func(pushed, pulls, issues time.Time) Signals {
		return Signals{Known: EveryStream, HeadAt: noon, PushedAt: pushed, Pulls: Mark{1, pulls}, Issues: Mark{2, issues}}
	}
	old := border.Add(-time.Hour)
	for name, test := range map[string]struct {
		signals Signals
		want    Streams
	}{
		"everything settled":             {signals(old, old, old), 0},
		"at the border":                  {signals(border, border, border), 0},
		"push right after the border":    {signals(border.Add(1), border, border), StreamsOf(StreamCommits)},
		"push that was not read":         {Signals{Known: EveryStream, HeadAt: old, PushedAt: old.Add(1)}, StreamsOf(StreamCommits)},
		"pull right after the border":    {signals(border, border.Add(1), border), StreamsOf(StreamPulls, StreamComments)},
		"issue right after the border":   {signals(border, border, border.Add(1)), StreamsOf(StreamComments)},
		"dated after the moment seen":    {signals(old, old, noon.Add(time.Hour)), StreamsOf(StreamComments)},
		"nothing there yet":              {Signals{Known: EveryStream}, 0},
		"times in another zone":          {signals(old.In(time.FixedZone("east", 3600)), old, old), 0},
		"a head, and a push just before": {Signals{Known: EveryStream, Head: "a", PushedAt: noon}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			older := test.signals
			older.PushedAt, older.Pulls.UpdatedAt = older.PushedAt.UTC(), older.Pulls.UpdatedAt.UTC()
			require.Equal(t, test.want.String(), test.signals.Changed(&older, noon, settle).String())
		})
	}
}

// TestSignalsOfEmptyLists: the first pull request, the last issue gone, and a first push move their streams.
func TestSignalsOfEmptyLists(t *testing.T) {
	t.Parallel()
	old := noon.Add(-time.Hour)
	empty := Signals{Known: EveryStream}
	for name, test := range map[string]struct {
		older, now Signals
		want       Streams
	}{
		"first head": {empty, Signals{Known: EveryStream, Head: "a", PushedAt: old}, StreamsOf(StreamCommits)},
		// The older signals have the head that was read: only a push since then can have taken it away.
		"head gone with a push": {
			Signals{Known: EveryStream, Head: "a", PushedAt: old.Add(-time.Hour)}, Signals{Known: EveryStream, PushedAt: old}, StreamsOf(StreamCommits),
		},
		"first push":         {empty, Signals{Known: EveryStream, PushedAt: old}, StreamsOf(StreamCommits)},
		"first pull request": {empty, Signals{Known: EveryStream, Pulls: Mark{1, old}}, StreamsOf(StreamPulls, StreamComments)},
		"first issue":        {empty, Signals{Known: EveryStream, Issues: Mark{1, old}}, StreamsOf(StreamComments)},
		"last issue gone":    {Signals{Known: EveryStream, Issues: Mark{1, old}}, empty, StreamsOf(StreamComments)},
		"an older one is the newest now": {
			Signals{Known: EveryStream, Pulls: Mark{2, old}},
			Signals{Known: EveryStream, Pulls: Mark{1, old.Add(-time.Hour)}},
			StreamsOf(StreamPulls, StreamComments),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want.String(), test.now.Changed(&test.older, noon, time.Second).String())
		})
	}
}

// TestSignalsNotKnown: a stream of which one side tells nothing must be read, whatever the rest says; the others need not.
func TestSignalsNotKnown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		streams := rapid.Map(rapid.IntRange(0, int(EveryStream)), func(n int) Streams { return Streams(n) })
		old := noon.Add(-time.Hour)
		now := Signals{
			Known: streams.Draw(t, "now"), Head: rapid.SampledFrom([]string{"", "a"}).Draw(t, "head"),
			HeadAt: old, PushedAt: old, Pulls: Mark{1, old}, Issues: Mark{2, old},
		}
		older := now
		older.Known = streams.Draw(t, "older")
		require.Equal(t, EveryStream&^(now.Known&older.Known), now.Changed(&older, noon, time.Minute))
	})
}
