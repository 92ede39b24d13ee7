// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree returns the path of the repository.
func tree(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	return path
}

// readFile returns a file of the repository.
func readFile(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{tree(t)}, path...)...))
	require.NoError(t, err)
	return string(text)
}

// find returns the first group of an expression in a file of the repository.
func find(t *testing.T, expression string, path ...string) string {
	t.Helper()
	found := regexp.MustCompile(expression).FindStringSubmatch(readFile(t, path...))
	require.NotNil(t, found, "%s in %s", expression, filepath.Join(path...))
	return found[1]
}

// runCommand runs a command in a folder and returns its output.
func runCommand(t *testing.T, folder string, env []string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", strings.Join(command, " "), out)
	return string(out)
}

// copyFile copies a file with its mode, and makes the folder.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	require.NoError(t, err)
	info, err := os.Stat(from)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	require.NoError(t, os.WriteFile(to, data, info.Mode()))
}

// writeFile writes a file.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}
