// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// TestCredentialNames: a name of an App is the id that it was given, whichever of the two. What a former version named
// stays.
func TestCredentialNames(t *testing.T) {
	t.Parallel()
	for want, app := range map[string]AppConfig{
		"api.example/app/11/22":         {AppID: 11, InstallationID: 22},
		"api.example/app/11/acme":       {AppID: 11},
		"api.example/app/Iv23liAB/22":   {ClientID: "Iv23liAB", InstallationID: 22},
		"api.example/app/Iv23liAB/acme": {ClientID: "Iv23liAB"},
	} {
		require.Equal(t, want, credentialName(&AuthConfig{App: &app}, "Acme", "https://api.example/"))
	}
}

// TestExpiryOfACredential is what GitHub said last, and ends with a credential that has none.
func TestExpiryOfACredential(t *testing.T) {
	t.Parallel()
	end := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	l := &credentialState{}
	for _, step := range []struct {
		name string
		seen transport.Attempt
		want time.Time
	}{
		{"nothing is told", transport.Attempt{Resource: budget.ResourceREST, StatusClass: "2xx"}, time.Time{}},
		{
			"an answer tells",
			transport.Attempt{Resource: budget.ResourceREST, StatusClass: "2xx", CredentialExpires: end},
			end,
		},
		{
			"an answer of the other API does not",
			transport.Attempt{Resource: budget.ResourceGraphQL, StatusClass: "2xx"},
			end,
		},
		{"no answer", transport.Attempt{Resource: budget.ResourceREST}, end},
		{
			"a refusal tells",
			transport.Attempt{Resource: budget.ResourceREST, CredentialExpires: end.Add(time.Hour)},
			end.Add(time.Hour),
		},
		{"the other API tells, too", transport.Attempt{
			Resource: budget.ResourceGraphQL, StatusClass: "2xx",
			CredentialExpires: end,
		}, end},
		{"another credential", transport.Attempt{Resource: budget.ResourceREST, StatusClass: "2xx"}, time.Time{}},
		{"the other API", transport.Attempt{Resource: budget.ResourceGraphQL, StatusClass: "2xx"}, time.Time{}},
	} {
		l.setExpiry(&step.seen)
		require.Equal(t, step.want, l.expiry(), step.name)
	}
}

// TestDeprecationsAreLoggedOnce for each endpoint, and counted each time.
func TestDeprecationsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.WarnLevel)
	l := &credentialState{}
	observe := l.observeFunc(&collect.Tallies{}, zap.New(core))
	for range 3 {
		observe(transport.Attempt{Endpoint: "/rate_limit", Deprecation: "Sunset: soon"})
		observe(transport.Attempt{Endpoint: "Discover", Deprecation: "Sunset: later"})
		observe(transport.Attempt{Endpoint: "Activity"})
	}
	require.Equal(t, 2, logs.Len())
	require.Equal(t, "Sunset: soon", logs.All()[0].ContextMap()["announced"])
}
