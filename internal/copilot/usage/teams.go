// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// Teams has who was in which team on a day, by the rows of user-teams reports. It is for one goroutine.
type Teams struct {
	settings Settings
	teams    []teamState
	index    map[teamKey]int32
	members  map[memberKey][]int32
	slugs    map[string]int // how many teams have a slug
	counts   Counts
	records  int64
}

type teamState struct {
	teamKey
	slug string
}

// teamKey identifies a team: by the id, or by the slug in its organization where there is no id.
type teamKey struct {
	id    report.ID
	owner report.ID
	slug  string
}

type memberKey struct {
	day  report.Day
	user string // User.Key
}

// NewTeams starts a report of the days of a span.
func NewTeams(settings Settings) *Teams {
	return &Teams{
		settings: settings, index: make(map[teamKey]int32), members: make(map[memberKey][]int32),
		slugs: make(map[string]int),
	}
}

// Add adds a row.
func (t *Teams) Add(row *report.TeamMember) {
	if drop, ok := t.admit(row); !ok {
		t.counts.Dropped[drop]++
	} else {
		t.counts.Used++
	}
}

func (t *Teams) admit(row *report.TeamMember) (Drop, bool) {
	user := User{row.UserID, report.CleanLabel(row.Login)}
	slug := report.CleanLabel(row.Slug)
	t.records++
	switch {
	case t.settings.MaxRecords > 0 && t.records > t.settings.MaxRecords:
		return DropMaxRecords, false
	case user == User{}, slug == "" && row.TeamID == "":
		return DropUnidentified, false
	case !t.settings.Span.Contains(row.Day):
		return DropOutsideWindow, false
	}
	team := t.teamOf(row, slug)
	member := memberKey{row.Day, user.Key()}
	if slices.Contains(t.members[member], team) {
		return DropDuplicate, false
	}
	t.members[member] = append(t.members[member], team)
	return 0, true
}

// teamOf returns the position of a row's team.
func (t *Teams) teamOf(row *report.TeamMember, slug string) int32 {
	key := teamKey{id: row.TeamID}
	if key.id == "" {
		key = teamKey{owner: row.Organization, slug: slug}
	}
	at, ok := t.index[key]
	if !ok {
		at = int32(len(t.teams)) //nolint:gosec // bounded by the memory
		t.teams = append(t.teams, teamState{teamKey: key, slug: slug})
		t.index[key] = at
		t.slugs[slug]++
	}
	return at
}

func (t *Teams) teamsOf(user User, day report.Day) []int32 {
	return t.members[memberKey{day, user.Key()}]
}

// Counts returns how many rows were used and dropped.
func (t *Teams) Counts() Counts { return t.counts }

func (t *Teams) labels(at int32) Labels {
	team := &t.teams[at]
	if t.slugs[team.slug] == 1 && team.slug != "" {
		return Labels{Team: team.slug}
	}
	id := team.id
	if id == "" {
		id = team.owner
	}
	return Labels{Team: team.slug + "/" + string(id)}
}
