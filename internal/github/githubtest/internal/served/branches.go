// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
)

// push is a move of a branch at a data time: to a new commit or, by a reset, to the existing one with its SHA. A reset
// without one deletes the branch.
type push struct {
	at     time.Time
	commit *Commit
	branch string
	reset  *dataset.Reset
}

// addCommits adds the commits of a dataset and links them. Along a branch, pushes in the order of their times:
//
//	c1 ◀── c2 ◀── c3 ◀── c4 (parents=2)
//	        ▲             │
//	        └─────────────┘ second parent: an older commit
func (ix *Index) addCommits(d *dataset.Dataset, repos map[string]*Repo) {
	pushes := map[*Repo][]push{}
	for i := range d.Commits {
		c := &d.Commits[i]
		r := repos[c.Repo]
		if r == nil {
			continue
		}
		ci := ix.addCommit(r, c)
		pushes[r] = append(pushes[r], push{at: c.PushTime(), commit: ci, branch: cmp.Or(c.Branch, r.DefaultBranch)})
	}
	for _, r := range repos {
		for i := range r.Resets {
			rs := &r.Resets[i]
			pushes[r] = append(pushes[r], push{at: rs.At, branch: cmp.Or(rs.Branch, r.DefaultBranch), reset: rs})
		}
		r.linkBranches(ix.Timeline, pushes[r])
	}
}

func (ix *Index) addCommit(r *Repo, c *dataset.Commit) *Commit {
	ci := &Commit{
		Commit: c, Repository: r,
		Authored: ix.Timeline.ToServed(c.AuthoredAt), Committed: ix.Timeline.ToServed(c.CommittedAt),
		Pushed: ix.Timeline.ToServed(c.PushTime()),
	}
	if !c.GoneAt.IsZero() {
		ci.Gone = ix.servedPtr(&c.GoneAt)
	}
	ix.ensureAccount(c.Login)
	for i := range c.CoAuthors {
		ix.ensureAccount(&c.CoAuthors[i])
	}
	r.Commits[c.SHA] = ci
	return ci
}

// linkBranches links the commits of a repository to their parents, and records the heads of its branches over time.
func (r *Repo) linkBranches(tl dataset.Timeline, pushes []push) {
	slices.SortStableFunc(pushes, func(a, b push) int { return a.at.Compare(b.at) })
	lines := map[string][]*Commit{}
	for _, p := range pushes {
		line := lines[p.branch]
		switch {
		case p.reset == nil:
			if len(line) == 0 {
				line = lines[r.DefaultBranch]
			}
			r.linkParents(p.commit, line)
		case p.reset.SHA != "":
			p.commit = r.Commits[p.reset.SHA]
			if p.commit == nil {
				continue
			}
		}
		if p.commit == nil {
			delete(lines, p.branch)
		} else {
			lines[p.branch] = append(slices.Clip(line), p.commit)
		}
		r.branches[p.branch] = append(r.branches[p.branch], branchMove{at: tl.ToServed(p.at), head: p.commit})
	}
}

// linkParents sets the parents of a commit that is pushed after the commits of a line, the oldest first.
func (r *Repo) linkParents(c *Commit, line []*Commit) {
	if c.ParentSHAs != nil {
		c.AllParentSHAs = c.ParentSHAs
		for _, sha := range c.ParentSHAs {
			if p := r.Commits[sha]; p != nil {
				c.ParentCommits = append(c.ParentCommits, p)
			}
		}
		return
	}
	for i := range max(1, c.Parents) {
		if j := len(line) - 1 - i; j >= 0 {
			c.ParentCommits = append(c.ParentCommits, line[j])
			c.AllParentSHAs = append(c.AllParentSHAs, line[j].SHA)
		}
	}
}
