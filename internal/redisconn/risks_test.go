// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisconn_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/seed-358c4d9d/githubexporter/internal/redisconn"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// connect returns a client of a configuration that set completes.
func connect(t *testing.T, set func(*redisconn.Config)) redis.UniversalClient {
	t.Helper()
	config := redisconn.Default()
	set(&config)
	client, err := config.Connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestRisks: an eviction policy is named, on each master of a cluster, and a user without the right to INFO gets an
// error.
func TestRisks(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "maxmemory-policy allkeys-lru", documentedUser(t))
	for user, password := range map[string]string{"": "", "gx": "pass word"} {
		client := connect(t, func(c *redisconn.Config) {
			c.Endpoints, c.Username, c.Password = []string{server.Address}, user, configopaque.String(password)
		})
		risks, err := redisconn.ReadRisks(t.Context(), client)
		if user != "" {
			require.True(t, redis.IsPermissionError(err), "%v", err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []string{"maxmemory-policy is allkeys-lru, want noeviction: keys may be evicted"}, risks)
	}
	require.NoError(t, server.Client().ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	client := connect(t, func(c *redisconn.Config) { c.Endpoints = []string{server.Address} })
	risks, err := redisconn.ReadRisks(t.Context(), client)
	require.NoError(t, err)
	require.Empty(t, risks)
}

func TestRisksOfACluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	require.NoError(t, nodes[1].Client().ConfigSet(t.Context(), "maxmemory-policy", "volatile-ttl").Err())
	client := connect(t, func(c *redisconn.Config) {
		c.Mode, c.Endpoints = redisconn.Cluster,
			[]string{nodes[0].Address}
	})
	risks, err := redisconn.ReadRisks(t.Context(), client)
	require.NoError(t, err)
	require.Len(t, risks, 1)
	require.True(t, strings.HasPrefix(risks[0], nodes[1].Address+": maxmemory-policy is volatile-ttl"), risks)
}

func TestRisksOfSentinels(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinels(t)
	require.NoError(t, sentinels.Servers[0].Client().ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lfu").Err())
	client := connect(t, func(c *redisconn.Config) {
		c.Mode, c.MasterName, c.Endpoints = redisconn.Sentinel, sentinels.MasterName, sentinels.Addresses
	})
	risks, err := redisconn.ReadRisks(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, []string{"maxmemory-policy is allkeys-lfu, want noeviction: keys may be evicted"}, risks)
}

// TestRiskWatch: a change is reported once; the risks are read again after riskInterval, or at once after an outage.
func TestRiskWatch(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "maxmemory-policy allkeys-lru")
	client := connect(t, func(c *redisconn.Config) { c.Endpoints = []string{server.Address} })
	var said [][]string
	watch := redisconn.NewRiskWatch(client, func(risks []string) { said = append(said, risks) })
	watch.Refresh(t.Context(), true)
	watch.Refresh(t.Context(), true)
	require.Len(t, said, 1)
	require.NoError(t, server.Client().ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	watch.Refresh(t.Context(), true)
	require.Len(t, said, 1, "it is not time yet")
	watch.Refresh(t.Context(), false)
	watch.Refresh(t.Context(), true)
	require.Len(t, said, 2)
	require.Empty(t, said[1])
}
