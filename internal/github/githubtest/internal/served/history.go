// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"container/heap"
	"iter"
	"slices"
	"time"
)

// Walk iterates over the visible commits that a commit reaches, in the order of git log: children before parents, the
// newest committer date first.
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

// ReachableFrom returns the commits of Walk as a set.
func (v View) ReachableFrom(from *Commit) map[*Commit]bool {
	set := map[*Commit]bool{}
	for c := range v.Walk(from) {
		set[c] = true
	}
	return set
}

// History returns the reachable commits with a committer date from since to until, both inclusive. A zero time is no
// bound.
func (v View) History(from *Commit, since, until time.Time) []*Commit {
	var out []*Commit
	for c := range v.Walk(from) {
		if !c.Committed.Before(since) && (until.IsZero() || !c.Committed.After(until)) {
			out = append(out, c)
		}
	}
	return out
}

// ReachableOnlyFrom returns the commits that a reaches and b does not, in the order of Walk.
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

// Comparison is what a head has and a base has not.
type Comparison struct {
	// Ahead are the commits that the head alone reaches, the oldest first; Behind is how many the base alone reaches.
	Ahead  []*Commit
	Behind int
}

// Compare compares a head with a base.
func (v View) Compare(base, head *Commit) Comparison {
	ahead := v.ReachableOnlyFrom(head, base)
	slices.Reverse(ahead)
	return Comparison{Ahead: ahead, Behind: len(v.ReachableOnlyFrom(base, head))}
}

// Status returns how the head relates to the base, as REST has it.
func (c Comparison) Status() string {
	switch {
	case len(c.Ahead) > 0 && c.Behind > 0:
		return "diverged"
	case len(c.Ahead) > 0:
		return "ahead"
	case c.Behind > 0:
		return "behind"
	default:
		return "identical"
	}
}

// HaveCommonAncestor reports whether two commits reach a common one.
func (v View) HaveCommonAncestor(a, b *Commit) bool {
	known := v.ReachableFrom(a)
	for c := range v.Walk(b) {
		if known[c] {
			return true
		}
	}
	return false
}

// heapEntry is a commit with the number of its discovery, which orders commits of the same time.
type heapEntry struct {
	commit *Commit
	seq    int
}

// commitHeap is a container/heap whose first element is the newest commit.
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
