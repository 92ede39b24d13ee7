// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// unitName is the name of the systemd unit.
const unitName = "otelcol-githubexporter.service"

// unit has the values of a unit's settings.
type unit map[string][]string

// readUnit reads a unit.
func readUnit(t *testing.T, path string) unit {
	t.Helper()
	u := make(unit)
	for line := range strings.Lines(readFileAt(t, path)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			u[key] = append(u[key], value)
		}
	}
	return u
}

// one returns the value of a setting that stands once.
func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	require.Len(t, u[key], 1, key)
	return u[key][0]
}

// systemdAnalyze runs systemd-analyze.
func systemdAnalyze(t *testing.T, args ...string) string {
	t.Helper()
	return runCommand(t, tree(t), nil, append([]string{proctest.ProgramPath(t, "GX_SYSTEMD_ANALYZE")}, args...)...)
}

// TestUnitIsValid: systemd accepts the unit as it is, with nothing to say about it.
func TestUnitIsValid(t *testing.T) {
	t.Parallel()
	text := readFile(t, "deploy", "packages", unitName)
	path := filepath.Join(t.TempDir(), unitName)
	installed := strings.ReplaceAll(text, "/usr/bin/otelcol-githubexporter", programs(t)["otelcol-githubexporter"])
	require.NotEqual(t, text, installed)
	writeFile(t, path, installed)
	require.Empty(t, systemdAnalyze(t, "verify", "--man=no", path))

	writeFile(t, path, strings.Replace(installed, "ProtectSystem=strict", "ProtectSystems=strict", 1))
	require.Contains(t, systemdAnalyze(t, "verify", "--man=no", path), "Unknown key 'ProtectSystems'")
}

// TestUnitIsHardened: what systemd-analyze measures of 10 (unsafe) is at most 1.5, and only what the collector needs is
// open: the network, and the time that services can read.
func TestUnitIsHardened(t *testing.T) {
	t.Parallel()
	path := filepath.Join(tree(t), "deploy", "packages", unitName)
	out := systemdAnalyze(t, "security", "--offline=true", "--threshold=15", "--json=short", path)
	var settings []struct {
		Name     string `json:"name"`
		Set      *bool  `json:"set"`
		Exposure any    `json:"exposure"`
	}
	require.NoError(t, json.Unmarshal([]byte(out[strings.Index(out, "["):strings.LastIndex(out, "]")+1]), &settings))
	require.Greater(t, len(settings), 50)
	var open []string
	for _, setting := range settings {
		if setting.Set != nil && !*setting.Set && setting.Exposure != nil {
			open = append(open, setting.Name)
		}
	}
	require.ElementsMatch(t, []string{
		"RootDirectory=/RootImage=", "PrivateMounts=", "ProcSubset=", "DeviceAllow=", "PrivateNetwork=",
		"IPAddressDeny=", "RestrictAddressFamilies=~AF_UNIX",
		"RestrictAddressFamilies=~AF_(INET|INET6)",
	}, open)
}
