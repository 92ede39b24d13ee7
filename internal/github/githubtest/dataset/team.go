// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import "slices"

// Team is a team of the organization.
type Team struct {
	// Slug is the name in addresses, Name the one for people; empty means the slug.
	Slug string `json:"slug"`
	Name string `json:"name,omitempty"`
	// ID is derived from the organization and the slug when it is 0; AssignTeamIDs keeps it over a rename.
	ID int64 `json:"id,omitempty"`
	// Parent is the slug of the team of which this one is a child; empty for none.
	Parent string `json:"parent,omitempty"`
	// Secret teams have no parent and no children.
	Secret bool `json:"secret,omitempty"`
	// Members are the logins of the immediate members.
	Members []string `json:"members,omitempty"`
}

// Team returns a team by its slug, nil for none. The pointer is valid until Teams changes.
func (d *Dataset) Team(slug string) *Team {
	for i := range d.Teams {
		if d.Teams[i].Slug == slug {
			return &d.Teams[i]
		}
	}
	return nil
}

// RenameTeam gives a team another slug.
func (d *Dataset) RenameTeam(old, slug string) {
	for i := range d.Teams {
		if d.Teams[i].Slug == old {
			d.Teams[i].Slug = slug
		}
		if d.Teams[i].Parent == old {
			d.Teams[i].Parent = slug
		}
	}
}

// RemoveTeam deletes a team. Its children become those of its parent.
func (d *Dataset) RemoveTeam(slug string) {
	team := d.Team(slug)
	if team == nil {
		return
	}
	parent := team.Parent
	for i := range d.Teams {
		if d.Teams[i].Parent == slug {
			d.Teams[i].Parent = parent
		}
	}
	d.Teams = slices.DeleteFunc(d.Teams, func(t Team) bool { return t.Slug == slug })
}

// AssignTeamIDs sets the id of each team that has none.
func (d *Dataset) AssignTeamIDs() {
	for i := range d.Teams {
		if t := &d.Teams[i]; t.ID == 0 {
			t.ID = NumericID("team", d.Org.Login+"/"+t.Slug)
		}
	}
}
