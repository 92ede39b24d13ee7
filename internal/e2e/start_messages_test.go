// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
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

// oneOrganization is the configuration of a collector without a storage that shows its log only.
const oneOrganization = `
receivers:
  githubexporter:
    orgs: [{name: %s, auth: {token: %s}, scrape_interval: 1s}]
    github: {endpoint: %q, api: %s, retry: {max_attempts: 1}, tls: {insecure: true}}
exporters: {debug: {}}
service: {telemetry: {metrics: {level: none}}, pipelines: {metrics: {receivers: [githubexporter], exporters: [debug]}}}
`

// writeConfig writes a configuration and returns its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "collector.yaml")
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	return config
}

// awaitLog waits until a collector has logged a text.
func awaitLog(t *testing.T, gx *proctest.Process, text string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if !strings.Contains(gx.Output(), text) {
			return errors.New("the log lacks: " + text)
		}
		return nil
	})
}

// awaitLogCount waits until a log has a text, and requires that it has it so many times.
func awaitLogCount(t *testing.T, gx *proctest.Process, want int, text string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if n := strings.Count(gx.Output(), text); n < want {
			return fmt.Errorf("the log has it %d times, want %d: %s", n, want, text)
		}
		return nil
	})
	require.Equal(t, want, strings.Count(gx.Output(), text), text)
}

// TestMessagesAtStart: a wrong endpoint or organization is reported in the first lines of the log.
func TestMessagesAtStart(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}})
	secure := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+"/elsewhere?token=hunter2", http.StatusMovedPermanently)
	}))
	t.Cleanup(secure.Close)
	for _, api := range []string{"graphql", "rest"} {
		for endpoint, want := range map[string]string{
			server.URL: map[string]string{
				"graphql": "Could not resolve to an Organization", "rest": "a user account is not an organization",
			}[api],
			secure.URL: "redirect from http:// to https://" + strings.TrimPrefix(secure.URL, "http://") +
				" is not followed",
		} {
			t.Run(api, func(t *testing.T) {
				t.Parallel()
				text := fmt.Sprintf(oneOrganization, "octocat", githubtest.DefaultToken, endpoint, api)
				gx := proctest.New(t, proctest.ProgramPath(t, "GX_COLLECTOR"), "--config", writeConfig(t, text))
				gx.Run()
				awaitLog(t, gx, want)
				gx.Stop()
				require.NotContains(t, gx.Output(), "hunter2")
			})
		}
	}
}

// TestWrongEndpoints: an endpoint at which there cannot be an API is refused, and the error has the right one.
func TestWrongEndpoints(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"https://github.com": "want https://api.github.com", "https://acme.ghe.com": "want https://api.acme.ghe.com",
		"https://api.github.com/graphql": "want https://api.github.com", "https://ghe.example/api/graphql": "/api/v3",
	} {
		config := writeConfig(t, fmt.Sprintf(oneOrganization, "octocat", "abc", endpoint, "graphql"))
		out, err := exec.CommandContext(
			t.Context(),
			proctest.ProgramPath(t, "GX_COLLECTOR"),
			"validate",
			"--config",
			config,
		).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "github: endpoint: ")
		require.Contains(t, string(out), want)
	}
}
