// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// partsOf returns a function that loads parts.
func partsOf(parts [][]byte) func(int) []byte {
	return func(part int) []byte {
		if part >= len(parts) {
			return nil
		}
		return parts[part]
	}
}

// drawTeam draws a team with up to so many members.
func drawTeam(t *rapid.T, most int) Team {
	team := Team{
		ID: rapid.Int64Range(1, 1<<40).Draw(t, "id"), Slug: rapid.StringMatching(`[a-z][a-z0-9-]{0,30}`).Draw(t, "slug"),
		Secret: rapid.Bool().Draw(t, "secret"), Nested: rapid.Bool().Draw(t, "nested"),
	}
	for i := range rapid.IntRange(0, most).Draw(t, "members") {
		team.Members = append(team.Members, activity.Actor{ID: int64(i + 1), Login: fmt.Sprintf("user-%d", i)})
	}
	return team
}

func TestTeamCodec(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		team := drawTeam(t, 20)
		got, err := DecodeTeam(team.ID, partsOf(team.Encode()))
		require.NoError(t, err)
		require.Equal(t, team, got)
	})
}

// TestLargeTeam checks that a team is split into entries that a store accepts.
func TestLargeTeam(t *testing.T) {
	t.Parallel()
	team := Team{ID: 7, Slug: "everybody", Nested: true}
	for i := range 10_000 {
		login := fmt.Sprintf("somebody-of-us-%d", i)
		team.Members = append(team.Members, activity.Actor{ID: int64(i + 1), Login: login})
	}
	parts := team.Encode()
	require.Greater(t, len(parts), 2)
	for _, part := range parts {
		require.LessOrEqual(t, len(part), MaxEntry)
	}
	got, err := DecodeTeam(7, partsOf(parts))
	require.NoError(t, err)
	require.Equal(t, team, got)
	_, err = DecodeTeam(7, partsOf(parts[:len(parts)-1]))
	require.ErrorIs(t, err, ErrTeam, "without the last part")
}

func TestInvalidTeams(t *testing.T) {
	t.Parallel()
	team := Team{ID: 7, Slug: "backend", Members: []activity.Actor{{ID: 1, Login: "ada"}}}
	good := team.Encode()[0]
	for name, data := range map[string][]byte{
		"removed": {}, "nothing": nil, "another version": append([]byte{2}, good[1:]...),
		"unknown flags": append([]byte{1, 4}, good[2:]...), "cut": good[:len(good)-1], "more": append(good, 'x'),
		"no parts": {1, 0, 0, 1, 'a'}, "no slug": {1, 0, 1, 0}, "a control character": {1, 0, 1, 1, '\n'},
		"no id": {1, 0, 1, 1, 'a', 0, 1, 'b'}, "no login": {1, 0, 1, 1, 'a', 1, 0},
		"too many parts": {1, 0, 255, 3, 1, 'a'},
	} {
		_, err := DecodeTeam(7, partsOf([][]byte{data}))
		require.ErrorIs(t, err, ErrTeam, name)
	}
	_, err := DecodeTeam(0, partsOf([][]byte{good}))
	require.ErrorIs(t, err, ErrTeam, "without an id")
}

func TestTeamKeys(t *testing.T) {
	t.Parallel()
	id, ok := ParseTeamKey(TeamKey(7, 0))
	require.True(t, ok)
	require.Equal(t, int64(7), id)
	for _, key := range []EntryKey{TeamKey(7, 1), TeamsStateKey(), {Name: EntryTeam, Sub: "x"}, {Name: EntryTeam}} {
		_, ok = ParseTeamKey(key)
		require.False(t, ok, "%v", key)
	}
}

func TestTeamsStateCodec(t *testing.T) {
	t.Parallel()
	state := TeamsState{
		ReadAt: time.Unix(1_800_000_000, 0).UTC(), Selection: 1 << 63,
		Failed: []FailedTeam{{ID: 9, Since: time.Unix(1_700_000_000, 0).UTC()}},
	}
	got, err := DecodeTeamsState(state.Encode())
	require.NoError(t, err)
	require.Equal(t, state, got)
	good := state.Encode()
	for name, data := range map[string][]byte{
		"nothing": nil, "another version": append([]byte{2}, good[1:]...), "cut": good[:len(good)-1],
		"half a failed team": append(good, 7),
	} {
		_, err := DecodeTeamsState(data)
		require.ErrorIs(t, err, ErrTeam, name)
	}
	for range 2 * MaxFailedTeams {
		state.Failed = append(state.Failed, FailedTeam{ID: 1, Since: state.ReadAt})
	}
	got, err = DecodeTeamsState(state.Encode())
	require.NoError(t, err)
	require.Len(t, got.Failed, MaxFailedTeams)
}

func FuzzDecodeTeam(f *testing.F) {
	team := Team{ID: 7, Slug: "backend", Secret: true, Members: []activity.Actor{{ID: 1, Login: "ada"}}}
	f.Add(team.Encode()[0], []byte{teamVersion})
	f.Add([]byte{1, 0, 2, 1, 'a'}, []byte{1, 1, 1, 'a'})
	f.Add((&TeamsState{Failed: []FailedTeam{{ID: 1}}}).Encode(), []byte{})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if state, err := DecodeTeamsState(first); err == nil {
			again, err := DecodeTeamsState(state.Encode())
			require.NoError(t, err)
			require.Equal(t, state, again)
		}
		team, err := DecodeTeam(7, partsOf([][]byte{first, second}))
		if err != nil {
			return
		}
		again, err := DecodeTeam(7, partsOf(team.Encode()))
		require.NoError(t, err)
		require.Equal(t, team.Slug, again.Slug)
		require.ElementsMatch(t, team.Members, again.Members)
	})
}
