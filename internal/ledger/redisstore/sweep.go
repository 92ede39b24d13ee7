package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// planSweep adds to a plan the events of the log that the batch's sweeps remove. What is recorded meanwhile is not swept:
// it was read after the sweep's own reading, or from a head that remains a tip.
func (s *Store) planSweep(ctx context.Context, fence uint64, p *commitPlan) error {
	sweeper := p.batch.AuthorizedSweeps(fence)
	if len(sweeper) == 0 {
		return nil
	}
	keys := s.keys(p.batch.Org)
	last, err := s.client.HGet(ctx, keys.meta, "last").Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // the library gives it as it is
		return fmt.Errorf("redis: read the state of %s: %w", p.batch.Org, err)
	}
	var r recordReader
	err = s.scanLog(ctx, keys.log, last, func(entries []redis.XMessage) error {
		for _, entry := range entries {
			list, _ := r.decodeEntry(nil, entry) // damage is reported by who follows
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
