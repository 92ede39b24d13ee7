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

	mu        sync.Mutex
	index     int
	successes int
}

func newPageSize(sizes ...int) *pageSize { return &pageSize{sizes: sizes} }

func (p *pageSize) current() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sizes[p.index]
}

// smallest is the smallest size.
func (p *pageSize) smallest() int { return p.sizes[len(p.sizes)-1] }

// next is the size after one whose question ended in an error; false when a smaller question does not help.
func (p *pageSize) next(size int, err error) (int, bool) {
	if !isTooLarge(err) {
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
	if place > p.index {
		p.index, p.successes = place, 0
	}
}

// remember keeps the size of a question that succeeded after a larger one had failed.
func (p *pageSize) remember(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if place := slices.Index(p.sizes, size); place >= 0 {
		p.index, p.successes = place, 0
	}
}

// recordSuccess counts a question of the present size that succeeded.
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

// isTooLarge reports whether a smaller question may be answered.
func isTooLarge(err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	return ok && unavailable.isTooLarge
}
