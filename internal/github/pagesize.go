package github

import (
	"errors"
	"sync"
)

// pageSizes are the sizes that are tried in turn: GitHub gives a query ten seconds, and what does not fit costs extra.
var pageSizes = []int{100, 50, 25, 10, 5}

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

// shrink reports whether a smaller page may be tried after an error.
func (p *pageSize) shrink(err error) bool {
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) || !unavailable.tooMuch {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.succeed = 0
	if p.place == len(pageSizes)-1 {
		return false
	}
	p.place++
	return true
}

// worked counts a page that succeeded.
func (p *pageSize) worked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.place == 0 {
		return
	}
	if p.succeed++; p.succeed >= growAfter {
		p.place, p.succeed = p.place-1, 0
	}
}

// smallest reports whether there is no smaller page.
func (p *pageSize) smallest() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.place == len(pageSizes)-1
}
