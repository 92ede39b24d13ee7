// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// hour is a moment some hours after noon.
func hour(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }

// hours is a window of a stream in hours after noon.
func hours(s activity.Stream, from, until int) StreamWindow {
	return StreamWindow{s, activity.Window{Start: hour(from), End: hour(until)}}
}

// TestRepoEdge checks that the edge of a repository is the organization's, its first contact, or the start of the
// missing window at its end.
func TestRepoEdge(t *testing.T) {
	t.Parallel()
	const commits, pulls = activity.StreamCommits, activity.StreamPulls
	for name, test := range map[string]struct {
		edge, contact, want int
		missed              []StreamWindow
	}{
		"nothing is missing":               {0, -10, 0, nil},
		"met after the edge":               {0, 5, 5, nil},
		"an old gap":                       {0, -10, 0, []StreamWindow{hours(commits, -9, -1)}},
		"a gap up to the edge":             {0, -10, -3, []StreamWindow{hours(commits, -3, 0)}},
		"a gap beyond the edge":            {0, -10, -3, []StreamWindow{hours(commits, -3, 2)}},
		"two gaps":                         {0, -10, -3, []StreamWindow{hours(commits, -9, -5), hours(commits, -3, 0)}},
		"two gaps that touch":              {0, -10, -9, []StreamWindow{hours(commits, -3, 0), hours(commits, -9, -3)}},
		"another stream's gap":             {0, -10, 0, []StreamWindow{hours(pulls, -3, 0)}},
		"a gap of a repository just met":   {0, 5, 2, []StreamWindow{hours(commits, 2, 5)}},
		"all before the contact is yet to": {0, 5, -300, []StreamWindow{hours(commits, -300, 5)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c Coverage
			c.Apply(Progress{Edge: hour(test.edge), Repos: []RepoProgress{
				{ID: 1, Name: "one", FirstSeen: hour(test.contact), Since: hour(-336), Missed: test.missed},
			}})
			require.Equal(t, hour(test.want), c.RepoEdge(c.Repos[1], commits))
		})
	}
}

// TestEdgeBeforeTheFirstPass checks that a repository is covered up to its first contact while no pass has ended.
func TestEdgeBeforeTheFirstPass(t *testing.T) {
	t.Parallel()
	var c Coverage
	require.True(t, c.OldestUncovered().IsZero())
	c.Apply(Progress{Repos: []RepoProgress{{ID: 1, FirstSeen: noon, Since: hour(-24)}}})
	require.Equal(t, noon, c.RepoEdge(c.Repos[1], activity.StreamPulls))
	require.True(t, c.OldestUncovered().IsZero(), "no pass has ended")
	c.Apply(Progress{Edge: hour(1)})
	require.Equal(t, hour(1), c.OldestUncovered())
}

// TestGapsInOrder checks that gaps are ordered by their end, the newest first, then by repository and stream: jobs are
// published in this order.
func TestGapsInOrder(t *testing.T) {
	t.Parallel()
	var c Coverage
	c.Apply(Progress{Edge: noon, Repos: []RepoProgress{
		{ID: 2, Name: "two", FirstSeen: noon, Since: hour(-336), Missed: []StreamWindow{
			hours(activity.StreamComments, -2, -1), hours(activity.StreamCommits, -5, -1),
			hours(activity.StreamCommits, -30, -20),
		}},
		{ID: 1, Name: "one", FirstSeen: noon, Since: hour(-336), Missed: []StreamWindow{hours(activity.StreamPulls, -3,
			-1)}},
		{ID: 3, Name: "three", FirstSeen: noon, Since: hour(-336), Missed: []StreamWindow{hours(activity.StreamPulls,
			-1, 0)}},
		{
			ID: 4, Name: "gone", FirstSeen: noon, Since: hour(-336), Missed: []StreamWindow{hours(activity.StreamPulls,
				-300, 0)},
			Presence: PresenceGone, GoneSince: noon,
		},
	}})
	var got []Gap
	for range 10 { // repositories come in the random order of a map
		got = c.Gaps()
		require.Equal(t, []Gap{
			{3, "three", activity.StreamPulls, hours(0, -1, 0).Window},
			{1, "one", activity.StreamPulls, hours(0, -3, -1).Window},
			{2, "two", activity.StreamCommits, hours(0, -5, -1).Window},
			{2, "two", activity.StreamComments, hours(0, -2, -1).Window},
			{2, "two", activity.StreamCommits, hours(0, -30, -20).Window},
		}, got)
	}
	require.Equal(t, hour(-30), c.OldestUncovered(), "what left does not count")
	c.Apply(Progress{Repos: []RepoProgress{{ID: 4, Presence: PresenceReadable}}})
	require.Len(t, c.Gaps(), len(got)+1)
	require.Equal(t, hour(-300), c.OldestUncovered(), "what came back does")
}

// TestPruneOfGaps cuts what is missing at the border and keeps the rest.
func TestPruneOfGaps(t *testing.T) {
	t.Parallel()
	var c Coverage
	c.Apply(Progress{Edge: noon, Repos: []RepoProgress{{
		ID: 1, FirstSeen: noon, Since: hour(-336),
		Missed: []StreamWindow{
			hours(activity.StreamCommits, -100, -50), hours(activity.StreamCommits, -20, -10),
			hours(activity.StreamPulls, -90, -80),
		},
	}}})
	c.Prune(hour(-60))
	require.Equal(t, activity.Windows{hours(0, -60, -50).Window, hours(0, -20, -10).Window},
		c.Repos[1].Missing[activity.StreamCommits])
	require.Empty(t, c.Repos[1].Missing[activity.StreamPulls])
	c.Prune(time.Time{})
	require.Equal(t, hour(-60), c.OldestUncovered(), "nothing is before the beginning of time")
	c.Prune(noon)
	require.Empty(t, c.Gaps())
	require.Equal(t, noon, c.OldestUncovered())
}

// TestPurgeable checks that repositories that left more than a day before the pruning are purged, a bounded number at
// once.
func TestPurgeable(t *testing.T) {
	t.Parallel()
	var c Coverage
	c.Apply(Progress{Edge: noon, Repos: []RepoProgress{
		{ID: 1, FirstSeen: hour(-100), Since: hour(-336)},
		{ID: 2, FirstSeen: hour(-100), Since: hour(-336), Presence: PresenceGone, GoneSince: hour(-24)},
		{ID: 3, FirstSeen: hour(-100), Since: hour(-336), Presence: PresenceGone, GoneSince: hour(-25)},
	}})
	require.Empty(t, c.Purgeable(hour(-1), nil))
	forgotten := c.Purgeable(noon, nil)
	require.Equal(t, []RepoProgress{{ID: 3, Presence: PresencePurged, GoneSince: hour(-25)}}, forgotten)
	require.Empty(t, c.Purgeable(noon, map[int64]bool{3: true}), "there are events")
	c.Apply(Progress{Repos: forgotten})
	require.Len(t, c.Repos, 2)
	c.Apply(Progress{Repos: []RepoProgress{ // seen after it left, as far as passes that came to their end know
		{ID: 4, FirstSeen: hour(-23), Since: hour(-336), Presence: PresenceGone, GoneSince: hour(-90)},
		{
			ID: 5, FirstSeen: hour(-100), Since: hour(-336), Signals: &activity.Signals{}, Observed: hour(-23),
			Presence: PresenceGone, GoneSince: hour(-90),
		},
	}})
	require.Empty(t, c.Purgeable(noon, nil))
	for id := int64(10); id < 2500; id++ {
		c.Apply(Progress{Repos: []RepoProgress{{
			ID: id, FirstSeen: hour(-100), Since: hour(-336),
			Presence: PresenceGone, GoneSince: hour(-90),
		}}})
	}
	for range 3 {
		list := c.Purgeable(noon, nil)
		require.LessOrEqual(t, len(list), 1000)
		c.Apply(Progress{Repos: list})
	}
	require.Len(t, c.Repos, 4)
}

// TestInvalidate checks that everything that was wanted and read is missing afterwards, and nothing else.
func TestInvalidate(t *testing.T) {
	t.Parallel()
	var c Coverage
	c.Apply(Progress{Edge: noon, Repos: []RepoProgress{
		{ID: 1, FirstSeen: hour(-100), Since: hour(-336), Streams: activity.EveryStream},
		{ID: 2, FirstSeen: hour(3), Since: hour(2), Streams: activity.EveryStream},
	}})
	c.Invalidate(hour(-10))
	for _, s := range activity.AllStreams() {
		require.Equal(t, activity.Windows{hours(s, -10, 0).Window}, c.Repos[1].Missing[s])
		require.Equal(t, activity.Windows{hours(s, 2, 3).Window}, c.Repos[2].Missing[s])
		require.Equal(t, hour(-10), c.RepoEdge(c.Repos[1], s), "nothing slides before it is read again")
	}
	c.Invalidate(hour(5))
	require.Equal(t, hour(-10), c.OldestUncovered(), "after the edge there is nothing to lose")
	c.Invalidate(time.Time{})
	require.Equal(t, hour(-336), c.OldestUncovered())
}

// TestProgressOfUnknownRepositories checks that progress of a repository that no batch introduced is ignored.
func TestProgressOfUnknownRepositories(t *testing.T) {
	t.Parallel()
	var c Coverage
	c.Apply(Progress{Repos: []RepoProgress{{ID: 1, Name: "one", Missed: []StreamWindow{hours(0, -1, 0)}}}})
	require.Empty(t, c.Repos)
	c.Apply(Progress{Repos: []RepoProgress{{ID: 1, Name: "one", FirstSeen: noon, Since: hour(-24)}}})
	c.Apply(Progress{Repos: []RepoProgress{{ID: 1, FirstSeen: hour(5), Since: hour(-336)}}})
	require.Equal(t, noon, c.Repos[1].FirstSeen, "a repository is met once")
	require.Equal(t, hour(-24), c.Repos[1].Since)
	require.Equal(t, "one", c.Repos[1].Name, "what is not said stays as it was")
}

// TestSignalsInAnyOrder checks that the signals that were observed last win, in whatever order they are applied.
func TestSignalsInAnyOrder(t *testing.T) {
	t.Parallel()
	var c Coverage
	applyProgress := func(head string, observed time.Time) string {
		c.Apply(Progress{Repos: []RepoProgress{{
			ID: 1, FirstSeen: noon, Since: noon,
			Signals: &activity.Signals{Head: head}, Observed: observed,
		}}})
		return c.Repos[1].Signals.Head
	}
	require.Equal(t, "a", applyProgress("a", hour(1)))
	require.Equal(t, "c", applyProgress("c", hour(3)))
	require.Equal(t, "c", applyProgress("b", hour(2)))
	require.Equal(t, "d", applyProgress("d", hour(3)))
	require.Equal(t, hour(3), c.Repos[1].Observed)
}

// drawSteps gives a sequence of what batches may applyProgress about one repository.
func drawSteps(t *rapid.T) []Progress {
	windows := func(t *rapid.T, name string) []StreamWindow {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) StreamWindow {
			from := rapid.IntRange(-30, 10).Draw(t, "from")
			return hours(activity.Stream(rapid.IntRange(0, activity.NumStreams-1).Draw(t, "stream")), from,
				from+rapid.IntRange(0, 20).Draw(t, "length"))
		}), 0, 3).Draw(t, name)
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Progress {
		return Progress{Edge: hour(rapid.IntRange(-10, 10).Draw(t, "edge")), Repos: []RepoProgress{{
			ID: rapid.Int64Range(1, 2).Draw(t, "id"), FirstSeen: noon, Since: hour(-48),
			Missed: windows(t, "missed"), Read: windows(t, "read"), Presence: Presence(rapid.IntRange(0, 3).Draw(t,
				"presence")), GoneSince: noon,
		}}}
	}), 1, 10).Draw(t, "steps")
}

// TestCoverageIsIdempotent checks that applying each step twice, or all steps as one, gives the same coverage, and that
// the edge never moves back.
func TestCoverageIsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var once, twice Coverage
		for _, p := range drawSteps(t) {
			edge, clone := once.Edge, once.Clone()
			want := clone.AsProgress()
			once.Apply(p)
			twice.Apply(p)
			twice.Apply(p)
			require.Equal(t, once, twice)
			require.Equal(t, want, clone.AsProgress())
			require.False(t, once.Edge.Before(edge))
			for _, r := range p.Repos {
				if r.Presence == PresencePurged {
					require.NotContains(t, once.Repos, r.ID)
					continue
				}
				for _, read := range r.Read {
					require.False(t, once.Repos[r.ID].Missing[read.Stream].Overlaps(read.Window))
				}
			}
		}
		var again Coverage
		again.Apply(once.AsProgress())
		require.Equal(t, once, again)
	})
}

// TestCoverage computes edges, gaps and the oldest moment.
func TestCoverage(t *testing.T) {
	t.Parallel()
	at := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	window := func(s activity.Stream, from, until int) StreamWindow {
		return StreamWindow{s, activity.Window{Start: at(from), End: at(until)}}
	}
	var c Coverage
	c.Apply(Progress{Edge: at(0), Repos: []RepoProgress{
		{ID: 1, Name: "one", FirstSeen: at(0), Since: at(-336), Missed: []StreamWindow{window(activity.StreamCommits,
			-336, -24)}},
		{ID: 2, Name: "two", FirstSeen: at(5), Since: at(-331)},
	}})
	require.Equal(t, at(0), c.RepoEdge(c.Repos[1], activity.StreamCommits), "an old gap does not hold the edge back")
	require.Equal(t, at(5), c.RepoEdge(c.Repos[2], activity.StreamCommits), "met after the edge")
	require.Equal(t, at(-336), c.OldestUncovered())
	c.Apply(Progress{Edge: at(1), Repos: []RepoProgress{{ID: 1, Missed: []StreamWindow{window(activity.StreamPulls, 0,
		1)}}}})
	require.Equal(t, at(0), c.RepoEdge(c.Repos[1], activity.StreamPulls))
	gaps := c.Gaps()
	require.Len(t, gaps, 2)
	require.Equal(t, activity.StreamPulls, gaps[0].Stream, "the newest first")
	clone := c.Clone()
	c.Prune(at(-100))
	require.Equal(t, at(-100), c.OldestUncovered())
	require.Equal(t, at(-336), clone.OldestUncovered(), "a clone is not touched")
	c.Invalidate(time.Time{})
	require.Equal(t, at(-336), c.OldestUncovered())
	require.Len(t, c.Gaps(), 2*activity.NumStreams)
	c.Apply(Progress{Repos: []RepoProgress{
		{ID: 1, Presence: PresenceGone, GoneSince: at(1)},
		{ID: 2, Presence: PresenceGone, GoneSince: at(1)},
	}})
	require.Empty(t, c.Gaps())
	require.Equal(t, at(1), c.OldestUncovered())
}

// TestLaterStream checks a stream that the ledger gets later than the repository: it is wanted from as long before as
// the others, and has a history when that was read.
func TestLaterStream(t *testing.T) {
	t.Parallel()
	var c Coverage
	introduce := RepoProgress{ID: 1, FirstSeen: hour(-1000), Since: hour(-1300)}
	later := RepoProgress{
		ID: 1, Streams: activity.EveryStream, Contacts: []StreamContact{{activity.StreamPullFlow, noon}},
		Missed: []StreamWindow{hours(activity.StreamPullFlow, -300, 0)},
	}
	c.Apply(Progress{Edge: noon, Repos: []RepoProgress{introduce}})
	r := c.Repos[1]
	require.False(t, r.HasHistory(activity.StreamPullFlow))
	c.Apply(Progress{Repos: []RepoProgress{later}})
	require.Equal(t, hour(-300), r.WantedSince(activity.StreamPullFlow))
	require.Equal(t, noon, r.Contact(activity.StreamPullFlow))
	require.Equal(t, hour(-1300), r.WantedSince(activity.StreamPulls))
	require.Equal(t, hour(-1000), r.Contact(activity.StreamPulls))
	require.False(t, r.HasHistory(activity.StreamPullFlow), "a gap before its contact")
	require.True(t, r.HasHistory(activity.StreamPulls))
	var again Coverage
	again.Apply(c.AsProgress())
	require.Equal(t, r, again.Repos[1])
	c.Apply(Progress{Repos: []RepoProgress{{ID: 1, Read: []StreamWindow{hours(activity.StreamPullFlow, -300, 0)}}}})
	require.True(t, r.HasHistory(activity.StreamPullFlow))
	later.Contacts = []StreamContact{{activity.StreamPullFlow, hour(-900)}}
	c.Apply(Progress{Repos: []RepoProgress{later}})
	require.Equal(t, hour(-1200), r.WantedSince(activity.StreamPullFlow))
	later.Contacts[0].At = hour(-1001)
	c.Apply(Progress{Repos: []RepoProgress{later}})
	require.Equal(t, hour(-1300), r.WantedSince(activity.StreamPullFlow), "not before the others")
}
