// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// drawTime draws a time in whole seconds, or the zero time.
func drawTime(t *rapid.T) time.Time {
	if rapid.Bool().Draw(t, "none") {
		return time.Time{}
	}
	return time.Unix(rapid.Int64Range(0, math.MaxUint32).Draw(t, "time"), 0).UTC()
}

func drawActor(t *rapid.T) activity.Actor {
	return activity.Actor{
		ID:    rapid.Int64().Draw(t, "actor"),
		Login: rapid.StringMatching(`[a-z][a-z0-9-]{0,30}`).Draw(t, "login"),
	}
}

func drawEvent(t *rapid.T) activity.Event {
	e := activity.Event{
		Kind:  rapid.SampledFrom(allKinds).Draw(t, "kind"),
		Repo:  rapid.Int64Range(1, math.MaxInt64).Draw(t, "repo"),
		Actor: drawActor(t), Time: time.Unix(rapid.Int64Range(0, math.MaxUint32).Draw(t, "at"), 0).UTC(),
	}
	copy(e.ID[:], rapid.SliceOfN(rapid.Byte(), len(e.ID), len(e.ID)).Draw(t, "id"))
	if e.Kind.IsOfRepository() {
		e.Actor = activity.NoActor()
	}
	if e.Kind == activity.KindCommit || e.Kind == activity.KindMergeSize {
		e.Measures = activity.Lines(rapid.Uint32().Draw(t, "added"), rapid.Uint32().Draw(t, "removed"))
	}
	return e
}

var allKinds = func() []activity.Kind { kinds := activity.Kinds(); return kinds[:] }()

func drawWindows(t *rapid.T) []StreamWindow {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) StreamWindow {
		return StreamWindow{
			Stream: activity.Stream(rapid.IntRange(0, activity.NumStreams-1).Draw(t, "stream")),
			Window: activity.Window{Start: drawTime(t), End: drawTime(t)},
		}
	}), 0, 3).Draw(t, "windows")
}

func drawProgress(t *rapid.T) RepoProgress {
	p := RepoProgress{
		ID: rapid.Int64Range(1, math.MaxInt64).Draw(t, "id"), Name: rapid.String().Draw(t, "name"),
		FirstSeen: drawTime(t), Since: drawTime(t),
		Observed: drawTime(t), Presence: Presence(rapid.IntRange(0, 3).Draw(t, "presence")), GoneSince: drawTime(t),
		Streams: activity.Streams(rapid.IntRange(0, int(activity.EveryStream)).Draw(t, "has")),
		Contacts: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) StreamContact {
			return StreamContact{
				Stream: activity.Stream(rapid.IntRange(0, activity.NumStreams-1).Draw(t, "later")),
				At:     time.Unix(rapid.Int64Range(0, math.MaxUint32).Draw(t, "contact"), 0).UTC(),
			}
		}), 0, 2).Draw(t, "contacts"),
		Missed: drawWindows(t), Read: drawWindows(t), TipChanges: TipChanges{drawHeads(t), drawHeads(t)},
	}
	if rapid.Bool().Draw(t, "signals") {
		p.Signals = &activity.Signals{
			Streams:  activity.Streams(rapid.IntRange(0, int(activity.EveryStream)).Draw(t, "known")),
			Head:     rapid.String().Draw(t, "head"),
			PushedAt: drawTime(t), Pulls: activity.LatestUpdate{
				Number:    rapid.Int64().Draw(t, "pull"),
				UpdatedAt: drawTime(t),
			},
			Issues: activity.LatestUpdate{Number: rapid.Int64().Draw(t, "issue"), UpdatedAt: drawTime(t)},
			Releases: activity.ReleaseSignal{
				Latest: rapid.Int64().Draw(t, "release"), Published: rapid.Int64().Draw(t, "published"),
				List: rapid.Uint64().Draw(t, "releases"),
			},
			Disabled:      activity.Streams(rapid.IntRange(0, int(activity.EveryStream)).Draw(t, "off")),
			DisabledSince: drawTime(t),
			Branch:        rapid.String().Draw(t, "branch"),
		}
	}
	return p
}

func drawHeads(t *rapid.T) []string {
	return rapid.SliceOfN(rapid.StringMatching(`[0-9a-f]{40}`), 0, 2).Draw(t, "heads")
}

func drawKeys(t *rapid.T) []activity.Key {
	var keys []activity.Key
	for _, e := range rapid.SliceOfN(rapid.Custom(drawEvent), 0, 5).Draw(t, "keys") {
		keys = append(keys, e.Key())
	}
	return keys
}

func drawRepositoryTotals(t *rapid.T) (totals RepositoryTotals) {
	for _, e := range rapid.SliceOfN(rapid.Custom(drawEvent), 0, 5).Draw(t, "carried events") {
		if e.Kind.IsOfRepository() {
			totals.AddEvent(&e)
		}
	}
	return totals
}

func drawChange(t *rapid.T) Change {
	return Change{
		Reset: rapid.Bool().Draw(t, "reset"), CaughtUp: rapid.Bool().Draw(t, "caught"), LedgerStart: drawTime(t),
		PrunedBefore: drawTime(t),
		Events:       rapid.SliceOfN(rapid.Custom(drawEvent), 0, 20).Draw(t, "events"), Removed: drawKeys(t),
		Restored: drawKeys(t),
		Carried: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) CarriedTotals {
			return CarriedTotals{
				Repo: rapid.Int64Range(1, math.MaxInt64).Draw(t, "repo"), Actor: drawActor(t),
				Totals: Totals{rapid.Uint64().Draw(t, "total")}, Repository: drawRepositoryTotals(t),
			}
		}), 0, 3).Draw(t, "carried"),
		Progress: Progress{Edge: drawTime(t), Repos: rapid.SliceOfN(rapid.Custom(drawProgress), 0, 3).Draw(t,
			"progress")},
		Entries: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Entry {
			return Entry{EntryKey{
				rapid.String().Draw(t, "name"), rapid.Int64Range(0, math.MaxInt64).Draw(t, "repo"),
				"b",
			}, rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "data"), drawTime(t)}
		}), 0, 3).Draw(t, "entries"),
		Tallies: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Tally {
			return Tally{TallyKey{rapid.String().Draw(t, "name"), [2]string{"", "x"}}, rapid.Uint64().Draw(t, "add")}
		}), 0, 3).Draw(t, "tallies"),
	}
}

// TestCodecRoundTrip checks that decoding returns what was encoded, and that a frame with a changed bit is refused.
func TestCodecRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawChange(t)
		frame, err := EncodeChange(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeChange(frame)
		if err != nil {
			t.Fatal(err)
		}
		require.Equal(t, plainChange(c), plainChange(got))
		frame[rapid.IntRange(0, len(frame)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		_, err = DecodeChange(frame)
		require.ErrorIs(t, err, ErrCorrupt)
	})
}

// plainChange replaces empty lists by nil, because the codec does not distinguish them.
func plainChange(c Change) Change {
	c.Events, c.Carried, c.Entries, c.Tallies = orNil(c.Events), orNil(c.Carried), orNil(c.Entries), orNil(c.Tallies)
	c.Removed, c.Restored = orNil(c.Removed), orNil(c.Restored)
	c.Progress.Repos = slices.Clone(orNil(c.Progress.Repos))
	for i := range c.Progress.Repos {
		r := &c.Progress.Repos[i]
		r.Missed, r.Read, r.Tips, r.ResolvedTips = orNil(r.Missed), orNil(r.Read), orNil(r.Tips), orNil(r.ResolvedTips)
		r.Contacts = orNil(r.Contacts)
	}
	return c
}

func orNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// golden is a change with a value in every field.
func golden() Change {
	id, _ := activity.CommitID("0123456789abcdef0123456789abcdef01234567")
	ada, bot := activity.Actor{ID: 7, Login: "ada"}, activity.Bot(9, "renovate")
	window := []StreamWindow{{activity.StreamPulls, activity.Window{Start: noon.Add(-time.Hour), End: noon}}}
	return Change{
		Reset: true, CaughtUp: true, LedgerStart: noon, PrunedBefore: noon.AddDate(0, 0, -30),
		Events: []activity.Event{
			{Kind: activity.KindCommit, Repo: 5, ID: id, Actor: ada, Time: noon, Measures: activity.Lines(10, 2)},
			{Kind: activity.KindIssueComment, Repo: 5, ID: activity.NumberID(4711), Actor: bot, Time: noon},
			{
				Kind: activity.KindMergeTime, Repo: 5, ID: activity.NumberID(12), Actor: activity.NoActor(), Time: noon,
				Measures: activity.Measures{3600, 60},
			},
			{Kind: activity.KindReleasePublished, Repo: 5, ID: activity.NumberID(4713), Actor: ada, Time: noon},
		},
		Removed:  []activity.Key{{Repo: 5, Kind: activity.KindCommit, ID: id}},
		Restored: []activity.Key{{Repo: 5, Kind: activity.KindIssueComment, ID: activity.NumberID(4712)}},
		Carried: []CarriedTotals{
			{Repo: 5, Actor: ada, Totals: Totals{1, 2, 3, 4, 5, 8, 9, 10, 6, 7}},
			{Repo: 5, Actor: activity.NoActor(), Repository: goldenTotals()},
		},
		Progress: Progress{Edge: noon, Repos: []RepoProgress{{
			ID: 5, Name: "repo", FirstSeen: noon, Since: noon.AddDate(0, 0, -14), Observed: noon,
			Streams: activity.EveryStream, Contacts: []StreamContact{{activity.StreamPullFlow, noon.Add(time.Hour)}},
			Presence: PresenceGone, GoneSince: noon,
			Signals: &activity.Signals{
				Streams: activity.EveryStream, Head: "abc", HeadReadAt: noon.Add(-time.Minute), Archived: true,
				PushedAt: noon,
				Pulls:    activity.LatestUpdate{Number: 1, UpdatedAt: noon},
				Issues:   activity.LatestUpdate{Number: 2, UpdatedAt: noon},
				Disabled: activity.StreamsOf(activity.StreamPulls), DisabledSince: noon.Add(-2 * time.Minute),
				Branch: "main",
				Releases: activity.ReleaseSignal{
					Latest: -4711, Published: noon.Add(-3 * time.Minute).Unix(), List: 1<<63 + 5,
				},
			},
			Missed: window, Read: window, TipChanges: TipChanges{[]string{"89abcdef"}, []string{"01234567"}},
		}}},
		Entries: []Entry{{EntryKey{"sample", 5, "b"}, []byte("1.5"), noon}},
		Tallies: []Tally{{TallyKey{"tally", [2]string{"c"}}, 3}},
	}
}

// goldenTotals are the totals of one event of each kind that is attributed to the repository.
func goldenTotals() (totals RepositoryTotals) {
	for _, kind := range activity.Kinds() {
		if kind.IsOfRepository() {
			totals.AddEvent(&activity.Event{Kind: kind, Measures: activity.Measures{7, 70_000}})
		}
	}
	return totals
}

// TestCodecGolden checks the bytes of the present format, which later versions must read.
func TestCodecGolden(t *testing.T) {
	t.Parallel()
	frame, err := EncodeChange(golden())
	require.NoError(t, err)
	file := filepath.Join("testdata", "change.v13.hex")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(file, []byte(hex.EncodeToString(frame)+"\n"), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), hex.EncodeToString(frame)+"\n")
	got, err := DecodeChange(frame)
	require.NoError(t, err)
	require.Equal(t, golden(), got)
}

// TestCodecReadsOlderVersions checks that frames of older versions are read, without the fields that they lack. The
// entry in these files has a first label that is no repository, as no version has written one: it is dropped.
func TestCodecReadsOlderVersions(t *testing.T) {
	t.Parallel()
	for version, change := range map[string]func(repo *RepoProgress, c *Change){
		"11":       func(repo *RepoProgress, c *Change) { dropReleases(repo, c); c.Entries = golden().Entries },
		"8":        func(repo *RepoProgress, c *Change) { dropFlow(repo, c); c.Entries = golden().Entries },
		"7":        func(repo *RepoProgress, c *Change) { dropVersion8(repo, c); c.Entries = golden().Entries },
		"7-labels": dropVersion8,
		"4":        dropVersion7,
		"2": func(repo *RepoProgress, c *Change) { // the time of a head was not recorded
			dropVersion7(repo, c)
			repo.Signals.HeadReadAt, repo.Signals.Archived = time.Time{}, false
		},
		"1": func(repo *RepoProgress, c *Change) {
			dropVersion7(repo, c)
			repo.Signals.HeadReadAt, repo.Signals.Archived = time.Time{}, false
		},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", "change.v"+version+".hex"))
		require.NoError(t, err)
		frame, err := hex.DecodeString(strings.TrimSpace(string(text)))
		require.NoError(t, err)
		got, err := DecodeChange(frame)
		require.NoError(t, err)
		want := golden()
		want.Entries = nil
		change(&want.Progress.Repos[0], &want)
		require.Equal(t, want, got, "version %s", version)
	}
}

// dropVersion7 drops what frames before version 7 do not have.
func dropVersion7(repo *RepoProgress, c *Change) {
	c.Removed, c.Restored = nil, nil
	dropVersion8(repo, c)
	repo.Tips, repo.ResolvedTips, repo.Signals.Disabled, repo.Signals.DisabledSince = nil, nil, 0, time.Time{}
	repo.Signals.Branch = ""
}

// dropVersion8 drops what frames before version 8 do not have.
func dropVersion8(repo *RepoProgress, c *Change) {
	dropFlow(repo, c)
	repo.Streams, repo.Signals.Streams = 0, activity.FirstStreams
	c.Carried[0].Totals[5], c.Carried[0].Totals[6] = 0, 0
}

// dropFlow drops what frames of versions that do not know flow do not have.
func dropFlow(repo *RepoProgress, c *Change) {
	dropReleases(repo, c)
	repo.Contacts = nil
	repo.Streams &^= activity.FlowStreams
	repo.Signals.Streams &^= activity.FlowStreams
	c.Events, c.Carried = c.Events[:2], c.Carried[:1]
}

// dropReleases drops what frames of versions that do not know releases do not have.
func dropReleases(repo *RepoProgress, c *Change) {
	repo.Streams = repo.Streams.Without(activity.StreamReleases)
	repo.Signals.Streams = repo.Signals.Streams.Without(activity.StreamReleases)
	repo.Signals.Releases = activity.ReleaseSignal{}
	c.Events, c.Carried[0].Totals[7] = c.Events[:3], 0
}

func TestCodecSize(t *testing.T) {
	t.Parallel()
	c := Change{}
	for i := range 1000 {
		e := activity.Event{
			Kind: activity.KindCommit, Repo: int64(i%20 + 1),
			Actor: activity.Actor{ID: int64(i%50 + 1), Login: "some-user"}, Time: noon,
		}
		for b := range e.ID {
			e.ID[b] = byte(i + b + 1)
		}
		c.Events = append(c.Events, e)
	}
	frame, err := EncodeChange(c)
	require.NoError(t, err)
	require.LessOrEqual(t, len(frame)/1000, 60, "bytes an event")
	t.Logf("%d bytes an event", len(frame)/1000)
}

func FuzzDecodeChange(f *testing.F) {
	frame, err := EncodeChange(golden())
	require.NoError(f, err)
	f.Add(frame[frameHead:])
	f.Add([]byte{0x8c})
	text, err := os.ReadFile(filepath.Join("testdata", "change.v4.hex"))
	require.NoError(f, err)
	legacy, err := hex.DecodeString(strings.TrimSpace(string(text)))
	require.NoError(f, err)
	f.Add(legacy[frameHead:])
	f.Fuzz(func(t *testing.T, body []byte) {
		framed := sealFrame(body)
		for _, version := range readableVersions {
			framed[0] = version
			requireDecoded(t, framed)
		}
	})
}

// ApplyDecoded applies a decoded change to everything that applies changes. Those packages import this one, so an
// external test sets it.
var ApplyDecoded func(c Change)

// requireDecoded decodes a frame and applies the change to everything that applies changes.
func requireDecoded(t *testing.T, framed []byte) {
	t.Helper()
	c, err := DecodeChange(framed)
	if err != nil {
		require.ErrorIs(t, err, ErrCorrupt)
		return
	}
	for i := range c.Events {
		require.NoError(t, c.Events[i].Validate())
	}
	ApplyDecoded(c)
	_, err = EncodeChange(c)
	require.NoError(t, err)
}
