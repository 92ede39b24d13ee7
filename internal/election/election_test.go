package election

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// scripted is a leaser whose answers a test writes.
type scripted struct {
	fence    uint64
	acquire  func(ctx context.Context) error
	renew    func(ctx context.Context) error
	released []uint64
}

func (s *scripted) Acquire(ctx context.Context, name string) (Term, error) {
	if s.acquire != nil {
		if err := s.acquire(ctx); err != nil {
			return Term{}, err
		}
	}
	s.fence++
	return Term{Name: name, Fence: s.fence}, nil
}

func (s *scripted) Renew(ctx context.Context, _ Term) error {
	if s.renew == nil {
		return nil
	}
	return s.renew(ctx)
}

func (s *scripted) Release(_ context.Context, t Term) error {
	s.released = append(s.released, t.Fence)
	return nil
}

var usual = Timing{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second}

// observed runs an elector for some time and gives how long each term lasted and why it ended.
func observed(t *testing.T, s *scripted, timing Timing, total time.Duration) (lasted []time.Duration, why []error) {
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

func hang(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func TestLead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scripted scripted
		timing   Timing
		lasted   time.Duration // of the first term
		why      error
		released bool
	}{
		"renewed":        {scripted{}, usual, time.Hour, context.DeadlineExceeded, true},
		"lost":           {scripted{renew: func(context.Context) error { return ErrLost }}, usual, 2 * time.Second, ErrLost, false},
		"no answer":      {scripted{renew: hang}, usual, 10 * time.Second, ErrExpired, true},
		"errors":         {scripted{renew: func(context.Context) error { return errors.New("refused") }}, usual, 10 * time.Second, ErrExpired, true},
		"short of lease": {scripted{renew: hang}, Timing{10 * time.Second, 10 * time.Second, time.Second}, 9500 * time.Millisecond, ErrExpired, true},
		// What the request took counts: the lease began somewhere in between.
		"slow to acquire": {scripted{acquire: func(context.Context) error { <-time.After(time.Second); return nil }, renew: hang}, usual, 9 * time.Second, ErrExpired, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				lasted, why := observed(t, &test.scripted, test.timing, time.Hour)
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

// TestLeadAgain: an outage of the leaser ends the term, and the next one begins when it is over.
func TestLeadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		down := func(context.Context) error {
			if d := time.Since(began); d > time.Minute && d < 2*time.Minute {
				return errors.New("down")
			}
			return nil
		}
		lasted, why := observed(t, &scripted{acquire: down, renew: down}, usual, 10*time.Minute)
		require.Len(t, why, 2)
		require.ErrorIs(t, why[0], ErrExpired)
		require.InDelta(t, 69, lasted[0].Seconds(), 2)
		require.InDelta(t, 480, lasted[1].Seconds(), 2)
	})
}

// TestWorkIsWaitedFor: the lease is released when the work has returned, not before.
func TestWorkIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := New(s, usual, nil, Hooks{}).Lead(ctx, "", func(ctx context.Context, _ uint64) error {
			<-ctx.Done()
			<-time.After(time.Minute)
			require.Empty(t, s.released)
			return nil
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, []uint64{1}, s.released)
	})
}
