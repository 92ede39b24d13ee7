// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redistest_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

func TestSentinelsAndClusterStart(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[0].Address}})
	defer func() { _ = cluster.Close() }()
	require.NoError(t, cluster.Set(t.Context(), "key", "value", 0).Err())
	s := redistest.StartSentinels(t)
	master := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: s.MasterName, SentinelAddrs: s.Addresses})
	defer func() { _ = master.Close() }()
	require.NoError(t, master.Set(t.Context(), "key", "value", 0).Err())
}
