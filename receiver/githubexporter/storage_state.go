// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

const (
	// storageProbeKey is the key of the record that probes write. The store uses other keys.
	storageProbeKey = "probe"
	// storageTimeout is the duration of an operation from which on the storage counts as hanging. A snapshot of a large
	// ledger takes seconds.
	storageTimeout = 15 * time.Second
	// maxStorageProbe bounds the record of a probe in bytes.
	maxStorageProbe = 16 << 20
	// storageProbeMargin is what a probe writes in bytes beyond twice the size that failed: a database needs further
	// pages.
	storageProbeMargin = 64 << 10
)

// storageState has the results of the operations of a storage client, and computes its condition. A database file has
// free pages, so that small writes succeed on a full disk: only a write at least as large as the one that failed clears
// the error. It is safe for concurrent use.
type storageState struct {
	// onChange is called without a lock when err begins, ends or gets another text. It must not block. nil is none.
	onChange func()

	mu         sync.Mutex
	running    map[uint64]time.Time // start of each running operation, by its number
	operations uint64               // number of the last operation
	err        error                // of the storage; nil while it is healthy
	failedSize int                  // size in bytes of the store's largest write that failed since err began
}

// startOperation records the start of an operation and returns its number.
func (s *storageState) startOperation(now time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		s.running = make(map[uint64]time.Time)
	}
	s.operations++
	s.running[s.operations] = now
	return s.operations
}

// oldestStart returns the start of the operation that runs longest; now when none runs. s.mu is held.
func (s *storageState) oldestStart(now time.Time) time.Time {
	for _, began := range s.running {
		if began.Before(now) {
			now = began
		}
	}
	return now
}

// endOperation records the result of an operation that wrote size bytes. The size of a failed probe does not count: it
// is larger than what the store needs.
func (s *storageState) endOperation(operation uint64, size int, isProbe bool, err error) {
	s.mu.Lock()
	was := s.err
	delete(s.running, operation)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded): // says nothing of the storage
	case isPermanent(was): // does not heal
	case err != nil:
		s.err = err
		if !isProbe {
			s.failedSize = max(s.failedSize, size)
		}
	case was != nil && size > 0 && size >= min(s.failedSize, maxStorageProbe):
		s.err, s.failedSize = nil, 0
	}
	changed := (was == nil) != (s.err == nil) || (was != nil && was.Error() != s.err.Error())
	s.mu.Unlock()
	if changed && s.onChange != nil {
		s.onChange()
	}
}

// permanentError returns the error of the storage when it is a PermanentError, otherwise nil.
func (s *storageState) permanentError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isPermanent(s.err) {
		return s.err
	}
	return nil
}

// isPermanent reports whether an error is a PermanentError.
func isPermanent(err error) bool { return errors.As(err, new(*health.PermanentError)) }

// assess returns the present error of the storage, and the size in bytes of the record that a probe has to write to
// find out more: 0 while an operation runs, whose result will tell, and after a permanent error.
func (s *storageState) assess(now time.Time) (probeSize int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.oldestStart(now)
	switch {
	case isPermanent(s.err):
		return 0, s.err
	case now.Sub(oldest) > storageTimeout:
		return 0, fmt.Errorf("no response since %s", oldest.UTC().Format(time.RFC3339))
	case len(s.running) > 0:
		return 0, s.err
	case s.err == nil:
		return 1, nil
	default:
		return min(2*s.failedSize+storageProbeMargin, maxStorageProbe), s.err
	}
}
