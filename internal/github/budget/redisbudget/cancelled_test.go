// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisbudget

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// cancelOnce is a hook that cancels a context, once, after a script has run and before its reply arrives.
type cancelOnce struct {
	roundTrips
	cancel context.CancelFunc
}

func (l *cancelOnce) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if l.cancel == nil {
			return err
		}
		l.cancel()
		l.cancel = nil
		cmd.SetErr(context.Canceled)
		return context.Canceled
	}
}

// TestCancelledReservationReleasesItsSlot: a reservation whose context ends before the reply releases its slot, in this
// process and in Redis.
func TestCancelledReservationReleasesItsSlot(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	b, other := newBudget(t, client, "c"), newBudget(t, client, "c")
	reserveAndSettle(t, b, "loads the scripts")
	hook := &cancelOnce{}
	client.AddHook(hook)
	for n := range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		hook.cancel = cancel
		_, err := b.Reserve(ctx, newReservation(fmt.Sprint("cancelled", n), noon))
		require.ErrorIs(t, err, context.Canceled)
	}
	for name, one := range map[string]*Budget{"this process": b, "another process": other} {
		state, err := one.Reserve(t.Context(), newReservation(name, noon))
		require.NoError(t, err)
		require.True(t, state.IsReserved(budget.ResourceREST, noon), "%s: no request is in flight: %+v", name, state)
	}
}
