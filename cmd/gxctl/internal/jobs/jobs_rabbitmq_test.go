// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package jobs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/collectorconfig"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
	"github.com/seed-358c4d9d/githubexporter/internal/tlstest"
)

const brokerConfig = `
receivers:
  githubexporter:
    orgs: [{name: acme, auth: {token: abc}}]
    redis: {endpoints: ["127.0.0.1:1"]}
    leader_election: leader_elector
    rabbitmq:
      endpoint: URL
      tls: {ca_file: DIR/ca.crt}
      queue: gh.production.jobs
      auth: {plain: {username: guest, password: "${file:DIR/password}"}}
  githubexporter/certificate:
    orgs: [{name: umbrella, auth: {token: abc}}]
    redis: {endpoints: ["127.0.0.1:1"]}
    leader_election: leader_elector
    rabbitmq:
      endpoint: URL
      tls: {ca_file: DIR/ca.crt, cert_file: DIR/operator.crt, key_file: DIR/operator.key}
      auth: {external: {}}
extensions: {leader_elector: {static: {role: leader}}}
exporters: {debug: {}}
service:
  extensions: [leader_elector]
  pipelines: {metrics: {receivers: [githubexporter, githubexporter/certificate], exporters: [debug]}}
`

// TestConfigOfCollector: with --config the address, the certificates, the credential and the names of the queues are
// those of the collector; no flag and no variable has them.
func TestConfigOfCollector(t *testing.T) {
	a := tlstest.NewAuthority(t)
	a.Issue("operator")
	server := rabbittest.StartTLS(t, a)
	server.Rabbitmqctl("add_user", "operator", "unused")
	server.Rabbitmqctl("set_permissions", "operator", ".*", ".*", ".*")
	require.NoError(t, os.WriteFile(a.Path("password"), []byte("guest\n"), 0o600))
	config := a.Path("collector.yaml")
	text := strings.NewReplacer("URL", server.URL(), "DIR", filepath.Dir(config)).Replace(brokerConfig)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	collector, err := collectorconfig.Load(t.Context(), []string{config})
	require.NoError(t, err)
	for i, queue := range []string{"gh.production.jobs.acme", "gh.backfill.jobs.umbrella"} {
		receiver := &collector.Receivers[i]
		declare(t, receiver)
		args := []string{"--config", config, "--receiver", receiver.ID}
		code, output := run(t, append(args, "dead")...)
		require.Equal(t, cli.ExitSuccess, code, output)
		require.Equal(t, "0 dead messages\n", output)
		org := receiver.Config.Orgs[0].Name
		code, output = run(t, append(args, "read", "--repo", org+"/x", "--from", "2026-03-01T00:00:00Z")...)
		require.Equal(t, cli.ExitSuccess, code, output)
		require.Eventually(t, func() bool {
			return strings.Contains(server.Rabbitmqctl("list_queues", "name", "messages"), queue+"\t1\n")
		}, time.Minute, time.Millisecond, queue)
	}
}

// declare declares the queues of a receiver.
func declare(t *testing.T, receiver *collectorconfig.Receiver) {
	t.Helper()
	settings, err := receiver.Config.RabbitMQSettings(t.Context())
	require.NoError(t, err)
	connected := make(chan struct{}, 1)
	settings.ConnectionName, settings.Logger = "test", zap.NewNop()
	settings.OnState = func(err error) {
		if err == nil {
			connected <- struct{}{}
		}
	}
	queue := rabbitqueue.New(settings)
	defer queue.Close()
	select {
	case <-connected:
	case <-time.After(time.Minute):
		require.Fail(t, "no connection to RabbitMQ")
	}
}
