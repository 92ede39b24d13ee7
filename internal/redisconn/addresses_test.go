// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisconn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/redisconn"
)

// TestAddresses: names and IP addresses with a port are accepted, and nothing else.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{
		"redis:6379", "127.0.0.1:1", "[::1]:6379", "[fe80::1%eth0]:6379", "redis-0.redis.svc.cluster.local.:6379",
		"my_redis:65535",
	} {
		config := redisconn.Default()
		config.Endpoints = []string{endpoint}
		require.NoError(t, config.Check(), endpoint)
	}
	for _, endpoint := range []string{
		":6379", "redis:", "redis:0", "redis:65536", "re dis:1", "::1:6379",
		"redis:6379/0", "-:1",
	} {
		config := redisconn.Default()
		config.Endpoints = []string{endpoint}
		err := config.Check()
		require.ErrorContains(t, err, "endpoints::0: ", endpoint)
		require.ErrorContains(t, err, "want host:port", endpoint)
		require.NotContains(t, err.Error(), endpoint)
	}
}
