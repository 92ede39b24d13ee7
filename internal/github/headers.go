// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// expiryHeader has the expiry of a personal access token.
const expiryHeader = "Github-Authentication-Token-Expiration"

// expiryForms are the formats of expiryHeader
// (https://docs.github.com/rest/authentication/keeping-your-api-credentials-secure,
// https://github.blog/changelog/2021-07-26-expiration-options-for-personal-access-tokens/).
var expiryForms = []string{"2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05 -0700", time.RFC3339}

// credentialExpires is when the credential ends; zero when the answer does not tell. An App's installation token ends
// every hour and is replaced before: its end is nothing to tell.
func (c *Client) credentialExpires(x *exchange, header http.Header) time.Time {
	text := header.Get(expiryHeader)
	if _, app := c.settings.Credential.(*appCredential); text == "" || x.asApp || app {
		return time.Time{}
	}
	for _, form := range expiryForms {
		if at, err := time.Parse(form, text); err == nil {
			return at.UTC()
		}
	}
	c.settings.OnInvalidValue(fmt.Errorf("%s: header %s: %q, want a time", x.endpoint, expiryHeader, printable(text)))
	return time.Time{}
}

// deprecationOf is what an answer announces of the end of what was asked for
// (https://www.rfc-editor.org/rfc/rfc9745, https://www.rfc-editor.org/rfc/rfc8594); empty when it announces nothing.
func deprecationOf(header http.Header) string {
	var parts []string
	for _, name := range []string{"Deprecation", "Sunset"} {
		if text := printable(header.Get(name)); text != "" && text != "false" {
			parts = append(parts, name+": "+text)
		}
	}
	return strings.Join(parts, ", ")
}

// permissionName is what GitHub calls a permission.
var permissionName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// mostAlternatives bounds what is believed of a list of permissions.
const mostAlternatives = 16

// acceptedPermissions are the alternatives that the header names, such as "contents=read" or "issues=read;
// pull_requests=read"
// (https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#insufficient-permissions). Alternatives
// are parted by semicolons, the permissions of one by commas.
func acceptedPermissions(header http.Header) [][]string {
	var alternatives [][]string
	for text := range strings.SplitSeq(header.Get("X-Accepted-Github-Permissions"), ";") {
		var needed []string
		for permission := range strings.SplitSeq(text, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(permission), "=")
			if permissionName.MatchString(name) {
				needed = append(needed, name)
			}
		}
		if len(needed) > 0 && len(alternatives) < mostAlternatives {
			alternatives = append(alternatives, needed[:min(len(needed), mostAlternatives)])
		}
	}
	return alternatives
}

// notAccessible is what GitHub says where a permission is missing.
const notAccessible = "Resource not accessible"

// otherRefusals are parts of GitHub's messages about refusals that no permission of the credential would change.
var otherRefusals = []string{"SAML", "single sign-on", "IP allow list", "suspended", "access blocked", "forbids access"}

func otherRefusal(message string) bool {
	for _, part := range otherRefusals {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}

// quotaOf reads the quota of a response's headers, zero when it has none.
func quotaOf(header http.Header) budget.Quota {
	reset, err := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64)
	remaining, err2 := strconv.Atoi(header.Get("X-Ratelimit-Remaining"))
	if err != nil || err2 != nil {
		return budget.Quota{}
	}
	limit, _ := strconv.Atoi(header.Get("X-Ratelimit-Limit")) // 0 when it is missing
	return budget.Quota{Remaining: remaining, Limit: limit, Reset: time.Unix(reset, 0).UTC()}
}

// maxRetryAfter bounds a Retry-After header.
const maxRetryAfter = 24 * time.Hour

// limitEnd returns the end of an exceeded limit: by Retry-After, else the reset of an exceeded primary limit and
// resetBuffer, else zero.
func limitEnd(header http.Header, q budget.Quota, isPrimary bool, resetBuffer time.Duration, now time.Time) time.Time {
	if wait := retryAfter(header.Get("Retry-After"), now); wait > 0 {
		return now.Add(min(wait, maxRetryAfter))
	}
	if isPrimary && q.Reset.After(now) {
		return q.Reset.Add(resetBuffer)
	}
	return time.Time{}
}

// retryAfter parses a wait in seconds or up to a date
// (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after), 0 for none.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), 86400)) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return at.Sub(now)
}
