// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

const credentialsConfig = `
orgs:
  - name: by-token
    auth: {token: plain-token}
    scrape_interval: 2s
  - name: by-app
    auth: {app: {app_id: 11, installation_id: 22, private_key_file: %[1]s}}
    scrape_interval: 2s
  - name: by-found-app
    auth: {app: {app_id: 11, private_key_file: %[1]s}}
    scrape_interval: 2s
  - name: by-client-id
    auth: {app: {client_id: Iv23liABCDEF0123456789, private_key_file: %[1]s}}
    scrape_interval: 2s
  - name: by-extension
    auth: {authenticator: bearertokenauth/github}
    scrape_interval: 2s
github: {endpoint: %[2]q}
storage: file_storage
emit_interval: 1s
`

// writeAppKey makes the key of a GitHub App, and a file with it.
func writeAppKey(t *testing.T) (key *rsa.PrivateKey, file string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "key.pem")
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	return key, file
}

// TestCredentials: a collector reads five organizations, each with another kind of credential that can read that one
// only.
func TestCredentials(t *testing.T) {
	t.Parallel()
	key, keyFile := writeAppKey(t)
	settings := githubtest.Settings{
		Credentials: []githubtest.Credential{
			{Token: "plain-token", Name: "plain", Login: "p", Orgs: []string{"by-token"}},
			{Token: "extension-token", Name: "extension", Login: "e", Orgs: []string{"by-extension"}},
		},
		Apps: []githubtest.App{
			{
				ID:        11,
				ClientID:  "Iv23liABCDEF0123456789",
				PublicKey: &key.PublicKey,
				Installations: []githubtest.Installation{
					{ID: 22, Org: "by-app"}, {ID: 33, Org: "by-found-app"}, {ID: 44, Org: "by-client-id"},
				},
			},
		},
	}
	names := []string{"by-token", "by-app", "by-found-app", "by-client-id", "by-extension"}
	for _, name := range names {
		data := loadData(t)
		data.Org.Login = name
		settings.Datasets = append(settings.Datasets, data)
	}
	server := githubtest.Start(t, settings)
	gx := startCollector(t, fmt.Sprintf(credentialsConfig, keyFile, server.URL))
	for _, name := range names {
		gx.awaitComplete(t, name)
		events, err := gx.value(t.Context(), fmt.Sprintf("gh_exporter_store_events{org=%q}", name))
		require.NoError(t, err)
		require.Greater(t, events, 500.0, name)
	}
	for name, id := range map[string]string{
		"by-app": "22", "by-found-app": "33", "by-client-id": "44",
		"by-token": "",
	} {
		_, err := gx.value(t.Context(), fmt.Sprintf("gh_app_rate_limit_remaining{installation_id=%q,org=%q}", id, name))
		require.NoError(t, err)
	}
	tokens := server.CountRequests(func(r githubtest.RequestInfo) bool {
		return r.Route == "/app/installations/{installation_id}/access_tokens"
	})
	require.Equal(t, 3, tokens, "one installation token for all requests of an installation")
	for _, secret := range []string{"extension-token", "plain-token", "BEGIN", "ghs_", "eyJ"} {
		require.NotContains(t, gx.Output(), secret)
	}
	require.Less(t, gx.Stop(), time.Second)
}

// TestStop: a collector stops within a second during the look-back, and while every request hangs.
func TestStop(t *testing.T) {
	t.Parallel()
	data := loadData(t)
	for name, fault := range map[string]githubtest.Effect{
		"requests hang": githubtest.Hang(), "slow look-back": githubtest.SlowBody(50 * time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{data}})
			server.InjectFault(githubtest.Fault{Effect: fault})
			gx := startCollector(t, fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, server.URL, "rest"))
			eventually(t, 30*time.Second, func() error {
				if len(server.Requests()) == 0 && fault.Kind != githubtest.KindHang {
					return errors.New("no request was sent yet")
				}
				return nil
			})
			<-time.After(2 * time.Second)
			require.Less(t, gx.Stop(), time.Second)
		})
	}
}
