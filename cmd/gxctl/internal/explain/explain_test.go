// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/filestorage"
)

// run executes `gxctl explain` with arguments, and returns its exit code and its output.
func run(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	root := &cobra.Command{Use: "gxctl"}
	root.AddCommand(NewCommand())
	var buffer bytes.Buffer
	root.SetOut(&buffer)
	root.SetErr(&buffer)
	return cli.Run(t.Context(), root, append([]string{"explain"}, args...)), buffer.String()
}

// writeConfig writes a configuration with a store, and returns its path.
func writeConfig(t *testing.T, store string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "collector.yaml")
	require.NoError(t, os.WriteFile(path, []byte(
		"receivers: {githubexporter: {orgs: [{name: acme, auth: {token: hunter2}}]"+store+"}}\n"+
			"extensions: {file_storage: {directory: "+t.TempDir()+"}}\n"), 0o600))
	return path
}

func TestWrongUsage(t *testing.T) {
	config := writeConfig(t, "")
	for want, args := range map[string][]string{
		"--config is missing":       {"--org", "acme"},
		"--org is missing":          {"--config", config},
		`--org: "umbrella" is not`:  {"--config", config, "--org", "umbrella"},
		"--window: \"1h\", want":    {"--config", config, "--org", "acme", "--window", "1h"},
		"--metric: \"stars\", want": {"--config", config, "--org", "acme", "--metric", "stars"},
		"--metric: \"gh_activity_last_event": {
			"--config", config, "--org", "acme", "--metric", "gh_activity_last_event_unixtime",
		},
		"--since: want a duration": {"--config", config, "--org", "acme", "--since", "yesterday"},
		"--since: counts all":      {"--config", config, "--org", "acme", "--since", "1h", "--window", "7d"},
		"--at: ":                   {"--config", config, "--org", "acme", "--at", "noon"},
	} {
		code, output := run(t, args...)
		require.Equal(t, cli.ExitUsage, code, output)
		require.Contains(t, output, want)
	}
}

// TestStoresThatCannotBeRead: each is an error that says what to do, and shows no secret.
func TestStoresThatCannotBeRead(t *testing.T) {
	for want, store := range map[string]string{
		"there is nothing to read; configure storage or redis":   "",
		"has the collector run with this configuration, on this": ", storage: file_storage",
		`the extension "db_storage" is not file_storage`:         ", storage: db_storage",
		"read the store: ": `, redis: {endpoints: ["127.0.0.1:1"], password: hunter2}`,
	} {
		code, output := run(t, "--config", writeConfig(t, store), "--org", "acme", "--timeout", "10s")
		require.Equal(t, cli.ExitFailure, code, output)
		require.Contains(t, output, want)
		require.NotContains(t, output, "hunter2")
	}
	require.Equal(t, "receiver_githubexporter_", filestorage.FileName("githubexporter"))
}

func TestSearch(t *testing.T) {
	at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	require.Equal(t, "reviewed-by%3Aann+updated%3A%3E%3D2026-03-04", search("reviewed-by", "ann", at))
	require.Equal(t, "commenter%3Aapp%2Frenovate+updated%3A%3E%3D2026-03-04", search("commenter", "renovate[bot]", at))
	require.Equal(t, "updated%3A%3E%3D2026-03-04", search("commenter", "_other", at))
}

func TestWrite(t *testing.T) {
	at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	answer := &Answer{Org: "acme", At: at, ReadUntil: at, Label: "login", Bots: "include", Notes: []string{"one"}}
	var text strings.Builder
	require.NoError(t, answer.write(&text))
	require.Contains(t, text.String(), "excluded users: none\nnote: one\n\nno series matches\n")
	answer.Exclude = []string{"bot-*"}
	answer.Series = []*Number{{
		Repo: "api", User: "ann", Metric: "gh_activity_commits_24h", Value: 1, After: at.Add(-24 * time.Hour),
		Until:  at,
		Events: []Event{{Kind: "commit", Time: at, Adds: 1, URL: "https://github.com/acme/api/commit/c1"}},
	}}
	text.Reset()
	require.NoError(t, answer.write(&text))
	require.Contains(t, text.String(), "excluded users: bot-*\n")
	require.Contains(t, text.String(), `
api ann gh_activity_commits_24h = 1 (after 2026-03-03T12:00:00Z until 2026-03-04T12:00:00Z)
  2026-03-04T12:00:00Z  commit  +1  https://github.com/acme/api/commit/c1
`)
}
