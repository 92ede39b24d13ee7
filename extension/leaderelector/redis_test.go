// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package leaderelector

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// TestElectorsOverRedis: two electors share one Redis, and one that cannot reach it starts all the same.
func TestElectorsOverRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	values := settings{
		"redis":          settings{"endpoints": []any{server.Address}},
		"lease_duration": "2s", "renew_deadline": "1s", "retry_period": "100ms",
	}
	var mu sync.Mutex
	var fences []uint64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var leading sync.WaitGroup
	for range 2 {
		one := startElector(t, values)
		leading.Go(func() {
			_ = one.Lead(ctx, "", func(_ context.Context, fence uint64) error {
				mu.Lock()
				defer mu.Unlock()
				if fences = append(fences, fence); len(fences) == 4 {
					cancel()
				}
				return errors.New("next")
			})
		})
	}
	leading.Wait()
	require.IsIncreasing(t, fences)
	startElector(t, settings{"redis": settings{"endpoints": []any{proctest.FreeAddress(t)}}})
}
