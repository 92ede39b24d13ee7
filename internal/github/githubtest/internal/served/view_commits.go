// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"slices"
	"strings"
	"time"
)

// IsCommitVisible reports whether a commit has been pushed and its object still exists.
func (v View) IsCommitVisible(c *Commit) bool {
	return !c.Repository.Empty && v.IsVisible(c.Pushed) && v.reachedTime(c.Gone) == nil
}

// DefaultBranch returns the branch of the newest visible switch or, without one, that of the row.
func (v View) DefaultBranch(r *Repo) string {
	name := r.DefaultBranch
	var newest time.Time
	for _, s := range r.Switches {
		if at := v.Index.Timeline.ToServed(s.At); v.IsVisible(at) && !at.Before(newest) && v.Head(r, s.Branch) != nil {
			name, newest = s.Branch, at
		}
	}
	return name
}

// Head returns the present head of a branch, nil when the branch does not exist.
func (v View) Head(r *Repo, branch string) *Commit {
	if r.Empty {
		return nil
	}
	moves := r.branches[branch]
	for _, move := range slices.Backward(moves) {
		if v.IsVisible(move.at) {
			return move.head
		}
	}
	return nil
}

// ResolveCommit returns the commit of a branch, a hash or an abbreviated hash, nil for none.
func (v View) ResolveCommit(r *Repo, ref string) *Commit {
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "refs/"), "heads/")
	if ref == "HEAD" {
		ref = v.DefaultBranch(r)
	}
	if c := v.Head(r, ref); c != nil {
		return c
	}
	if c := r.Commits[ref]; c != nil && v.IsCommitVisible(c) {
		return c
	}
	if len(ref) < 7 || len(ref) >= 40 {
		return nil
	}
	for sha, c := range r.Commits {
		if strings.HasPrefix(sha, ref) && v.IsCommitVisible(c) {
			return c
		}
	}
	return nil
}

// BranchNames returns the names of the existing branches, sorted.
func (v View) BranchNames(r *Repo) []string {
	var names []string
	for name := range r.branches {
		if v.Head(r, name) != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// IsEmpty reports whether the default branch has no commits.
func (v View) IsEmpty(r *Repo) bool { return v.Head(r, v.DefaultBranch(r)) == nil }

// PushedAt returns the time of the newest visible push to any branch or, without one, that of the creation.
func (v View) PushedAt(r *Repo) time.Time {
	var newest time.Time
	see := func(t time.Time) {
		if v.IsVisible(t) && t.After(newest) {
			newest = t
		}
	}
	for _, moves := range r.branches {
		for _, m := range moves {
			see(m.at)
		}
	}
	for _, t := range r.otherPushes {
		see(t)
	}
	if newest.IsZero() && !r.PushedAt.IsZero() {
		see(v.Index.Timeline.ToServed(r.PushedAt))
	}
	if newest.IsZero() {
		return r.Created
	}
	return newest
}
