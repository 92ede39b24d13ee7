// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

func sign(t *testing.T, key *rsa.PrivateKey, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
	require.NoError(t, err)
	return "Bearer " + token
}

func TestAppTokens(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	c := &clock{at("12:00:00")}
	s := acme(t, func(set *githubtest.Settings) {
		set.Now = c.now
		set.Apps = []githubtest.App{{
			ID: 7, ClientID: "Iv1.x", Slug: "exporter", PublicKey: &key.PublicKey,
			Installations: []githubtest.Installation{
				{ID: 70, Org: "acme"}, {ID: 71, Org: "other", Suspended: true},
			},
		}}
	})
	app := sign(t, key, jwt.MapClaims{"iss": "Iv1.x", "iat": c.Unix() - 60, "exp": c.Unix() + 540})
	require.Equal(t, "exporter", dig(t, get(t, s, "/app", "Authorization", app).json(t), "slug"))
	require.Equal(t, 70., dig(t, get(t, s, "/orgs/acme/installation", "Authorization", app).json(t), "id"))
	require.Equal(t, []any{70., 71.}, column(t, get(t, s, "/app/installations", "Authorization", app).json(t), "id"))
	mint := func(id string) response {
		return do(
			t, request(t, s, http.MethodPost, "/app/installations/"+id+"/access_tokens", nil, "Authorization", app),
		)
	}
	made := mint("70")
	require.Equal(t, http.StatusCreated, made.StatusCode)
	require.Equal(t, "2026-03-04T13:00:00Z", dig(t, made.json(t), "expires_at"))
	token := "token " + dig(t, made.json(t), "token").(string)
	require.Equal(t, http.StatusOK, get(t, s, "/orgs/acme/repos", "Authorization", token).StatusCode)
	require.NotEqual(t, dig(t, made.json(t), "token"), dig(t, mint("70").json(t), "token"))
	require.Equal(t, http.StatusForbidden, mint("71").StatusCode)
	require.Equal(t, http.StatusNotFound, mint("72").StatusCode)
	require.Equal(
		t, http.StatusUnauthorized, get(t, s, "/orgs/acme", "Authorization", app).StatusCode,
		"an app itself sees no data",
	)
	require.Equal(t, http.StatusUnauthorized, get(t, s, "/app").StatusCode, "a user is no app")
	c.Time = c.Add(time.Hour)
	require.Equal(
		t, http.StatusUnauthorized, get(t, s, "/orgs/acme/repos", "Authorization", token).StatusCode, "expired",
	)
}

func TestAppJWTRules(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	wrong, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	s := acme(t, func(set *githubtest.Settings) { set.Apps = []githubtest.App{{ID: 7, PublicKey: &key.PublicKey}} })
	now := at("12:00:00").Unix()
	for name, c := range map[string]struct {
		header, message string
		status          int
	}{
		"good, id as number": {sign(t, key, jwt.MapClaims{"iss": 7, "iat": now, "exp": now + 600}), "", 200},
		"issued later": {
			sign(t, key, jwt.MapClaims{"iss": "7", "iat": now + 1, "exp": now + 60}), "'Issued at'", 401,
		},
		"issued at fraction": {
			sign(t, key, jwt.MapClaims{"iss": "7", "iat": float64(now) - 0.5, "exp": now + 60}), "'Issued at'", 401,
		},
		"expired": {
			sign(t, key, jwt.MapClaims{"iss": "7", "iat": now - 60, "exp": now}), "'Expiration time'", 401,
		},
		"too far": {
			sign(t, key, jwt.MapClaims{"iss": "7", "iat": now, "exp": now + 601}), "too far in the future", 401,
		},
		"unknown issuer": {
			sign(t, key, jwt.MapClaims{"iss": "8", "iat": now, "exp": now + 60}), "Integration not found", 404,
		},
		"wrong key": {
			sign(t, wrong, jwt.MapClaims{"iss": "7", "iat": now, "exp": now + 60}), "could not be decoded", 401,
		},
		"no token": {"Bearer x", "could not be decoded", 401},
	} {
		r := get(t, s, "/app", "Authorization", c.header)
		require.Equal(t, c.status, r.StatusCode, name)
		require.Contains(t, string(r.body), c.message, name)
	}
}
