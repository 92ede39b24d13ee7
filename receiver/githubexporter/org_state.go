// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"sync"
	"time"
)

// orgState has what this replica emits about its work on an organization. The roles write it; emission and health read
// it. It is safe for concurrent use.
type orgState struct {
	// wake requests an emission now. It must not block.
	wake func()

	mu            sync.Mutex
	termStartedAt time.Time // zero while this replica does not lead
	lastRun       time.Time // end of the last pass of the term; zero before
	lastTook      time.Duration
	caughtUp      time.Duration // how long the view took to catch up last
	oldestJobAt   time.Time     // oldest job in flight; zero for none, and while this replica does not lead
	completeAt    time.Time     // end of the first pass of this process that saw all repositories; zero before
}

// newOrgState returns the state of a replica that does not lead. wake requests an emission now and must not block.
func newOrgState(wake func()) *orgState { return &orgState{wake: wake} }

// recordPass records the end of a pass, and requests an emission after the first one of a term. isComplete says that it
// saw all repositories.
func (s *orgState) recordPass(took time.Duration, isComplete bool) {
	s.mu.Lock()
	first := s.lastRun.IsZero()
	s.lastRun, s.lastTook = time.Now(), took
	if isComplete && s.completeAt.IsZero() {
		s.completeAt = s.lastRun
	}
	s.mu.Unlock()
	if first {
		s.wake()
	}
}

// firstComplete returns when this process first made a pass that saw all repositories; zero before.
func (s *orgState) firstComplete() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.completeAt
}

// recordCatchUp records how long the view took to catch up with the store, and requests an emission.
func (s *orgState) recordCatchUp(took time.Duration) {
	s.mu.Lock()
	s.caughtUp = took
	s.mu.Unlock()
	s.wake()
}

// startTerm records that this replica leads from now on, and requests an emission.
func (s *orgState) startTerm() {
	s.mu.Lock()
	s.termStartedAt = time.Now()
	s.mu.Unlock()
	s.wake()
}

// clearTerm clears what only a leader emits, and requests an emission, which marks those series as stale.
func (s *orgState) clearTerm() {
	s.mu.Lock()
	s.lastRun, s.oldestJobAt, s.termStartedAt = time.Time{}, time.Time{}, time.Time{}
	s.mu.Unlock()
	s.wake()
}

// termStart returns when this replica began to lead; zero while it does not.
func (s *orgState) termStart() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.termStartedAt
}

// lastPass returns the end and the duration of the last pass, and how long the view last took to catch up.
func (s *orgState) lastPass() (lastRun time.Time, lastTook, caughtUp time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastRun, s.lastTook, s.caughtUp
}

// setOldestJob records when the oldest backfill job in flight was published; zero for none.
func (s *orgState) setOldestJob(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldestJobAt = at
}

// oldestJobInFlight returns when the oldest backfill job in flight was published; zero for none.
func (s *orgState) oldestJobInFlight() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oldestJobAt
}
