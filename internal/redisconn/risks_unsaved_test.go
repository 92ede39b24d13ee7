// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisconn

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestIsUnsaved: a server is not persistent without an append-only file and with changes that are older than
// maxUnsaved.
func TestIsUnsaved(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for _, test := range []struct {
		appendOnly, changes string
		ago                 time.Duration
		want                bool
	}{
		{"0", "5", 2 * time.Hour, true},
		{"1", "5", 2 * time.Hour, false},
		{"0", "0", 2 * time.Hour, false},
		{"0", "5", time.Minute, false},
		{"", "", 2 * time.Hour, false},
	} {
		fields := map[string]string{
			"aof_enabled": test.appendOnly, "rdb_changes_since_last_save": test.changes,
			"rdb_last_save_time": strconv.FormatInt(now.Add(-test.ago).Unix(), 10),
		}
		require.Equal(t, test.want, isUnsaved(fields, now), "%+v", test)
	}
	require.False(t, isUnsaved(nil, now))
}
