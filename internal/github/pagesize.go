package github

import (
	"errors"
	"slices"
	"sync"
)

// pageSizes are the sizes that are tried in turn: GitHub gives a query ten seconds, and what does not fit costs extra.
var pageSizes = []int{100, 50, 25, 10, 5}

// smallestPage is the last of them.
const smallestPage = 5

// growAfter is how many pages of a smaller size must succeed before a larger one is tried again.
const growAfter = 20

// pageSize remembers the page size that worked, as a place in pageSizes. Its zero value begins with the largest.
type pageSize struct {
	mu      sync.Mutex
	place   int
	succeed int
}

func (p *pageSize) now() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return pageSizes[p.place]
}

// shrink reports whether a smaller page than the one that ended in an error may be tried. Of several that were under way at
// once the first makes it smaller.
func (p *pageSize) shrink(err error, size int) bool {
	if !tooMuch(err) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	smaller := slices.IndexFunc(pageSizes, func(s int) bool { return s < size })
	if smaller < 0 {
		p.succeed = 0
		return false
	}
	if smaller > p.place {
		p.place, p.succeed = smaller, 0
	}
	return true
}

// worked counts a page of the present size that succeeded.
func (p *pageSize) worked(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.place == 0 || size != pageSizes[p.place] {
		return
	}
	if p.succeed++; p.succeed >= growAfter {
		p.place, p.succeed = p.place-1, 0
	}
}

// tooMuch reports whether a smaller question may be answered.
func tooMuch(err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	return ok && unavailable.tooMuch
}
