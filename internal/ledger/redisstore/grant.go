package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// How the script takes the budget of series.
const (
	seriesUnlimited   = "any"   // there is none
	seriesReport   = "ask"   // say what is wanted when the grant is used up
	seriesFold = "final" // what has no room is folded
)

// seriesGrant moves the number of series granted to an organization.
type seriesGrant struct{ from, to string }

const (
	// spareShare of what is left of the budget, and at most maxSpare, is granted beyond what is wanted, so that new series
	// rarely cost a second round trip.
	spareShare = 64
	maxSpare   = 200
)

// requestGrant asks for as many series as the script wants. All organizations share the budget; their keys may be on different
// nodes of a cluster, therefore each has a part of it.
func (s *Store) requestGrant(ctx context.Context, org string, a commitResult) (seriesGrant, string, error) {
	wanted := int(a.numbers[1])
	budget := s.settings.MaxSeries
	spare := min(maxSpare, max(0, budget-wanted)/spareShare)
	if budget < spareShare {
		spare = 0
	}
	granted, err := grantScript.Run(ctx, s.client, []string{s.grantsKey()}, strings.ToLower(org), wanted+spare, budget).Text()
	if err != nil {
		return seriesGrant{}, "", fmt.Errorf("redis: the budget of series for %s: %w", org, err)
	}
	if _, err := strconv.Atoi(granted); err != nil {
		return seriesGrant{}, "", fmt.Errorf("redis: the budget of series for %s: %w", org, err)
	}
	return seriesGrant{from: a.text, to: granted}, seriesFold, nil
}
