// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
)

// View is what a credential can see at a moment.
type View struct {
	Index *Index
	Now   time.Time
	// Cutoff is the time of the newest visible data: Now or, while data is hidden, an earlier time.
	Cutoff time.Time
	Access Access
}

// Access is what a credential may read.
type Access struct {
	// Owners are the logins of the owners whose repositories it may read, in any case; nil means all.
	Owners []string
	// PublicOnly hides private and internal repositories.
	PublicOnly bool
	// Lacking has the permissions that it lacks.
	Lacking []string
}

// Lacks reports whether the credential lacks a permission, such as "issues".
func (a Access) Lacks(permission string) bool { return slices.Contains(a.Lacking, permission) }

// canSeeOwner reports whether the repositories of an owner may be read.
func (a Access) canSeeOwner(owner string) bool {
	return a.Owners == nil || slices.ContainsFunc(a.Owners, func(o string) bool { return strings.EqualFold(o, owner) })
}

// IsVisible reports whether a served time is reached.
func (v View) IsVisible(t time.Time) bool { return !t.After(v.Cutoff) }

// reachedTime returns the time when it is reached, and nil before.
func (v View) reachedTime(t *time.Time) *time.Time {
	if t == nil || !v.IsVisible(*t) {
		return nil
	}
	return t
}

// Org returns an organization by its login in any case, nil for one that does not exist or is not accessible.
func (v View) Org(login string) *Org {
	o := v.Index.OrgByLogin[strings.ToLower(login)]
	if o == nil || !v.Access.canSeeOwner(o.Login) {
		return nil
	}
	return o
}

// RepoByName returns a visible repository by its address in any case, nil for none. moved reports that the address is a
// former one.
func (v View) RepoByName(owner, name string) (r *Repo, moved bool) {
	r = v.Index.repos[repoKey(owner, name)]
	if r == nil {
		r, moved = v.Index.moved[repoKey(owner, name)], true
	}
	if r == nil || !v.repoVisible(r) {
		return nil, false
	}
	return r, moved
}

// RepoByID returns a visible repository by its id, nil for none.
func (v View) RepoByID(id int64) *Repo {
	if r := v.Index.RepoByID[id]; r != nil && v.repoVisible(r) {
		return r
	}
	return nil
}

func (v View) repoVisible(r *Repo) bool {
	return v.IsVisible(r.Created) && v.Access.canSeeOwner(r.Owner) && (!r.IsPrivate() || !v.Access.PublicOnly)
}

// isDuring reports whether one of the periods has begun and not ended.
func (v View) isDuring(periods []dataset.Period) bool {
	return slices.ContainsFunc(periods, func(p dataset.Period) bool {
		return v.IsVisible(v.Index.Timeline.ToServed(p.Start)) &&
			(p.End.IsZero() || !v.IsVisible(v.Index.Timeline.ToServed(p.End)))
	})
}

// ArePullsOff reports whether pull requests are disabled in the repository.
func (v View) ArePullsOff(r *Repo) bool { return v.isDuring(r.PullsOff) }

// AreIssuesOff reports whether issues are disabled in the repository.
func (v View) AreIssuesOff(r *Repo) bool { return v.isDuring(r.IssuesOff) }

// IsForbidden reports whether no credential may read the repository.
func (v View) IsForbidden(r *Repo) bool { return v.isDuring(r.Forbidden) }

// Repos returns the visible repositories of an organization, also forbidden ones.
func (v View) Repos(o *Org) []*Repo {
	var out []*Repo
	for _, r := range o.Repositories {
		if v.repoVisible(r) {
			out = append(out, r)
		}
	}
	return out
}

// RepoUpdatedAt returns the time of the last visible change of the settings.
func (v View) RepoUpdatedAt(r *Repo) time.Time {
	if v.IsVisible(r.Updated) {
		return r.Updated
	}
	return r.Created
}
