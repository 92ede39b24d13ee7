// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisconn

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxUnsaved is the age of the last snapshot from which on a server with unsaved changes counts as not persistent. It
// is the longest interval of Redis's default rules for snapshots.
const maxUnsaved = time.Hour

// ReadRisks returns the settings of the masters that endanger their data, as texts for a log: an eviction policy, and
// neither an append-only file nor snapshots. It uses INFO, which needs no right to read the configuration. It returns
// an error when the user lacks the right to INFO, or when a server does not reply.
func ReadRisks(ctx context.Context, universal redis.UniversalClient) ([]string, error) {
	if wrapped, ok := universal.(*client); ok {
		universal = wrapped.UniversalClient
	}
	cluster, ok := universal.(*redis.ClusterClient)
	if !ok {
		return readServerRisks(ctx, universal)
	}
	var mu sync.Mutex
	var all []string
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		risks, err := readServerRisks(ctx, master)
		mu.Lock()
		defer mu.Unlock()
		for _, risk := range risks {
			all = append(all, master.Options().Addr+": "+risk)
		}
		return err
	})
	slices.Sort(all)
	return all, err
}

// readServerRisks returns the risks of one server.
func readServerRisks(ctx context.Context, client redis.Cmdable) (risks []string, err error) {
	memory, err := readInfo(ctx, client, "memory")
	if err != nil {
		return nil, err
	}
	persistence, err := readInfo(ctx, client, "persistence")
	if err != nil {
		return nil, err
	}
	if policy := memory["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		risks = append(risks, fmt.Sprintf("maxmemory-policy is %s, want noeviction: keys may be evicted", policy))
	}
	if isUnsaved(persistence, time.Now()) {
		risks = append(risks, "appendonly is no and nothing has been saved for an hour: a restart loses everything")
	}
	return risks, nil
}

// isUnsaved reports whether a server with unsaved changes writes neither an append-only file nor snapshots.
func isUnsaved(persistence map[string]string, now time.Time) bool {
	saved, err := strconv.ParseInt(persistence["rdb_last_save_time"], 10, 64)
	changes := persistence["rdb_changes_since_last_save"]
	return err == nil && persistence["aof_enabled"] == "0" && changes != "" && changes != "0" &&
		now.Sub(time.Unix(saved, 0)) > maxUnsaved
}

// readInfo returns a section of INFO as a map.
func readInfo(ctx context.Context, client redis.Cmdable, section string) (map[string]string, error) {
	text, err := client.Info(ctx, section).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: INFO %s: %w", section, err)
	}
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}
