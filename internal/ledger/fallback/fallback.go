// Package fallback is a ledger.Store that goes on in memory while the shared store is out of reach. It mirrors what the shared
// store has, so that nothing is shown less when it goes; what is recorded alone is kept and given to the shared store when
// it is back. That is always safe, because recording is a set union.
package fallback

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// pingInterval is how often the shared store is asked whether it is there, answerWithin how long it may take.
	pingInterval        = 2 * time.Second
	pingTimeout = 2 * time.Second
	// outageFailures in a row are an outage.
	outageFailures = 3
	// maxPendingEvents bounds the events that are kept for the shared store. What is beyond is read from GitHub again.
	maxPendingEvents = 1_000_000
)

// errRecovered refuses a commit in the moment in which the shared store comes back.
var errRecovered = errors.New("the shared store is back: commit again")

// Shared is the store that all replicas share.
type Shared interface {
	ledger.Store
	Ping(ctx context.Context) error
}

// Store is a ledger.Store. Close ends what it does in the background.
type Store struct {
	shared Shared
	mirror *ledger.Local
	onChange func(alone bool)
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu    sync.Mutex
	degraded bool
	pending  []ledger.Batch // what was recorded alone, in order
	pendingEvents  int            // its events
	overflowed  bool           // nothing more was kept after some moment
	orgs  map[string]*mirroredOrg
	basis map[string]string // of the last coverage that the shared store gave, by organization
}

// mirroredOrg is an organization whose state is mirrored.
type mirroredOrg struct {
	ready chan struct{} // closed when there is something to follow
	once  sync.Once
}

func (m *mirroredOrg) markReady() { m.once.Do(func() { close(m.ready) }) }

var _ ledger.Store = (*Store)(nil)

// New makes a store over a shared one that mirrors some organizations. notify is told when it goes on alone, and when that
// is over.
func New(shared Shared, orgs []string, maxSeries int, notify func(alone bool)) *Store {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Store{
		shared: shared, mirror: ledger.NewLocal(nil, maxSeries), onChange: notify, cancel: cancel, orgs: make(map[string]*mirroredOrg),
		basis: make(map[string]string),
	}
	for _, org := range orgs {
		s.orgs[org] = &mirroredOrg{ready: make(chan struct{})}
	}
	s.tasks.Go(func() { s.supervise(ctx) })
	return s
}

// Close ends the mirroring. The shared store is the caller's.
func (s *Store) Close() {
	s.cancel()
	s.tasks.Wait()
}

// IsDegraded reports whether the store goes on in memory.
func (s *Store) IsDegraded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.degraded
}

// supervise mirrors while the shared store is there and watches over it.
func (s *Store) supervise(ctx context.Context) {
	for ctx.Err() == nil {
		mirroring, stop := context.WithCancel(ctx)
		var following sync.WaitGroup
		for org, m := range s.orgs {
			following.Go(func() { s.mirrorOrg(mirroring, org, m) })
		}
		s.awaitOutage(ctx)
		stop()
		following.Wait()
		if ctx.Err() != nil {
			return
		}
		s.enterDegraded()
		for ctx.Err() == nil && !s.replayPending(ctx) {
			pause(ctx, pingInterval)
		}
	}
}

// awaitOutage returns when the shared store did not answer some times in a row.
func (s *Store) awaitOutage(ctx context.Context) {
	for failed := 0; failed < outageFailures; {
		pause(ctx, pingInterval)
		switch err := s.ping(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			failed++
		default:
			failed = 0
		}
	}
}

func (s *Store) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return s.shared.Ping(ctx)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// mirrorOrg mirrors an organization. A snapshot takes the place of what was there when it is complete.
func (s *Store) mirrorOrg(ctx context.Context, org string, m *mirroredOrg) {
	var snapshot *ledger.State
	_ = s.shared.Follow(ctx, org, func(c ledger.Change) error { // ends with the context
		if c.Reset {
			snapshot = ledger.NewState()
		}
		if snapshot == nil {
			s.mirror.ApplyChange(org, c)
			return nil
		}
		snapshot.Apply(&c)
		if c.CaughtUp {
			s.mirror.ReplaceState(org, snapshot)
			snapshot = nil
			m.markReady()
		}
		return nil
	})
}

// enterDegraded goes on alone.
func (s *Store) enterDegraded() {
	s.mu.Lock()
	s.degraded = true
	for _, m := range s.orgs {
		m.markReady()
	}
	s.mu.Unlock()
	s.onChange(true)
}

// replayPending records in the shared store what was recorded alone, and reports whether it is back. Nobody commits alone between
// the last batch and the return.
func (s *Store) replayPending(ctx context.Context) bool {
	if s.ping(ctx) != nil {
		return false
	}
	for {
		s.mu.Lock()
		if len(s.pending) == 0 {
			s.degraded, s.overflowed, s.pendingEvents = false, false, 0
			s.mu.Unlock()
			s.onChange(false)
			return true
		}
		next := s.pending[0]
		s.mu.Unlock()
		_, err := s.shared.Commit(ctx, 0, next)
		if errors.Is(err, ledger.ErrReplaced) { // what it says was read builds on what is lost: it is read again
			events := ledger.Batch{Org: next.Org, Observed: next.Observed, Events: next.Events, Tallies: next.Tallies}
			_, err = s.shared.Commit(ctx, 0, events)
		}
		if err != nil && !errors.Is(err, ledger.ErrInvalid) {
			return false
		}
		s.mu.Lock()
		s.pending = s.pending[1:]
		s.mu.Unlock()
	}
}

// Commit implements ledger.Store.
func (s *Store) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	if !s.IsDegraded() {
		return s.shared.Commit(ctx, fence, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.degraded { // it has come back in this moment
		return ledger.Receipt{}, errRecovered
	}
	receipt, err := s.mirror.Commit(ctx, fence, b)
	if err == nil {
		s.appendPending(b)
	}
	return receipt, err
}

// appendPending keeps a batch for the shared store. Once one does not fit none is kept any more: each builds on those before it.
func (s *Store) appendPending(b ledger.Batch) {
	s.overflowed = s.overflowed || s.pendingEvents+len(b.Events) > maxPendingEvents
	if s.overflowed {
		return
	}
	s.pendingEvents += len(b.Events)
	s.pending = append(s.pending, b)
}

// Coverage implements ledger.Store. What is read alone builds on what the shared store had.
func (s *Store) Coverage(ctx context.Context, org string) (ledger.Coverage, error) {
	store := ledger.Store(s.shared)
	alone := s.IsDegraded()
	if alone {
		store = s.mirror
	}
	cov, err := store.Coverage(ctx, org)
	s.mu.Lock()
	defer s.mu.Unlock()
	if alone {
		cov.Basis = s.basis[org]
	} else if err == nil {
		s.basis[org] = cov.Basis
	}
	return cov, err
}

// ReadEntries implements ledger.Store.
func (s *Store) ReadEntries(ctx context.Context, org string, keys []ledger.EntryKey) (map[ledger.EntryKey]ledger.Entry, error) {
	if s.IsDegraded() {
		return s.mirror.ReadEntries(ctx, org, keys)
	}
	return s.shared.ReadEntries(ctx, org, keys)
}

// Prune implements ledger.Store.
func (s *Store) Prune(ctx context.Context, org string, before time.Time) error {
	if s.IsDegraded() {
		return s.mirror.Prune(ctx, org, before)
	}
	return s.shared.Prune(ctx, org, before)
}

// Follow implements ledger.Store for the organizations that are mirrored.
func (s *Store) Follow(ctx context.Context, org string, apply func(ledger.Change) error) error {
	m := s.orgs[org]
	if m == nil {
		return fmt.Errorf("organization %s is not mirrored", org)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-m.ready:
	}
	return s.mirror.Follow(ctx, org, apply)
}

// Sizes is how many series and events an organization has.
func (s *Store) Sizes(org string) (series, events int) { return s.mirror.Sizes(org) }
