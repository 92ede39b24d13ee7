// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// TestRefusals: each answer that is none has its type, and only what may pass is asked again.
func TestRefusals(t *testing.T) {
	t.Parallel()
	unavailable := func(err error) bool { _, is := errorAs[*transport.UnavailableError](err); return is }
	forbidden := func(err error) bool { _, is := errorAs[*transport.ForbiddenError](err); return is }
	missing := func(err error) bool { _, is := errorAs[*transport.NotFoundError](err); return is }
	credential := func(err error) bool { _, is := errorAs[*transport.CredentialError](err); return is }
	for name, test := range map[string]struct {
		fault githubtest.Effect
		is    func(error) bool
		sent  int
	}{
		"401":           {githubtest.Status(401), credential, 1},
		"403":           {githubtest.Status(403), forbidden, 2},
		"404":           {githubtest.Status(404), missing, 2},
		"410":           {githubtest.Status(410), missing, 2},
		"422":           {githubtest.Status(422), missing, 1},
		"451":           {githubtest.Status(451), forbidden, 1},
		"500":           {githubtest.Status(500), unavailable, 3},
		"502":           {githubtest.Status(502), unavailable, 3},
		"503":           {githubtest.Status(503), unavailable, 3},
		"504":           {githubtest.Status(504), unavailable, 3},
		"reset":         {githubtest.ConnectionReset(), unavailable, 3},
		"truncated":     {githubtest.TruncatedJSON(), unavailable, 3},
		"HTML":          {githubtest.HTML(200), unavailable, 3},
		"wrong length":  {githubtest.WrongLength(), unavailable, 3},
		"redirect loop": {githubtest.RedirectLoop(), unavailable, 3},
		"huge":          {githubtest.HugeBody(40 << 20), unavailable, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := dataset("one")
			comment(data, 1, ago(time.Hour))
			b := newBench(t, github.APIREST, data)
			repo := b.repo("one")
			b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Route: commentsRoute}, Effect: test.fault})
			b.server.ResetRequests()
			_, outcome := b.read(since(repo, ago(24*time.Hour), activity.StreamComments))
			err := outcome.Failed[activity.StreamComments]
			require.Error(t, err)
			require.True(t, test.is(err), "%T: %v", err, err)
			require.NotContains(t, err.Error(), githubtest.DefaultToken)
			require.NotContains(t, err.Error(), b.server.URL, "the endpoint is named by its template")
			require.Less(t, len(err.Error()), 600)
			switch name {
			case "redirect loop", "huge": // who hangs up early may not be counted
			case "reset": // the transport itself repeats a request on a connection that was idle
				require.Contains(t, []int{3, 4}, b.requests(commentsRoute))
			default:
				require.Equal(t, test.sent, b.requests(commentsRoute))
			}
			b.server.ClearFaults()
			require.Len(t, b.all(since(repo, ago(24*time.Hour), activity.StreamComments)), 1, "it is well again")
		})
	}
}

func errorAs[T error](err error) (T, bool) {
	var target T
	for ; err != nil; err = unwrap(err) {
		if found, is := err.(T); is { //nolint:errorlint // the chain is walked here
			return found, true
		}
	}
	return target, false
}

func unwrap(err error) error {
	if wrapper, is := err.(interface{ Unwrap() error }); is {
		return wrapper.Unwrap()
	}
	return nil
}

// TestLimits: a limit in each of its forms is one *LimitError with the right moment, and until then nothing leaves.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		api       github.API
		fault     githubtest.Effect
		secondary bool
		wait      time.Duration // 0: the reset and the buffer
	}{
		"primary 403":        {github.APIREST, githubtest.PrimaryLimit(403), false, 0},
		"primary 429":        {github.APIREST, githubtest.PrimaryLimit(429), false, 0},
		"primary in GraphQL": {github.APIGraphQL, githubtest.PrimaryLimit(200), false, 0},
		"secondary 403": {
			github.APIREST, githubtest.SecondaryLimit(403, 30*time.Second), true,
			30 * time.Second,
		},
		"secondary 429": {
			github.APIREST, githubtest.SecondaryLimit(429, 90*time.Second), true,
			90 * time.Second,
		},
		"secondary without a wait": {github.APIREST, githubtest.SecondaryLimit(403, 0), true, time.Minute},
		"secondary in GraphQL":     {github.APIGraphQL, githubtest.SecondaryLimit(200, 0), true, time.Minute},
		"secondary in GraphQL with 403": {
			github.APIGraphQL, githubtest.SecondaryLimit(403, 45*time.Second), true,
			45 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.api, dataset("one"))
			b.server.InjectFault(githubtest.Fault{Effect: test.fault, Times: 1})
			_, err := b.discover()
			limit, is := errorAs[*transport.LimitError](err)
			require.True(t, is, "%T: %v", err, err)
			require.Equal(t, test.secondary, limit.Secondary)
			if test.wait > 0 {
				require.Equal(t, noon.Add(test.wait), limit.RetryAt)
			} else {
				require.True(t, limit.RetryAt.After(noon.Add(10*time.Second)))
				require.False(t, limit.RetryAt.After(noon.Add(time.Hour+11*time.Second)))
			}
			b.server.ResetRequests()
			for range 5 {
				_, err = b.discover()
				again, is := errorAs[*transport.LimitError](err)
				require.True(t, is)
				require.Equal(t, limit.RetryAt, again.RetryAt)
			}
			require.Empty(t, b.server.Requests(), "nothing leaves before")
			b.advance(limit.RetryAt.Sub(noon))
			_, err = b.discover()
			require.NoError(t, err)
			if test.secondary {
				require.True(t, b.seen[0].SecondaryLimit)
			}
		})
	}
}

// TestWaitsGrow: secondary limits that do not say how long they last are waited for longer and longer.
func TestWaitsGrow(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIREST, dataset("one"))
	b.server.InjectFault(githubtest.Fault{Effect: githubtest.SecondaryLimit(403, 0)})
	for _, wait := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute} {
		_, err := b.discover()
		limit, is := errorAs[*transport.LimitError](err)
		require.True(t, is)
		require.Equal(t, wait, limit.RetryAt.Sub(b.clock()))
		b.advance(wait)
	}
}

// TestFloor: the answer that leaves less than the floor is used, and then nothing leaves until the reset.
func TestFloor(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, dataset("one"), func(_ *githubtest.Settings,
			g *transport.Settings,
		) {
			g.RateLimit.MinRemaining = 200
		})
		b.server.SetUsed("default", githubtest.ResourceCore, 4850)
		b.server.SetUsed("default", githubtest.ResourceGraphQL, 4850)
		found, err := b.discover()
		require.NoError(t, err)
		require.Len(t, found, 1)
		b.server.ResetRequests()
		_, err = b.discover()
		limit, is := errorAs[*transport.LimitError](err)
		require.True(t, is, "%v", err)
		require.False(t, limit.Secondary)
		require.Empty(t, b.server.Requests())
	})
}

// TestServerWithoutLimits: Enterprise Server reports none, under its own paths, with and without a slash at the end.
func TestServerWithoutLimits(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for _, endpoint := range []string{"/api/v3", "/api/v3/", "/"} {
			data := dataset("one")
			commit(data, "one", ago(time.Hour))
			comment(data, 1, ago(time.Hour))
			b := newBench(t, api, data, func(s *githubtest.Settings, g *transport.Settings) {
				s.NoRateLimits = true
				g.Endpoint, g.RateLimit.MinRemaining = endpoint, 200
			})
			require.Len(t, b.all(since(b.repo("one"), ago(24*time.Hour), activity.StreamCommits,
				activity.StreamComments)), 2)
		}
	})
}

// TestRedirectToAnotherHost is not followed, and the credential does not go there.
func TestRedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		var mu sync.Mutex
		reached := 0
		elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			reached++
		}))
		t.Cleanup(elsewhere.Close)
		for _, status := range []int{301, 302, 307, 308} {
			b := newBench(t, api, dataset("one"))
			b.server.InjectFault(githubtest.Fault{Effect: githubtest.RedirectTo(status, elsewhere.URL+"/steal")})
			_, err := b.discover()
			_, is := errorAs[*transport.UnavailableError](err)
			require.True(t, is, "%v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		require.Zero(t, reached)
	})
}

// TestEndlessListings end.
func TestEndlessListings(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	comment(data, 1, ago(time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Operation: "Discover"},
		Effect: githubtest.NextLinkLoop(),
	})
	_, err := b.discover()
	_, is := errorAs[*transport.UnavailableError](err)
	require.True(t, is, "%v", err)
	require.Less(t, b.requests("Discover"), 10)
}

// TestWaitingEndsWithTheContext: neither a hanging request nor the wait before the next attempt holds anybody up.
func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]githubtest.Effect{
		"hanging": githubtest.Hang(),
		"waiting": githubtest.Status(503),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIREST, dataset("one"), func(_ *githubtest.Settings, g *transport.Settings) {
				g.Retry = transport.RetrySettings{MaxAttempts: 5, InitialInterval: time.Hour, MaxInterval: time.Hour}
			})
			b.server.InjectFault(githubtest.Fault{Effect: fault})
			ctx, cancel := context.WithCancel(t.Context())
			b.server.OnRequest(func(githubtest.RequestInfo) { time.AfterFunc(20*time.Millisecond, cancel) })
			err := b.client.Discover(ctx, org, func([]activity.Repository) error { return nil })
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

// TestHostileNames: values that no valid response has are left out and counted.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		comment(data, 1, ago(time.Hour)).Login = new("evil\nlogin")
		comment(data, 1, ago(time.Hour)).Login = new(strings.Repeat("x", 100_000))
		comment(data, 1, ago(time.Hour))
		b := newBench(t, api, data)
		require.Len(t, b.all(since(b.repo("one"), ago(24*time.Hour), activity.StreamComments)), 1)
		require.Len(t, b.invalid, 2)
		for _, err := range b.invalid {
			require.Less(t, len(err.Error()), 300)
			require.NotContains(t, err.Error(), "\n")
		}
	})
}

// privateKey is an App's key and its PEM form.
func privateKey(t *testing.T) (*rsa.PrivateKey, []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

const tokensRoute = "/app/installations/{installation_id}/access_tokens"

// withApp makes a server with an App and a client that authenticates as its installation.
func withApp(t *testing.T, public *rsa.PublicKey, pemKey []byte) *bench {
	t.Helper()
	return newBench(t, github.APIGraphQL, dataset("one"), func(s *githubtest.Settings, g *transport.Settings) {
		s.Apps = []githubtest.App{{ID: 11, PublicKey: public, Installations: []githubtest.Installation{{
			ID:  22,
			Org: org,
		}}}}
		s.Credentials = []githubtest.Credential{{Token: "unused", Login: "l"}}
		credential, err := transport.AppCredential(transport.AppSettings{
			AppID: 11, InstallationID: 22,
			PrivateKey: fixed(pemKey),
		})
		require.NoError(t, err)
		g.Credential = credential
	})
}

// TestAppCredential: one token for many at once, a new one before it expires, and one when GitHub no longer takes it.
func TestAppCredential(t *testing.T) {
	t.Parallel()
	key, pemKey := privateKey(t)
	b := withApp(t, &key.PublicKey, pemKey)
	var everybody sync.WaitGroup
	for range 20 {
		everybody.Go(func() {
			if _, err := b.discover(); err != nil {
				t.Error(err)
			}
		})
	}
	everybody.Wait()
	require.Equal(t, 1, b.requests(tokensRoute))
	b.advance(57 * time.Minute)
	_, err := b.discover()
	require.NoError(t, err)
	require.Equal(t, 1, b.requests(tokensRoute))
	b.advance(2 * time.Minute)
	_, err = b.discover()
	require.NoError(t, err)
	require.Equal(t, 2, b.requests(tokensRoute), "two minutes before its end")
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Operation: "Discover"}, Times: 1,
		Effect: githubtest.Status(401),
	})
	_, err = b.discover()
	require.NoError(t, err)
	require.Equal(t, 3, b.requests(tokensRoute), "a token that ended early is replaced once")
}

// TestAppRefused is a matter of the credential.
func TestAppRefused(t *testing.T) {
	t.Parallel()
	key, _ := privateKey(t)
	_, otherPEM := privateKey(t)
	b := withApp(t, &key.PublicKey, otherPEM)
	_, err := b.discover()
	_, is := errorAs[*transport.CredentialError](err)
	require.True(t, is, "%T: %v", err, err)
	_, err = transport.AppCredential(transport.AppSettings{
		AppID: 1, InstallationID: 2,
		PrivateKey: fixed([]byte("-----BEGIN NONSENSE")),
	})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "NONSENSE")
}
