// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// newPrivateKey returns a new key in PEM form.
func newPrivateKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// fixed returns a PrivateKey that always returns the same text.
func fixed(text []byte) func() ([]byte, error) { return func() ([]byte, error) { return text, nil } }

// TestKeysWithoutLineBreaks are refused with what is wrong with them, and none of them is shown.
func TestKeysWithoutLineBreaks(t *testing.T) {
	t.Parallel()
	pemKey := newPrivateKey(t)
	for name, test := range map[string]struct {
		key  []byte
		want string
	}{
		"escaped": {
			bytes.ReplaceAll(pemKey, []byte("\n"), []byte(`\n`)),
			`the two characters \n where line breaks belong`,
		},
		"escaped and quoted": {
			[]byte(`"` + string(bytes.ReplaceAll(pemKey, []byte("\n"), []byte(`\n`))) + "\"\n"),
			`the two characters \n`,
		},
		"one line": {bytes.ReplaceAll(pemKey, []byte("\n"), []byte(" ")), "is on one line"},
		"another": {
			[]byte("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----"),
			"no RSA key in PEM form",
		},
		"windows": {bytes.ReplaceAll(pemKey, []byte("\n"), []byte("\r\n")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := transport.AppCredential(transport.AppSettings{AppID: 1, PrivateKey: fixed(test.key)})
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			require.Less(t, len(err.Error()), 250)
			require.NotContains(t, err.Error(), string(test.key[len(test.key)/2:len(test.key)/2+20]))
		})
	}
}

// TestSecretsHide from every way to print them.
func TestSecretsHide(t *testing.T) {
	t.Parallel()
	pemKey := newPrivateKey(t)
	app, err := transport.AppCredential(transport.AppSettings{AppID: 1, InstallationID: 2, PrivateKey: fixed(pemKey)})
	require.NoError(t, err)
	for _, credential := range []transport.Credential{transport.TokenCredential("ghp_secret"), app} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			require.Equal(t, "[REDACTED]", fmt.Sprintf(format, credential))
		}
	}
}
