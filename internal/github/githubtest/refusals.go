// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// missingPermissionResponse returns GitHub's response to a credential that lacks a permission
// (https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#insufficient-permissions).
func (x *exchange) missingPermissionResponse(permission string) response {
	a := errorResponse(http.StatusForbidden, "Resource not accessible by personal access token")
	accepted := permission + "=read"
	if permission == "issues" { // comments are those of issues and of pull requests
		accepted += "; pull_requests=read"
	}
	a.header.Set("X-Accepted-Github-Permissions", accepted)
	return a
}

// movedResponse redirects a former name of a repository to the address by id
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects).
func (x *exchange) movedResponse() response {
	rest := strings.TrimPrefix(x.path, "/repos/"+x.pathVars["owner"]+"/"+x.pathVars["repo"])
	to := x.repoAddress(x.repository) + rest
	if x.request.URL.RawQuery != "" {
		to += "?" + x.request.URL.RawQuery
	}
	a := newResponse(http.StatusMovedPermanently, obj{
		"message": "Moved Permanently", "url": to,
		"documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
	})
	a.header.Set("Location", to)
	return a
}

// blockedResponse returns GitHub's response for a repository that was blocked for legal reasons.
func (x *exchange) blockedResponse() response {
	return newResponse(http.StatusUnavailableForLegalReasons, obj{
		"message": "Repository access blocked",
		"block": obj{
			"reason": "dmca", "created_at": served.FormatTime(x.repository.Created),
			"html_url": "https://github.com/github/dmca",
		},
	})
}

// repoAddress returns the address by id, as GitHub's links have it.
func (x *exchange) repoAddress(r *served.Repo) string {
	return fmt.Sprintf("%s/repositories/%d", x.baseURL, r.DatabaseID)
}

// bucketKey returns the key of the rate limit that the request is charged to.
func (x *exchange) bucketKey() bucketKey { return bucketKey{x.cred.bucket(), x.info.Resource} }

// charge charges points. With false, the limit does not allow them, and the response is the refusal.
func (x *exchange) charge(cost int) (response, bool) {
	v, wait := x.server.limits.charge(x.bucketKey(), cost, x.server.now(), x.server.settings.EnforceLimits)
	switch v {
	case limitPrimary:
		return x.primaryLimitResponse(x.server.settings.Limits.Status), false
	case limitSecondary:
		return x.secondaryLimitResponse(x.server.settings.Limits.Status, wait), false
	default:
		x.info.Cost = cost
		return response{}, true
	}
}

// primaryLimitResponse returns GitHub's response over the hourly limit.
func (x *exchange) primaryLimitResponse(status int) response {
	message := fmt.Sprintf("API rate limit exceeded for user ID %d.", dataset.NumericID("user", x.cred.Login))
	var a response
	if x.query != nil {
		a = newResponse(
			http.StatusOK,
			obj{"errors": []obj{{"type": "RATE_LIMITED", "code": "graphql_rate_limit", "message": message}}},
		)
	} else {
		a = errorResponse(status, message)
	}
	q := x.server.limits.quota(x.bucketKey(), x.server.now())
	q.used, q.remaining = q.limit, 0
	if !x.server.settings.NoRateLimits {
		q.header(a.header)
	}
	return a
}

// secondaryLimitResponse returns GitHub's response over a secondary limit; with a wait of 0 it has no Retry-After.
func (x *exchange) secondaryLimitResponse(status int, wait time.Duration) response {
	const message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
	var a response
	if status == http.StatusOK {
		a = newResponse(status, obj{"errors": []obj{{"type": "RATE_LIMITED", "message": message}}})
	} else {
		a = newResponse(status, obj{
			"message":           message,
			"documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
		})
	}
	if wait > 0 {
		a.header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	return a
}
