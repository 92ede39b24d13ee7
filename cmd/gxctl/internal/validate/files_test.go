// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
)

// encodePEM returns a key in PEM form.
func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// rsaKey returns a new private key as GitHub makes them.
func rsaKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

// appConfig returns the settings of a receiver with an App.
func appConfig(key string) string {
	return fmt.Sprintf("orgs: [{name: acme, auth: {app: {client_id: Iv23liABCDEF0123456789, %s}}}]\n", key)
}

// TestPrivateKeys: without a request, the file of an App's key must be there, readable and an RSA key. No output has
// a part of it.
func TestPrivateKeys(t *testing.T) {
	const noKey = "fail  private key (acme): PATH: the App's private key is no RSA key in PEM form; "
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(elliptical)
	require.NoError(t, err)
	key := rsaKey(t)
	body := strings.Split(key, "\n")[3]
	for name, test := range map[string]struct {
		text string
		code int
		want string
	}{
		"a key":      {key, cli.ExitSuccess, "ok    private key (acme): PATH: an RSA key of 2048 bits\n"},
		"an EC key":  {encodePEM("PRIVATE KEY", der), cli.ExitFailure, noKey},
		"one line":   {strings.ReplaceAll(key, "\n", " "), cli.ExitFailure, "the App's private key is on one line"},
		"cut":        {key[:900], cli.ExitFailure, noKey},
		"no key":     {secret, cli.ExitFailure, noKey},
		"empty file": {"", cli.ExitFailure, noKey},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "private-key.pem")
			require.NoError(t, os.WriteFile(path, []byte(test.text), 0o600))
			code, output := run(t, "--config", writeConfig(t, appConfig("private_key_file: "+path)))
			require.Equal(t, test.code, code, output)
			require.Contains(t, output, strings.ReplaceAll(test.want, "PATH", path))
			require.NotContains(t, output, body)
		})
	}
	folder := t.TempDir()
	code, output := run(t, "--config", writeConfig(t, appConfig("private_key_file: "+folder)))
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, output, "fail  private key (acme): read "+folder+": is a directory; let the user")
	inline := "private_key: " + fmt.Sprintf("%q", key[:900]+"\n")
	code, output = run(t, "--config", writeConfig(t, appConfig(inline)))
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, output, "fail  private key (acme): private_key: the App's private key is no RSA key")
	require.NotContains(t, output, body)
}

// TestAbsentFiles: an absent file is a failure where the collector will run, and a warning on another machine.
func TestAbsentFiles(t *testing.T) {
	const absent = "/nowhere/private-key.pem"
	config := writeConfig(t, appConfig("private_key_file: "+absent))
	code, output := run(t, "--config", config)
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, output, "fail  private key (acme): "+absent+": the file does not exist; ")
	require.Contains(t, output, "--allow-missing-files")
	code, output = run(t, "--allow-missing-files", "--config", config)
	require.Equal(t, cli.ExitSuccess, code, output)
	require.Contains(t, output, "warn  private key (acme): "+absent+": the file does not exist here; ")

	// What the settings read from files, as in the examples for Kubernetes.
	config = writeConfig(t, appConfig(`private_key: "${file:/nowhere/key.pem}"`)+`
redis: {endpoints: ["redis:6379"], password: "${file:/nowhere/password}"}
`)
	code, output = run(t, "--config", config)
	require.Equal(t, cli.ExitFailure, code)
	require.Regexp(t, "open /nowhere/.*: no such file or directory; make the file, .*--allow-missing-files", output)
	code, output = run(t, "--allow-missing-files", "--config", config)
	require.NotContains(t, output, "private key (acme)")
	require.Contains(t, output, "warn  configuration (/nowhere/password): the file does not exist here")
	require.Contains(t, output, "warn  configuration (/nowhere/key.pem): the file does not exist here")
	require.Equal(t, cli.ExitSuccess, code, output)

	code, output = run(t, "--allow-missing-files", "--config", "/nowhere/collector.yaml")
	require.Equal(t, cli.ExitFailure, code, "the configuration itself must be there")
	require.Contains(t, output, "no such file or directory")
	code, _ = run(t, "--allow-missing-files", "--online", "--config", config)
	require.Equal(t, cli.ExitUsage, code)
}
