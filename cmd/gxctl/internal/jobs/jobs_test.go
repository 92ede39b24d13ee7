// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

func TestNewJob(t *testing.T) {
	asked := request{org: "acme", repo: "widgets", from: "2026-03-01T00:00:00Z", streams: "commits,comments"}
	job, err := asked.newJob(noon)
	require.NoError(t, err)
	require.Contains(t, job.ID, "operator-")
	job.ID = ""
	require.Equal(t, backfill.Job{
		Org: "acme", Repo: "widgets", Streams: activity.StreamsOf(activity.StreamCommits, activity.StreamComments),
		Window:  activity.Window{Start: noon.AddDate(0, 0, -10).Add(-12 * time.Hour), End: noon},
		Reason:  backfill.ReasonOperator,
		Attempt: 1, CreatedAt: noon,
	}, job)
}

// TestRepositoryWithItsOwner: OWNER/NAME is accepted, in any case, when the owner is the organization or none is named.
func TestRepositoryWithItsOwner(t *testing.T) {
	for name, test := range map[string]struct{ org, repo, wantOrg, wantRepo string }{
		"both":             {"Acme", "acme/widgets", "Acme", "widgets"},
		"owner only":       {"", "acme/widgets", "acme", "widgets"},
		"no owner":         {"acme", "widgets", "acme", "widgets"},
		"another owner":    {"acme", "umbrella/widgets", "", ""},
		"no name":          {"acme", "acme/", "", ""},
		"more than a name": {"acme", "acme/widgets/issues", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			filter := messageFilter{org: test.org, repo: test.repo}
			err := splitOwner(&filter.org, &filter.repo)
			if test.wantRepo == "" {
				require.ErrorContains(t, err, "--repo")
				return
			}
			require.NoError(t, err)
			require.Equal(t, messageFilter{org: test.wantOrg, repo: test.wantRepo}, filter)
			asked := request{org: test.org, repo: test.repo, from: "2026-03-01T00:00:00Z", streams: "commits"}
			job, err := asked.newJob(noon)
			require.NoError(t, err)
			require.Equal(t, []string{test.wantOrg, test.wantRepo}, []string{job.Org, job.Repo})
		})
	}
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	read := func(more ...string) []string {
		return append([]string{"read", "--endpoint", "amqp://localhost/"}, more...)
	}
	for want, args := range map[string][]string{
		"--endpoint":             {"--endpoint", "", "dead"},
		"unknown command \"show": {"--endpoint", "amqp://localhost/", "show"},
		"a command is missing":   {},
		"unknown flag":           {"--endpoint", "amqp://localhost/", "--force", "dead"},
		"unknown command \"x":    {"dead", "x"},
		"--from":                 read("--org", "acme", "--repo", "x"),
		"--until":                read("--from", "2026-03-01T00:00:00Z", "--until", "now"),
		"--streams":              read("--from", "2026-03-01T00:00:00Z", "--streams", "stars"),
		"org:":                   read("--from", "2026-03-01T00:00:00Z"),
		"--repo":                 read("--org", "acme", "--repo", "umbrella/x", "--from", "2026-03-01T00:00:00Z"),
	} {
		code, output := run(t, args...)
		require.Equal(t, cli.ExitUsage, code, args)
		require.Contains(t, output, want)
	}
	for _, endpoint := range []string{
		"amqp://user:s3cret@127.0.0.1:1/", "user:s3cret@127.0.0.1:1", "amqp://user:s3%cret@h/",
		"http://user:s3cret@127.0.0.1:1/",
		"amqp://127.0.0.1:1/?password=s3cret",
	} {
		code, output := run(t, "--endpoint", endpoint, "dead")
		require.NotEqual(t, cli.ExitSuccess, code, endpoint)
		require.NotContains(t, output, "s3cret")
	}
	code, output := run(t, "--endpoint", "amqp://user:s3cret@127.0.0.1:1/", "dead")
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, output, "connection refused")
}

// TestConfig: what a configuration must have, and which flags stand beside it.
func TestConfig(t *testing.T) {
	receiver := func(id, more string) string {
		return "\n  " + id + ": {orgs: [{name: acme, auth: {token: abc}}], redis: {endpoints: ['h:1']}, " +
			"leader_election: leader_elector" + more + "}"
	}
	broker := func(port string) string {
		return ", rabbitmq: {endpoint: 'amqp://127.0.0.1:" + port + "/', " +
			"auth: {plain: {username: a, password: s3cret}}}"
	}
	uri := func(receivers ...string) string {
		return "yaml:extensions: {leader_elector: {static: {role: leader}}}\nreceivers:" + strings.Join(receivers, "")
	}
	one := uri(receiver("githubexporter", broker("1")))
	two := uri(receiver("githubexporter", broker("1")), receiver("githubexporter/second", broker("2")))
	for name, test := range map[string]struct {
		code int
		args []string
		want string
	}{
		"a configuration": {cli.ExitFailure, []string{one}, "dial tcp 127.0.0.1:1: connect"},
		"the second":      {cli.ExitFailure, []string{two, "--receiver", "githubexporter/second"}, ":2: "},
		"several":         {cli.ExitUsage, []string{two}, "one of githubexporter, githubexporter/second"},
		"unknown":         {cli.ExitUsage, []string{one, "--receiver", "x"}, `no receiver "x"`},
		"a flag too":      {cli.ExitUsage, []string{one, "--queue", "x"}, "--queue: not with --config"},
		"receiver alone":  {cli.ExitUsage, []string{"", "--receiver", "x"}, "want it with --config"},
		"no RabbitMQ":     {cli.ExitFailure, []string{uri(receiver("githubexporter", ""))}, "no receiver with"},
		"wrong settings":  {cli.ExitFailure, []string{uri(receiver("githubexporter", ", emit_from: x"))}, "emit_from"},
		"no file":         {cli.ExitFailure, []string{"/nonexistent"}, "no such file"},
		"nothing":         {cli.ExitUsage, []string{""}, "--config FILE is missing, or --endpoint or RABBITMQ_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"dead", "--config"}, test.args...)
			if test.args[0] == "" {
				args = append([]string{"dead"}, test.args[1:]...)
			}
			code, output := run(t, args...)
			require.Equal(t, test.code, code, output)
			require.Contains(t, output, test.want)
			require.NotContains(t, output, "s3cret")
		})
	}
}

// run executes `gxctl jobs` with arguments, and returns its exit code and its output.
func run(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	t.Setenv("RABBITMQ_URL", "")
	root := &cobra.Command{Use: "gxctl"}
	root.AddCommand(NewCommand())
	var buffer bytes.Buffer
	root.SetOut(&buffer)
	root.SetErr(&buffer)
	return cli.Run(t.Context(), root, append([]string{"jobs"}, args...)), buffer.String()
}
