// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// planSweep adds the events of the log that the batch's sweeps remove to a plan. Events that are recorded during the
// scan are not swept: they were read after the sweep's own reading, or from a head that remains a tip.
func (s *Store) planSweep(ctx context.Context, fence uint64, p *commitPlan) error {
	sweeper := p.batch.AuthorizedSweeps(fence)
	if len(sweeper) == 0 {
		return nil
	}
	keys := s.keys(p.batch.Org)
	last, err := s.client.HGet(ctx, keys.meta, "last").Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // the library returns it unwrapped
		return fmt.Errorf("redis: read the state of %s: %w", p.batch.Org, err)
	}
	var r recordReader
	err = s.scanLog(ctx, keys.log, last, func(entries []redis.XMessage) error {
		for _, entry := range entries {
			list, _ := r.decodeEntry(nil, entry) // followers report invalid records
			for i := range list {
				if key := list[i].Key(); sweeper.Removes(key, list[i].Time) {
					p.removedKeys = append(p.removedKeys, string(appendKey(nil, key)))
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("redis: sweep %s: %w", p.batch.Org, err)
	}
	return nil
}
