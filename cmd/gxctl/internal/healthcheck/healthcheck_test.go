// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package healthcheck

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
)

// TestHealth: the exit code follows from the status alone, and the output has the page's reasons but no password.
func TestHealth(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		code   int
		output string
	}{
		"ready": {http.StatusOK, `{"ready":true}`, cli.ExitSuccess, "ready\n"},
		"not ready": {
			http.StatusServiceUnavailable, `{"ready":false,"reasons":["redis: down","amqp: down"]}`, cli.ExitFailure,
			"gxctl health: not ready: 503 Service Unavailable\n  redis: down\n  amqp: down\n",
		},
		"another page": {
			http.StatusNotFound, "no such page", cli.ExitFailure, "gxctl health: not ready: 404 Not Found\n",
		},
		"a redirection": {
			http.StatusFound, "", cli.ExitFailure, "gxctl health: not ready: 302 Found\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept") != "application/json" {
					w.WriteHeader(http.StatusNotAcceptable)
					return
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			code, output := run(t, "--url", server.URL+"/readyz")
			require.Equal(t, test.code, code)
			require.Equal(t, test.output, output)
		})
	}
}

// TestHealthWithoutResponse: no server listens, or none responds in time.
func TestHealthWithoutResponse(t *testing.T) {
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	defer server.Close()
	defer close(ended)
	code, output := run(t, "--url", server.URL, "--timeout", "10ms")
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, output, "deadline exceeded")
	code, output = run(t, "--url", "http://me:hunter2@127.0.0.1:1/readyz")
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, output, "connection refused")
	require.NotContains(t, output, "hunter2")
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--url", "127.0.0.1:13133"},
		{"--url", "ftp://127.0.0.1"},
		{"--url", "http://me:hunter2@h:x/"},
		{"--timeout", "fast"},
		{"now"},
	} {
		code, output := run(t, args...)
		require.Equal(t, cli.ExitUsage, code, output)
		require.NotContains(t, output, "hunter2")
	}
}

// run executes `gxctl health` with arguments, and returns its exit code and its output.
func run(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	root := &cobra.Command{Use: "gxctl"}
	root.AddCommand(NewCommand())
	var buffer bytes.Buffer
	root.SetOut(&buffer)
	root.SetErr(&buffer)
	return cli.Run(t.Context(), root, append([]string{"health"}, args...)), buffer.String()
}
