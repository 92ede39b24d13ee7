package github

import (
	"errors"
	"slices"
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

// shrink reports whether a smaller question than one of the given size, which ended in an error, may be asked. Of several that
// were under way at once the first makes the next ones smaller.
func (p *pageSize) shrink(size int, err error) bool { return tooMuch(err) && p.smaller(size) }

// smaller has smaller questions asked than one of the given size; false when there are none.
func (p *pageSize) smaller(size int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := slices.IndexFunc(p.sizes, func(s int) bool { return s < size })
	if place < 0 {
		p.succeed = 0
		return false
	}
	if place > p.place {
		p.place, p.succeed = place, 0
	}
	return true
}

// worked counts a question of the present size that succeeded.
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

// tooMuch reports whether a smaller question may be answered.
func tooMuch(err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	return ok && unavailable.tooMuch
}
