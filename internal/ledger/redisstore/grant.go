// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// The modes in which the commit script applies the limit of series.
const (
	seriesUnlimited = "any"   // there is no limit
	seriesReport    = "ask"   // write nothing and report the needed number when the grant is used up
	seriesFold      = "final" // fold series beyond the grant into the user "_other"
)

// seriesGrant is a change of the number of series that are granted to an organization. The commit script applies it
// unless from differs from the grant in Redis.
type seriesGrant struct{ from, to string }

const (
	// A grant exceeds the needed number by a spareShare-th of the rest of the limit, and by at most maxSpare, so that
	// new series rarely cost a second round trip.
	spareShare = 64
	maxSpare   = 200
)

// requestGrant requests a grant of as many series as the commit script reported, and returns the mode of the next
// attempt. All organizations share the limit; their keys may be on different nodes of a cluster, so each has a part.
func (s *Store) requestGrant(ctx context.Context, org string, r commitResult) (seriesGrant, string, error) {
	needed := int(r.numbers[1])
	budget := s.settings.MaxSeries
	spare := min(maxSpare, max(0, budget-needed)/spareShare)
	if budget < spareShare {
		spare = 0
	}
	a := s.grantArguments(org, needed+spare)
	granted, err := grantScript.Run(ctx, s.client, a.keys, a.values...).Text()
	if err != nil {
		return seriesGrant{}, "", fmt.Errorf("redis: the budget of series for %s: %w", org, err)
	}
	if _, err := strconv.Atoi(granted); err != nil {
		return seriesGrant{}, "", fmt.Errorf("redis: the budget of series for %s: %w", org, err)
	}
	return seriesGrant{from: r.text, to: granted}, seriesFold, nil
}

// grantArguments returns the arguments of the grant script.
func (s *Store) grantArguments(org string, needed int) *scriptArguments {
	a := newScriptArguments(1, 3)
	a.key("grants", s.grantsKey())
	a.value("org", strings.ToLower(org))
	a.value("needed", needed)
	a.value("budget", s.settings.MaxSeries)
	return a
}
