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

// leaver ends a context once, when a script has run and its answer is on its way.
type leaver struct {
	roundTrips
	cancel context.CancelFunc
}

func (l *leaver) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
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

// TestCancelledBegin: who gives up while a place is taken for him gives it back, here and in Redis.
func TestCancelledBegin(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	b, other := budgetOf(t, client, "c"), budgetOf(t, client, "c")
	ask(t, b, "loads the scripts")
	hook := &leaver{}
	client.AddHook(hook)
	for n := range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		hook.cancel = cancel
		_, err := b.Reserve(ctx, question(fmt.Sprint("gone", n), noon))
		require.ErrorIs(t, err, context.Canceled)
	}
	for name, one := range map[string]*Budget{"here": b, "there": other} {
		known, err := one.Reserve(t.Context(), question(name, noon))
		require.NoError(t, err)
		require.True(t, known.IsReserved(budget.ResourceREST, noon), "%s: no request is in flight: %+v", name, known)
	}
}
