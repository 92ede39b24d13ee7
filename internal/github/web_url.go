// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"net/url"
	"strings"
)

// WebURL returns the address of the pages of the GitHub whose REST API has an endpoint, without a slash at its end: of
// github.com, of GHE.com (https://docs.github.com/enterprise-cloud@latest/admin/data-residency), or of an Enterprise
// Server (https://docs.github.com/enterprise-server@latest/rest/using-the-rest-api/getting-started-with-the-rest-api).
func WebURL(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return "https://github.com"
	}
	host, isAPI := strings.CutPrefix(u.Host, "api.")
	if !isAPI || (host != "github.com" && !strings.HasSuffix(host, ".ghe.com")) {
		host = u.Host
	}
	path := strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/api/v3")
	return u.Scheme + "://" + host + path
}
