// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"time"
)

// DefaultToken is accepted when Settings has no credentials.
const DefaultToken = "ghp_githubtest"

// Settings are what a Server is made of. The zero value of each field is a sensible default.
type Settings struct {
	// Datasets has one entry for each organization. The server works on copies.
	Datasets []*Dataset
	// Credentials are the tokens that are accepted; none means DefaultToken for everything.
	Credentials []Credential
	// Apps are the GitHub Apps that can make installation tokens.
	Apps []App
	// Timeline maps the data's times. The zero value serves them as they are if Now is set; without Now it maps the end
	// of the data to the moment when the server is made.
	Timeline Timeline
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Limits are GitHub's unless given.
	Limits Limits
	// EnforceLimits makes requests over a limit fail. Points are counted either way.
	EnforceLimits bool
	// NoRateLimits leaves out the x-ratelimit headers, GraphQL's rateLimit and /rate_limit, as GitHub Enterprise Server
	// does by default.
	NoRateLimits bool
	// MissingFields are fields that the GraphQL schema lacks, as one of an older Enterprise Server does:
	// "Repository.isEmpty".
	MissingFields []string
	// StatsPending is how often /stats/contributors answers 202 after a push before it has numbers; 0 means once, a
	// negative number never.
	StatsPending int
	// StatsZeroFrom is the number of commits from which /stats/contributors has no additions and deletions, 10,000 when
	// 0.
	StatsZeroFrom int
	// KeepRequests bounds the log of requests, 20,000 when 0.
	KeepRequests int
}

// Limits are the numbers of GitHub's rate limits
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api and
// https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api). 0 means GitHub's.
type Limits struct {
	// Core and GraphQL are requests and points an hour.
	Core, GraphQL int
	// CoreMinute and GraphQLMinute are points a minute.
	CoreMinute, GraphQLMinute int
	// Concurrent requests over REST and GraphQL together.
	Concurrent int
	// Status of an answer over a REST limit: 403 or 429.
	Status int
	// Window is the length of the primary limits' windows, an hour unless given.
	Window time.Duration
}

func (l Limits) orDefault() Limits {
	return Limits{
		Core: cmp.Or(l.Core, 5000), GraphQL: cmp.Or(l.GraphQL, 5000),
		CoreMinute: cmp.Or(l.CoreMinute, 900), GraphQLMinute: cmp.Or(l.GraphQLMinute, 2000),
		Concurrent: cmp.Or(l.Concurrent, 100), Status: cmp.Or(l.Status, 403),
		Window: cmp.Or(l.Window, time.Hour),
	}
}
