// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"sync"
)

// statsCache counts the requests for the statistics of each head. It is safe for concurrent use.
type statsCache struct {
	mu       sync.Mutex
	requests map[string]int
}

// isPending counts a request, and reports whether it is one of the first `times`, while GitHub computes the statistics.
func (s *statsCache) isPending(head string, times int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests == nil {
		s.requests = map[string]int{}
	}
	s.requests[head]++
	return s.requests[head] <= times
}
