// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rediskeys_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/rediskeys"
)

// TestKeyNames checks the names byte for byte: the Redis servers of deployments have them.
func TestKeyNames(t *testing.T) {
	t.Parallel()
	p := rediskeys.Prefix("gx")
	for want, got := range map[string]string{
		"gx:1:grants":                p.Deployment("grants"),
		"gx:1:{acme}:meta":           p.Org("Acme", "meta"),
		"gx:1:{lease/Leader}:holder": p.Lease("Leader", "holder"),
		"gx:1:{budget:ab12}:flight":  p.Budget("ab12", "flight"),
	} {
		require.Equal(t, want, got)
	}
}
