package github

import (
	"errors"
	"slices"
	"sync"
)

// growAfter is how many questions of a smaller size must succeed before a larger one is tried again.
const growAfter = 20

// pageSize remembers the size of a question that worked: GitHub gives a query ten seconds, and what does not fit costs
// extra. A smaller size is remembered when it has worked, not when a larger one failed: what fails at every size has
// another reason.
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

// below is the size after one whose question ended in an error; false when a smaller question does not help.
func (p *pageSize) below(size int, err error) (int, bool) {
	if !tooMuch(err) {
		return size, false
	}
	place := slices.IndexFunc(p.sizes, func(s int) bool { return s < size })
	if place < 0 {
		return size, false
	}
	return p.sizes[place], true
}

// shrink remembers that questions of a size are too large, though they succeed.
func (p *pageSize) shrink(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := slices.IndexFunc(p.sizes, func(s int) bool { return s < size })
	if place > p.place {
		p.place, p.succeed = place, 0
	}
}

// remember keeps the size of a question that succeeded after a larger one had failed.
func (p *pageSize) remember(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if place := slices.Index(p.sizes, size); place >= 0 {
		p.place, p.succeed = place, 0
	}
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

// isFull reports whether the largest size is in use.
func (p *pageSize) isFull() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.place == 0
}

// tooMuch reports whether a smaller question may be answered.
func tooMuch(err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	return ok && unavailable.tooMuch
}
