// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"slices"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// growAfter is how many requests of a smaller size must succeed before a larger one is tried again.
const growAfter = 20

// pageSize adapts the size of pages to GitHub's time limit of ten seconds for a query. It becomes smaller when a
// smaller request has succeeded, not when a larger one has failed: a request that fails at every size has another
// cause. It is safe for concurrent use.
type pageSize struct {
	sizes []int // tried in this order, largest first

	mu        sync.Mutex
	index     int
	successes int
}

// newPageSize returns a page size that adapts between the given sizes, the largest first.
func newPageSize(sizes ...int) *pageSize { return &pageSize{sizes: sizes} }

// current returns the size of the next request.
func (p *pageSize) current() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sizes[p.index]
}

// smallest returns the smallest size.
func (p *pageSize) smallest() int { return p.sizes[len(p.sizes)-1] }

// next returns the size to try after a request of size failed with err; false when a smaller request does not help.
func (p *pageSize) next(size int, err error) (int, bool) {
	if !transport.IsTooLarge(err) {
		return size, false
	}
	place := slices.IndexFunc(p.sizes, func(s int) bool { return s < size })
	if place < 0 {
		return size, false
	}
	return p.sizes[place], true
}

// shrink selects a size smaller than size, whose requests succeed but are too expensive.
func (p *pageSize) shrink(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := slices.IndexFunc(p.sizes, func(s int) bool { return s < size })
	if place > p.index {
		p.index, p.successes = place, 0
	}
}

// remember selects the size of a request that succeeded after a larger one had failed.
func (p *pageSize) remember(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if place := slices.Index(p.sizes, size); place >= 0 {
		p.index, p.successes = place, 0
	}
}

// recordSuccess counts a successful request of the current size; after growAfter of them the next larger size is used.
// Other sizes are ignored.
func (p *pageSize) recordSuccess(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.index == 0 || p.sizes[p.index] != size {
		return
	}
	if p.successes++; p.successes >= growAfter {
		p.index, p.successes = p.index-1, 0
	}
}

// isFull reports whether the largest size is in use.
func (p *pageSize) isFull() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.index == 0
}

// newListingPageSize returns the page sizes of listings, and of lookups by node id.
func newListingPageSize() *pageSize { return newPageSize(100, 50, 25, 10, 5) }

// maxGroupSize bounds the repositories of one query of Prefetch.
const maxGroupSize = 10

// newGroupSize returns the adaptive number of repositories in one query of Prefetch.
func newGroupSize() *pageSize { return newPageSize(maxGroupSize, 5, 2) }
