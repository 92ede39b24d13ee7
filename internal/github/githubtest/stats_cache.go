// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"sync"
)

// statsCache counts for each head how often its statistics were asked for.
type statsCache struct {
	mu       sync.Mutex
	requests map[string]int
}

// isPending reports whether the statistics of a head are still being computed.
func (s *statsCache) isPending(head string, times int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests == nil {
		s.requests = map[string]int{}
	}
	s.requests[head]++
	return s.requests[head] <= times
}
