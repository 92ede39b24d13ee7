// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// TeamSettings configures which teams a view shows.
type TeamSettings struct {
	// Shows reports whether a team is selected.
	Shows func(*ledger.Team) bool
	// KeepFor is how long a team is shown that can no longer be read.
	KeepFor time.Duration
}

// TeamMember is a user of a team, by the labels of both.
type TeamMember struct{ Team, User string }

// teams are the teams of a view that are selected, decoded when they have changed.
type teams struct {
	settings *TeamSettings
	// isStale is set when an entry has changed since list and state were decoded.
	isStale bool
	list    []ledger.Team
	state   ledger.TeamsState
}

// Teams returns the members of the selected teams that were read recently enough, each once and in no order. A member
// has the label of its activity; one without any has that of its login.
func (v *View) Teams(now time.Time) map[TeamMember]struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.teams.settings == nil {
		return nil
	}
	v.teams.refresh(v.entries)
	members := make(map[TeamMember]struct{})
	for i := range v.teams.list {
		team := &v.teams.list[i]
		if !v.teams.isKnown(team.ID, now) {
			continue
		}
		for _, member := range team.Members {
			if user, shown := v.accounts.labelOf(member); shown {
				members[TeamMember{Team: team.Slug, User: user}] = struct{}{}
			}
		}
	}
	return members
}

// TeamsReadAt returns when the teams were last read; zero for never.
func (v *View) TeamsReadAt() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	state, err := ledger.DecodeTeamsState(v.entries[ledger.TeamsStateKey()].Data)
	if err != nil {
		return time.Time{}
	}
	return state.ReadAt
}

// refresh decodes the entries when one has changed. A team that is damaged, or removed, is left out.
func (t *teams) refresh(entries map[ledger.EntryKey]ledger.Entry) {
	if !t.isStale {
		return
	}
	t.isStale, t.list = false, nil
	t.state, _ = ledger.DecodeTeamsState(entries[ledger.TeamsStateKey()].Data)
	for key := range entries {
		id, ok := ledger.ParseTeamKey(key)
		if !ok {
			continue
		}
		team, err := ledger.DecodeTeam(id, func(part int) []byte { return entries[ledger.TeamKey(id, part)].Data })
		if err == nil && t.settings.Shows(&team) {
			t.list = append(t.list, team)
		}
	}
}

// isKnown reports whether a team was read recently enough.
func (t *teams) isKnown(id int64, now time.Time) bool {
	since := t.state.ReadAt
	for i := range t.state.Failed {
		if t.state.Failed[i].ID == id {
			since = t.state.Failed[i].Since
		}
	}
	return now.Before(since.Add(t.settings.KeepFor))
}

// labelOf returns the label under which an account is shown, or would be after its first event; false for one that is
// not shown. Where another account has the login, it is the id.
func (a *accounts) labelOf(actor activity.Actor) (string, bool) {
	if n, known := a.byKey[accountKeyOf(actor)]; known {
		label := a.list[n].label
		if label == nil {
			return "", false
		}
		return label.text, true
	}
	if _, held := a.holders[actor.Login]; held {
		actor = withoutLogin(actor)
	}
	return a.labeller(actor)
}
