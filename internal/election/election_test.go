// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package election

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// scriptedLeaser is a leaser whose results a test scripts.
type scriptedLeaser struct {
	fence    uint64
	acquire  func(ctx context.Context) error
	renew    func(ctx context.Context) error
	released []uint64
}

func (s *scriptedLeaser) Acquire(ctx context.Context, name string) (Term, error) {
	if s.acquire != nil {
		if err := s.acquire(ctx); err != nil {
			return Term{}, err
		}
	}
	s.fence++
	return Term{Name: name, Fence: s.fence}, nil
}

func (s *scriptedLeaser) Renew(ctx context.Context, _ Term) error {
	if s.renew == nil {
		return nil
	}
	return s.renew(ctx)
}

func (s *scriptedLeaser) Release(_ context.Context, t Term) error {
	s.released = append(s.released, t.Fence)
	return nil
}

var defaultTiming = Timing{
	LeaseDuration: 15 * time.Second,
	RenewDeadline: 10 * time.Second,
	RetryPeriod:   2 * time.Second,
}

// observeTerms runs an elector for some time and returns how long each term lasted and why it ended.
func observeTerms(
	t *testing.T,
	s *scriptedLeaser,
	timing Timing,
	total time.Duration,
) (lasted []time.Duration, why []error) {
	t.Helper()
	var began time.Time
	e := New(s, timing, nil, Hooks{
		OnTermStart: func(Term) { began = time.Now() },
		OnTermEnd:   func(_ Term, err error) { lasted, why = append(lasted, time.Since(began)), append(why, err) },
	})
	ctx, cancel := context.WithTimeout(t.Context(), total)
	defer cancel()
	err := e.Lead(ctx, "", func(ctx context.Context, _ uint64) error { <-ctx.Done(); return ctx.Err() })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	return lasted, why
}

// waitForContext returns the error of a context after its end, as a request without a response does.
func waitForContext(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func TestTermEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scripted scriptedLeaser
		timing   Timing
		lasted   time.Duration // of the first term
		why      error
		released bool
	}{
		"renewed": {scriptedLeaser{}, defaultTiming, time.Hour, context.DeadlineExceeded, true},
		"lost": {
			scriptedLeaser{renew: func(context.Context) error { return ErrLost }},
			defaultTiming,
			2 * time.Second, ErrLost, false,
		},
		"no response": {scriptedLeaser{renew: waitForContext}, defaultTiming, 10 * time.Second, ErrExpired, true},
		"errors": {
			scriptedLeaser{renew: func(context.Context) error { return errors.New("refused") }},
			defaultTiming, 10 * time.Second, ErrExpired, true,
		},
		"deadline close to the lease duration": {scriptedLeaser{renew: waitForContext}, Timing{
			10 * time.Second, 10 * time.Second,
			time.Second,
		}, 9500 * time.Millisecond, ErrExpired, true},
		// What the request took counts: the lease began somewhere in between.
		"slow to acquire": {scriptedLeaser{acquire: func(context.Context) error {
			<-time.After(
				time.Second)
			return nil
		}, renew: waitForContext}, defaultTiming, 9 * time.Second, ErrExpired, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				lasted, why := observeTerms(t, &test.scripted, test.timing, time.Hour)
				require.InDelta(t, test.lasted.Seconds(), lasted[0].Seconds(), 0.3)
				require.ErrorIs(t, why[0], test.why)
				if test.released {
					require.Equal(t, uint64(1), test.scripted.released[0])
				} else {
					require.NotContains(t, test.scripted.released, uint64(1))
				}
			})
		})
	}
}

// TestLeadAgainAfterOutage: an outage of the leaser ends the term, and the next term starts after the outage.
func TestLeadAgainAfterOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		down := func(context.Context) error {
			if d := time.Since(began); d > time.Minute && d < 2*time.Minute {
				return errors.New("down")
			}
			return nil
		}
		lasted, why := observeTerms(t, &scriptedLeaser{acquire: down, renew: down}, defaultTiming, 10*time.Minute)
		require.Len(t, why, 2)
		require.ErrorIs(t, why[0], ErrExpired)
		require.InDelta(t, 69, lasted[0].Seconds(), 2)
		require.InDelta(t, 480, lasted[1].Seconds(), 2)
	})
}

// TestReleaseWaitsForWork: the lease is released after the work has returned.
func TestReleaseWaitsForWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scriptedLeaser{}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := New(s, defaultTiming, nil, Hooks{}).Lead(ctx, "", func(ctx context.Context, _ uint64) error {
			<-ctx.Done()
			<-time.After(time.Minute)
			require.Empty(t, s.released)
			return nil
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, []uint64{1}, s.released)
	})
}
