// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

// TestWebURL checks the address of the pages of each kind of GitHub.
func TestWebURL(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"https://api.github.com":                 "https://github.com",
		"https://api.github.com/":                "https://github.com",
		"https://api.octocorp.ghe.com":           "https://octocorp.ghe.com",
		"https://github.example.com/api/v3":      "https://github.example.com",
		"https://github.example.com/api/v3/":     "https://github.example.com",
		"https://api.example.com:8443/gh/api/v3": "https://api.example.com:8443/gh",
		"http://127.0.0.1:8080":                  "http://127.0.0.1:8080",
		"":                                       "https://github.com",
	} {
		require.Equal(t, want, github.WebURL(endpoint), endpoint)
	}
}
