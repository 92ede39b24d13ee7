// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

var (
	accountAda = activity.Actor{ID: 1, Login: "ada"}
	accountBob = activity.Actor{ID: 2, Login: "bob"}
)

// teamEntries returns the entries of teams that were read at a time, and of the state.
func teamEntries(at time.Time, failed []ledger.FailedTeam, list ...ledger.Team) ledger.Change {
	state := ledger.TeamsState{ReadAt: at, Failed: failed}
	entries := []ledger.Entry{{EntryKey: ledger.TeamsStateKey(), Data: state.Encode(), Observed: at}}
	for i := range list {
		for part, data := range list[i].Encode() {
			key := ledger.TeamKey(list[i].ID, part)
			entries = append(entries, ledger.Entry{EntryKey: key, Data: data, Observed: at})
		}
	}
	return ledger.Change{Entries: entries}
}

// membersAt returns the members that are shown, as "team user".
func membersAt(v *View, now time.Time) []string {
	var list []string
	for member := range v.Teams(now) {
		list = append(list, member.Team+" "+member.User)
	}
	return list
}

// newTeamView returns a view of the teams that are not secret.
func newTeamView(label func(activity.Actor) (string, bool)) *View {
	return New(Settings{
		Retention: 40 * 24 * time.Hour, Label: label,
		Teams: &TeamSettings{Shows: func(t *ledger.Team) bool { return !t.Secret }, KeepFor: 24 * time.Hour},
	})
}

func TestTeams(t *testing.T) {
	t.Parallel()
	v := newTeamView(nil)
	require.Empty(t, membersAt(v, noon), "before anything was read")
	backend := ledger.Team{ID: 10, Slug: "backend", Members: []activity.Actor{accountAda, accountBob}}
	docs := ledger.Team{ID: 11, Slug: "docs", Members: []activity.Actor{accountBob}}
	hidden := ledger.Team{ID: 12, Slug: "hidden", Secret: true, Members: []activity.Actor{accountAda}}
	v.Apply(teamEntries(noon, nil, backend, docs, hidden))
	require.ElementsMatch(t, []string{"backend ada", "backend bob", "docs bob"}, membersAt(v, noon))
	require.Equal(t, noon, v.TeamsReadAt())

	backend.Slug, backend.Members = "services", backend.Members[:1]
	v.Apply(teamEntries(noon.Add(time.Hour), nil, backend))
	require.ElementsMatch(t, []string{"services ada", "docs bob"}, membersAt(v, noon.Add(time.Hour)), "after a rename")

	v.Apply(ledger.Change{Entries: []ledger.Entry{
		{EntryKey: ledger.TeamKey(11, 0), Observed: noon.Add(2 * time.Hour)},
	}})
	require.Equal(t, []string{"services ada"}, membersAt(v, noon.Add(2*time.Hour)), "after a removal")
	require.Equal(t, []string{"services ada"}, membersAt(v, noon.Add(24*time.Hour)))
	require.Empty(t, membersAt(v, noon.Add(25*time.Hour)), "read too long ago")

	v.Apply(ledger.Change{Reset: true, LedgerStart: noon})
	require.Empty(t, membersAt(v, noon), "of another ledger")
}

// TestFailedTeam: a team that fails ends before those that were read since.
func TestFailedTeam(t *testing.T) {
	t.Parallel()
	v := newTeamView(nil)
	one := ledger.Team{ID: 10, Slug: "one", Members: []activity.Actor{accountAda}}
	two := ledger.Team{ID: 11, Slug: "two", Members: []activity.Actor{accountBob}}
	v.Apply(teamEntries(noon, nil, one, two))
	v.Apply(teamEntries(noon.Add(20*time.Hour), []ledger.FailedTeam{{ID: 10, Since: noon}}))
	require.ElementsMatch(t, []string{"one ada", "two bob"}, membersAt(v, noon.Add(23*time.Hour)))
	require.Equal(t, []string{"two bob"}, membersAt(v, noon.Add(25*time.Hour)))
}

// TestMemberLabels: a member is shown under the label of its activity, whatever its login was when the team was read.
func TestMemberLabels(t *testing.T) {
	t.Parallel()
	v := newTeamView(func(a activity.Actor) (string, bool) { return a.Login, !strings.HasPrefix(a.Login, "x-") })
	carol := activity.Actor{ID: 3, Login: "carol"}
	v.Apply(teamEntries(noon, nil, ledger.Team{ID: 10, Slug: "all", Members: []activity.Actor{
		accountAda, accountBob, carol, {ID: 4, Login: "x-hidden"},
	}}))
	require.ElementsMatch(t, []string{"all ada", "all bob", "all carol"}, membersAt(v, noon), "without any activity")

	commit := func(n int64, actor activity.Actor, after time.Duration) activity.Event {
		e := event(activity.KindCommit, n, actor.Login, noon.Add(after))
		e.Actor = actor
		return e
	}
	addEvents(v, commit(1, activity.Actor{ID: 1, Login: "ada-lovelace"}, time.Minute))
	require.ElementsMatch(t, []string{"all ada-lovelace", "all bob", "all carol"}, membersAt(v, noon), "renamed since")
	addEvents(v, commit(2, activity.Actor{ID: 9, Login: "bob"}, time.Minute))
	require.ElementsMatch(t, []string{"all ada-lovelace", "all 2", "all carol"}, membersAt(v, noon),
		"another account has the login")
	addEvents(v, commit(3, activity.Actor{ID: 3, Login: "x-carol"}, time.Minute))
	require.ElementsMatch(t, []string{"all ada-lovelace", "all 2"}, membersAt(v, noon), "not shown in the activity")
}

// TestTeamsAreOff: a view without the setting shows no team that is stored.
func TestTeamsAreOff(t *testing.T) {
	t.Parallel()
	v := New(Settings{Retention: 40 * 24 * time.Hour})
	v.Apply(teamEntries(noon, nil, ledger.Team{ID: 10, Slug: "one", Members: []activity.Actor{accountAda}}))
	require.Empty(t, membersAt(v, noon))
}

// TestDamagedTeam: a part that is missing or damaged hides its team alone.
func TestDamagedTeam(t *testing.T) {
	t.Parallel()
	v := newTeamView(nil)
	v.Apply(teamEntries(noon, nil, ledger.Team{ID: 10, Slug: "one", Members: []activity.Actor{accountAda}},
		ledger.Team{ID: 11, Slug: "two", Members: []activity.Actor{accountAda}}))
	v.Apply(ledger.Change{Entries: []ledger.Entry{
		{EntryKey: ledger.TeamKey(10, 0), Data: []byte{1, 0, 2, 3, 'o', 'n', 'e'}, Observed: noon},
		{EntryKey: ledger.EntryKey{Name: ledger.EntryTeam, Sub: "x"}, Data: []byte{1}, Observed: noon},
	}})
	require.Equal(t, []string{"two ada"}, membersAt(v, noon))
}
