// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

const secretsConfig = `
extensions:
  leader_elector:
    redis: {endpoints: ["LEASES"]}
receivers:
  githubexporter:
    orgs:
      - name: acme
        auth: {token: abc}
    leader_election: leader_elector
    github: {endpoint: "GITHUB", proxy_url: "PROXY"}
    redis: {endpoints: ["STATE"]}
    rabbitmq: {endpoint: "BROKER", auth: {plain: {username: a}}}
exporters:
  debug:
service:
  extensions: [leader_elector]
  pipelines:
    metrics: {receivers: [githubexporter], exporters: [debug]}
`

// TestSecretsInAddresses: an address that may contain a password is refused by all that reads the configuration. The
// error has no value, and names the setting for the password.
func TestSecretsInAddresses(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"LEASES": "127.0.0.1:1", "STATE": "127.0.0.1:1", "GITHUB": "https://127.0.0.1:1", "PROXY": "http://127.0.0.1:1",
		"BROKER": "amqp://127.0.0.1:1/",
	}
	out, err := exec.CommandContext(t.Context(), proctest.ProgramPath(t, "GX_COLLECTOR"),
		"validate", "--config", secretsConfigWith(t, good, nil)).CombinedOutput()
	require.NoError(t, err, string(out))
	const byName = "the password goes into password"
	for name, test := range map[string]struct {
		values map[string]string
		want   []string
	}{
		"URLs of platforms": {
			map[string]string{
				"LEASES": "redis://:hunter2@h:6379", "STATE": "rediss://default:hunter2@h:6379/0",
				"BROKER": "amqp://me:hunter2@h/v",
				"GITHUB": "https://me:hunter2@ghe.example/api/v3", "PROXY": "http://me:hunter2@proxy:3128",
			},
			[]string{
				"redis::endpoints::0: a URL", byName, "rabbitmq::endpoint", "auth::plain", "github::endpoint",
				"orgs::N::auth", "HTTPS_PROXY",
			},
		},
		"addresses of other clients": {
			map[string]string{
				"LEASES": "h:6380,password=hunter2,ssl=True", "STATE": "hunter2@h:6379", "BROKER": "me:hunter2@h:5672",
				"GITHUB": "https://ghe.example/api/v3?token=hunter2", "PROXY": "me:hunter2@proxy:3128",
			},
			[]string{
				"redis::endpoints::0", byName, "rabbitmq::endpoint", "auth::plain", "github::endpoint", "a query",
				"HTTPS_PROXY",
			},
		},
		"the password alone": {
			map[string]string{
				"LEASES": "hunter2", "STATE": "h:hunter2", "BROKER": "hunter2", "GITHUB": "hunter2",
				"PROXY": "hunter2",
			},
			[]string{"redis::endpoints::0", "rabbitmq::endpoint", "github::endpoint", "github::proxy_url"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, wrong := range []map[string]string{
				test.values, {"LEASES": test.values["LEASES"]}, {"STATE": test.values["STATE"]},
			} {
				out := refusedEverywhere(t, secretsConfigWith(t, good, wrong))
				for _, want := range test.want {
					if len(wrong) > 1 {
						require.Contains(t, out, want)
					}
				}
			}
		})
	}
}

// secretsConfigWith writes the configuration with good addresses, some replaced by wrong ones, and returns its path.
func secretsConfigWith(t *testing.T, good, wrong map[string]string) string {
	t.Helper()
	text := secretsConfig
	for key, value := range good {
		if with, ok := wrong[key]; ok {
			value = with
		}
		text = strings.ReplaceAll(text, key, value)
	}
	config := filepath.Join(t.TempDir(), "collector.yaml")
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	return config
}

// refusedEverywhere runs all commands that read a configuration, which must refuse it, and returns their output.
func refusedEverywhere(t *testing.T, config string) string {
	t.Helper()
	var all strings.Builder
	for _, args := range [][]string{
		{},
		{"validate"},
		{"print-config"},
		{"print-config", "--validate=false"},
		{"print-config", "--validate=false", "--mode=unredacted"},
	} {
		args = append(args, "--config", config)
		out, err := exec.CommandContext(t.Context(), proctest.ProgramPath(t, "GX_COLLECTOR"), args...).CombinedOutput()
		require.Error(t, err, "%s\n%s", args, out)
		require.NotContains(t, string(out), "hunter2", args)
		require.Contains(t, string(out), "::", "%s", args)
		all.Write(out)
	}
	return all.String()
}

// TestGxctlShowsNoPassword: neither the help nor an error has the password of the environment or of an argument.
func TestGxctlShowsNoPassword(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"jobs", "--help"}, {"jobs", "show"}, {"jobs", "--unknown"}, {"jobs", "dead"}} {
		cmd := exec.CommandContext(t.Context(), proctest.ProgramPath(t, "GX_CTL"), args...)
		cmd.Env = append(os.Environ(), "RABBITMQ_URL=amqp://me:hunter2@127.0.0.1:1/")
		out, _ := cmd.CombinedOutput() // --help alone has no error
		require.NotEmpty(t, out, args)
		require.NotContains(t, string(out), "hunter2", args)
	}
}

// TestProxyWithPassword: a user name and password of the proxy are read from the environment, as the error about
// proxy_url says.
func TestProxyWithPassword(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 100)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.Host + " " + r.Header.Get("Proxy-Authorization"):
		default:
		}
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	t.Cleanup(proxy.Close)
	config := filepath.Join(t.TempDir(), "collector.yaml")
	const text = `
receivers:
  githubexporter:
    orgs: [{name: acme, auth: {token: abc}, scrape_interval: 1s}]
    github: {endpoint: "http://ghe.example/api/v3", tls: {insecure: true}, retry: {max_attempts: 1}}
exporters: {debug: {}}
service: {telemetry: {metrics: {level: none}}, pipelines: {metrics: {receivers: [githubexporter], exporters: [debug]}}}
`
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	gx := proctest.New(t, proctest.ProgramPath(t, "GX_COLLECTOR"), "--config", config)
	gx.Env = append(os.Environ(), "HTTP_PROXY="+strings.Replace(proxy.URL, "://", "://me:hunter2@", 1), "NO_PROXY=")
	gx.Run()
	want := "ghe.example Basic " + base64.StdEncoding.EncodeToString([]byte("me:hunter2"))
	select {
	case got := <-asked:
		require.Equal(t, want, got)
	case <-time.After(30 * time.Second):
		require.Fail(t, "the proxy got no request")
	}
	eventually(t, 20*time.Second, func() error {
		if !strings.Contains(gx.Output(), "407") {
			return errors.New("the log does not say why")
		}
		return nil
	})
	gx.Stop()
	require.NotContains(t, gx.Output(), "hunter2")
}
