// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package validate

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// documentedRights returns the rights of the ACL user of docs/redis.md.
func documentedRights(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "redis.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "    user gx on >SECRET ")
	require.True(t, found)
	rights, _, _ := strings.Cut(rest, "\n\n")
	return strings.Join(strings.Fields(rights), " ")
}

// validateServers runs the checks of a configuration with further settings of the receiver, whose GitHub is in order.
func validateServers(t *testing.T, settings string) (code int, output string) {
	t.Helper()
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{acme()}, Credentials: []githubtest.Credential{{Token: secret}},
	})
	return run(t, "--online", "--config", writeConfig(t, tokenConfig("acme", server.URL)+settings))
}

// TestRedis: version, rights, eviction and persistence of a real server, and that the check leaves no key.
func TestRedis(t *testing.T) {
	t.Parallel()
	rights := documentedRights(t)
	without := func(command string) string { return strings.Replace(rights, " +"+command+" ", " ", 1) }
	for name, test := range map[string]struct {
		lines []string
		user  string // "" for the default user
		code  int
		want  []string
	}{
		"as documented": {
			lines: []string{"appendonly yes", "maxmemory-policy noeviction"}, user: rights + " +info",
			want: []string{
				"ok    redis version", "ok    redis permissions", "ok    redis clock",
				": maxmemory-policy is noeviction", "ok    redis persistence", "appendonly is yes",
			},
		},
		"without INFO": {
			user: rights,
			want: []string{
				"ok    redis permissions", "skip  redis eviction", "the user may not use INFO", "give it +info",
			},
		},
		"everything allowed, nothing durable": {
			lines: []string{"maxmemory-policy allkeys-lru"},
			want: []string{
				"warn  redis eviction", "allkeys-lru, without maxmemory", "warn  redis persistence", "appendonly is no",
			},
		},
		"eviction": {
			lines: []string{"maxmemory-policy allkeys-lru", "maxmemory 100mb"}, code: cli.ExitFailure,
			want: []string{"fail  redis eviction", "keys may be evicted"},
		},
		"a command is missing": {
			user: without("xtrim"), code: cli.ExitFailure,
			want: []string{"fail  redis permissions", "the user may not use xtrim; give it the rights"},
		},
		"transactions are missing": {
			user: without("multi"), code: cli.ExitFailure,
			want: []string{"fail  redis permissions", "the user may not use multi"},
		},
		"scripts are missing": {
			user: regexp.MustCompile(` \+(eval|evalsha|script\|load)\b`).ReplaceAllString(rights, ""),
			code: cli.ExitFailure,
			want: []string{"the user may not use evalsha, eval, script|load;"},
		},
		"other keys": {
			user: strings.Replace(rights, "~gx:*", "~other:*", 1), code: cli.ExitFailure,
			want: []string{"the user may not use keys gx:*"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := ""
			if test.user != "" {
				test.lines = append(test.lines, "user gx on >hunter2 "+test.user)
				settings = ", username: gx, password: hunter2"
			}
			server := redistest.Start(t, test.lines...)
			code, output := validateServers(t, fmt.Sprintf("redis: {endpoints: [%q]%s}\n", server.Address, settings))
			for _, want := range test.want {
				require.Contains(t, output, want)
			}
			require.Equal(t, test.code, code, output)
			require.Zero(t, server.Client().DBSize(t.Context()).Val())
		})
	}
}

// TestRedisThatRefuses: a wrong password, and a replica.
func TestRedisThatRefuses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "user gx on >other ~* +@all")
	code, output := validateServers(t, fmt.Sprintf("redis: {endpoints: [%q], username: gx, password: hunter2}\n",
		server.Address))
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, output, "fail  redis connection")
	require.Contains(t, output, "WRONGPASS")

	replica := redistest.Start(t, fmt.Sprintf("replicaof 127.0.0.1 %d", server.Port()))
	code, output = validateServers(t, fmt.Sprintf("redis: {endpoints: [%q]}\n", replica.Address))
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, output, "fail  redis role")
	require.Contains(t, output, "it is a replica, which refuses writes")
}

// TestRedisTopologies: the master behind Sentinels, and each master of a cluster.
func TestRedisTopologies(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinels(t)
	code, output := validateServers(t, fmt.Sprintf("redis: {mode: sentinel, master_name: %s, endpoints: [%q]}\n",
		sentinels.MasterName, sentinels.Addresses[0]))
	require.Equal(t, cli.ExitSuccess, code, output)
	require.Equal(t, 1, strings.Count(output, "ok    redis permissions"), output)

	nodes := redistest.StartCluster(t)
	code, output = validateServers(t, fmt.Sprintf("redis: {mode: cluster, endpoints: [%q]}\n", nodes[0].Address))
	require.Equal(t, cli.ExitSuccess, code, output)
	require.Equal(t, 3, strings.Count(output, "ok    redis permissions"), output)
}

// TestRabbitMQ: rights and queues of a real broker, and that the check leaves nothing behind.
func TestRabbitMQ(t *testing.T) {
	t.Parallel()
	broker := rabbittest.Start(t)
	user := 0
	check := func(t *testing.T, configure, write, read string) (code int, output string) {
		t.Helper()
		user++
		name := fmt.Sprintf("user%d", user)
		broker.Rabbitmqctl("add_user", name, "hunter2")
		if configure != "" {
			broker.Rabbitmqctl("set_permissions", "-p", "/", name, configure, write, read)
		}
		return validateServers(t, fmt.Sprintf(
			"rabbitmq: {endpoint: %q, auth: {plain: {username: %s, password: hunter2}}}\n", broker.URL(), name))
	}
	const ours = `^gh\.backfill`
	code, output := check(t, ours, ours, ours)
	require.Equal(t, cli.ExitSuccess, code, output)
	require.Regexp(t, `ok    rabbitmq version \(\S+\): \d`, output)
	require.Contains(t, output, ": 0 exist, ")
	require.NotContains(t, broker.Rabbitmqctl("list_queues", "name"), "gh.backfill")
	require.NotContains(t, broker.Rabbitmqctl("list_exchanges", "name"), "gh.backfill")

	for want, rights := range map[string][3]string{
		`declare the exchange "gh.backfill`:    {"^$", ours, ours},
		`bind the queue "gh.backfill.dlq"`:     {ours, "^$", ours},
		`read the queue "gh.backfill.dlq"`:     {ours, ours, `^gh\.backfill$|\.due$|\.unrouted$|\.in\.[^.]*$`},
		"access to vhost '/' refused for user": {},
	} {
		code, output := check(t, rights[0], rights[1], rights[2])
		require.Equal(t, cli.ExitFailure, code, output)
		require.Contains(t, output, want)
	}
	code, output = validateServers(t, fmt.Sprintf(
		"rabbitmq: {endpoint: %q, auth: {plain: {username: stranger, password: hunter2}}}\n", broker.URL()))
	require.Equal(t, cli.ExitFailure, code, output)
	require.Contains(t, output, "fail  rabbitmq connection")
}
