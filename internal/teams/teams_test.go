// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package teams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/pattern"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// source has teams with their members.
type source struct {
	teams   []github.Team
	members map[int64][]activity.Actor
	listErr error
	errs    map[int64]error
	// requested are the slugs of the teams whose members were requested.
	requested []string
}

func (s *source) ListTeams(_ context.Context, req github.TeamsRequest) ([]github.Team, error) {
	var list []github.Team
	for _, team := range s.teams {
		if req.Secret || !team.Secret {
			list = append(list, team)
		}
	}
	return list, s.listErr
}

func (s *source) ReadTeamMembers(
	_ context.Context, _ github.TeamsRequest, teams []github.Team, onResult func(github.TeamMembers) error,
) error {
	for _, team := range teams {
		s.requested = append(s.requested, team.Slug)
		err := onResult(github.TeamMembers{Team: team, Members: s.members[team.ID], Err: s.errs[team.ID]})
		if err != nil {
			return err
		}
	}
	return nil
}

// set sets a team with the members of some ids.
func (s *source) set(id int64, slug string, secret bool, members ...int64) {
	s.remove(id)
	s.teams = append(s.teams, github.Team{ID: id, Slug: slug, Secret: secret})
	for _, m := range members {
		s.members[id] = append(s.members[id], activity.Actor{ID: m, Login: fmt.Sprintf("user-%d", m)})
	}
}

func (s *source) remove(id int64) {
	s.teams = slices.DeleteFunc(s.teams, func(t github.Team) bool { return t.ID == id })
	delete(s.members, id)
}

// ledgerOf is a ledger whose view has every commit at once.
type ledgerOf struct {
	now     time.Time
	start   time.Time
	view    *ledgerview.View
	written []ledger.EntryKey
	commits int
	err     error
}

func (l *ledgerOf) Now() time.Time { return l.now }

func (l *ledgerOf) Coverage(context.Context) (ledger.Coverage, error) {
	return ledger.Coverage{LedgerStart: l.start, Basis: "basis"}, nil
}

func (l *ledgerOf) CommitAsLeader(_ context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	if l.err != nil || fence != 7 || b.Basis != "basis" {
		return ledger.Receipt{}, errors.Join(l.err, fmt.Errorf("fence %d, basis %q", fence, b.Basis))
	}
	l.commits++
	for _, entry := range b.Entries {
		l.written = append(l.written, entry.EntryKey)
	}
	l.view.Apply(ledger.Change{Entries: b.Entries})
	return ledger.Receipt{}, nil
}

// bench reads teams of a source into a ledger.
type bench struct {
	t         testing.TB
	source    *source
	ledger    *ledgerOf
	selection Selection
}

// newBench returns a bench whose settings select the teams that match one of some patterns.
func newBench(tb testing.TB, include ...string) *bench {
	tb.Helper()
	list, err := pattern.CompileList(include)
	require.NoError(tb, err)
	b := &bench{t: tb, source: &source{members: map[int64][]activity.Actor{}, errs: map[int64]error{}}}
	b.selection = Selection{Include: list, Nested: true}
	b.ledger = &ledgerOf{now: noon, start: noon.Add(-time.Hour)}
	b.restart()
	return b
}

// restart makes another view of the same entries, with the present selection.
func (b *bench) restart() {
	var entries []ledger.Entry
	if former := b.ledger.view; former != nil {
		entries = slices.Concat(former.Entries(ledger.EntryTeam), former.Entries(ledger.EntryTeamsState))
	}
	selection := b.selection
	b.ledger.view = ledgerview.New(ledgerview.Settings{
		Retention: 40 * 24 * time.Hour,
		Teams:     &ledgerview.TeamSettings{Shows: selection.Shows, KeepFor: KeepTime(time.Hour)},
	})
	b.ledger.view.Apply(ledger.Change{
		Reset: true, LedgerStart: b.ledger.start, CaughtUp: true, Entries: entries,
	})
}

func (b *bench) reader() *Reader {
	return New(Settings{
		Org: "acme", Source: b.source, Committer: b.ledger, View: b.ledger.view, Selection: b.selection,
		Interval: time.Hour,
	})
}

// read reads once, and returns the result with the names of the written entries.
func (b *bench) read() (Result, []string) {
	b.t.Helper()
	b.ledger.written = nil
	result, err := b.reader().Read(context.Background(), 7)
	require.NoError(b.t, err)
	var written []string
	for _, key := range b.ledger.written {
		written = append(written, key.Name+key.Sub)
	}
	return result, written
}

// shown returns the members that the view shows now, as "team user", sorted.
func (b *bench) shown() []string {
	list := []string{}
	for member := range b.ledger.view.Teams(b.ledger.now) {
		list = append(list, member.Team+" "+member.User)
	}
	slices.Sort(list)
	return list
}

// TestReading: what changed is written, and nothing else but the state.
func TestReading(t *testing.T) {
	t.Parallel()
	b := newBench(t, "*")
	b.source.set(10, "backend", false, 1, 2)
	b.source.set(11, "docs", false, 2)
	b.source.set(12, "hidden", true, 3)
	require.Zero(t, b.reader().DueAt(), "nothing was read")
	result, written := b.read()
	require.Equal(t, Result{Listed: 2, Selected: 2, Changed: 2}, result)
	require.Equal(t, []string{"team10", "team11", "teams_state"}, written)
	require.Equal(t, []string{"backend user-1", "backend user-2", "docs user-2"}, b.shown())
	require.Equal(t, noon.Add(time.Hour), b.reader().DueAt())

	b.ledger.now = noon.Add(time.Hour)
	result, written = b.read()
	require.Equal(t, Result{Listed: 2, Selected: 2}, result)
	require.Equal(t, []string{"teams_state"}, written, "nothing changed")
	require.Equal(t, noon.Add(2*time.Hour), b.reader().DueAt())

	b.source.set(10, "services", false, 1, 4)
	b.source.remove(11)
	result, written = b.read()
	require.Equal(t, Result{Listed: 1, Selected: 1, Changed: 1, Removed: 1}, result)
	require.Equal(t, []string{"team10", "team11", "teams_state"}, written)
	require.Equal(t, []string{"services user-1", "services user-4"}, b.shown())
	_, written = b.read()
	require.Equal(t, []string{"teams_state"}, written, "a team that is gone is not written again")
	b.source.set(11, "docs", false, 2)
	b.read()
	require.Contains(t, b.shown(), "docs user-2", "it is back")
}

// TestSelection: patterns select by slug, case is ignored, and a secret team needs its own setting.
func TestSelection(t *testing.T) {
	t.Parallel()
	b := newBench(t, "platform-*", "Docs", "nothing")
	b.selection.Exclude, _ = pattern.CompileList([]string{"*-bots"})
	b.restart()
	b.source.set(10, "platform-core", false, 1)
	b.source.set(11, "platform-bots", false, 2)
	b.source.set(12, "docs", false, 3)
	b.source.set(13, "other", false, 4)
	b.source.set(14, "platform-hidden", true, 5)
	result, _ := b.read()
	require.Equal(t, Result{Listed: 4, Selected: 2, Changed: 2, Unmatched: []string{"nothing"}}, result)
	require.Equal(t, []string{"platform-core", "docs"}, b.source.requested,
		"the members of no other team are requested")
	require.Equal(t, []string{"docs user-3", "platform-core user-1"}, b.shown())

	b.selection.Secret = true
	b.restart()
	require.Zero(t, b.reader().DueAt(), "other settings")
	b.read()
	require.Contains(t, b.shown(), "platform-hidden user-5")
	b.selection.Secret = false
	b.restart()
	require.NotContains(t, b.shown(), "platform-hidden user-5", "at once")
	result, written := b.read()
	require.Equal(t, 1, result.Removed)
	require.Equal(t, []string{"team14", "teams_state"}, written)

	b.selection.Nested = false
	b.restart()
	require.Empty(t, b.shown(), "other members count: unknown until they are read")
	b.read()
	require.Len(t, b.shown(), 2)
}

// TestFailedTeams: a team that fails keeps its members for a time, and the others go on.
func TestFailedTeams(t *testing.T) {
	t.Parallel()
	b := newBench(t, "*")
	b.source.set(10, "backend", false, 1)
	b.source.set(11, "docs", false, 2)
	b.read()
	unavailable := errors.New("unavailable")
	b.source.set(10, "backend", false, 3)
	b.source.errs[11] = unavailable
	for range 20 {
		b.ledger.now = b.ledger.now.Add(time.Hour)
		result, _ := b.read()
		require.Equal(t, []Failure{{Slug: "docs", Err: unavailable}}, result.Failures)
	}
	require.Equal(t, []string{"backend user-3", "docs user-2"}, b.shown())
	b.ledger.now = noon.Add(24 * time.Hour)
	b.read()
	require.Equal(t, []string{"backend user-3"}, b.shown(), "not read for too long")
	delete(b.source.errs, 11)
	b.read()
	require.Equal(t, []string{"backend user-3", "docs user-2"}, b.shown())
}

// TestFailedReading: a reading that fails changes nothing, and what is known ends after a time.
func TestFailedReading(t *testing.T) {
	t.Parallel()
	b := newBench(t, "*")
	for id := range int64(12) {
		b.source.set(id+1, fmt.Sprintf("team-%02d", id+1), false, 1)
	}
	b.read()
	due := b.reader().DueAt()
	b.source.remove(12)
	b.source.listErr = errors.New("forbidden")
	_, err := b.reader().Read(t.Context(), 7)
	require.ErrorIs(t, err, b.source.listErr)
	b.source.listErr = nil
	unavailable := errors.New("unavailable")
	for id := range int64(11) {
		b.source.errs[id+1] = unavailable
	}
	b.ledger.now = noon.Add(time.Hour)
	_, err = b.reader().Read(t.Context(), 7)
	require.ErrorIs(t, err, unavailable, "all of them fail")
	require.Equal(t, due, b.reader().DueAt(), "it counts as not read")
	require.Len(t, b.shown(), 12)
	b.ledger.now = noon.Add(24 * time.Hour)
	require.Empty(t, b.shown())
}

// TestStoreFails: what could not be committed is committed by the next reading.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, "*")
	b.source.set(10, "backend", false, 1)
	b.ledger.err = errors.New("fenced")
	_, err := b.reader().Read(t.Context(), 7)
	require.ErrorIs(t, err, b.ledger.err)
	require.Zero(t, b.reader().DueAt())
	b.ledger.err, b.ledger.start = nil, noon
	_, err = b.reader().Read(t.Context(), 7)
	require.ErrorIs(t, err, ErrReplaced, "the view is of another ledger")
	b.ledger.view.Apply(ledger.Change{Reset: true, LedgerStart: noon, CaughtUp: true})
	b.read()
	require.Equal(t, []string{"backend user-1"}, b.shown())
}

// TestClockOfFormerLeader: entries are written although this clock is behind that of the former leader.
func TestClockOfFormerLeader(t *testing.T) {
	t.Parallel()
	b := newBench(t, "*")
	b.source.set(10, "backend", false, 1)
	b.read()
	b.ledger.now = noon.Add(-5 * time.Minute)
	b.source.set(10, "backend", false, 2)
	b.read()
	require.Equal(t, []string{"backend user-2"}, b.shown())
	require.Equal(t, noon.Add(55*time.Minute), b.reader().DueAt())
}

// TestLargeTeamShrinks: the parts that a team has no more are emptied; many teams are committed in several batches.
func TestLargeTeamShrinks(t *testing.T) {
	t.Parallel()
	b := newBench(t, "*")
	var many []int64
	for i := range int64(12_000) {
		many = append(many, i+1)
	}
	b.source.set(10, "everybody", false, many...)
	for i := range int64(250) {
		b.source.set(1000+i, fmt.Sprintf("team-%03d", i), false, 1)
	}
	_, written := b.read()
	require.Contains(t, written, "team10/1")
	require.Equal(t, 3, b.ledger.commits)
	require.Len(t, b.shown(), 12_250)
	b.source.set(10, "everybody", false, 1, 2)
	result, written := b.read()
	require.Equal(t, 1, result.Changed)
	require.Contains(t, written, "team10/1")
	require.Len(t, b.shown(), 252)
	_, written = b.read()
	require.Equal(t, []string{"teams_state"}, written)
}

// TestReadingsShowTheTeams: after any history of changes, restarts and failures that end, the view shows exactly the
// members of the selected teams.
func TestReadingsShowTheTeams(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, "a*", "b*")
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			id := rapid.Int64Range(1, 5).Draw(rt, "team")
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				b.source.remove(id)
			case 1:
				b.source.listErr = errors.New("unavailable")
				_, err := b.reader().Read(t.Context(), 7)
				require.Error(rt, err)
				b.source.listErr = nil
			default:
				slug := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "slug") + strconv.FormatInt(id, 10)
				members := rapid.SliceOfDistinct(rapid.Int64Range(1, 9), rapid.ID[int64]).Draw(rt, "members")
				b.source.set(id, slug, rapid.Bool().Draw(rt, "secret"), members...)
			}
			b.ledger.now = b.ledger.now.Add(time.Minute)
			b.read()
			want := []string{}
			for _, team := range b.source.teams {
				for _, m := range b.source.members[team.ID] {
					if !team.Secret && team.Slug[0] != 'c' {
						want = append(want, team.Slug+" "+m.Login)
					}
				}
			}
			slices.Sort(want)
			require.Equal(rt, want, b.shown())
		}
	})
}
