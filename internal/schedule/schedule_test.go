// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// recordTurns runs a loop in a bubble for a span and returns when its turns began. turn returns how long each one
// takes, and after how long the next one may begin.
func recordTurns(t *testing.T, l Loop, span time.Duration, turn func(n int) (time.Duration,
	time.Duration),
) []time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	var turns []time.Duration
	err := l.Run(ctx, func(ctx context.Context) time.Time {
		turns = append(turns, time.Since(began))
		takes, wish := turn(len(turns))
		select {
		case <-time.After(takes):
		case <-ctx.Done():
		}
		if wish == 0 {
			return time.Time{}
		}
		return time.Now().Add(wish)
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	return turns
}

// instantTurn is a turn that takes no time and does not delay the next one.
func instantTurn(int) (time.Duration, time.Duration) { return 0, 0 }

func TestTurnsBeginEveryInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := recordTurns(t, Loop{Interval: time.Minute}, 5*time.Minute+time.Second, instantTurn)
		require.Equal(
			t, []time.Duration{0, time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 5 * time.Minute},
			turns,
		)
	})
}

func TestJitterShiftsTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := recordTurns(t, Loop{Interval: time.Minute, Jitter: 0.1}, 10*time.Hour, instantTurn)
		require.InDelta(t, 600, len(turns), 10)
		require.LessOrEqual(t, turns[0], 2*time.Second)
		for i := range turns[1:] {
			require.InDelta(t, time.Minute, turns[i+1]-turns[i], float64(3*time.Second))
		}
	})
}

func TestTurnsNeverOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := recordTurns(t, Loop{Interval: time.Minute}, 8*time.Minute, func(n int) (time.Duration, time.Duration) {
			if n == 1 {
				return 150 * time.Second, 0
			}
			return 0, 0
		})
		require.Equal(t, []time.Duration{0, 150 * time.Second, 210 * time.Second}, turns[:3])
	})
}

func TestTurnDelaysTheNextOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := recordTurns(t, Loop{Interval: time.Minute}, time.Hour, func(n int) (time.Duration, time.Duration) {
			if n == 1 {
				return 0, 20 * time.Minute
			}
			return 0, time.Second // earlier than the interval: no reason to hurry
		})
		require.Equal(t, []time.Duration{0, 20 * time.Minute, 21 * time.Minute}, turns[:3])
	})
}

// TestTurnsDelayedToOneTimeAreSpread: turns of several loops that may begin at the same time are spread: a limit ends
// for all organizations of a credential in the same second.
func TestTurnsDelayedToOneTimeAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const loops, reset = 60, 40 * time.Minute
		began := make(map[time.Duration]int) // by the second
		for range loops {
			turns := recordTurns(t, Loop{Interval: 5 * time.Minute, Jitter: 0.1}, reset+20*time.Second,
				func(n int) (time.Duration, time.Duration) {
					return 0, reset - 2*time.Second*time.Duration(n-1)
				})
			require.GreaterOrEqual(t, len(turns), 2)
			late := turns[1] - turns[0] - reset
			require.GreaterOrEqual(t, late, time.Duration(0), "never before it")
			require.LessOrEqual(t, late, 15*time.Second)
			began[late.Truncate(time.Second)]++
		}
		require.Greater(t, len(began), 8, "of fifteen seconds: %v", began)
		for _, n := range began {
			require.Less(t, n, loops/4)
		}
	})
}

func TestRunReturnsTheCauseOfItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("the term is over")
		ctx, cancel := context.WithCancelCause(t.Context())
		began := time.Now()
		go func() {
			time.Sleep(10 * time.Second) //nolint:forbidigo // the bubble's clock
			cancel(reason)
		}()
		err := Loop{Interval: time.Hour}.Run(ctx, func(context.Context) time.Time { return time.Time{} })
		require.ErrorIs(t, err, reason)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}
