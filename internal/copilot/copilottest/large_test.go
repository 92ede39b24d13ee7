// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilottest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLarge checks the size of the rows, and that each user has them on the same number of days, in all files together.
func TestLarge(t *testing.T) {
	t.Parallel()
	large := NewLarge(50, 20)
	rows, days := make(map[string]int), make(map[string]bool)
	sum := 0.0
	for part := range 3 {
		var out bytes.Buffer
		size := (&largePart{large, "2026-10-30", part, 3}).write(&out)
		require.Equal(t, int64(out.Len()), size)
		for line := range strings.Lines(out.String()) {
			require.GreaterOrEqual(t, len(line), 700)
			require.LessOrEqual(t, len(line), 2048)
			var row Row
			require.NoError(t, json.Unmarshal([]byte(line), &row))
			rows[row["user_login"].(string)]++
			days[row["day"].(string)] = true
			sum += row["loc_added_sum"].(float64)
		}
	}
	require.Len(t, rows, 50)
	for user, count := range rows {
		require.Equal(t, 20, count, user)
	}
	require.Len(t, days, windowDays)
	require.Equal(t, 1000, large.Rows())
	require.Equal(t, large.Total("loc_added_sum"), sum)
}
