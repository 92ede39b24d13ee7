// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisconn

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// riskInterval is the time between two reads of the risks while Redis is reachable.
const riskInterval = 5 * time.Minute

// RiskWatch detects changes of the risks of Redis. It stops when the user lacks the right to INFO. It is not safe for
// concurrent use.
type RiskWatch struct {
	client   redis.UniversalClient
	onChange func(risks []string)

	lastRead time.Time // zero when the risks have to be read
	denied   bool
	risks    []string
}

// NewRiskWatch returns a watch that calls onChange with the risks whenever they differ from those before, at first
// none.
func NewRiskWatch(client redis.UniversalClient, onChange func(risks []string)) *RiskWatch {
	return &RiskWatch{client: client, onChange: onChange}
}

// Refresh reads the risks when riskInterval has passed, or when Redis was unreachable since the last read: then another
// server may be the master. reachable is whether Redis replies now.
func (w *RiskWatch) Refresh(ctx context.Context, reachable bool) {
	if !reachable {
		w.lastRead = time.Time{}
	}
	if !reachable || w.denied || time.Since(w.lastRead) < riskInterval {
		return
	}
	w.lastRead = time.Now()
	risks, err := ReadRisks(ctx, w.client)
	w.denied = redis.IsPermissionError(err)
	if err != nil || slices.Equal(risks, w.risks) {
		return
	}
	w.risks = risks
	w.onChange(risks)
}
