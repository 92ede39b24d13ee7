// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// slotPollInterval is how long a request waits before it asks again for a slot that another replica holds.
const slotPollInterval = 50 * time.Millisecond

// acquireSlot acquires a slot of this client and one of the credential for a request, or returns why it must not be
// sent now: a limit, or the pause of all requests. It waits for a slot and for the points of the minute, some seconds
// at most when the host does not suspend, and never longer than ctx; it holds nothing meanwhile.
func (c *Client) acquireSlot(ctx context.Context, x *exchange) error {
	start := time.Now()
	defer func() { x.waited += time.Since(start) }()
	for {
		if err := c.slots.Acquire(ctx, 1); err != nil {
			return err
		}
		retryAfter, err := c.tryReserve(ctx, x)
		if err == nil && retryAfter == 0 {
			return nil
		}
		c.slots.Release(1)
		if err != nil {
			return err
		}
		if err := c.settings.Sleep(ctx, retryAfter); err != nil {
			return err
		}
	}
}

// tryReserve reserves one of the credential's slots, or returns after which time to try again.
func (c *Client) tryReserve(ctx context.Context, x *exchange) (retryAfter time.Duration, err error) {
	x.reservation = ""
	if x.bypassLimits {
		return 0, nil
	}
	if err := c.settings.CheckPaused(); err != nil {
		x.paused = true
		return 0, backoff.Permanent(&UnavailableError{Response: Response{Endpoint: x.Endpoint}, Err: err})
	}
	isSynced := c.isClockSynced.Load()          // before the time is read: a response may arrive in between
	id := strconv.FormatUint(rand.Uint64(), 36) //nolint:gosec // a name, no secret
	policy := &c.settings.RateLimit
	r := policy.NewReservation(id, x.limitedResource(), c.GitHubNow(), c.timeout(x.Call))
	r.UnsyncedClock = !isSynced
	state, err := c.settings.Budget.Reserve(ctx, r)
	if err != nil {
		return 0, err
	}
	isReserved := state.IsReserved(r.Resource, r.Now)
	if denial := policy.Check(&state, r.Resource, x.Price, scopeOf(ctx).Priority, r.Now); denial != nil {
		if isReserved {
			settlement := budget.Settlement{ID: r.ID, Resource: r.Resource, Now: r.Now}
			_, _ = c.settings.Budget.Settle(context.WithoutCancel(ctx), settlement)
		}
		return 0, &LimitError{
			Response: Response{Endpoint: x.Endpoint}, Resource: x.Resource,
			Secondary: denial.Secondary, Deferred: denial.Deferred, RetryAt: c.toLocalTime(denial.RetryAt),
		}
	}
	if isReserved {
		x.reservation = r.ID
		return 0, nil
	}
	poll := slotPollInterval/2 + rand.N(slotPollInterval) //nolint:gosec // no secret
	return max(state.PacedUntil.Sub(r.Now), poll), nil
}

// releaseSlot settles a request with what its response reported, and completes a LimitError that has no end.
func (c *Client) releaseSlot(ctx context.Context, x *exchange, q budget.Quota, err error) {
	if x.reservation == "" {
		return
	}
	s := budget.Settlement{
		ID: x.reservation, Resource: x.limitedResource(), Now: c.GitHubNow(), Quota: q, Success: err == nil,
		InitialBackoff: c.settings.RateLimit.SecondaryBackoff,
	}
	limit, isLimited := errors.AsType[*LimitError](err)
	if isLimited {
		s.Limited, s.Secondary, s.LimitEnd = true, limit.Secondary, limit.RetryAt
	}
	end, err := c.settings.Budget.Settle(context.WithoutCancel(ctx), s)
	if err != nil {
		if end = s.Now.Add(s.InitialBackoff); s.LimitEnd.After(end) {
			end = s.LimitEnd
		}
	}
	if isLimited {
		limit.RetryAt = c.toLocalTime(end)
	}
}
