// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// gxctlFunction makes the built gxctl a command of a script.
const gxctlFunction = `gxctl() { "$GX_CTL" "$@"; }; `

// runDocumentedGxctl runs a documented command of gxctl against servers of the test.
func runDocumentedGxctl(t *testing.T, command string) {
	t.Helper()
	proctest.ProgramPath(t, "GX_CTL")
	switch words := strings.Fields(command); words[1] {
	case "health":
		page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"ready":true}`))
		}))
		defer page.Close()
		if !strings.Contains(command, "--url") {
			command += " --url http://127.0.0.1:13133/readyz" // the default
		}
		out, err := bash(t, gxctlFunction+strings.ReplaceAll(command, "http://127.0.0.1:13133", page.URL))
		require.NoError(t, err, "%s: %s", command, out)
		require.Equal(t, "ready\n", out)
	case "validate":
		server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}})
		out, err := bash(t, gxctlFunction+command, "GITHUB_ORG="+org, "GITHUB_TOKEN="+githubtest.DefaultToken,
			"GITHUB_ENDPOINT="+server.URL, "GX_STORAGE_DIR="+t.TempDir())
		require.NoError(t, err, "%s: %s", command, out)
		require.NotContains(t, out, githubtest.DefaultToken)
	case "explain": // TestExplain runs it with a store that has something
		out, err := bash(t, gxctlFunction+command, "GITHUB_ORG="+org, "GITHUB_TOKEN=abc", "GX_STORAGE_DIR="+t.TempDir())
		require.Error(t, err)
		require.Contains(t, out, "has the collector run with this configuration, on this machine?", command)
	case "jobs":
		out, err := bash(t, gxctlFunction+command, "GITHUB_ORG="+org, "GITHUB_TOKEN=abc", "REDIS_ENDPOINT=127.0.0.1:1",
			"RABBITMQ_ENDPOINT="+proctest.FreeAddress(t))
		require.Error(t, err)
		require.Contains(t, out, "connection refused", command)
	default:
		require.Fail(t, "a command of gxctl that the test does not know", command)
	}
}
