// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// bash runs a script in the root of the tree and returns its output.
func bash(t *testing.T, script string, env ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = filepath.Join("..", ".."), append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestTestDepsSelect: programs that must be in one folder are fetched also where they are installed, with those of
// their dependencies that this machine lacks.
func TestTestDepsSelect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ installed, want string }{
		"only a library installed": {"libc6", "redis-server redis-tools erlang-base erlang-crypto libjemalloc2"},
		"Redis and Erlang": {
			"libc6 libjemalloc2 redis-server redis-tools erlang-base",
			"redis-server redis-tools erlang-base erlang-crypto",
		},
		"removed package with its configuration files": {
			"libc6 libjemalloc2:config-files",
			"redis-server redis-tools erlang-base erlang-crypto libjemalloc2",
		},
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

// TestTestDepsNamed: a program that a variable names is used as it is, and nothing is fetched for it.
func TestTestDepsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	there := filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(there, []byte("#!/bin/sh\n"), 0o700))
	env := []string{
		"GX_PROMETHEUS=" + there, "GX_REDIS=" + there, "GX_RABBITMQ=" + there, "GX_GITHUB_SCHEMA=" + there,
		"GX_CHROMIUM=" + there, "GX_SYSTEMD_ANALYZE=" + there,
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

// TestInstalledRabbitMQ: an installed RabbitMQ has its port mapper in another folder, and a wrapper that works for one
// user only.
func TestInstalledRabbitMQ(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(path ...string) string {
		file := filepath.Join(append([]string{dir}, path...)...)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"), 0o700))
		return file
	}
	front, server := write("usr", "sbin", "rabbitmq-server"), write("usr", "lib", "rabbitmq", "bin", "rabbitmq-server")
	mapper := write("usr", "lib", "erlang", "erts-13", "bin", "epmd")
	out, err := bash(t, `source scripts/processes.bash
		program=$(rabbitmq_program "$PROGRAM"); realpath "$program" "$(port_mapper "$program")"`, "PROGRAM="+front)
	require.NoError(t, err, out)
	require.Equal(t, []string{server, mapper}, strings.Fields(out))
}

// TestMakeRunNamesTheProblem: `make run` names a wrong token, an unknown organization and a missing network within
// seconds, and keeps its log. It ends with an error where waiting does not help.
func TestMakeRunNamesTheProblem(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits})
	nowhere := "http://" + proctest.FreeAddress(t)
	for name, test := range map[string]struct {
		org, token, endpoint, want, hint string
		continues                        bool
	}{
		"wrong token": {
			org, "hunter2", server.URL, "credential refused (status 401)",
			"GitHub refuses GITHUB_TOKEN", false,
		},
		"unknown organization": {
			"octocat", githubtest.DefaultToken, server.URL, "Could not resolve to an Organization",
			"is GITHUB_ORG=octocat", false,
		},
		"no network": {
			org, githubtest.DefaultToken, nowhere, "connection refused",
			"can this machine reach " + nowhere, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			const program = `"$0"; echo "status $?"`
			run := proctest.New(t, "bash", "-c", program, filepath.Join("..", "..", "scripts", "run"))
			if test.continues {
				run = proctest.New(t, filepath.Join("..", "..", "scripts", "run"))
			}
			run.Env = append(
				os.Environ(),
				"GITHUB_ORG="+test.org,
				"GITHUB_TOKEN="+test.token,
				"GITHUB_ENDPOINT="+test.endpoint,
				"GX_STORAGE_DIR="+filepath.Join(dir, "storage"),
				"GX_LOG_DIR="+filepath.Join(dir, "log"),
				"TMPDIR="+dir,
			)
			for _, variable := range []string{"GX_METRICS_PORT", "GX_HEALTH_PORT", "GX_TELEMETRY_PORT"} {
				run.Env = append(run.Env, fmt.Sprintf("%s=%d", variable, proctest.Port(t, proctest.FreeAddress(t))))
			}
			run.Run()
			awaitLog(t, run, "cannot be read: organization "+test.org)
			awaitLog(t, run, test.want)
			awaitLog(t, run, test.hint)
			if test.continues {
				run.Stop()
			} else {
				awaitLog(t, run, "Nothing can be read; stopping.")
				awaitLog(t, run, "status 1")
				require.Eventually(t, run.HasExited, 10*time.Second, 10*time.Millisecond)
			}
			require.Contains(t, run.Output(), "The logs are kept in "+filepath.Join(dir, "log"))
			log, err := os.ReadFile(filepath.Join(dir, "log", "collector.log"))
			require.NoError(t, err)
			require.Contains(t, string(log), "Everything is ready")
			require.NotContains(t, run.Output()+string(log), "hunter2")
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, left, 2, "more than the storage and the log is left")
		})
	}
}
