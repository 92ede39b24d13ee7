// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// minVanished is the least number of missing repositories that are never gone at once: where that many, and at least
// half of the readable ones, are missing, only a second pass that misses them too makes them gone.
const minVanished = 3

// presence collects what discovery and lookups show about which repositories are readable.
type presence struct {
	// wasUnseen reports whether the previous pass did not find a repository either.
	wasUnseen func(repo int64) bool
	// discovered has the repositories that GitHub listed, with whether the filter selects them.
	discovered map[int64]bool
	// unknown are the repositories for which GitHub's response shows neither that they are readable nor that they are
	// gone.
	unknown map[int64]bool
	// transferred are the repositories that another owner has now.
	transferred map[int64]bool
	// unseen are the repositories that are gone unless the next pass finds them.
	unseen map[int64]bool
	// vanished is how many repositories are unseen at once, if that is most of those that were readable; 0 otherwise.
	vanished int
}

// newPresence returns the presence before anything was discovered, with room for so many repositories.
func newPresence(repositories int, wasUnseen func(repo int64) bool) presence {
	return presence{
		wasUnseen: wasUnseen, discovered: make(map[int64]bool, repositories), unknown: make(map[int64]bool),
		transferred: make(map[int64]bool), unseen: make(map[int64]bool),
	}
}

// numSelected returns how many discovered repositories the filter selects.
func (p *presence) numSelected() int {
	n := 0
	for _, selected := range p.discovered {
		if selected {
			n++
		}
	}
	return n
}

// isEmpty reports whether no repository was discovered and none is unknown.
func (p *presence) isEmpty() bool { return len(p.discovered)+len(p.unknown) == 0 }

// absent returns the readable repositories that were not discovered. Those that the previous pass did not find either
// come first: a lookup may be too short for all of them.
func (p *presence) absent(cov *ledger.Coverage) []*ledger.RepoCoverage {
	var list []*ledger.RepoCoverage
	for id, repoCov := range cov.Repos {
		if _, found := p.discovered[id]; !found && !repoCov.IsGone() {
			list = append(list, repoCov)
		}
	}
	slices.SortFunc(list, func(a, b *ledger.RepoCoverage) int {
		switch one, other := p.wasUnseen(a.ID), p.wasUnseen(b.ID); {
		case one == other:
			return 0
		case one:
			return -1
		default:
			return 1
		}
	})
	return list
}

// splitLeaving returns which readable repositories are gone and which are unseen, so that the next pass decides. A
// repository is gone when two passes in a row do not find it. One that was transferred or that the filter excludes is
// gone at once, unless most repositories would go together: then the reason may be an error.
func (p *presence) splitLeaving(cov *ledger.Coverage) (gone, unseen []*ledger.RepoCoverage) {
	readable := 0
	var leaving []*ledger.RepoCoverage
	for id, repoCov := range cov.Repos {
		if repoCov.IsGone() {
			continue
		}
		readable++
		if !p.discovered[id] && !p.unknown[id] {
			leaving = append(leaving, repoCov)
		}
	}
	most := len(leaving) >= minVanished && 2*len(leaving) >= readable
	for _, repoCov := range leaving {
		_, excluded := p.discovered[repoCov.ID]
		if p.wasUnseen(repoCov.ID) || (!most && (excluded || p.transferred[repoCov.ID])) {
			gone = append(gone, repoCov)
			continue
		}
		p.unseen[repoCov.ID] = true
		unseen = append(unseen, repoCov)
	}
	if most {
		p.vanished = len(p.unseen)
	}
	return gone, unseen
}
