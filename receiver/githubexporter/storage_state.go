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
	// storageTimeout is how long an operation may take before the storage counts as one that does not answer. A
	// snapshot of a large ledger takes seconds.
	storageTimeout = 15 * time.Second
	// maxStorageProbe bounds the record of a probe in bytes.
	maxStorageProbe = 16 << 20
	// storageProbeMargin is what a probe writes beyond twice what could not be written: a database needs pages besides.
	storageProbeMargin = 64 << 10
)

// storageState is what the operations of a storage client say about it. A database file has free pages, so that small
// writes succeed on a full disk: only a write at least as large as the one that failed ends the trouble. It is safe for
// concurrent use.
type storageState struct {
	// changed is called when trouble begins, ends or has another reason. It must not block. nil is none.
	changed func()

	mu         sync.Mutex
	running    map[uint64]time.Time // when each operation began that runs
	operations uint64               // operations so far
	err        error                // nil while the storage does what it is asked for
	failedSize int                  // of the store's largest write that failed since the trouble began, in bytes
}

// startOperation notes that an operation begins. It gives the operation's number.
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

// oldest is when the operation began that runs longest, now when none does.
func (s *storageState) oldest(now time.Time) time.Time {
	for _, began := range s.running {
		if began.Before(now) {
			now = began
		}
	}
	return now
}

// endOperation notes the outcome of an operation that wrote so many bytes. A probe writes more than the store needs.
func (s *storageState) endOperation(operation uint64, size int, probe bool, err error) {
	s.mu.Lock()
	was := s.err
	delete(s.running, operation)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded): // says nothing of the storage
	case isPermanent(was): // does not heal
	case err != nil:
		s.err = err
		if !probe {
			s.failedSize = max(s.failedSize, size)
		}
	case was != nil && size > 0 && size >= min(s.failedSize, maxStorageProbe):
		s.err, s.failedSize = nil, 0
	}
	changed := (was == nil) != (s.err == nil) || (was != nil && was.Error() != s.err.Error())
	s.mu.Unlock()
	if changed && s.changed != nil {
		s.changed()
	}
}

// permanentError is the trouble that does not heal; nil for any other.
func (s *storageState) permanentError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isPermanent(s.err) {
		return s.err
	}
	return nil
}

func isPermanent(err error) bool { return errors.As(err, new(*health.PermanentError)) }

// assess gives the size of the record with which to find out more, 0 while an operation runs, which says more itself,
// and the present trouble.
func (s *storageState) assess(now time.Time) (probe int, trouble error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.oldest(now)
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

// ping finds out whether the storage can be written to.
func (g *storageGuard) ping(ctx context.Context) error {
	if size, _ := g.state.assess(time.Now()); size > 0 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.probe(context.WithoutCancel(ctx), size)
		}()
		select {
		case <-done:
		case <-ctx.Done(): // what runs is judged by the next probes
		}
	}
	_, trouble := g.state.assess(time.Now())
	if trouble == nil {
		return nil
	}
	const text = "the storage extension %q fails to store records; they are re-read from GitHub once it works " +
		"again: %w"
	return fmt.Errorf(text, g.extension, trouble)
}

// probe writes a record. What a large one took is free for the store afterwards.
func (g *storageGuard) probe(ctx context.Context, size int) {
	write := func(size int) error {
		return g.observe(size, true, func() error { return g.client.Set(ctx, storageProbeKey, make([]byte, size)) })
	}
	if err := write(size); err == nil && size > 1 {
		_ = write(1) // the state has the outcome
	}
}
