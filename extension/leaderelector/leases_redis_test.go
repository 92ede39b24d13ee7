// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package leaderelector

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// TestDescribeLease: the sentence names the holder of a lease, or why the lease cannot be acquired.
func TestDescribeLease(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	over := func(address, identity string) *elector {
		return startElector(t, settings{
			"redis": settings{"endpoints": []any{address}}, "identity": identity,
			"lease_duration": "2s", "renew_deadline": "1s", "retry_period": "100ms",
		})
	}
	one, two := over(server.Address, "one"), over(server.Address, "two")
	refused := startElector(t, settings{"redis": settings{
		"endpoints": []any{server.Address}, "username": "exporter", "password": "wrong",
	}})
	require.Contains(t, one.DescribeLease(""), `the lease "leader" has not been acquired yet`)
	var leading sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); leading.Wait() })
	lead := func(e *elector) {
		leading.Go(func() {
			_ = e.Lead(ctx, "", func(ctx context.Context, _ uint64) error { <-ctx.Done(); return nil })
		})
	}
	eventually := func(e *elector, want string) {
		require.Eventually(t, func() bool { return strings.Contains(e.DescribeLease(""), want) },
			20*time.Second, 20*time.Millisecond)
	}
	lead(one)
	eventually(one, `this replica, "one", holds the lease "leader"`)
	lead(two)
	eventually(two, `the lease "leader" is held by "one": if that process is of another deployment, `+
		`give each deployment a redis::key_prefix`)
	lead(refused)
	eventually(refused, `the lease "leader" cannot be acquired: redis: acquire a lease: WRONGPASS`)
	static := startElector(t, settings{"static": settings{"role": "follower"}})
	require.Contains(t, static.DescribeLease(""), "static::role is follower here")
	require.False(t, static.HasNamedLeases())
	require.ErrorIs(t, static.LeadBeside(t.Context(), "a", nil), errNoNamedLeases)
}

// TestLeadBeside: a leader holds a second lease, which the other replica acquires when it is released.
func TestLeadBeside(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	values := settings{
		"redis":          settings{"endpoints": []any{server.Address}},
		"lease_duration": "2s", "renew_deadline": "1s", "retry_period": "100ms",
	}
	one, two := startElector(t, values), startElector(t, values)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	held, released := make(chan struct{}), make(chan struct{})
	var leading sync.WaitGroup
	leading.Go(func() {
		_ = one.Lead(ctx, "own", func(ctx context.Context, _ uint64) error {
			beside, end := context.WithCancel(ctx)
			_ = one.LeadBeside(beside, "former", func(context.Context, uint64) error {
				close(held)
				<-time.After(3 * time.Second) // longer than the lease lasts unless it is renewed
				close(released)
				end()
				return nil
			})
			<-ctx.Done()
			return nil
		})
	})
	<-held
	_ = two.LeadBeside(ctx, "former", func(context.Context, uint64) error {
		select {
		case <-released:
		default:
			t.Error("two replicas hold the lease")
		}
		cancel()
		return nil
	})
	leading.Wait()
}
