// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"slices"
	"sync"
	"time"
)

// position is the place of a repository in a listing, which is in the order of creation.
type position struct {
	created time.Time
	id      int64
}

// before reports whether p comes before q in the listing.
func (p position) before(q position) bool {
	if p.created.Equal(q.created) {
		return p.id < q.id
	}
	return p.created.Before(q.created)
}

// pageCursor is the start of a page: a cursor, which is a value and not an index, and the repository before it.
type pageCursor struct {
	cursor string
	after  position
}

// cursorCache has the starts of the pages of the last discovery of each organization. Its zero value is ready; it is
// safe for concurrent use.
type cursorCache struct {
	mu    sync.Mutex
	byOrg map[string][]pageCursor
}

// releaseTurns has, by organization, which half of the segments of a listing is requested with the lists of releases.
// Its zero value is ready; it is safe for concurrent use.
type releaseTurns struct {
	mu     sync.Mutex
	second map[string]bool
}

// assign sets which segments are requested with the lists of releases: a single one, as in the first discovery, each
// time, and each of several every second time.
func (t *releaseTurns) assign(org string, parts []segment) {
	if len(parts) == 1 {
		parts[0].withReleases = true
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.second == nil {
		t.second = make(map[string]bool)
	}
	second := t.second[org]
	t.second[org] = !second
	for i := range parts {
		parts[i].withReleases = (i%2 == 1) == second
	}
}

// get returns the starts of the pages of an organization; nil when there are none.
func (s *cursorCache) get(org string) []pageCursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byOrg[org]
}

// set replaces the cursors of an organization; nil removes them.
func (s *cursorCache) set(org string, list []pageCursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byOrg == nil {
		s.byOrg = make(map[string][]pageCursor)
	}
	s.byOrg[org] = slices.Clip(list)
}
