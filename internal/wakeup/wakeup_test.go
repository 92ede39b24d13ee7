// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package wakeup_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		require.NoError(t, wakeup.Sleep(t.Context(), time.Hour))
		require.Equal(t, time.Hour, time.Since(start))
		require.NoError(t, wakeup.SleepUntil(t.Context(), start.Add(2*time.Hour)))
		require.Equal(t, 2*time.Hour, time.Since(start))
		require.NoError(t, wakeup.SleepUntil(t.Context(), start))
		require.NoError(t, wakeup.Sleep(t.Context(), -time.Hour))
		require.Equal(t, 2*time.Hour, time.Since(start))
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the caller stops")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		start := time.Now()
		require.ErrorIs(t, wakeup.Sleep(ctx, time.Hour), cause)
		require.Equal(t, time.Second, time.Since(start))
		for range 100 { // also when both have come
			require.ErrorIs(t, wakeup.Sleep(ctx, 0), cause)
		}
	})
}

func TestSignalMergesNotifications(t *testing.T) {
	t.Parallel()
	s := wakeup.NewSignal()
	isPending := func() bool {
		select {
		case <-s:
			return true
		default:
			return false
		}
	}
	require.False(t, isPending())
	s.Notify()
	s.Notify()
	require.True(t, isPending())
	require.False(t, isPending())
	s.Notify()
	s.Clear()
	s.Clear()
	require.False(t, isPending())
}
