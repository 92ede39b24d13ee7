// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
)

// Size returns the size of a repository in KiB. That of an empty one is 0.
func (v View) Size(r *Repo) int {
	if v.IsEmpty(r) {
		return 0
	}
	visible := 0
	for _, c := range r.Commits {
		if v.IsVisible(c.Pushed) {
			visible++
		}
	}
	return cmp.Or(r.Size, visible, 1)
}

// TagNames returns the names of the tags, sorted.
func (v View) TagNames(r *Repo) []string {
	var names []string
	for _, tag := range r.Tags {
		if v.IsVisible(v.Index.Timeline.ToServed(tag.At)) {
			names = append(names, tag.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Release is a published release.
type Release struct {
	*dataset.Release

	Created, Published time.Time
	// Author is nil for an account that was deleted.
	Author *Account
}

// Releases returns the published releases, the newest creation first: a credential with read permissions sees no
// drafts (https://docs.github.com/rest/releases/releases#list-releases).
func (v View) Releases(r *Repo) []Release {
	var all []Release
	tl := v.Index.Timeline
	for i := range r.Releases {
		row := &r.Releases[i]
		published := tl.ToServed(row.PublishedAt)
		if row.PublishedAt.IsZero() || !v.IsVisible(published) {
			continue
		}
		if !row.DeletedAt.IsZero() && v.IsVisible(tl.ToServed(row.DeletedAt)) {
			continue
		}
		release := Release{Release: row, Created: tl.ToServed(row.CreatedAt), Published: published}
		if row.Login != "" {
			release.Author = v.Index.Account(&row.Login)
		}
		all = append(all, release)
	}
	slices.SortFunc(all, func(a, b Release) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID))
	})
	return all
}

// LatestRelease returns the newest release by creation that is no prerelease; false for none
// (https://docs.github.com/rest/releases/releases#get-the-latest-release).
func (v View) LatestRelease(r *Repo) (Release, bool) {
	for _, release := range v.Releases(r) {
		if !release.Prerelease {
			return release, true
		}
	}
	return Release{}, false
}
