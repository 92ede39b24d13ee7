// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
)

// TestStatic: the configurations of the tree are valid, and a wrong one is refused with the path of the setting.
func TestStatic(t *testing.T) {
	t.Setenv("GITHUB_ORG", "acme")
	t.Setenv("GITHUB_TOKEN", secret)
	t.Setenv("GITHUB_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("GX_STORAGE_DIR", t.TempDir())
	t.Setenv("RABBITMQ_PASSWORD", "12345678") // digits stay a text
	examples, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "examples", "*", "collector.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, examples)
	for _, example := range examples {
		code, output := run(t, "--config", example)
		require.Equal(t, cli.ExitSuccess, code, output)
		require.Contains(t, output, "ok    configuration (receivers::githubexporter): every setting is valid")
	}
	for name, test := range map[string]struct{ receiver, want string }{
		"no organization": {"orgs: []", "fail  configuration (receivers::githubexporter): orgs: the list is empty"},
		"unknown key":     {"repos: 1", "fail  configuration (receivers::githubexporter): repos: unknown key"},
		"no storage": {
			"orgs: [{name: acme, auth: {token: " + secret + "}}]\nstorage: file_storage",
			`fail  configuration (githubexporter): storage: the extension "file_storage" does not run`,
		},
		"no elector": {
			"orgs: [{name: acme, auth: {token: " + secret + "}}]\nleader_election: leader_elector\n" +
				`redis: {endpoints: ["127.0.0.1:1"]}`,
			`leader_election: the extension "leader_elector" does not run`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			code, output := run(t, "--config", writeConfig(t, test.receiver))
			require.Equal(t, cli.ExitFailure, code)
			require.Contains(t, output, test.want)
		})
	}
}

func TestConfigurationThatIsNone(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	require.NoError(t, os.WriteFile(empty, []byte("exporters: {debug: {}}\n"), 0o600))
	for want, path := range map[string]string{
		"no such file or directory":           filepath.Join(t.TempDir(), "absent.yaml"),
		"there is no receiver githubexporter": empty,
	} {
		code, output := run(t, "--config", path)
		require.Equal(t, cli.ExitFailure, code)
		require.Contains(t, output, want)
	}
	code, output := run(t, "--config",
		"yaml:receivers::githubexporter::orgs: [{name: acme, auth: {token: "+secret+"}}]")
	require.Equal(t, cli.ExitSuccess, code)
	require.Contains(t, output, "warn  configuration (githubexporter): no pipeline has this receiver")
	code, output = run(t)
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, output, "--config is missing")
}

// TestNothingListens: every server that does not respond is a line.
func TestNothingListens(t *testing.T) {
	code, output := run(t, "--online", "--config", writeConfig(t, tokenConfig("acme", "http://127.0.0.1:1")+
		`redis: {endpoints: ["127.0.0.1:1"], password: hunter2}
rabbitmq: {endpoint: "amqp://127.0.0.1:1/", auth: {plain: {username: gx, password: hunter2}}}
`))
	require.Equal(t, cli.ExitFailure, code)
	for _, want := range []string{
		"fail  github credential (acme): ", "fail  redis connection (127.0.0.1:1): ",
		"fail  rabbitmq connection (127.0.0.1:1/): ", "connection refused",
	} {
		require.Contains(t, output, want)
	}
}

func TestIsOlder(t *testing.T) {
	for version, want := range map[string]bool{
		"6.0.16": true, "6.2.0": false, "7.0.15": false, "5.9": true, "255.255.255": false, "": false, "next": false,
		"6.x": false,
	} {
		require.Equal(t, want, isOlder(version, 6, 2), version)
	}
}
