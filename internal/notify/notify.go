// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package notify calls a host back without holding a lock. A component that reports its changes in order would have to
// call the host under the lock that orders the changes; the host could then neither call the component nor be slow.
package notify

import "sync"

// Queue calls a function with values in the order in which they were added, one call at a time. The zero value is empty
// and ready to use. It is safe for concurrent use.
type Queue[T any] struct {
	mu           sync.Mutex
	pending      []T
	isDelivering bool
}

// Add appends a value. It calls nothing and does not block: the caller may hold the lock that orders the values.
func (q *Queue[T]) Add(value T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = append(q.pending, value)
}

// Deliver calls call with the pending values. The caller must hold no lock that call acquires. Where another Deliver is
// running, on this goroutine or on another one, that one delivers the values and Deliver returns at once.
func (q *Queue[T]) Deliver(call func(T)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isDelivering {
		return
	}
	q.isDelivering = true
	defer func() { q.isDelivering = false }()
	for len(q.pending) > 0 {
		value := q.pending[0]
		q.pending = q.pending[1:]
		q.callUnlocked(call, value)
	}
}

// callUnlocked calls call without q.mu, which the caller holds before and after, also when call panics.
func (q *Queue[T]) callUnlocked(call func(T), value T) {
	q.mu.Unlock()
	defer q.mu.Lock()
	call(value)
}
