// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFloorWithRequestsInFlight: queries of two points that are sent together do not cross the floor, and reach it.
func TestFloorWithRequestsInFlight(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	for resource, price := range map[Resource]int{ResourceGraphQL: MaxGraphQLPrice, ResourceREST: 1} {
		policy := Policy{MinRemaining: 200, MaxConcurrentRequests: 100}
		var local Local
		_, err := local.Settle(t.Context(), Settlement{
			Resource: resource, Now: now, Quota: Quota{Remaining: 260, Limit: 5000, Reset: now.Add(10 * time.Minute)},
		})
		require.NoError(t, err)
		left := 260
		for n := range 100 { // none of them is settled meanwhile
			r := Reservation{
				ID: strconv.Itoa(n), Resource: resource, Now: now, ExpiresAt: now.Add(time.Minute),
				MaxInFlight: 100,
			}
			state, err := local.Reserve(t.Context(), r)
			require.NoError(t, err)
			if policy.Check(&state, resource, price, Foreground, now) != nil {
				break
			}
			left -= price
		}
		require.Equal(t, 200, left, "%s", resource)
	}
}
