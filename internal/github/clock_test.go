// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// ownClock gives the client a clock of its own, which is off from GitHub's by so much.
func ownClock(b **bench, off *time.Duration) func(*githubtest.Settings, *transport.Settings) {
	return func(_ *githubtest.Settings, g *transport.Settings) {
		g.Now = func() time.Time { return (*b).clock().Add(*off) }
		g.RateLimit.MinRemaining = 200
	}
}

// TestClockIsSetRight: a machine whose clock was ahead, and that is set right, goes on reading at once.
func TestClockIsSetRight(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for _, ahead := range []time.Duration{20 * time.Minute, 2 * time.Hour, 12 * time.Hour, 3 * 24 * time.Hour} {
			var b *bench
			off := ahead
			b = newBench(t, api, dataset("one"), ownClock(&b, &off))
			_, err := b.discover()
			require.NoError(t, err)
			off = 0
			_, err = b.discover()
			require.NoError(t, err, "%s ahead, with an unused limit", ahead)
		}
	})
}

// TestClockIsSetRightInALimit: a limit of a minute does not last for hours, whatever happens to our clock meanwhile.
func TestClockIsSetRightInALimit(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		var b *bench
		off := 2 * time.Hour
		b = newBench(t, api, dataset("one"), ownClock(&b, &off), func(s *githubtest.Settings,
			_ *transport.Settings,
		) {
			s.NoRateLimits = true
		})
		_, err := b.discover()
		require.NoError(t, err)
		b.server.InjectFault(githubtest.Fault{Times: 1, Effect: githubtest.SecondaryLimit(403, time.Minute)})
		_, err = b.discover()
		_ = limitOf(t, err)
		_, err = b.discover()
		_ = limitOf(t, err)
		off = 0
		_, err = b.discover()
		require.NoError(t, err, "its end seems to be in two hours")
	})
}

// replica is a client that shares the bench's budget, has had no answer yet, and whose clock is off by so much.
func (b *bench) replica(off time.Duration) *github.Client {
	b.t.Helper()
	settings := b.settings
	settings.Now = func() time.Time { return b.clock().Add(off) }
	requests, err := transport.New(settings)
	require.NoError(b.t, err)
	client := github.New(requests, github.Settings{API: b.api})
	return client
}

func sharedBudget(_ *githubtest.Settings, g *transport.Settings) { g.Budget = &budget.Local{} }

// TestSlowReplicaStarts: a replica whose clock is behind, and that shares a budget, begins to read at once.
func TestSlowReplicaStarts(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, dataset("one"), sharedBudget)
		_, err := b.discover()
		require.NoError(t, err)
		require.NoError(t, b.replica(-3*time.Hour).Discover(t.Context(), org, pages))
	})
}

// TestFastReplicaEndsNoLimit: a replica that has just started, and whose clock is ahead, ends a limit for no other.
func TestFastReplicaEndsNoLimit(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, dataset("one"), sharedBudget)
		_, err := b.discover()
		require.NoError(t, err)
		b.server.InjectFault(githubtest.Fault{Times: 1, Effect: githubtest.SecondaryLimit(403, 5*time.Minute)})
		_, err = b.discover()
		until := limitOf(t, err).RetryAt
		fast := b.replica(10 * time.Minute)
		require.NoError(t, fast.Discover(t.Context(), org, pages), "it cannot know better yet")
		_, err = b.discover()
		require.Equal(t, until, limitOf(t, err).RetryAt)
		err = fast.Discover(t.Context(), org, pages)
		require.Equal(t, until.Add(10*time.Minute), limitOf(t, err).RetryAt, "the same by its clock, and now it knows")
		b.advance(5 * time.Minute)
		_, err = b.discover()
		require.NoError(t, err)
	})
}
