// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"container/heap"
	"iter"
	"time"
)

// Walk goes through what is visible and reachable from a commit, newest committer date first, children before parents,
// as git log does.
func (v View) Walk(from *Commit) iter.Seq[*Commit] {
	return func(yield func(*Commit) bool) {
		seen := map[*Commit]bool{}
		h := &commitHeap{}
		add := func(c *Commit) {
			if c != nil && !seen[c] && v.IsCommitVisible(c) {
				seen[c] = true
				heap.Push(h, heapEntry{c, len(seen)})
			}
		}
		for add(from); h.Len() > 0; {
			c := heap.Pop(h).(heapEntry).commit
			if !yield(c) {
				return
			}
			for _, p := range c.ParentCommits {
				add(p)
			}
		}
	}
}

// ReachableFrom is the set that walk goes through.
func (v View) ReachableFrom(from *Commit) map[*Commit]bool {
	set := map[*Commit]bool{}
	for c := range v.Walk(from) {
		set[c] = true
	}
	return set
}

// History is what is reachable and committed in a period; zero times do not bound it.
func (v View) History(from *Commit, since, until time.Time) []*Commit {
	var out []*Commit
	for c := range v.Walk(from) {
		if !c.Committed.Before(since) && (until.IsZero() || !c.Committed.After(until)) {
			out = append(out, c)
		}
	}
	return out
}

// ReachableOnlyFrom is what is reachable from a and not from b, newest first.
func (v View) ReachableOnlyFrom(a, b *Commit) []*Commit {
	known := v.ReachableFrom(b)
	var out []*Commit
	for c := range v.Walk(a) {
		if !known[c] {
			out = append(out, c)
		}
	}
	return out
}

// HaveCommonAncestor reports whether two commits can be compared.
func (v View) HaveCommonAncestor(a, b *Commit) bool {
	known := v.ReachableFrom(a)
	for c := range v.Walk(b) {
		if known[c] {
			return true
		}
	}
	return false
}

type heapEntry struct {
	commit *Commit
	seq    int
}

type commitHeap []heapEntry

func (h commitHeap) Len() int { return len(h) }

func (h commitHeap) Less(i, j int) bool {
	if c := h[i].commit.Committed.Compare(h[j].commit.Committed); c != 0 {
		return c > 0
	}
	return h[i].seq < h[j].seq
}

func (h commitHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *commitHeap) Push(x any) { *h = append(*h, x.(heapEntry)) }

func (h *commitHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
