// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"crypto/rsa"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
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

// Credential is a token and what it may see.
type Credential struct {
	Token string
	// Name is what the accounting calls it, its login when empty. The token itself appears nowhere.
	Name string
	// Login is the user whom the token belongs to.
	Login string
	// Orgs are the logins of the owners it may see, nil for all.
	Orgs []string
	// PublicOnly hides private and internal repositories.
	PublicOnly bool
	// Forbidden are the permissions that it lacks: "issues", "pull_requests", "contents", "metadata" (REST's list of
	// repositories). REST answers 403 then, and names the permission in X-Accepted-GitHub-Permissions; GraphQL nulls
	// the field, and with it the repository where the field cannot be null
	// (https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens).
	Forbidden []string
	// Expires is when a personal token ends: every response has it in a header, and from then on the token is refused.
	// Zero: never.
	Expires time.Time
	// Bucket names the rate limit that it drains; tokens of one login share one unless this says otherwise.
	Bucket string

	app       *App      // an app's own JSON web token
	expiresAt time.Time // of an installation's token, which no header shows
}

func (c *Credential) name() string { return cmp.Or(c.Name, c.Login, "token") }

func (c *Credential) bucket() string { return cmp.Or(c.Bucket, "user:"+cmp.Or(c.Login, c.Name)) }

// access returns what the credential may read.
func (c *Credential) access() served.Access {
	return served.Access{Owners: c.Orgs, PublicOnly: c.PublicOnly, Lacking: c.Forbidden}
}

// App is a GitHub App: its JSON web tokens are verified with the public key
// (https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app).
type App struct {
	ID       int64
	ClientID string
	Slug     string
	// PublicKey verifies the app's tokens.
	PublicKey     *rsa.PublicKey
	Installations []Installation
}

// Installation is an app's installation in an organization.
type Installation struct {
	ID        int64
	Org       string
	Suspended bool
	// Forbidden are the permissions that its tokens lack.
	Forbidden []string
}
