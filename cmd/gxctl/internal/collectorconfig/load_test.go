// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collectorconfig_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/collectorconfig"
)

const secretFiles = `
receivers:
  githubexporter:
    orgs:
      - {name: acme, auth: {token: "${file:DIR/secret}"}}
      - name: umbrella
        auth: {app: {client_id: "${file:DIR/client_id}", private_key: "${file:DIR/key.pem}"}}
      - name: globex
        auth: {app: {app_id: "${file:DIR/app_id}", private_key_file: DIR/key.pem}}
    copilot: {enterprise: {slug: acme, auth: {token: "${file:DIR/secret}"}}}
    leader_election: leader_elector
    redis: &redis
      mode: sentinel
      master_name: mymaster
      endpoints: ["redis:26379"]
      username: ${file:DIR/username}
      password: ${file:DIR/secret}
      sentinel_username: ${file:DIR/username}
      sentinel_password: ${file:DIR/secret}
    rabbitmq:
      endpoint: amqp://rabbitmq/
      auth: {plain: {username: "${file:DIR/username}", password: "${file:DIR/secret}"}}
extensions:
  leader_elector: {redis: *redis}
service:
  extensions: [leader_elector]
  pipelines: {metrics: {receivers: [githubexporter]}}
`

// TestSecretsFromFiles: the line break at the end of a file, which an editor or `echo` adds, is no part of a name or a
// secret, and characters that mean something in YAML are.
func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	pemKey := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	for _, end := range []string{"", "\n", "\r\n", "\n\n"} {
		for _, secret := range []string{"s3cret", "0123", "true", "@x{y", "'quoted'"} {
			dir := t.TempDir()
			for name, text := range map[string]string{
				"secret": secret, "username": "gx", "client_id": "Iv23liABCDEF0123456789", "app_id": "123456",
				"key.pem": strings.TrimSpace(pemKey),
			} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text+end), 0o600))
			}
			collector, err := collectorconfig.Load(t.Context(),
				[]string{"yaml:" + strings.ReplaceAll(secretFiles, "DIR", dir)})
			require.NoError(t, err)
			for _, component := range collector.Components {
				require.Empty(t, component.Problems, "%s: %q", component.Path, secret+end)
			}
			config := collector.Receivers[0].Config
			require.Equal(t, secret, string(*config.Orgs[0].Auth.Token))
			require.Equal(t, secret, string(*config.Copilot.Enterprise.Auth.Token))
			require.Equal(t, "Iv23liABCDEF0123456789", config.Orgs[1].Auth.App.ClientID)
			require.EqualValues(t, 123456, config.Orgs[2].Auth.App.AppID)
			require.Equal(t, secret, string(config.RabbitMQ.Auth.Plain.Password))
			require.Equal(t, "gx", config.RabbitMQ.Auth.Plain.Username)
			elector := collector.Electors[0].Config.Redis
			for _, redis := range []*struct{ username, password, sentinelUsername, sentinelPassword string }{
				{
					config.Redis.Username, string(config.Redis.Password), config.Redis.SentinelUsername,
					string(config.Redis.SentinelPassword),
				},
				{
					elector.Username, string(elector.Password), elector.SentinelUsername,
					string(elector.SentinelPassword),
				},
			} {
				require.Equal(t, []string{"gx", secret, "gx", secret}, []string{
					redis.username, redis.password, redis.sentinelUsername, redis.sentinelPassword,
				})
			}
		}
	}
}
