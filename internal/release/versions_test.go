// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// released matches the heading of a release in the changelog.
var released = regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$`)

// TestVersions: the collector, the changelog and gxctl have one version, and changes that are not released have their
// section first.
func TestVersions(t *testing.T) {
	t.Parallel()
	changelog := readFile(t, "CHANGELOG.md")
	newest := released.FindStringSubmatch(changelog)
	require.NotNil(t, newest)
	require.Equal(t, newest[1], find(t, `(?m)^  version: (\S+)$`, "builder-config.yaml"))
	require.Less(t, strings.Index(changelog, "\n## [Unreleased]\n"), strings.Index(changelog, newest[0]))
	require.Positive(t, strings.Index(changelog, "\n## [Unreleased]\n"))

	out := runCommand(t, tree(t), nil, programs(t)["otelcol-githubexporter"], "--version")
	require.Equal(t, "otelcol-githubexporter version "+newest[1]+"\n", out)
}

// TestReleaseNotes: the notes of a release are its section of the changelog.
func TestReleaseNotes(t *testing.T) {
	t.Parallel()
	newest := released.FindStringSubmatch(readFile(t, "CHANGELOG.md"))[1]
	notes := runCommand(t, tree(t), nil, "scripts/release-notes", newest)
	require.Contains(t, notes, "### Added\n")
	require.NotContains(t, notes, "\n## ")
	require.NotContains(t, notes, "Unreleased")
}

// TestConfigurationCommands: the shipped configurations have the components that the collector has.
func TestConfigurationCommands(t *testing.T) {
	t.Parallel()
	for _, config := range []string{"deploy/image/config.yaml", "deploy/packages/config.yaml"} {
		folder := t.TempDir()
		writeFile(t, folder+"/github-token", "abc")
		out := runCommand(t, tree(t), []string{
			"GITHUB_ORG=acme", "GITHUB_TOKEN=abc", "STATE_DIRECTORY=" + folder, "CREDENTIALS_DIRECTORY=" + folder,
		}, programs(t)["otelcol-githubexporter"], "validate", "--config", config)
		require.Empty(t, out)
	}
}
