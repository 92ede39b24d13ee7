package github

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFloorOfPrices: queries of two points that leave together do not cross the floor, and come near to it.
func TestFloorOfPrices(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	for resource, price := range map[Resource]int{ResourceGraphQL: 2, ResourceREST: 1} {
		s := RateLimitSettings{MinRemaining: 200, MaxConcurrentRequests: 100}
		var budget LocalBudget
		_, err := budget.Settle(t.Context(), Settlement{
			Resource: resource, Now: now, Quota: Quota{Remaining: 260, Limit: 5000, Reset: now.Add(10 * time.Minute)},
		})
		require.NoError(t, err)
		left := 260
		for n := range 100 { // as Client.take does; none is answered meanwhile
			q := Reservation{ID: strconv.Itoa(n), Resource: resource, Now: now, ExpiresAt: now.Add(time.Minute), MaxInFlight: 100}
			known, err := budget.Reserve(t.Context(), q)
			require.NoError(t, err)
			if s.refused(&known, resource, price, false, now) != nil {
				break
			}
			left -= price
		}
		require.Equal(t, 200, left, "%s", resource)
	}
}
