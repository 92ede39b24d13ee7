// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import "time"

// historyWalk follows a history from a new head until everything is seen that the former head does not reach. A
// listing is in the order of dates, which clients choose: so the parents of commits end the walk, not their dates. A
// commit is old when it is the former head or a parent of an old commit. The walk is complete when it has reached the
// former head and every parent of a new commit was seen or is old.
type historyWalk struct {
	head        string // the old one
	horizon     time.Time
	headReached bool
	seen        map[string]bool
	old         map[string]bool
	open        map[string]bool // parents of new commits that were not seen yet
}

func newWalk(head string, horizon time.Time) *historyWalk {
	return &historyWalk{
		head: head, horizon: horizon,
		seen: make(map[string]bool), old: make(map[string]bool), open: make(map[string]bool),
	}
}

// newCommits returns the commits of a page that are new.
func (w *historyWalk) newCommits(nodes []*commitNode) []*commitNode {
	fresh := make([]*commitNode, 0, len(nodes))
	for _, n := range nodes {
		if w.visit(n) {
			fresh = append(fresh, n)
		}
	}
	return fresh
}

func (w *historyWalk) visit(n *commitNode) bool {
	if w.seen[n.OID] {
		return false
	}
	w.seen[n.OID] = true
	delete(w.open, n.OID)
	isOld := n.OID == w.head || w.old[n.OID]
	w.headReached = w.headReached || n.OID == w.head
	for _, parent := range n.Parents.Nodes {
		switch {
		case parent == nil:
		case isOld:
			w.old[parent.OID] = true
			delete(w.open, parent.OID)
		case !w.old[parent.OID] && !w.seen[parent.OID]:
			w.open[parent.OID] = true
		}
	}
	return !isOld
}

// isComplete reports whether the walk ends after a page: everything was seen, or the page and all that would follow
// lie before the horizon. A rewritten history does not have the former head.
func (w *historyWalk) isComplete(nodes []*commitNode) bool {
	if w.headReached && len(w.open) == 0 {
		return true
	}
	dated := false
	for _, n := range nodes {
		if n.invalid["committedDate"] != nil {
			continue // it says nothing about those that follow
		}
		if !n.CommittedDate.Before(w.horizon) {
			return false
		}
		dated = true
	}
	return dated
}
