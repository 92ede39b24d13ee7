// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// secret is the token of the tests, which no output has.
const secret = "ghp_hunter2"

// acme is an organization with a private and a public repository.
func acme() *githubtest.Dataset {
	end := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return end.Add(time.Duration(hours) * time.Hour) }
	return &githubtest.Dataset{
		Org: githubtest.Org{Login: "Acme", From: at(-24), Until: end},
		Repos: []githubtest.Repo{
			{Name: "public", DefaultBranch: "main", CreatedAt: at(-100)},
			{Name: "secret-plans", DefaultBranch: "main", CreatedAt: at(-100), Private: true},
		},
		Commits: []githubtest.Commit{{
			Repo: "secret-plans", SHA: "c1", Login: new("ann"), AuthoredAt: at(-3), CommittedAt: at(-3), Parents: 1,
		}},
		Pulls: []githubtest.Pull{{Repo: "secret-plans", Number: 1, Login: new("ann"), CreatedAt: at(-2)}},
		Reviews: []githubtest.Review{{
			Repo: "secret-plans", Pull: 1, ID: 11, Login: new("bob"), SubmittedAt: new(at(-1)), State: "APPROVED",
		}},
	}
}

// run executes `gxctl validate` with arguments, and returns its exit code and its output, which has no secret.
func run(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	root := &cobra.Command{Use: "gxctl"}
	root.AddCommand(NewCommand())
	var buffer bytes.Buffer
	root.SetOut(&buffer)
	root.SetErr(&buffer)
	code = cli.Run(t.Context(), root, append([]string{"validate"}, args...))
	require.NotContains(t, buffer.String(), "hunter2")
	return code, buffer.String()
}

// writeConfig writes a collector's configuration with settings of the receiver, and returns its path.
func writeConfig(t *testing.T, receiver string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "collector.yaml")
	text := "receivers:\n  githubexporter:\n" + regexp.MustCompile("(?m)^").ReplaceAllString(receiver, "    ") + `
exporters: {debug: {}}
service: {pipelines: {metrics: {receivers: [githubexporter], exporters: [debug]}}}
`
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// tokenConfig returns the settings of a receiver with the secret token.
func tokenConfig(org, endpoint string) string {
	return fmt.Sprintf("orgs: [{name: %s, auth: {token: %s}}]\ngithub: {endpoint: %q}\n", org, secret, endpoint)
}

// TestGitHub: each refusal is one failing line with what to do, and nothing else fails.
func TestGitHub(t *testing.T) {
	for name, test := range map[string]struct {
		credential githubtest.Credential
		change     func(*githubtest.Settings)
		org        string
		code       int
		want       []string
	}{
		"classic token": {
			credential: githubtest.Credential{Scopes: []string{"repo", "read:org"}},
			want: []string{
				"ok    github credential (acme): GitHub accepts it: a classic token for which GitHub names no expiry",
				`ok    github organization (acme): it exists as "Acme"`,
				"ok    github scopes (acme): the classic token has repo, read:org",
				"ok    github permission metadata (acme): 2 repositories are visible; of the 2 newest, 1 are private",
				"ok    github permission contents for commits (acme): read of the private repository secret-plans",
				"ok    github permission pull_requests for pull requests (acme): read of the private",
				"ok    github permission pull_requests for reviews (acme): read of the private repository",
				"ok    github permission issues for comments (acme): read of the private repository",
				"ok    github permission issues for issues (acme): read of the private repository",
				"ok    github graphql (acme): the organization can be queried",
				"ok    github clock (acme): the clock of GitHub differs by",
				"requests an hour of graphql are left",
			},
		},
		"classic token without scopes": {
			credential: githubtest.Credential{Scopes: []string{}, PublicOnly: true},
			want: []string{
				"warn  github scopes (acme): the classic token has none: without repo, no private repository",
				"read of the public repository public", "1 repositories are visible",
			},
		},
		"token that ends soon": {
			credential: githubtest.Credential{Expires: time.Now().Add(80 * time.Hour)},
			want: []string{
				"warn  github credential (acme): GitHub accepts it: a token that expires on", "in 3 days",
			},
		},
		"token that ends later": {
			credential: githubtest.Credential{Expires: time.Now().AddDate(0, 2, 0)},
			want:       []string{"ok    github credential (acme): GitHub accepts it: a token that expires on"},
		},
		"token that has ended": {
			credential: githubtest.Credential{Expires: time.Now().Add(-time.Hour)}, code: cli.ExitFailure,
			want: []string{"fail  github credential (acme): /rate_limit: credential refused (status 401)"},
		},
		"no issues": {
			credential: githubtest.Credential{Forbidden: []string{"issues"}}, code: cli.ExitFailure,
			want: []string{
				"fail  github permission issues for comments (acme): the credential lacks it: comments cannot " +
					"be read; give it the permission issues: read",
				"fail  github permission issues for issues (acme): the credential lacks it",
				"ok    github permission contents for commits",
			},
		},
		"no contents": {
			credential: githubtest.Credential{Forbidden: []string{"contents"}}, code: cli.ExitFailure,
			want: []string{
				"fail  github permission contents for commits (acme): the credential lacks it: commits cannot " +
					"be read; give it the permission contents: read",
			},
		},
		"no pull requests": {
			credential: githubtest.Credential{Forbidden: []string{"pull_requests"}}, code: cli.ExitFailure,
			want: []string{
				"fail  github permission pull_requests for pull requests (acme): the credential lacks it",
				"skip  github permission pull_requests for reviews (acme): no repository that was tried has any",
			},
		},
		"no metadata": {
			credential: githubtest.Credential{Forbidden: []string{"metadata"}}, code: cli.ExitFailure,
			want: []string{"fail  github permission metadata (acme): the credential lacks it: the list of repos"},
		},
		"unknown organization": {
			org: "acne", code: cli.ExitFailure,
			want: []string{"fail  github organization (acne): /orgs/{org}: not found (status 404)", "check the name"},
		},
		"clock that is ahead": {
			change: func(s *githubtest.Settings) {
				s.Now = func() time.Time { return time.Now().Add(20 * time.Second) }
			},
			want: []string{"warn  github clock (acme): the clock of GitHub differs by"},
		},
		"clock that is wrong": {
			change: func(s *githubtest.Settings) { s.Now = func() time.Time { return time.Now().Add(-time.Hour) } },
			code:   cli.ExitFailure,
			want:   []string{"fail  github clock (acme): the clock of GitHub differs by 1h0m"},
		},
		"little left": {
			change: func(s *githubtest.Settings) { s.Limits.Core = 150 },
			want: []string{
				"warn  github limits (acme): 150 of 150 requests an hour of core are left, and min_remaining is 200",
			},
		},
		"a server without limits": {
			change: func(s *githubtest.Settings) { s.NoRateLimits = true },
			want:   []string{"ok    github limits (acme): this server has none"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.credential.Token = secret
			settings := githubtest.Settings{
				Datasets: []*githubtest.Dataset{acme()}, Credentials: []githubtest.Credential{test.credential},
			}
			if test.change != nil {
				test.change(&settings)
			}
			server := githubtest.Start(t, settings)
			if test.org == "" {
				test.org = "acme"
			}
			code, output := run(t, "--online", "--config", writeConfig(t, tokenConfig(test.org, server.URL)))
			for _, want := range test.want {
				require.Contains(t, output, want)
			}
			require.Equal(t, test.code, code, output)
			if test.code == cli.ExitSuccess {
				require.NotContains(t, output, "fail  ")
			}
		})
	}
}

// TestGitHubApp: the permissions of an installation count, also where a public repository can be read without them.
func TestGitHubApp(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key),
	}), 0o600))
	installations := []githubtest.Installation{
		{ID: 71, Org: "Acme"},
		{ID: 72, Org: "Umbrella", Forbidden: []string{"issues"}},
		{ID: 73, Org: "Gone", Suspended: true},
	}
	var datasets []*githubtest.Dataset
	for _, i := range installations {
		data := acme()
		data.Org.Login = i.Org
		datasets = append(datasets, data)
	}
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: datasets,
		Apps:     []githubtest.App{{ID: 7, Slug: "gx", PublicKey: &key.PublicKey, Installations: installations}},
	})
	config := func(org string) string {
		return writeConfig(t, fmt.Sprintf("orgs: [{name: %s, auth: {app: {app_id: 7, private_key_file: %s}}}]\n"+
			"github: {endpoint: %q}\nloc: {source: stats_contributors}\n", org, file, server.URL))
	}
	code, output := run(t, "--online", "--config", config("acme"))
	require.Equal(t, cli.ExitSuccess, code, output)
	require.Contains(t, output, "GitHub accepts it: installation 71 of an App, for all repositories")
	require.Contains(t, output, "ok    github permission metadata for weekly lines (acme): ")

	code, output = run(t, "--online", "--config", config("umbrella"))
	require.Equal(t, cli.ExitFailure, code, output)
	require.Contains(t, output, "fail  github permission issues for issues (umbrella): the credential lacks it")
	require.NotContains(t, output, "for teams")

	for _, org := range []string{"gone", "nowhere"} {
		code, output = run(t, "--online", "--config", config(org))
		require.Equal(t, cli.ExitFailure, code, output)
		require.Contains(t, output, "fail  github credential ("+org+"): ")
		require.Contains(t, output, "check the App's id, key and installation")
	}
}

// TestTeams: where teams are read, the permission for them is tried.
func TestTeams(t *testing.T) {
	const line = "github permission members for teams (acme): "
	for name, test := range map[string]struct {
		lacks []string
		teams []githubtest.Team
		off   bool
		code  int
		want  string
	}{
		"readable": {
			teams: []githubtest.Team{{Slug: "one", Members: []string{"ada"}}, {Slug: "two"}},
			want:  "ok    " + line + "2 teams are visible",
		},
		"no team": {want: "warn  " + line + "the credential sees no team"},
		"no permission": {
			lacks: []string{"members"}, code: cli.ExitFailure,
			want: "fail  " + line + "the credential lacks it: teams cannot be read; give it the permission " +
				"members: read",
		},
		"off": {lacks: []string{"members"}, off: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := acme()
			data.Teams = test.teams
			server := githubtest.Start(t, githubtest.Settings{
				Datasets:    []*githubtest.Dataset{data},
				Credentials: []githubtest.Credential{{Token: secret, Forbidden: test.lacks}},
			})
			config := tokenConfig("acme", server.URL) + fmt.Sprintf("teams: {enabled: %t}\n", !test.off)
			code, output := run(t, "--online", "--config", writeConfig(t, config))
			require.Equal(t, test.code, code, output)
			require.Contains(t, output, test.want)
			require.Equal(t, test.off, !strings.Contains(output, line), output)
		})
	}
}

// TestCopilot: each state of a report is a line; a report that is not there yet fails nothing.
func TestCopilot(t *testing.T) {
	const report = "  github permission organization_copilot_metrics for the report org_28d (acme): "
	for state, want := range map[copilottest.State]string{
		"":                             "ok  " + report,
		copilottest.NoContent:          "warn" + report,
		copilottest.PolicyDisabled:     "fail" + report,
		copilottest.PermissionRequired: "the credential lacks the permission; give it the permission",
		copilottest.RoleRequired:       "the person of the credential lacks a role",
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			server := copilottest.Start(t, copilottest.Settings{})
			server.SetOrganization("acme", copilottest.Generate(3, 40, time.Now()))
			if state != "" {
				server.AddRule(copilottest.Rule{State: state})
			}
			github := githubtest.Start(t, githubtest.Settings{
				Datasets: []*githubtest.Dataset{acme()}, Credentials: []githubtest.Credential{{Token: secret}},
			})
			front := startFront(t, github.URL, server.API())
			code, output := run(t, "--online", "--config", writeConfig(t, tokenConfig("acme", front)+
				"copilot: {enabled: true, org_users_28d: true, teams: true}\n"))
			require.Contains(t, output, want)
			require.Contains(t, output, "for the report org_users_28d (acme)")
			require.Contains(t, output, "for the report org_teams_1d (acme)")
			require.Contains(t, output, "for seats (acme)")
			refused := strings.Contains(output, "fail  ")
			require.Equal(t, refused, code == cli.ExitFailure, output)
			require.Equal(t, state != "" && state != copilottest.NoContent, refused, output)
		})
	}
}

// TestCopilotOfAnotherOrganization: an organization whose reports are not read needs no permission for them.
func TestCopilotOfAnotherOrganization(t *testing.T) {
	server := copilottest.Start(t, copilottest.Settings{})
	server.SetOrganization("acme", copilottest.Generate(3, 40, time.Now()))
	umbrella := acme()
	umbrella.Org.Login = "umbrella"
	github := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{acme(), umbrella}, Credentials: []githubtest.Credential{{Token: secret}},
	})
	config := tokenConfig("acme", startFront(t, github.URL, server.API()))
	config = strings.Replace(config, "orgs: [", "orgs: [{name: umbrella, auth: {token: "+secret+"}}, ", 1)
	code, output := run(t, "--online", "--config", writeConfig(t, config+"copilot: {enabled: true, orgs: [acme]}\n"))
	require.Equal(t, cli.ExitSuccess, code, output)
	require.Contains(t, output, "for the report org_28d (acme)")
	require.Contains(t, output, "github organization (umbrella): it exists")
	require.NotContains(t, output, "for the report org_28d (umbrella)")
}

// startFront serves a scripted GitHub with the API of Copilot, and returns its address.
func startFront(t *testing.T, github string, copilot http.Handler) string {
	t.Helper()
	upstream, err := url.Parse(github)
	require.NoError(t, err)
	activity := httputil.NewSingleHostReverseProxy(upstream)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/copilot/") {
			copilot.ServeHTTP(w, r)
			return
		}
		activity.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// TestJSON: the document has the same results as the lines.
func TestJSON(t *testing.T) {
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{acme()}, Credentials: []githubtest.Credential{{Token: secret}},
	})
	config := writeConfig(t, tokenConfig("acme", server.URL))
	_, lines := run(t, "--online", "--config", config)
	code, text := run(t, "--online", "--json", "--config", config)
	require.Equal(t, cli.ExitSuccess, code)
	var got document
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Equal(t, StatusOK, got.Status)
	require.Len(t, got.Checks, strings.Count(lines, "\n"))
	require.Equal(t, "github credential", got.Checks[1].Check)
	require.Equal(t, "acme", got.Checks[1].Subject)
}
