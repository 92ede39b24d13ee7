package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bash runs a script in the root of the tree and gives what it has written.
func bash(t *testing.T, script string, env ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = filepath.Join("..", ".."), append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestTestDepsSelect: the programs that must lie in one folder are fetched also where they are installed, and of what they
// depend on, what this machine lacks.
func TestTestDepsSelect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ installed, want string }{
		"nothing but a library":  {"libc6", "redis-server redis-tools erlang-base erlang-crypto libjemalloc2"},
		"Redis and Erlang":       {"libc6 libjemalloc2 redis-server redis-tools erlang-base", "redis-server redis-tools erlang-base erlang-crypto"},
		"removed, but its files": {"libc6 libjemalloc2:config-files", "redis-server redis-tools erlang-base erlang-crypto libjemalloc2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var status strings.Builder
			for name := range strings.FieldsSeq(test.installed) {
				state := "ok installed"
				if bare, ok := strings.CutSuffix(name, ":config-files"); ok {
					name, state = bare, "ok config-files"
				}
				status.WriteString("Package: " + name + "\nStatus: install " + state +
					"\nArchitecture: all\nMaintainer: a\nVersion: 1\nDescription: a\n\n")
			}
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "status"), []byte(status.String()), 0o600))
			out, err := bash(t, `source scripts/debian-packages.bash
				printf '%s\n' redis-server redis-tools erlang-base erlang-crypto libc6 libjemalloc2 |
					select_packages redis-server redis-tools 'erlang-*'`, "DPKG_ADMINDIR="+dir)
			require.NoError(t, err, out)
			require.ElementsMatch(t, strings.Fields(test.want), strings.Fields(out))
		})
	}
}

// TestTestDepsNamed: what the variables name is used as it is, and nothing is fetched for it.
func TestTestDepsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	there := filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(there, []byte("#!/bin/sh\n"), 0o700)) //nolint:gosec // it is run
	env := []string{
		"GX_PROMETHEUS=" + there, "GX_REDIS=" + there, "GX_RABBITMQ=" + there, "GX_GITHUB_SCHEMA=" + there,
	}
	const run = `apt-get() { echo "apt-get was called"; return 1; }; npm() { echo "npm was called"; return 1; }
		export -f apt-get npm; scripts/install-test-deps "$CACHE"`
	cache := "CACHE=" + filepath.Join(dir, "cache")
	out, err := bash(t, run, append(env, cache)...)
	require.NoError(t, err, out)
	require.Contains(t, out, "GX_RABBITMQ is used as it is: "+there)
	require.NotContains(t, out, "was called")
	out, err = bash(t, run, append(env, cache, "GX_REDIS="+there+"-server")...)
	require.Error(t, err)
	require.Contains(t, out, "GX_REDIS is "+there+"-server, and there is no such file")
}

// TestInstalledRabbitMQ: an installed RabbitMQ has its port mapper elsewhere, and a program in front of it that works for one
// user only.
func TestInstalledRabbitMQ(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(path ...string) string {
		file := filepath.Join(append([]string{dir}, path...)...)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"), 0o700)) //nolint:gosec // it is run
		return file
	}
	front, server := write("usr", "sbin", "rabbitmq-server"), write("usr", "lib", "rabbitmq", "bin", "rabbitmq-server")
	mapper := write("usr", "lib", "erlang", "erts-13", "bin", "epmd")
	out, err := bash(t, `source scripts/processes.bash
		program=$(rabbitmq_program "$PROGRAM"); realpath "$program" "$(port_mapper "$program")"`, "PROGRAM="+front)
	require.NoError(t, err, out)
	require.Equal(t, []string{server, mapper}, strings.Fields(out))
}
