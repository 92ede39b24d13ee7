// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
)

// load reads a configuration as the collector does: unmarshal, then validate.
func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	retrieved, err := confmap.NewRetrievedFromYAML([]byte(text))
	require.NoError(t, err)
	conf, err := retrieved.AsConf()
	require.NoError(t, err)
	config := NewFactory().CreateDefaultConfig()
	if err := conf.Unmarshal(config); err != nil {
		return nil, err
	}
	return config.(*Config), xconfmap.Validate(config)
}

const valid = `
orgs:
  - name: open-telemetry
    auth: {token: abc}
`

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	config, err := load(t, valid)
	require.NoError(t, err)
	org := config.Orgs[0]
	require.Equal(t, 5*time.Minute, org.ScrapeInterval)
	require.Equal(t, []string{"*"}, org.Repositories.Include)
	require.False(t, org.Repositories.Archived)
	require.False(t, org.Repositories.Forks)
	require.Equal(t, 4, org.Concurrency)
	require.Equal(t, 336*time.Hour, org.Lookback)
	require.Equal(t, "https://api.github.com", config.GitHub.Endpoint)
	require.Equal(t, "graphql", config.GitHub.API)
	require.Equal(t, 20*time.Second, config.GitHub.Timeout)
	require.Equal(t, RetryConfig{MaxAttempts: 5, InitialInterval: 2 * time.Second, MaxInterval: 30 * time.Second},
		config.GitHub.Retry)
	require.Equal(t, RateLimitConfig{
		MinRemaining: 200, ResetBuffer: 10 * time.Second, SecondaryBackoff: time.Minute, MaxConcurrentRequests: 32,
	}, config.GitHub.RateLimit)
	require.Equal(t, TeamsConfig{Interval: time.Hour, Include: []string{"*"}, Nested: true}, config.Teams)
	require.Equal(t, LOCConfig{
		Source: "commits", RefreshInterval: 24 * time.Hour, Fallback: LOCFallbackConfig{
			Enabled: true, MaxCommitsPerRepoPerWeek: 500, MaxCommitDetailCallsPerOrgPerHour: 1000,
			ZeroDetectionWindows: 2, Cooldown: 168 * time.Hour,
		},
	}, config.LOC)
	require.Equal(t, FlowConfig{Enabled: true, Clock: "ready", Bots: "exclude"}, config.Flow)
	require.Equal(t, flow.Rules{Clock: flow.ClockReady}, config.Flow.rules())
	require.Zero(t, config.Flow.disabledStreams())
	require.Equal(t, CopilotConfig{
		ScrapeInterval: 6 * time.Hour, RequestTimeout: 30 * time.Second, DownloadTimeout: 90 * time.Second,
		Org28d: true, Seats: true, PullRequestActivity: true, ScopeLabel: true, DownloadHosts: []string{
			"copilot-reports.github.com", "copilot-reports.*.ghe.com", "copilot-reports-*.b01.azurefd.net",
			"usagereports*.blob.core.windows.net",
		},
	}, config.Copilot)
	require.Equal(t, "include", config.Actors.Bots)
	require.Equal(t, "login", config.Actors.Label)
	require.Empty(t, config.Storage)
	require.Equal(t, 6*time.Hour, config.ReconcileInterval)
	require.Equal(t, 720*time.Hour, config.Retention)
	require.Equal(t, 500_000, config.MaxSeries)
	require.Equal(t, 30*time.Second, config.EmitInterval)
	require.Equal(t, time.Minute, config.Counters.zeroFor(config.EmitInterval))
}

// TestZeroFor: 0s is not the default, and a long interval of emission is a good value.
func TestZeroFor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"":                          time.Minute,
		"emit_interval: 2h":         4 * time.Hour,
		"counters: {}":              time.Minute,
		"counters: {zero_for: 0s}":  0,
		"counters: {zero_for: 30s}": 30 * time.Second,
		"counters: {zero_for: 1h}":  time.Hour,
		"{counters: {zero_for: 2h}, emit_interval: 2h}": 2 * time.Hour,
	} {
		conf, err := confmap.NewRetrievedFromYAML([]byte(text))
		require.NoError(t, err)
		part, err := conf.AsConf()
		require.NoError(t, err)
		config := createDefaultConfig().(*Config)
		require.NoError(t, part.Unmarshal(config), text)
		require.NoError(t, config.Counters.validate(config.EmitInterval), text)
		require.Equal(t, want, config.Counters.zeroFor(config.EmitInterval), text)
	}
}

func TestConfigFull(t *testing.T) {
	t.Parallel()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	config := NewFactory().CreateDefaultConfig()
	require.NoError(t, conf.Unmarshal(config))
	require.NoError(t, xconfmap.Validate(config))
	got := config.(*Config)
	require.Len(t, got.Orgs, 3)
	require.Equal(t, int64(123), got.Orgs[1].Auth.App.AppID)
	require.Equal(t, "bearertokenauth/github", got.Orgs[2].Auth.Authenticator.String())
	require.Equal(t, "rest", got.GitHub.API)
	require.Equal(t, "http://proxy.example:3128", got.GitHub.ProxyURL)
	require.Equal(t, "stats_contributors", got.LOC.Source)
	require.Equal(t, 250, got.LOC.Fallback.MaxCommitsPerRepoPerWeek)
	require.Equal(t, FlowConfig{Clock: "requested", Bots: "include"}, got.Flow)
	require.Equal(t, flow.Rules{Clock: flow.ClockRequested, Bots: true}, got.Flow.rules())
	require.Equal(t, activity.FlowStreams, got.Flow.disabledStreams())
	require.True(t, got.Copilot.Enabled)
	require.Equal(t, []string{"reports.example"}, got.Copilot.DownloadHosts)
	require.Equal(t, "acme", got.Copilot.Enterprise.Slug)
	require.Equal(t, "enterprise-token", string(*got.Copilot.Enterprise.Auth.Token))
	require.True(t, got.Copilot.Breakdown.Feature)
	require.Equal(t, "hashed", got.Actors.Label)
	require.Equal(t, "file_storage/state", got.Storage)
}

// TestConfigWrong shows that each wrong configuration is refused with the field's path, the value and what is allowed.
func TestConfigWrong(t *testing.T) {
	t.Parallel()
	org := func(line string) string { return "orgs:\n  - name: a\n    auth: {token: abc}\n    " + line }
	auth := func(block string) string { return "orgs:\n  - name: a\n    auth: " + block }
	rabbit := func(block string) string { return strings.TrimSpace(valid) + "\nrabbitmq: " + block }
	with := func(line string) string { return strings.TrimSpace(valid) + "\n" + line }
	for name, test := range map[string]struct {
		config string
		want   []string // the path, the value, what is allowed
	}{
		"no organization": {"{}", []string{"orgs", "empty", "at least one"}},
		"empty list":      {"orgs: []", []string{"orgs", "empty", "at least one"}},
		"no name": {"orgs: [{auth: {token: abc}}]", []string{
			"orgs::0", "name", `""`,
			"login of an organization",
		}},
		"name with a slash": {
			"orgs: [{name: a/b, auth: {token: abc}}]",
			[]string{"orgs::0", "name", `"a/b"`, "letters, digits and hyphens"},
		},
		"name that is a URL": {
			"orgs: [{name: 'https://github.com/a', auth: {token: abc}}]",
			[]string{"orgs::0", "name", "https://github.com/a", "login"},
		},
		"twice the same": {
			"orgs: [{name: a, auth: {token: abc}}, {name: A, auth: {token: abc}}]",
			[]string{"orgs::1::name", `"A"`, "only once"},
		},
		"no credential": {"orgs: [{name: a}]", []string{
			"orgs::0", "auth", "0 credentials",
			"exactly one of token, app, authenticator",
		}},
		"two credentials": {
			auth("{token: abc, authenticator: bearertokenauth}"),
			[]string{"orgs::0", "auth", "2 credentials", "exactly one"},
		},
		"empty token": {auth("{token: ''}"), []string{
			"orgs::0", "auth", "token", "empty",
			"environment variable",
		}},
		"token with white space": {auth("{token: 'abc def'}"), []string{
			"orgs::0", "auth", "token", "white space",
			"bare secret",
		}},
		"app without id": {
			auth("{app: {installation_id: 1, private_key_file: k}}"),
			[]string{"app", "app_id", "0", "positive"},
		},
		"app with two names": {
			auth("{app: {app_id: 1, client_id: Iv23liAB, private_key_file: k}}"),
			[]string{"orgs::0", "app", "app_id, client_id", "exactly one"},
		},
		"app id as client id": {
			auth("{app: {client_id: '12345', private_key_file: k}}"),
			[]string{"app", "client_id", "not a client id", "app_id"},
		},
		"client id no id": {
			auth("{app: {client_id: 'hunter2 hunter2', private_key_file: k}}"),
			[]string{"app", "client_id", "Iv23li"},
		},
		"app without a name": {
			auth("{app: {client_id: '', private_key_file: k}}"),
			[]string{"app", "app_id", "client_id", "environment variable"},
		},
		"app of nowhere": {
			auth("{app: {app_id: 1, installation_id: -2, private_key_file: k}}"),
			[]string{"app", "installation_id", "-2", "positive"},
		},
		"app without key": {
			auth("{app: {app_id: 1, installation_id: 2}}"),
			[]string{"app", "private_key", "exactly one"},
		},
		"app with two keys": {
			auth(
				"{app: {app_id: 1, installation_id: 2, private_key_file: k, private_key: '-----BEGIN'}}"),
			[]string{"app", "private_key", "exactly one"},
		},
		"app with an empty key": {
			auth("{app: {app_id: 1, installation_id: 2, private_key: ''}}"),
			[]string{"app", "private_key", "PEM", "environment variable"},
		},
		"app id of another type": {
			auth("{app: {app_id: x, installation_id: 2, private_key_file: k}}"),
			[]string{"app_id", "x", "int"},
		},
		"authenticator misspelt": {auth("{authenticator: 'a/'}"), []string{"authenticator", "a/"}},
		"unknown credential": {auth("{pat: abc}"), []string{
			"orgs::0::auth::pat", "unknown key",
			"app, authenticator, token",
		}},
		"interval without unit": {org("scrape_interval: 30"), []string{
			"orgs::0", "scrape_interval", "30ns",
			"1s to 24h0m0s", "unit",
		}},
		"interval too long": {org("scrape_interval: 48h"), []string{
			"orgs::0", "scrape_interval", "48h0m0s",
			"1s to 24h0m0s",
		}},
		"interval no duration": {org("scrape_interval: often"), []string{
			"scrape_interval", "often",
			"90s, 5m or 24h",
		}},
		"negative interval": {org("scrape_interval: -5m"), []string{
			"orgs::0", "scrape_interval", "-5m0s",
			"1s",
		}},
		"no concurrency":         {org("concurrency: 0"), []string{"orgs::0", "concurrency", "0", "1 to 100"}},
		"too much concurrency":   {org("concurrency: 101"), []string{"orgs::0", "concurrency", "101", "1 to 100"}},
		"concurrency a fraction": {org("concurrency: 1.5"), []string{"concurrency", "1.5"}},
		"look-back too short":    {org("lookback: 1h"), []string{"orgs::0", "lookback", "1h0m0s", "24h0m0s"}},
		"look-back over retention": {org("lookback: 800h"), []string{
			"orgs::0::lookback", "800h0m0s",
			"at most the retention of 720h0m0s",
		}},
		"nothing included": {
			org("repositories: {include: []}"),
			[]string{"orgs::0", "repositories", "include", "empty", `"*" for all`},
		},
		"empty exclusion": {
			org("repositories: {exclude: ['']}"),
			[]string{"repositories", "exclude::0", `""`, "name or a pattern"},
		},
		"another owner": {
			org("repositories: {include: [b/app]}"),
			[]string{"orgs::0", "repositories::include::0", `"b/app"`, "organization a", "a/NAME"},
		},
		"another owner excluded": {
			org("repositories: {exclude: [x, '*/app']}"),
			[]string{"repositories::exclude::1", `"*/app"`, "organization a"},
		},
		"an owner and no name": {
			org("repositories: {include: [a/]}"),
			[]string{"repositories::include::0", `"a/"`, "organization a"},
		},
		"an address": {
			org("repositories: {include: ['https://github.com/a/app']}"),
			[]string{"repositories::include::0", "https://github.com/a/app", "its name"},
		},
		"misspelt key": {org("scrape_intervall: 5m"), []string{
			"orgs::0::scrape_intervall", "unknown key",
			"scrape_interval",
		}},
		"misspelt key at the top": {with("retension: 5m"), []string{"retension", "unknown key", "retention"}},
		"misspelt key of TLS": {
			with("github: {tls: {insecur: true}}"),
			[]string{"github::tls::insecur", "unknown key", "insecure"},
		},
		"endpoint empty": {with("github: {endpoint: ''}"), []string{
			"github", "endpoint", "empty",
			"https URL",
		}},
		"endpoint no URL": {
			with("github: {endpoint: api.github.com}"),
			[]string{"github::endpoint", "does not begin with https://", "https URL"},
		},
		"endpoint of another kind": {
			with("github: {endpoint: 'ftp://github.example'}"),
			[]string{"github::endpoint", "does not begin with https://", "https URL"},
		},
		"endpoint in the clear": {
			with("github: {endpoint: 'http://github.example/api/v3'}"),
			[]string{"github", "endpoint", "in the clear", "https"},
		},
		"endpoint with a password": {
			with("github: {endpoint: 'https://me:hunter2@github.example'}"),
			[]string{"github", "endpoint", "user name", "https URL"},
		},
		"endpoint with a query": {
			with("github: {endpoint: 'https://github.example/?a=hunter2'}"),
			[]string{"github::endpoint", "a query", "https URL", "orgs::N::auth"},
		},
		"GraphQL endpoint": {
			with("github: {graphql_endpoint: graphql}"),
			[]string{"github::graphql_endpoint", "does not begin with", "https URL"},
		},
		"credential of the client": {
			with("github: {auth: {authenticator: basicauth}}"),
			[]string{"github", "auth", "orgs::N::auth"},
		},
		"credential as a header": {
			with("github: {headers: {authorization: token abc}}"),
			[]string{"github", "headers", "Authorization", "orgs::N::auth"},
		},
		"unknown API": {with("github: {api: soap}"), []string{"github", "api", `"soap"`, "graphql, rest"}},
		"no timeout": {with("github: {timeout: 0s}"), []string{
			"github", "timeout", "0s",
			"1s to 1h0m0s",
		}},
		"no attempts": {
			with("github: {retry: {max_attempts: 0}}"),
			[]string{"github::retry", "max_attempts", "0", "1 to 20"},
		},
		"retry intervals swapped": {
			with("github: {retry: {initial_interval: 1m, max_interval: 1s}}"),
			[]string{"github::retry", "max_interval", "1s", "from 1m0s"},
		},
		"negative floor": {
			with("github: {rate_limit: {min_remaining: -1}}"),
			[]string{"github::rate_limit", "min_remaining", "-1", "0 to 10000"},
		},
		"too many at once": {
			with("github: {rate_limit: {max_concurrent_requests: 500}}"),
			[]string{"github::rate_limit", "max_concurrent_requests", "500", "1 to 100"},
		},
		"no backoff": {
			with("github: {rate_limit: {secondary_backoff: 0s}}"),
			[]string{"github::rate_limit", "secondary_backoff", "0s", "1s"},
		},
		"bots": {with("actors: {bots: maybe}"), []string{
			"actors", "bots", `"maybe"`,
			"include, exclude",
		}},
		"label": {with("actors: {label: email}"), []string{
			"actors", "label", `"email"`,
			"login, id, hashed, none",
		}},
		"excluded actor": {
			with("actors: {exclude: [a, '']}"),
			[]string{"actors", "exclude::1", `""`, "name or a pattern"},
		},
		"storage": {
			with("storage: 'file storage!'"),
			[]string{"storage", "file storage!", "storage extension"},
		},
		"reconciling all the time": {with("reconcile_interval: 1s"), []string{
			"reconcile_interval", "1s", "0s (never)",
			"10m0s",
		}},
		"retention too short":   {with("retention: 24h"), []string{"retention", "24h0m0s", "336h0m0s"}},
		"no series":             {with("max_series: 0"), []string{"max_series", "0", "1 to"}},
		"emission without unit": {with("emit_interval: 10"), []string{"emit_interval", "10ns", "1s to 24h0m0s"}},
		"zeros without unit": {
			with("counters: {zero_for: 60}"),
			[]string{"counters::zero_for", "60ns", "0s", "30s to 1h0m0s"},
		},
		"zeros for less": {
			with("counters: {zero_for: 10s}"),
			[]string{"counters::zero_for", "10s", "0s", "30s to 1h0m0s"},
		},
		"zeros for ever": {
			with("counters: {zero_for: 2h}"),
			[]string{"counters::zero_for", "2h0m0s", "30s to 1h0m0s"},
		},
		"zeros unknown key": {
			with("counters: {zero: 1m}"),
			[]string{"counters::zero", "unknown key", "zero_for"},
		},
		"leader election": {
			with("leader_election: 'a b/'\nredis: {endpoints: ['127.0.0.1:1']}"),
			[]string{"leader_election", "a b/"},
		},
		"election without Redis": {
			with("leader_election: leader_elector"),
			[]string{"leader_election", "redis::endpoints"},
		},
		"election with storage": {
			with("leader_election: leader_elector\nstorage: file_storage"),
			[]string{"storage", "file_storage", "leader_election", "redis"},
		},
		"storage and Redis": {
			with("storage: file_storage\nredis: {endpoints: ['127.0.0.1:1']}"),
			[]string{"storage", "file_storage", "redis", "one of them"},
		},
		"leadership":    {with("leadership: team"), []string{"leadership", `"team"`, "receiver, org"}},
		"emission from": {with("emit_from: follower"), []string{"emit_from", `"follower"`, "all, leader"}},
		"snapshot":      {with("snapshot: half"), []string{"snapshot", `"half"`, "incremental, full"}},
		"probes without unit": {
			with("github: {health: {probe_interval: 30}}"),
			[]string{"github::health", "probe_interval", "30ns", "1s to 1h0m0s"},
		},
		"no failures": {
			with("github: {health: {failure_threshold: 0}}"),
			[]string{"github::health", "failure_threshold", "0", "1 to"},
		},
		"cooldown without unit": {
			with("github: {health: {cooldown: 120}}"),
			[]string{"github::health", "cooldown", "120ns", "1s to 24h0m0s"},
		},
		"no recovery": {
			with("github: {health: {recover_threshold: 0}}"),
			[]string{"github::health", "recover_threshold", "0", "1 to"},
		},
		"unknown key of Redis": {
			with("redis: {endpoint: 'a:1'}"),
			[]string{"redis::endpoint", "unknown key", "endpoints"},
		},
		"Redis without port": {
			with("redis: {endpoints: [redis]}"),
			[]string{"redis::endpoints::0", "without a port", "host:port"},
		},
		"Redis without endpoint": {
			with("redis: {password: hunter2}"),
			[]string{"redis", "endpoints", "empty", "host:port"},
		},
		"Redis mode": {
			with("redis: {mode: ring, endpoints: ['a:1']}"),
			[]string{"redis", "mode", `"ring"`, "standalone, sentinel, cluster"},
		},
		"Sentinel without master": {
			with("redis: {mode: sentinel, endpoints: ['a:1']}"),
			[]string{"redis", "master_name", `""`, "mode sentinel"},
		},
		"Redis is unavailable": {
			with("redis: {unavailable: panic, endpoints: ['a:1']}"),
			[]string{"redis", "unavailable", `"panic"`, "wait, memory"},
		},
		"Redis key prefix": {
			with("redis: {key_prefix: 'a b', endpoints: ['a:1']}"),
			[]string{"redis", "key_prefix", `"a b"`, "without braces and blanks"},
		},
		"Redis TLS": {
			with("redis: {tls: {ca_fil: x}, endpoints: ['a:1']}"),
			[]string{"redis", "tls", "ca_fil"},
		},
		"RabbitMQ no URL": {
			rabbit("{endpoint: 'rabbit:5672', auth: {plain: {username: a}}}"),
			[]string{"rabbitmq::endpoint", "does not begin with amqp://", "amqp://host:port/vhost"},
		},
		"RabbitMQ broken URL": {
			rabbit("{endpoint: 'amqp://me:hunter2@[x/', auth: {plain: {username: a}}}"),
			[]string{"rabbitmq::endpoint", "password in it", "auth::plain"},
		},
		"RabbitMQ over HTTP": {
			rabbit("{endpoint: 'http://rabbit', auth: {plain: {username: a}}}"),
			[]string{"rabbitmq::endpoint", "does not begin with", "amqps://"},
		},
		"RabbitMQ with a password": {
			rabbit("{endpoint: 'amqp://me:hunter2@rabbit', auth: {plain: {username: a}}}"),
			[]string{"rabbitmq::endpoint", "password in it", "auth::plain"},
		},
		"RabbitMQ without auth": {
			rabbit("{endpoint: 'amqp://rabbit'}"),
			[]string{"rabbitmq", "auth", "exactly one of plain, external"},
		},
		"RabbitMQ with two": {
			rabbit("{endpoint: 'amqps://rabbit', auth: {external: {}, plain: {username: a}}}"),
			[]string{"rabbitmq", "auth", "exactly one"},
		},
		"RabbitMQ without a user": {
			rabbit("{endpoint: 'amqp://rabbit', auth: {plain: {password: hunter2}}}"),
			[]string{"rabbitmq", "auth::plain::username", "empty", "environment variable"},
		},
		"RabbitMQ no certificate": {
			rabbit("{endpoint: 'amqp://rabbit', auth: {external: {}}}"),
			[]string{"rabbitmq", "auth::external", "amqps"},
		},
		"RabbitMQ TLS in clear": {
			rabbit("{endpoint: 'amqp://rabbit', auth: {plain: {username: a}}, tls: {}}"),
			[]string{"rabbitmq", "tls", "amqp://rabbit", "amqps"},
		},
		"RabbitMQ no endpoint": {
			rabbit("{auth: {plain: {username: a, password: hunter2}}}"),
			[]string{"rabbitmq", "endpoint", "empty", "environment variable"},
		},
		"RabbitMQ queue of an org": {
			rabbit("{queue: gh, dead_letter_queue: gh.open-telemetry}"),
			[]string{"rabbitmq", "dead_letter_queue", `"gh.open-telemetry"`, "another name"},
		},
		"RabbitMQ one queue": {
			rabbit("{queue: a, dead_letter_queue: a}"),
			[]string{"rabbitmq", `"a"`, "two queues"},
		},
		"RabbitMQ queue":    {rabbit("{queue: amq.jobs}"), []string{"rabbitmq", "queue", "amq.jobs", "blanks"}},
		"RabbitMQ prefetch": {rabbit("{prefetch: 0}"), []string{"rabbitmq", "prefetch", "0", "1 to 65535"}},
		"RabbitMQ is unavailable": {rabbit("{unavailable: drop}"), []string{
			"rabbitmq", "unavailable", `"drop"`,
			"wait, memory",
		}},
		"RabbitMQ unknown key": {rabbit("{url: a}"), []string{"rabbitmq::url", "unknown key", "endpoint"}},
		"no delays": {
			with("backfill: {requeue_delays: []}"),
			[]string{"backfill", "requeue_delays", "0", "1 to 10"},
		},
		"delays that descend": {
			with("backfill: {requeue_delays: [5m, 1m]}"),
			[]string{"backfill", "requeue_delays::1", "1m0s", "more than the 5m0s"},
		},
		"no attempts at jobs": {
			with("backfill: {max_attempts: 0}"),
			[]string{"backfill", "max_attempts", "0", "1 to 1000"},
		},
		"no consumers": {
			with("backfill: {consumer_count: 0}"),
			[]string{"backfill", "consumer_count", "0", "1 to 100"},
		},
		"sweeps without unit": {
			with("backfill: {sweep_interval: 300}"),
			[]string{"backfill", "sweep_interval", "300ns", "1s"},
		},
		"claims that end at once": {
			with("backfill: {dedup_ttl: 1m}"),
			[]string{"backfill", "dedup_ttl", "1m0s", "5m0s"},
		},
		"no jobs in a minute": {
			with("backfill: {max_enqueues_per_org_per_minute: 0}"),
			[]string{"backfill", "max_enqueues_per_org_per_minute", "0"},
		},
		"age of jobs": {
			with("backfill: {max_message_age: 1s}"),
			[]string{"backfill", "max_message_age", "1s", "1m0s"},
		},
		"no step": {
			with("backfill: {coalesce_window: 0s}"),
			[]string{"backfill", "coalesce_window", "0s", "1s"},
		},
		"LOC source": {with("loc: {source: stats}"), []string{
			"loc", "source", `"stats"`,
			"commits, stats_contributors",
		}},
		"flow clock": {with("flow: {clock: opened}"), []string{"flow", "clock", `"opened"`, "ready, requested, created"}},
		"flow bots":  {with("flow: {bots: false}"), []string{"flow", "bots"}},
		"flow key":   {with("flow: {bot: include}"), []string{"flow::bot", "unknown key", "bots"}},
		"LOC without unit": {
			with("loc: {refresh_interval: 24}"),
			[]string{"loc", "refresh_interval", "24ns", "1s to 720h0m0s"},
		},
		"team interval": {
			with("teams: {interval: 25h}"), []string{"teams", "interval", "25h", "1s to 24h"},
		},
		"no team": {with("teams: {include: []}"), []string{"teams", "include", "empty", "at least one slug"}},
		"team pattern": {
			with("teams: {exclude: ['']}"), []string{"teams", "exclude::0", `""`, "a name or a pattern"},
		},
		"teams without users": {
			with("teams: {enabled: true}\nactors: {label: none}"),
			[]string{"teams::enabled", "actors::label: none", "want another label"},
		},
		"teams without nesting and GraphQL": {
			with("teams: {enabled: true, nested: false}\ngithub: {api: rest}"),
			[]string{"teams::nested", "github::api: rest", "graphql"},
		},
		"Copilot unknown key": {with("copilot: {org28d: true}"), []string{"copilot::org28d", "unknown key", "org_28d"}},
		"Copilot interval": {
			with("copilot: {scrape_interval: 25h}"),
			[]string{"copilot", "scrape_interval", "25h", "1s to 24h"},
		},
		"Copilot request time-out": {
			with("copilot: {request_timeout: 0s}"), []string{"copilot", "request_timeout", "0s", "1s to 1h"},
		},
		"Copilot download time-out": {
			with("copilot: {download_timeout: 90}"), []string{"copilot", "download_timeout", "90ns", "1s to 24h"},
		},
		"Copilot cap": {
			with("copilot: {max_users_per_report: -1}"),
			[]string{"copilot", "max_users_per_report", "-1", "0 to 1000000000"},
		},
		"Copilot without a report": {
			with("copilot: {enabled: true, org_28d: false}"),
			[]string{"copilot", "enabled", "without a report", "org_users_28d"},
		},
		"Copilot repositories without pull requests": {
			with("copilot: {enabled: true, repos: true, pull_request_activity: false}"),
			[]string{"copilot", "repos", "pull_request_activity: true"},
		},
		"Copilot without hosts": {
			with("copilot: {download_hosts: []}"), []string{"copilot", "download_hosts", "empty", "at least one"},
		},
		"Copilot host that is a URL": {
			with("copilot: {download_hosts: ['https://a.example']}"),
			[]string{"copilot", "download_hosts::0", `"https://a.example"`, "without a scheme"},
		},
		"Copilot enterprise without a slug": {
			with("copilot: {enterprise_users_28d: true}"),
			[]string{"copilot", "enterprise::slug", "empty", "slug of the enterprise"},
		},
		"Copilot enterprise without a report": {
			with("copilot: {enabled: true, enterprise: {slug: acme, auth: {token: abc}}}"),
			[]string{"copilot", "enterprise", "without a report", "enterprise_28d"},
		},
		"Copilot enterprise without a credential": {
			with("copilot: {enterprise_28d: true, enterprise: {slug: acme}}"),
			[]string{"copilot::enterprise", "auth", "0 credentials", "exactly one"},
		},
		"Copilot credential without an enterprise": {
			with("copilot: {enterprise: {auth: {token: abc}}}"), []string{"copilot::enterprise", "slug", "empty"},
		},
		"Copilot enterprise that is a URL": {
			with("copilot: {enterprise: {slug: 'https://github.com/enterprises/acme', auth: {token: abc}}}"),
			[]string{"copilot::enterprise", "slug", "enterprises/SLUG"},
		},
		"Copilot installation of nowhere": {
			with("copilot: {enterprise: {slug: acme, auth: {app: {app_id: 1, private_key_file: k}}}}"),
			[]string{"copilot::enterprise", "auth::app::installation_id", "0", "cannot be looked up"},
		},
		"Copilot series of two owners": {
			with("copilot: {enabled: true, scope_label: false, enterprise_28d: true, " +
				"enterprise: {slug: Open-Telemetry, auth: {token: abc}}}"),
			[]string{"copilot::scope_label", "false", "Open-Telemetry", "open-telemetry"},
		},
		"Copilot of an organization that is not read": {
			with("copilot: {orgs: [OPEN-telemetry, elsewhere]}"),
			[]string{"copilot::orgs::1", `"elsewhere"`, "one of the organizations in orgs"},
		},
		"LOC unknown key": {with("loc: {interval: 24h}"), []string{
			"loc::interval", "unknown key",
			"refresh_interval",
		}},
		"LOC cap of a week": {
			with("loc: {fallback: {max_commits_per_repo_per_week: 0}}"),
			[]string{"loc::fallback", "max_commits_per_repo_per_week", "0", "1 to 100000"},
		},
		"LOC cap of an hour": {
			with("loc: {fallback: {max_commit_detail_calls_per_org_per_hour: -1}}"),
			[]string{"loc::fallback", "max_commit_detail_calls_per_org_per_hour", "-1", "1 to 1000000"},
		},
		"LOC zeros": {
			with("loc: {fallback: {zero_detection_windows: 0}}"),
			[]string{"loc::fallback", "zero_detection_windows", "0", "1 to 1000"},
		},
		"LOC cooldown": {
			with("loc: {fallback: {cooldown: 0s}}"),
			[]string{"loc::fallback", "cooldown", "0s", "1s to 8760h0m0s"},
		},
		"LOC fallback unknown key": {
			with("loc: {fallback: {on: true}}"),
			[]string{"loc::fallback::on", "unknown key", "enabled"},
		},
		"LOC fallback no block": {with("loc: {fallback: true}"), []string{"loc", "fallback", "map"}},
		"a list for a block":    {with("github: [a]"), []string{"github", "map"}},
		"unknown metric": {
			with("metrics: {gh.activity.stars: {enabled: true}}"),
			[]string{"metrics::gh.activity.stars", "unknown key", "gh.activity.commits"},
		},
		"endpoint of two meanings": {
			with("github: {endpoint: 'https://hunter2@github.example#x'}"),
			[]string{"github::endpoint", "password in it", "orgs::N::auth"},
		},
		"GraphQL with a token": {
			with("github: {graphql_endpoint: 'https://x:hunter2@h/graphql'}"),
			[]string{"github::graphql_endpoint", "orgs::N::auth"},
		},
		"endpoint of the site": {
			with("github: {endpoint: 'https://github.com'}"),
			[]string{"github", "endpoint", "github.com is not", "https://api.github.com"},
		},
		"endpoint of the site, org": {
			with("github: {endpoint: 'https://www.github.com/acme'}"),
			[]string{"github", "/acme is not", "https://api.github.com"},
		},
		"endpoint with a version": {
			with("github: {endpoint: 'https://api.github.com/v3/'}"),
			[]string{"github", "endpoint", "/v3", "https://api.github.com"},
		},
		"endpoint of a tenant": {
			with("github: {endpoint: 'https://acme.ghe.com/'}"),
			[]string{"github", "endpoint", "https://api.acme.ghe.com"},
		},
		"endpoint like a server's": {
			with("github: {endpoint: 'https://Acme.ghe.com/api/v3'}"),
			[]string{"github", "endpoint", "https://api.acme.ghe.com"},
		},
		"endpoint of GraphQL": {
			with("github: {endpoint: 'https://ghe.example/api/graphql'}"),
			[]string{"github", "endpoint", "/graphql", "/api/v3"},
		},
		"endpoint of its GraphQL": {
			with("github: {endpoint: 'https://api.github.com/graphql'}"),
			[]string{"github", "endpoint", "https://api.github.com"},
		},
		"proxy with a password": {
			with("github: {proxy_url: 'http://me:hunter2@proxy:3128'}"),
			[]string{"github::proxy_url", "password in it", "HTTPS_PROXY"},
		},
		"proxy no URL": {
			with("github: {proxy_url: 'me:hunter2@proxy:3128'}"),
			[]string{"github::proxy_url", "HTTPS_PROXY"},
		},
		"proxy with a query": {
			with("github: {proxy_url: 'http://proxy:3128/?hunter2'}"),
			[]string{"github::proxy_url", "a query"},
		},
		"proxy of another kind": {
			with("github: {proxy_url: 'proxy:3128'}"),
			[]string{"github::proxy_url", "http://proxy.example:3128"},
		},
		"Redis URL": {
			with("redis: {endpoints: ['redis://:hunter2@h:6379']}"),
			[]string{"redis::endpoints::0", "a URL", "password"},
		},
		"Redis URL for a list": {
			with("redis: {endpoints: 'redis://:hunter2@h:6379'}"),
			[]string{"redis", "endpoints"},
		},
		"Redis options": {
			with("redis: {endpoints: ['h:6380,password=hunter2,ssl=True']}"),
			[]string{"redis::endpoints::0", "password", "tls"},
		},
		"Redis user information": {
			with("redis: {endpoints: ['a:1', 'hunter2@h:6379']}"),
			[]string{"redis::endpoints::1", "password"},
		},
		"Redis password alone": {with("redis: {endpoints: [hunter2]}"), []string{"redis::endpoints::0", "host:port"}},
		"Redis port no number": {
			with("redis: {endpoints: ['h:hunter2']}"),
			[]string{"redis::endpoints::0", "the port is no number"},
		},
		"Redis host no name": {
			with("redis: {endpoints: ['hunter2/:1']}"),
			[]string{"redis::endpoints::0", "not an address"},
		},
		"Redis endpoint empty": {with("redis: {endpoints: ['']}"), []string{
			"redis::endpoints::0", "empty",
			"environment variable",
		}},
		"Redis URL as a mode": {
			with("redis: {mode: 'redis://:hunter2@h:1', endpoints: ['a:1']}"),
			[]string{"redis", "mode", "not shown"},
		},
		"Redis URL as a number": {
			with("redis: {db: 'redis://:hunter2@h:1', endpoints: ['a:1']}"),
			[]string{"redis::db", "not shown"},
		},
		"Redis URL as a prefix": {
			with("redis: {key_prefix: '{redis://:hunter2@h:1', endpoints: ['a:1']}"),
			[]string{"redis", "key_prefix"},
		},
		"RabbitMQ no scheme": {
			rabbit("{endpoint: 'me:hunter2@rabbit:5672', auth: {plain: {username: a}}}"),
			[]string{"rabbitmq::endpoint", "auth::plain"},
		},
		"RabbitMQ with a query": {
			rabbit("{endpoint: 'amqp://r/?password=hunter2', auth: {plain: {username: a}}}"),
			[]string{"rabbitmq::endpoint", "query"},
		},
		"RabbitMQ URL as queue": {
			rabbit("{queue: 'amqp:// me:hunter2@r'}"),
			[]string{"rabbitmq", "queue", "not shown"},
		},
		"organization as a URL": {
			"orgs: [{name: 'https://me:hunter2@github.com/a', auth: {token: abc}}]",
			[]string{"orgs::0", "name", "login"},
		},
		"repository as a URL": {
			org("repositories: {include: ['https://me:hunter2@github.com/a/b']}"),
			[]string{"repositories::include::0", "organization a"},
		},
		"key for its file": {
			auth(`{app: {app_id: 1, private_key_file: "-----BEGIN hunter2"}}`),
			[]string{"private_key_file", "a key in it", "private_key"},
		},
		"app with an escaped key": {
			auth(`{app: {app_id: 1, private_key: '-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE ` +
				`KEY-----\n'}}`),
			[]string{
				"app", "private_key", `the two characters \n where line breaks belong`, "private_key: |",
				"private_key_file",
			},
		},
		"app with a key on a line": {
			auth("{app: {app_id: 1, private_key: '-----BEGIN RSA PRIVATE KEY----- hunter2 -----END RSA PRIVATE " +
				"KEY-----'}}"),
			[]string{"app", "private_key", "on one line", "private_key_file"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, test.config)
			require.Error(t, err)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// TestRepositoriesAsWritten: a name or a pattern, in any case, with the organization in front or without it.
func TestRepositoriesAsWritten(t *testing.T) {
	t.Parallel()
	config, err := load(t, "orgs: [{name: Acme, auth: {token: abc}, repositories: {include: [Lib-Core, "+
		"'acme/app-*', 'ACME/web', '*[x]'], exclude: ['Acme/APP-2']}}]")
	require.NoError(t, err)
	filter, err := config.Orgs[0].filter()
	require.NoError(t, err)
	want, err := collect.NewFilter([]string{"Lib-Core", "app-*", "web", "*[x]"}, []string{"APP-2"}, false, false)
	require.NoError(t, err)
	require.Equal(t, want, filter)
}

func TestConfigPlainHTTP(t *testing.T) {
	t.Parallel()
	for _, github := range []string{
		"{endpoint: 'http://127.0.0.1:8080'}", "{endpoint: 'http://localhost:8080/'}",
		"{endpoint: 'http://[::1]:8080'}",
		"{endpoint: 'http://github.example', tls: {insecure: true}}",
	} {
		_, err := load(t, strings.TrimSpace(valid)+"\ngithub: "+github)
		require.NoError(t, err, github)
	}
}

func TestEnterpriseServer(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]bool{
		"https://api.github.com": false, "https://api.octocorp.ghe.com": false, "http://127.0.0.1:8080": false,
		"https://ghe.example/api/v3": true, "https://ghe.example/api/v3/": true,
	} {
		require.Equal(t, want, isEnterpriseServer(endpoint), endpoint)
	}
}

// TestCopilotEnterpriseIsOptional shows that the documented default of the block is valid as it is written.
func TestCopilotEnterpriseIsOptional(t *testing.T) {
	t.Parallel()
	for _, block := range []string{"{slug: '', auth: {}}", "{}"} {
		_, err := load(t, strings.TrimSpace(valid)+"\ncopilot: {enabled: true, enterprise: "+block+"}")
		require.NoError(t, err, block)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	config, err := load(t, valid)
	require.NoError(t, err)
	conf := confmap.New()
	require.NoError(t, conf.Marshal(config))
	require.NotContains(t, fmt.Sprintf("%v %+v %s", conf.ToStringMap(), config.Orgs[0].Auth, config.Orgs[0].Auth.Token),
		"abc")
}

// TestTokenOfFile: the line end of a file that has a token is no part of the token; other white space is refused.
func TestTokenOfFile(t *testing.T) {
	const config = "orgs: [{name: acme, auth: {token: %q}}]"
	for _, token := range []string{"abc", "abc\n", "abc\r\n"} {
		c, err := load(t, fmt.Sprintf(config, token))
		require.NoError(t, err)
		require.Equal(t, "abc", string(*c.Orgs[0].Auth.Token))
	}
	_, err := load(t, fmt.Sprintf(config, "\nabc"))
	require.ErrorContains(t, err, "white space")
}
