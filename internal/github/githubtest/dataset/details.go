// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"maps"
	"slices"
	"time"
)

// RepoDetails are properties and counts of a repository that are no activity. The counts are those of the moment: a
// test changes them while it runs.
type RepoDetails struct {
	Language string `json:"language,omitempty"`
	Template bool   `json:"template,omitempty"`
	Stars    int    `json:"stars,omitempty"`
	Forks    int    `json:"forks,omitempty"`
	Watchers int    `json:"watchers,omitempty"`
	// Size is in KiB; for 0 it is the number of commits. That of an empty repository is 0.
	Size   int      `json:"size,omitempty"`
	Topics []string `json:"topics,omitempty"`
	// Properties are the values of custom properties: a string, or a list of strings.
	Properties map[string]any `json:"properties,omitempty"`
	Tags       []Tag          `json:"tags,omitempty"`
	Releases   []Release      `json:"releases,omitempty"`
}

// Tag is a tag of the newest commit of its time.
type Tag struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// Release is a release of a repository. A draft has no time of publication.
type Release struct {
	ID  int64  `json:"id"`
	Tag string `json:"tag"`
	// Login is the author; empty for an account that was deleted.
	Login string `json:"login,omitempty"`
	// CreatedAt is the date of the tagged commit, PublishedAt that of the publication: zero for a draft.
	CreatedAt   time.Time `json:"created_at"`
	PublishedAt time.Time `json:"published_at,omitzero"`
	Prerelease  bool      `json:"prerelease,omitempty"`
	// DeletedAt is when it is deleted; zero for never.
	DeletedAt time.Time `json:"deleted_at,omitzero"`
}

// cloneDetails returns a deep copy.
func (d *RepoDetails) cloneDetails() RepoDetails {
	c := *d
	c.Topics, c.Properties = slices.Clone(d.Topics), maps.Clone(d.Properties)
	c.Tags, c.Releases = slices.Clone(d.Tags), slices.Clone(d.Releases)
	return c
}
