// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// decodeFile returns everything that is decoded of a file of testdata, by the report that its name begins with.
func decodeFile(t *testing.T, name string) map[string]any {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	result := make(map[string]any)
	var rows []any
	var stats Stats
	switch name {
	case "users.ndjson":
		stats, err = ReadUsers(file, Limits{}, func(row *User) error { rows = append(rows, row); return nil })
	case "teams.ndjson":
		stats, err = ReadTeams(file, Limits{}, func(row *TeamMember) error { rows = append(rows, row); return nil })
	case "repos.ndjson":
		stats, err = ReadRepositories(file, Limits{}, func(row *Repository) error {
			rows = append(rows, row)
			return nil
		})
	case "billing.json", "seats.json":
		var body []byte
		body, err = os.ReadFile(file.Name())
		require.NoError(t, err)
		if name == "billing.json" {
			result["billing"], stats, err = ParseBilling(body)
		} else {
			result["seats"], stats, err = ParseSeats(body)
		}
	default:
		var header AggregateHeader
		header, stats, err = ReadAggregates(file, Limits{}, func(row *Aggregate) error {
			rows = append(rows, row)
			return nil
		})
		result["span"] = header.Span.String()
		result["created_at"] = header.CreatedAt
	}
	require.NoError(t, err)
	result["rows"], result["stats"] = rows, stats
	return result
}

// TestGolden compares what is decoded of each file with a golden file.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"users.ndjson", "aggregate_28d.json", "aggregate_1d.json", "teams.ndjson", "repos.ndjson", "billing.json",
		"seats.json",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.MarshalIndent(decodeFile(t, name), "", "  ")
			require.NoError(t, err)
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got)+"\n")
		})
	}
}

// benchmarkRow returns the first row of the users report in testdata.
func benchmarkRow(tb testing.TB) string {
	tb.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", "users.ndjson"))
	require.NoError(tb, err)
	row, _, _ := strings.Cut(string(file), "\n")
	return row
}
