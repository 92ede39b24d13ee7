// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
)

// Team is a team of an organization, with its place among the others.
type Team struct {
	*dataset.Team

	Organization *Org
	// ParentTeam is nil for a team without a parent.
	ParentTeam *Team
	Children   []*Team
	// Immediate are the members of the team itself, without those of its children.
	Immediate []*Account
}

// NodeTeam is the kind of the global ids of teams.
const NodeTeam = "T"

// NodeID returns the global id of the team.
func (t *Team) NodeID() string { return NodeID(NodeTeam, t.ID) }

// Title returns the name of the team for people.
func (t *Team) Title() string { return cmp.Or(t.Name, t.Slug) }

// AllMembers returns the members of the team and of the teams below it, by id.
func (t *Team) AllMembers() []*Account {
	members := slices.Clone(t.Immediate)
	for _, child := range t.Children {
		members = append(members, child.AllMembers()...)
	}
	return sortedAccounts(members)
}

// ChildMembers returns the members of the teams below a team, by id.
func (t *Team) ChildMembers() []*Account {
	var members []*Account
	for _, child := range t.Children {
		members = append(members, child.AllMembers()...)
	}
	return sortedAccounts(members)
}

// sortedAccounts returns each account once, by id.
func sortedAccounts(list []*Account) []*Account {
	slices.SortFunc(list, func(a, b *Account) int { return cmp.Compare(a.ID, b.ID) })
	return slices.Compact(list)
}

// addTeams adds the teams of a dataset and links them. An account that is deleted is no member.
func (ix *Index) addTeams(d *dataset.Dataset) {
	org := ix.OrgByLogin[strings.ToLower(d.Org.Login)]
	bySlug := make(map[string]*Team)
	for i := range d.Teams {
		row := &d.Teams[i]
		team := &Team{Team: row, Organization: org}
		for k := range row.Members {
			ix.ensureAccount(&row.Members[k])
			if account := ix.Account(&row.Members[k]); account != nil {
				team.Immediate = append(team.Immediate, account)
			}
		}
		team.Immediate = sortedAccounts(team.Immediate)
		bySlug[row.Slug] = team
		org.Teams = append(org.Teams, team)
		ix.TeamByID[row.ID] = team
	}
	for _, team := range org.Teams {
		if parent := bySlug[team.Parent]; parent != nil {
			team.ParentTeam = parent
			parent.Children = append(parent.Children, team)
		}
	}
	slices.SortFunc(org.Teams, func(a, b *Team) int { return strings.Compare(a.Slug, b.Slug) })
}

// Team returns a team of a visible organization by its slug in any case, nil for none.
func (v View) Team(o *Org, slug string) *Team {
	for _, team := range o.Teams {
		if strings.EqualFold(team.Slug, slug) {
			return team
		}
	}
	return nil
}

// TeamByID returns a team of a visible organization by its id, nil for none.
func (v View) TeamByID(id int64) *Team {
	team := v.Index.TeamByID[id]
	if team == nil || v.Org(team.Organization.Login) == nil {
		return nil
	}
	return team
}
