// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// pages ignores what is discovered.
func pages([]activity.Repository) error { return nil }

// appBench is withApp with further changes.
func appBench(t *testing.T, api github.API, change ...func(*githubtest.Settings, *transport.Settings)) *bench {
	t.Helper()
	key, pemKey := privateKey(t)
	app := func(s *githubtest.Settings, g *transport.Settings) {
		s.Apps = []githubtest.App{{ID: 11, PublicKey: &key.PublicKey, Installations: []githubtest.Installation{
			{ID: 22, Org: org}, {ID: 23, Org: org, Suspended: true},
		}}}
		s.Credentials = []githubtest.Credential{{Token: "unused", Login: "l"}}
		g.Credential = appCredential(t, 22, pemKey)
		for _, f := range change {
			f(s, g)
		}
		if g.Credential == nil { // the change asks for the suspended installation
			g.Credential = appCredential(t, 23, pemKey)
		}
	}
	return newBench(t, api, dataset("one"), app)
}

func appCredential(t *testing.T, installation int64, pemKey []byte) transport.Credential {
	t.Helper()
	credential, err := transport.AppCredential(transport.AppSettings{
		AppID: 11, InstallationID: installation,
		PrivateKey: fixed(pemKey),
	})
	require.NoError(t, err)
	return credential
}

func fixed(pemKey []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return pemKey, nil }
}

// TestOneTokenALifetime: three replicas, each with two organizations on one installation, ask for one token each in
// each of its lifetimes, however many requests they make.
func TestOneTokenALifetime(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		key, pemKey := privateKey(t)
		b := appBench(t, api, func(s *githubtest.Settings, g *transport.Settings) {
			s.Apps[0].PublicKey, s.Limits = &key.PublicKey, githubtest.Limits{Core: 1_000_000, GraphQL: 1_000_000}
			g.Credential = appCredential(t, 22, pemKey)
		})
		var clients []*github.Client
		for range 3 {
			settings := b.settings
			settings.Credential = appCredential(t, 22, pemKey)
			for range 2 {
				requests, err := transport.New(settings)
				require.NoError(t, err)
				client := github.New(requests, github.Settings{API: api})
				clients = append(clients, client)
			}
		}
		const requests = 1000
		const inUse = 58 * time.Minute // of the hour that a token lives: it is replaced before its end
		for n := range requests {
			var together sync.WaitGroup
			for range 2 {
				together.Go(func() {
					if err := clients[n%len(clients)].Discover(t.Context(), org, pages); err != nil {
						t.Error(err)
					}
				})
			}
			together.Wait()
			b.advance(2 * inUse / requests)
		}
		tokens := b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Route == tokensRoute })
		require.GreaterOrEqual(t,
			b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Route != tokensRoute }), 2*requests)
		require.Equal(t, 3*2, tokens)
	})
}

// TestInstallationIsFoundOut from the organization, once, and again when the App was installed again.
func TestInstallationIsFoundOut(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		key, pemKey := privateKey(t)
		b := appBench(t, api, func(s *githubtest.Settings, g *transport.Settings) {
			s.Apps[0] = githubtest.App{
				ID: 11, PublicKey: &key.PublicKey,
				Installations: []githubtest.Installation{{ID: 22, Org: org}},
			}
			var err error
			app := transport.AppSettings{AppID: 11, Org: org, PrivateKey: fixed(pemKey)}
			g.Credential, err = transport.AppCredential(app)
			require.NoError(t, err)
		})
		const finding = "/orgs/{org}/installation"
		count := func(route string) int {
			return b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Route == route })
		}
		require.Zero(t, b.transport.InstallationID())
		for range 3 {
			_, err := b.discover()
			require.NoError(t, err)
			b.advance(58 * time.Minute)
		}
		require.Equal(t, int64(22), b.transport.InstallationID())
		require.Equal(t, 1, count(finding))
		require.Equal(t, 3, count(tokensRoute))

		b.server.InjectFault(githubtest.Fault{
			Match: githubtest.Match{Route: tokensRoute}, Times: 1,
			Effect: githubtest.Status(404),
		})
		_, err := b.discover()
		require.True(t, is[*transport.CredentialError](err), "%v", err)
		_, err = b.discover()
		require.NoError(t, err)
		require.Equal(t, 2, count(finding))

		b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Route: finding}, Effect: githubtest.Status(404)})
		b.server.InjectFault(githubtest.Fault{
			Match:  githubtest.Match{Route: tokensRoute},
			Effect: githubtest.Status(404),
		})
		b.advance(time.Hour)
		for range 2 {
			_, err = b.discover()
			require.True(t, is[*transport.CredentialError](err), "%v", err)
			require.ErrorContains(t, err, "no such installation")
		}
	})
}

// TestKeyIsReplaced without a restart; a file that is not whole for a moment does not matter.
func TestKeyIsReplaced(t *testing.T) {
	t.Parallel()
	first, firstPEM := privateKey(t)
	second, secondPEM := privateKey(t)
	current := firstPEM
	app := githubtest.App{ID: 11, PublicKey: &first.PublicKey, Installations: []githubtest.Installation{{
		ID:  22,
		Org: org,
	}}}
	b := appBench(t, github.APIREST, func(s *githubtest.Settings, g *transport.Settings) {
		s.Apps[0] = app
		var err error
		g.Credential, err = transport.AppCredential(transport.AppSettings{
			AppID: 11, InstallationID: 22,
			PrivateKey: func() ([]byte, error) { return current, nil },
		})
		require.NoError(t, err)
	})
	_, err := b.discover()
	require.NoError(t, err)
	current = []byte("-----BEGIN half a file")
	b.advance(time.Hour)
	_, err = b.discover()
	require.NoError(t, err, "the old key is still good")

	b.server.ReplaceAppKey(11, &second.PublicKey)
	b.advance(time.Hour)
	_, err = b.discover()
	require.True(t, is[*transport.CredentialError](err), "%v", err)
	require.ErrorContains(t, err, "older key is used: the App's private key is no RSA key in PEM form")
	current = secondPEM
	_, err = b.discover()
	require.NoError(t, err)
}

// TestAppReadsWithBothAPIs: the App's own token is accepted, and is for nothing but the installation's token.
func TestAppReadsWithBothAPIs(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := appBench(t, api)
		_, err := b.discover()
		require.NoError(t, err)
		for _, r := range b.server.Requests() {
			if r.Route == tokensRoute {
				require.Equal(t, "app-11", r.Credential)
			} else {
				require.Equal(t, "installation-22", r.Credential)
			}
		}
	})
}

// TestClocksThatDiffer: GitHub's clock counts for the App's own token, and the client learns it from the answers.
func TestClocksThatDiffer(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{
		-3 * time.Hour, 3 * time.Hour, -30 * time.Minute, -2 * time.Minute,
		30 * time.Second, 5 * time.Minute, 30 * time.Minute,
	} {
		b := appBench(t, github.APIGraphQL, func(s *githubtest.Settings, _ *transport.Settings) {
			theirs := s.Now
			s.Now = func() time.Time { return theirs().Add(-ahead) }
		})
		for range 5 {
			_, err := b.discover()
			require.NoError(t, err, "our clock is ahead by %v", ahead)
		}
		require.Equal(t, -ahead, b.transport.Skew())
		require.LessOrEqual(t, b.requests(tokensRoute), 2)
	}
}

// TestALateRefusalKeepsTheNewToken: a request that left with the old token and is refused after the new one was made
// does not drop the new one.
func TestALateRefusalKeepsTheNewToken(t *testing.T) {
	t.Parallel()
	b := appBench(t, github.APIGraphQL)
	_, err := b.discover()
	require.NoError(t, err)
	next := b.server.Requests()[len(b.server.Requests())-1].Seq
	old := func(r githubtest.RequestInfo) bool { return r.Seq == next+1 || r.Seq == next+2 }
	b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Operation: "Discover", Func: old},
		Effect: githubtest.Status(401),
	})
	arrived, renewed := make(chan struct{}), make(chan struct{})
	var first sync.Once
	b.server.OnRequest(func(r githubtest.RequestInfo) {
		if r.Operation != "Discover" {
			return
		}
		held := false
		first.Do(func() { held = true })
		if held {
			close(arrived)
			<-renewed
		}
	})
	late := make(chan error, 1)
	go func() { late <- b.client.Discover(t.Context(), org, pages) }()
	<-arrived
	_, err = b.discover()
	close(renewed)
	require.NoError(t, err)
	require.NoError(t, <-late)
	require.Equal(t, 2, b.requests(tokensRoute))
}

// TestARevokedTokenIsRefreshedOnce: when GitHub refuses the new one as well, that is the answer.
func TestARevokedTokenIsRefreshedOnce(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := appBench(t, api)
		_, err := b.discover()
		require.NoError(t, err)
		b.server.ResetRequests()
		b.server.InjectFault(githubtest.Fault{Match: matching(discoverQuery(api)), Effect: githubtest.Status(401)})
		_, err = b.discover()
		require.True(t, is[*transport.CredentialError](err), "%T: %v", err, err)
		require.NotContains(t, err.Error(), "ghs_")
		require.Equal(t, 1, b.requests(tokensRoute))
		require.Equal(t, 2, b.requests(discoverQuery(api)))
	})
}

// TestTokenRequestThatFails is repeated as often as any request, and has its error.
func TestTokenRequestThatFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		effect githubtest.Effect
		want   func(error) bool
		sent   int
	}{
		"503":       {githubtest.Status(503), is[*transport.UnavailableError], 3},
		"HTML":      {githubtest.HTML(200), is[*transport.UnavailableError], 3},
		"truncated": {githubtest.TruncatedJSON(), is[*transport.UnavailableError], 3},
		"no token": {
			githubtest.StatusBody(201, nil, `{"expires_at":"2026-03-11T13:00:00Z"}`),
			is[*transport.UnavailableError], 3,
		},
		"null":  {githubtest.StatusBody(201, nil, `null`), is[*transport.UnavailableError], 3},
		"403":   {githubtest.Status(403), is[*transport.CredentialError], 1},
		"404":   {githubtest.Status(404), is[*transport.CredentialError], 1},
		"451":   {githubtest.Status(451), is[*transport.CredentialError], 1},
		"limit": {githubtest.SecondaryLimit(429, 30*time.Second), is[*transport.LimitError], 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := appBench(t, github.APIGraphQL)
			b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Route: tokensRoute}, Effect: test.effect})
			_, err := b.discover()
			require.True(t, test.want(err), "%T: %v", err, err)
			require.NotContains(t, err.Error(), "eyJ", "the App's own token")
			require.Equal(t, test.sent, b.requests(tokensRoute))
			require.Zero(t, b.requests("Discover"), "nothing is asked without a token")
		})
	}
}

// TestSuspendedInstallation is a matter of the credential.
func TestSuspendedInstallation(t *testing.T) {
	t.Parallel()
	b := appBench(t, github.APIREST, func(_ *githubtest.Settings, g *transport.Settings) { g.Credential = nil })
	_, err := b.discover()
	require.True(t, is[*transport.CredentialError](err), "%T: %v", err, err)
	require.Equal(t, 1, b.requests(tokensRoute))
}

// TestWrongKeyIsAskedAboutOnce more at most: the clocks might have differed.
func TestWrongKeyIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	key, _ := privateKey(t)
	_, other := privateKey(t)
	b := withApp(t, &key.PublicKey, other)
	_, err := b.discover()
	require.True(t, is[*transport.CredentialError](err), "%T: %v", err, err)
	require.LessOrEqual(t, b.requests(tokensRoute), 2)
	require.NotContains(t, err.Error(), "eyJ")
}

// TestWaitingForATokenEndsWithTheContext: a caller that waits for another one's request for a token may give up.
func TestWaitingForATokenEndsWithTheContext(t *testing.T) {
	t.Parallel()
	b := appBench(t, github.APIGraphQL, func(_ *githubtest.Settings, g *transport.Settings) { g.Timeout = 0 })
	b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Route: tokensRoute}, Effect: githubtest.Hang()})
	asked := make(chan struct{})
	b.server.OnRequest(func(githubtest.RequestInfo) { close(asked) })
	ctx, cancel := context.WithCancel(t.Context())
	asking := make(chan error, 1)
	go func() { asking <- b.client.Discover(ctx, org, pages) }()
	<-asked
	impatient, leave := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() { waiting <- b.client.Discover(impatient, org, pages) }()
	leave()
	select {
	case err := <-waiting:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(5 * time.Second):
		t.Error("it still waits")
	}
	cancel()
	require.ErrorIs(t, <-asking, context.Canceled)
}

// TestTheEndOfOneCallerIsNotThatOfAnother: when the request for a token ends with its caller, the next one requests it
// again.
func TestTheEndOfOneCallerIsNotThatOfAnother(t *testing.T) {
	t.Parallel()
	b := appBench(t, github.APIGraphQL)
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Route: tokensRoute}, Times: 1,
		Effect: githubtest.Hang(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	asked := make(chan struct{})
	b.server.OnRequest(func(githubtest.RequestInfo) { once.Do(func() { close(asked) }) })
	asking, other := make(chan error, 1), make(chan error, 1)
	go func() { asking <- b.client.Discover(ctx, org, pages) }()
	<-asked
	go func() { other <- b.client.Discover(t.Context(), org, pages) }()
	cancel()
	require.ErrorIs(t, <-asking, context.Canceled)
	require.NoError(t, <-other)
}

// TestACooldownEndsWithoutAToken: an outage may outlive an App's token, and the probe that would end the cooldown needs
// one.
func TestACooldownEndsWithoutAToken(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		cooling := errors.New("cooling")
		var paused atomic.Bool
		b := appBench(t, api, func(_ *githubtest.Settings, g *transport.Settings) {
			g.CheckPaused = func() error {
				if paused.Load() {
					return cooling
				}
				return nil
			}
		})
		_, err := b.discover()
		require.NoError(t, err)
		paused.Store(true)
		b.advance(2 * time.Hour)
		_, err = b.discover()
		require.ErrorIs(t, err, cooling)
		require.Equal(t, 1, b.requests(tokensRoute), "nobody else gets one meanwhile")
		require.NoError(t, b.transport.Probe(t.Context()))
		require.Equal(t, 2, b.requests(tokensRoute))
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.Status(503)})
		b.advance(2 * time.Hour)
		require.Error(t, b.transport.Probe(t.Context()))
		require.Equal(t, 3, b.requests(tokensRoute), "a probe is one request, and so is what it needs")
	})
}
