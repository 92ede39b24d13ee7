package github

import (
	"errors"
	"sync"
)

// growAfter is how many questions of a smaller size must succeed before a larger one is tried again.
const growAfter = 20

// pageSize remembers the size of a question that worked: GitHub gives a query ten seconds, and what does not fit costs extra.
type pageSize struct {
	sizes []int // that are tried in turn, the largest first

	mu      sync.Mutex
	place   int
	succeed int
}

func newPageSize(sizes ...int) *pageSize { return &pageSize{sizes: sizes} }

func (p *pageSize) now() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sizes[p.place]
}

// least is the smallest size.
func (p *pageSize) least() int { return p.sizes[len(p.sizes)-1] }

// shrink reports whether a smaller size may be tried after an error of a question of the given one. Of several that fail
// together the first makes the next ones smaller.
func (p *pageSize) shrink(size int, err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	if !ok || !unavailable.tooMuch || size == p.least() {
		return false
	}
	p.smaller(size)
	return true
}

// smaller has smaller questions asked than one of the given size.
func (p *pageSize) smaller(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sizes[p.place] == size && size != p.least() {
		p.place, p.succeed = p.place+1, 0
	}
}

// worked counts a question of the given size that succeeded.
func (p *pageSize) worked(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.place == 0 || p.sizes[p.place] != size {
		return
	}
	if p.succeed++; p.succeed >= growAfter {
		p.place, p.succeed = p.place-1, 0
	}
}
