// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"time"
)

// DefaultToken is the token of a server whose Settings have no credentials.
const DefaultToken = "ghp_githubtest"

// Settings are the settings of a Server. The zero value of each field is a usable default.
type Settings struct {
	// Datasets has one entry for each organization. The server works on copies.
	Datasets []*Dataset
	// Credentials are the accepted tokens; none means DefaultToken, which may read everything.
	Credentials []Credential
	// Apps are the GitHub Apps that can make installation tokens.
	Apps []App
	// Timeline maps the data's times. The zero value serves them unchanged when Now is set, and otherwise the end of
	// the data as the time of NewServer.
	Timeline Timeline
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Limits are the rate limits; a field of 0 means GitHub's.
	Limits Limits
	// EnforceLimits makes requests over a limit fail. Points are counted without it, too.
	EnforceLimits bool
	// NoRateLimits leaves out the x-ratelimit headers, GraphQL's rateLimit and /rate_limit, as GitHub Enterprise Server
	// does by default.
	NoRateLimits bool
	// MissingFields are fields that the GraphQL schema lacks, as one of an older Enterprise Server does:
	// "Repository.isEmpty".
	MissingFields []string
	// StatsPending is how many times /stats/contributors responds with 202 after a push; 0 means once, a negative
	// number never.
	StatsPending int
	// StatsZeroFrom is the number of commits from which /stats/contributors has no additions and deletions, 10,000 when
	// 0.
	StatsZeroFrom int
	// KeepRequests is the maximum length of Server.Requests; 0 means 20,000.
	KeepRequests int
}

// Limits are the sizes of the rate limits; a field of 0 means GitHub's size
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api and
// https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api).
type Limits struct {
	// Core and GraphQL are requests and points an hour.
	Core, GraphQL int
	// CoreMinute and GraphQLMinute are points a minute.
	CoreMinute, GraphQLMinute int
	// Concurrent is the number of requests in flight, of REST and GraphQL together.
	Concurrent int
	// Status is that of a response over a limit in REST: 403 or 429.
	Status int
	// Window is the length of the windows of the primary limits.
	Window time.Duration
}

// orDefault returns the limits with GitHub's sizes for 0.
func (l Limits) orDefault() Limits {
	return Limits{
		Core: cmp.Or(l.Core, 5000), GraphQL: cmp.Or(l.GraphQL, 5000),
		CoreMinute: cmp.Or(l.CoreMinute, 900), GraphQLMinute: cmp.Or(l.GraphQLMinute, 2000),
		Concurrent: cmp.Or(l.Concurrent, 100), Status: cmp.Or(l.Status, 403),
		Window: cmp.Or(l.Window, time.Hour),
	}
}
