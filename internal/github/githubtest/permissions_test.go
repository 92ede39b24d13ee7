// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// documentedPermissions returns the endpoints of the table of docs/github-app.md with their permissions, without those
// of the Copilot reports, which are served by another package.
func documentedPermissions(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "github-app.md"))
	require.NoError(t, err)
	found := make(map[string]string)
	rows, endpoints := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (`/.*) \\|$"), regexp.MustCompile("`(/[^`]+)`")
	for _, row := range rows.FindAllStringSubmatch(string(text), -1) {
		for _, endpoint := range endpoints.FindAllStringSubmatch(row[2], -1) {
			if !strings.Contains(endpoint[1], "/copilot/") {
				found[endpoint[1]] = row[1]
			}
		}
	}
	return found
}

// TestPermissionsOfRequests: a credential without the documented permission of a request is refused, and the response
// names it; one with nothing else but that permission is not.
func TestPermissionsOfRequests(t *testing.T) {
	t.Parallel()
	wanted := documentedPermissions(t)
	all := make(map[string]bool)
	for _, permission := range wanted {
		all[permission] = true
	}
	require.Greater(t, len(wanted), 15)
	s := acme(t, func(set *githubtest.Settings) {
		for permission := range all {
			var others []string
			for other := range all {
				if other != permission {
					others = append(others, other)
				}
			}
			set.Credentials = append(set.Credentials,
				githubtest.Credential{Token: "without-" + permission, Forbidden: []string{permission}},
				githubtest.Credential{Token: "only-" + permission, Forbidden: others})
		}
	})
	fill := strings.NewReplacer("{org}", "acme", "{owner}", "acme", "{repo}", "api", "{ref}", "main", "{team_slug}",
		"none", "{branch}", "main", "{basehead}", "main...main", "{pull_number}", "1", "{issue_number}", "424242")
	for endpoint, permission := range wanted {
		path := fill.Replace(endpoint)
		refused := get(t, s, path, "Authorization", "Bearer without-"+permission)
		require.Equal(t, http.StatusForbidden, refused.StatusCode, endpoint)
		require.Contains(t, refused.Header.Get("X-Accepted-Github-Permissions"), permission+"=read", endpoint)
		served := get(t, s, path, "Authorization", "Bearer only-"+permission)
		require.NotEqual(t, http.StatusForbidden, served.StatusCode, endpoint)
	}
	events := get(t, s, "/repos/acme/api/issues/1/events", "Authorization", "Bearer only-pull_requests")
	require.Equal(t, http.StatusOK, events.StatusCode, "of a pull request")
}
