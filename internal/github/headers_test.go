// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// TestCredentialExpires: a response has the expiry of the token. What is no time is counted, and of an App's token
// nothing is observed.
func TestCredentialExpires(t *testing.T) {
	t.Parallel()
	end := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		header  string
		want    time.Time
		invalid bool
	}{
		"UTC":             {"2027-01-31 12:00:00 UTC", end, false},
		"with an offset":  {"2027-01-31 14:00:00 +0200", end, false},
		"RFC 3339":        {"2027-01-31T12:00:00Z", end, false},
		"another zone":    {"2027-01-31 12:00:00 PDT", time.Time{}, true},
		"no time":         {"soon\u2028", time.Time{}, true},
		"impossible date": {"2027-02-31 12:00:00 UTC", time.Time{}, true},
		"nothing":         {"", time.Time{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachAPI(t, func(t *testing.T, api github.API) {
				b := newBench(t, api, dataset("one"))
				header := http.Header{"Github-Authentication-Token-Expiration": {test.header}}
				b.server.InjectFault(githubtest.Fault{Effect: githubtest.Headers(header)})
				_, err := b.discover()
				require.NoError(t, err)
				require.Equal(t, test.want, b.seen[0].CredentialExpires)
				require.Equal(t, test.invalid, len(b.invalid) > 0)
			})
		})
	}
	t.Run("as GitHub tells it", func(t *testing.T) {
		t.Parallel()
		eachAPI(t, func(t *testing.T, api github.API) {
			b := newBench(t, api, dataset("one"), func(s *githubtest.Settings, _ *transport.Settings) {
				s.Credentials = []githubtest.Credential{{
					Token: githubtest.DefaultToken, Login: "l",
					Expires: noon.Add(time.Hour),
				}}
			})
			_, err := b.discover()
			require.NoError(t, err)
			require.Equal(t, noon.Add(time.Hour), b.seen[0].CredentialExpires)
			b.advance(time.Hour)
			_, err = b.discover()
			require.True(t, is[*transport.CredentialError](err), "%v", err)
		})
	})
	t.Run("of an App", func(t *testing.T) {
		t.Parallel()
		b := appBench(t, github.APIGraphQL)
		header := http.Header{"Github-Authentication-Token-Expiration": {"2027-01-31 12:00:00 UTC"}}
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.Headers(header)})
		_, err := b.discover()
		require.NoError(t, err)
		for _, o := range b.seen {
			require.Zero(t, o.CredentialExpires, o.Endpoint)
		}
	})
}

// TestDeprecations: what an answer announces of its end is observed, whatever else it is.
func TestDeprecations(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for want, header := range map[string]http.Header{
			"Deprecation: @1767225600, Sunset: Thu, 31 Dec 2026 23:59:59 GMT": {
				"Deprecation": {"@1767225600"}, "Sunset": {"Thu, 31 Dec 2026 23:59:59 GMT"},
			},
			"Sunset: bad value": {"Sunset": {"bad\u2028value"}},
			"":                  {"Deprecation": {"false"}},
		} {
			b := newBench(t, api, dataset("one"))
			b.server.InjectFault(githubtest.Fault{Effect: githubtest.Headers(header)})
			_, err := b.discover()
			require.NoError(t, err)
			require.Equal(t, want, b.seen[0].Deprecation)
		}
	})
}

// TestMissingPermissions: a refusal names the permissions that are missing, and is not about permissions where the
// owner's rules or the law refuse.
func TestMissingPermissions(t *testing.T) {
	t.Parallel()
	const notAccessible = "Resource not accessible by personal access token"
	accepted := func(list string) http.Header { return http.Header{"X-Accepted-Github-Permissions": {list}} }
	for name, test := range map[string]struct {
		status  int
		header  http.Header
		message string
		want    []string
	}{
		"one": {403, accepted("contents=read"), notAccessible, []string{"contents"}},
		"the stream's of several": {
			403, accepted("pull_requests=read; issues=read"), notAccessible,
			[]string{"issues"},
		},
		"the first of several": {
			403, accepted("metadata=read,members=read; administration=read"), notAccessible,
			[]string{"metadata", "members"},
		},
		"only the message": {403, nil, notAccessible, []string{"issues"}},
		"neither":          {403, nil, "Forbidden", nil},
		"hostile names": {
			403, accepted("a b=read; \u2028Ü[31m=read;;=;" + strings.Repeat("x", 99)),
			notAccessible,
			[]string{"issues"},
		},
		"single sign-on": {403, http.Header{
			"X-Accepted-Github-Permissions": {"issues=read"},
			"X-Github-Sso":                  {"required; url=https://x"},
		}, "Forbidden", nil},
		"SAML by its message": {
			403, accepted("issues=read"),
			"Resource protected by organization SAML enforcement.", nil,
		},
		"an IP allow list": {
			403, accepted("issues=read"), "the organization has an IP allow list enabled",
			nil,
		},
		"a suspended installation": {403, accepted("issues=read"), "This installation has been suspended", nil},
		"the law":                  {451, accepted("issues=read"), "Repository access blocked", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIREST, dataset("one"))
			repo := b.repo("one")
			b.server.InjectFault(githubtest.Fault{
				Match:  githubtest.Match{Route: commentsRoute},
				Effect: githubtest.StatusBody(test.status, test.header, `{"message": "`+test.message+`"}`),
			})
			_, outcome := b.read(since(repo, ago(time.Hour), activity.StreamComments))
			failed := outcome.Failed[activity.StreamComments]
			refused, ok := failed.(*transport.ForbiddenError) //nolint:errorlint // as it is
			require.True(t, ok, "%v", outcome.Failed)
			got, _ := refused.LacksPermission("issues")
			require.Equal(t, test.want, got)
		})
	}
}

// TestClientID: the App's own token is of the client id, where that is given.
func TestClientID(t *testing.T) {
	t.Parallel()
	const id = "Iv23liABCDEF0123456789"
	eachAPI(t, func(t *testing.T, api github.API) {
		key, pemKey := privateKey(t)
		for given, accepted := range map[string]bool{id: true, "Iv23liOfAnother": false} {
			b := appBench(t, api, func(s *githubtest.Settings, g *transport.Settings) {
				s.Apps[0].PublicKey, s.Apps[0].ClientID = &key.PublicKey, id
				var err error
				g.Credential, err = transport.AppCredential(transport.AppSettings{
					ClientID: given, Org: org,
					PrivateKey: fixed(pemKey),
				})
				require.NoError(t, err)
			})
			_, err := b.discover()
			require.Equal(t, accepted, err == nil, "%v", err)
			require.Equal(t, !accepted, is[*transport.CredentialError](err), "%v", err)
		}
	})
}
