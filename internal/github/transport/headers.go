// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"fmt"
	"net/http"
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

// expiryOf returns the expiry of a personal access token; zero when the response does not have it. Its error is that of
// a header that is no time.
func expiryOf(header http.Header) (time.Time, error) {
	text := header.Get(expiryHeader)
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range expiryForms {
		if at, err := time.Parse(form, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("header %s: %q, want a time", expiryHeader, Printable(text))
}

// deprecationOf returns the headers that announce the end of an endpoint, for logs
// (https://www.rfc-editor.org/rfc/rfc9745, https://www.rfc-editor.org/rfc/rfc8594); empty when there are none.
func deprecationOf(header http.Header) string {
	var parts []string
	for _, name := range []string{"Deprecation", "Sunset"} {
		if text := Printable(header.Get(name)); text != "" && text != "false" {
			parts = append(parts, name+": "+text)
		}
	}
	return strings.Join(parts, ", ")
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
