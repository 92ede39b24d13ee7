// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"container/heap"
	"iter"
	"slices"
	"time"
)

// push is a change of a branch in the data: a commit or a reset.
type push struct {
	at     time.Time
	commit *commitIndex
	branch string
	reset  string
}

// addCommits builds the commit graphs. Along a branch, pushes in the order of their times:
//
//	c1 ◀── c2 ◀── c3 ◀── c4 (parents=2)
//	        ▲             │
//	        └─────────────┘ second parent: an older commit
func (ix *index) addCommits(d *Dataset, repos map[string]*repoIndex) {
	pushes := map[*repoIndex][]push{}
	for i := range d.Commits {
		c := &d.Commits[i]
		r := repos[c.Repo]
		if r == nil {
			continue
		}
		ci := ix.addCommit(r, c)
		pushes[r] = append(pushes[r], push{at: c.pushed(), commit: ci, branch: cmp.Or(c.Branch, r.DefaultBranch)})
	}
	for _, r := range repos {
		for _, rs := range r.Resets {
			pushes[r] = append(pushes[r], push{at: rs.At, branch: cmp.Or(rs.Branch, r.DefaultBranch), reset: rs.SHA})
		}
		r.linkBranches(ix.tl, pushes[r])
	}
}

func (ix *index) addCommit(r *repoIndex, c *Commit) *commitIndex {
	ci := &commitIndex{
		Commit: c, repo: r,
		authored: ix.tl.ToServed(c.AuthoredAt), committed: ix.tl.ToServed(c.CommittedAt),
		pushed: ix.tl.ToServed(c.pushed()),
	}
	if !c.GoneAt.IsZero() {
		ci.gone = ix.servedPtr(&c.GoneAt)
	}
	ix.ensureAccount(c.Login)
	for i := range c.CoAuthors {
		ix.ensureAccount(&c.CoAuthors[i])
	}
	r.commits[c.SHA] = ci
	return ci
}

// linkBranches links the commits of a repository and records where its branches stood when.
func (r *repoIndex) linkBranches(tl Timeline, pushes []push) {
	slices.SortStableFunc(pushes, func(a, b push) int { return a.at.Compare(b.at) })
	lines := map[string][]*commitIndex{}
	for _, p := range pushes {
		line := lines[p.branch]
		if p.reset != "" {
			p.commit = r.commits[p.reset]
			if p.commit == nil {
				continue
			}
		} else {
			if len(line) == 0 {
				line = lines[r.DefaultBranch]
			}
			r.linkParents(p.commit, line)
		}
		lines[p.branch] = append(slices.Clip(line), p.commit)
		r.branches[p.branch] = append(r.branches[p.branch], move{at: tl.ToServed(p.at), head: p.commit})
	}
}

func (r *repoIndex) linkParents(c *commitIndex, line []*commitIndex) {
	if c.ParentSHAs != nil {
		c.shas = c.ParentSHAs
		for _, sha := range c.ParentSHAs {
			if p := r.commits[sha]; p != nil {
				c.parents = append(c.parents, p)
			}
		}
		return
	}
	for i := range max(1, c.Parents) {
		if j := len(line) - 1 - i; j >= 0 {
			c.parents = append(c.parents, line[j])
			c.shas = append(c.shas, line[j].SHA)
		}
	}
}

// walk goes through what is visible and reachable from a commit, newest committer date first, children before parents,
// as git log does.
func (v view) walk(from *commitIndex) iter.Seq[*commitIndex] {
	return func(yield func(*commitIndex) bool) {
		seen := map[*commitIndex]bool{}
		h := &commitHeap{}
		add := func(c *commitIndex) {
			if c != nil && !seen[c] && v.commitVisible(c) {
				seen[c] = true
				heap.Push(h, heapEntry{c, len(seen)})
			}
		}
		for add(from); h.Len() > 0; {
			c := heap.Pop(h).(heapEntry).commit
			if !yield(c) {
				return
			}
			for _, p := range c.parents {
				add(p)
			}
		}
	}
}

// reachable is the set that walk goes through.
func (v view) reachable(from *commitIndex) map[*commitIndex]bool {
	set := map[*commitIndex]bool{}
	for c := range v.walk(from) {
		set[c] = true
	}
	return set
}

type heapEntry struct {
	commit *commitIndex
	seq    int
}

type commitHeap []heapEntry

func (h commitHeap) Len() int { return len(h) }
func (h commitHeap) Less(i, j int) bool {
	if c := h[i].commit.committed.Compare(h[j].commit.committed); c != 0 {
		return c > 0
	}
	return h[i].seq < h[j].seq
}
func (h commitHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *commitHeap) Push(x any)   { *h = append(*h, x.(heapEntry)) }
func (h *commitHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
