// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import "time"

// historyWalk follows a history from a new head until everything is seen that the former head does not reach. A
// listing is in the order of dates, which clients choose: so the parents of commits end the walk, not their dates. A
// commit is old when it is the former head or a parent of an old commit. The walk is complete when it has reached the
// former head and every parent of a new commit was seen or is old.
type historyWalk struct {
	formerHead    string // empty for none
	horizon       time.Time
	headReached   bool
	seen          map[string]bool
	oldCommits    map[string]bool
	unseenParents map[string]bool // of new commits
}

// newHistoryWalk returns a walk from a new head to a former one. Commits before the horizon do not count.
func newHistoryWalk(head string, horizon time.Time) *historyWalk {
	return &historyWalk{
		formerHead: head, horizon: horizon,
		seen: make(map[string]bool), oldCommits: make(map[string]bool), unseenParents: make(map[string]bool),
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

// visit records a commit of a page, and reports whether it is new.
func (w *historyWalk) visit(n *commitNode) bool {
	if w.seen[n.OID] {
		return false
	}
	w.seen[n.OID] = true
	delete(w.unseenParents, n.OID)
	isOld := n.OID == w.formerHead || w.oldCommits[n.OID]
	w.headReached = w.headReached || n.OID == w.formerHead
	for _, parent := range n.Parents.Nodes {
		switch {
		case parent == nil:
		case isOld:
			w.oldCommits[parent.OID] = true
			delete(w.unseenParents, parent.OID)
		case !w.oldCommits[parent.OID] && !w.seen[parent.OID]:
			w.unseenParents[parent.OID] = true
		}
	}
	return !isOld
}

// isComplete reports whether the walk ends after a page: everything was seen, or the page and all that would follow
// lie before the horizon. A rewritten history does not have the former head.
func (w *historyWalk) isComplete(nodes []*commitNode) bool {
	if w.headReached && len(w.unseenParents) == 0 {
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
