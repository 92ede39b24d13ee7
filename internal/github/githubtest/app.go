// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// Messages of GitHub about JSON web tokens.
const (
	msgJWTDecode = "A JSON web token could not be decoded"
	msgJWTIssued = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	msgJWTExpiry = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which " +
		"the assertion expires"
	msgJWTTooFar = "'Expiration time' claim ('exp') is too far in the future"
)

// maxJWTLife is how far in the future a token may expire
// (https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app#about-json-web-tokens-jwts).
const maxJWTLife = 10 * time.Minute

// authenticateApp admits a GitHub App by its JSON web token.
func (x *exchange) authenticateApp() (response, bool) {
	_, token, _ := strings.Cut(x.r.Header.Get("Authorization"), " ")
	app, status, message := x.s.verifyJWT(token)
	if app == nil {
		x.setCredential(&Credential{Orgs: []string{}})
		return errorResponse(status, message), false
	}
	x.identify(
		&Credential{
			Name: "app-" + strconv.FormatInt(app.ID, 10), Bucket: "app:" + strconv.FormatInt(app.ID, 10), app: app,
		},
	)
	return response{}, true
}

func (s *Server) verifyJWT(token string) (*App, int, string) {
	claims := jwt.MapClaims{}
	var app *App
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation(), jwt.WithJSONNumber(),
	)
	_, err := parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) {
		app = s.appByIssuer(claims["iss"])
		if app == nil {
			return nil, errUnknownApp
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return app.PublicKey, nil
	})
	switch {
	case errors.Is(err, errUnknownApp):
		return nil, http.StatusNotFound, "Integration not found"
	case err != nil:
		return nil, http.StatusUnauthorized, msgJWTDecode
	}
	now := s.now().Unix()
	iat, iatErr := strconv.ParseInt(fmt.Sprint(claims["iat"]), 10, 64)
	exp, expErr := strconv.ParseInt(fmt.Sprint(claims["exp"]), 10, 64)
	switch {
	case iatErr != nil || iat > now:
		return nil, http.StatusUnauthorized, msgJWTIssued
	case expErr != nil || exp <= now:
		return nil, http.StatusUnauthorized, msgJWTExpiry
	case exp > now+int64(maxJWTLife/time.Second):
		return nil, http.StatusUnauthorized, msgJWTTooFar
	}
	return app, 0, ""
}

// ReplaceAppKey lets another key verify an app's tokens; the one before is deleted.
func (s *Server) ReplaceAppKey(id int64, key *rsa.PublicKey) {
	app := s.appByIssuer(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	app.PublicKey = key
}

var errUnknownApp = errors.New("unknown app")

// appByIssuer finds an app by the iss claim: its client id or its id, as a string or a number.
func (s *Server) appByIssuer(iss any) *App {
	want := fmt.Sprint(iss)
	for i := range s.settings.Apps {
		a := &s.settings.Apps[i]
		if want == strconv.FormatInt(a.ID, 10) || a.ClientID != "" && want == a.ClientID {
			return a
		}
	}
	return nil
}

func (x *exchange) getApp() response {
	a := x.cred.app
	return newResponse(http.StatusOK, obj{
		"id": a.ID, "client_id": a.ClientID, "slug": a.Slug, "name": a.Slug, "node_id": served.NodeID("A", a.ID),
		"html_url": served.WebURL + "/apps/" + a.Slug, "installations_count": len(a.Installations),
	})
}

func (x *exchange) installationJSON(i Installation) obj {
	id := dataset.NumericID("org", i.Org)
	if o := x.Index.OrgByLogin[strings.ToLower(i.Org)]; o != nil {
		id = o.DatabaseID
	}
	j := obj{
		"id": i.ID, "app_id": x.cred.app.ID, "app_slug": x.cred.app.Slug, "client_id": x.cred.app.ClientID,
		"account": obj{"login": i.Org, "id": id, "type": "Organization"}, "target_type": "Organization",
		"target_id":            id,
		"repository_selection": "all", "permissions": permissions(i), "events": []string{}, "suspended_at": nil,
		"access_tokens_url": fmt.Sprintf("%s/app/installations/%d/access_tokens", x.base, i.ID),
		"html_url":          fmt.Sprintf("%s/organizations/%s/settings/installations/%d", served.WebURL, i.Org, i.ID),
		"created_at":        served.FormatTime(x.s.tl.Start), "updated_at": served.FormatTime(x.s.tl.Start),
	}
	if i.Suspended {
		j["suspended_at"] = served.FormatTime(x.s.tl.Start)
	}
	return j
}

func permissions(i Installation) map[string]string {
	p := map[string]string{"metadata": "read", "contents": "read", "issues": "read", "pull_requests": "read"}
	for _, f := range i.Forbidden {
		delete(p, f)
	}
	return p
}

func (x *exchange) listInstallations() response {
	return list(x, x.base+"/app/installations", x.cred.app.Installations, x.installationJSON)
}

// orgInstallation (https://docs.github.com/rest/apps/apps#get-an-organization-installation-for-the-authenticated-app).
func (x *exchange) orgInstallation() response {
	for _, i := range x.cred.app.Installations {
		if strings.EqualFold(i.Org, x.vars["org"]) {
			return newResponse(http.StatusOK, x.installationJSON(i))
		}
	}
	return notFoundResponse()
}

// tokenLength is how many characters an installation token has: some 520 since April 2026, and more is not excluded.
const tokenLength = 540

func installationToken(id int64, seq int) string {
	token := fmt.Sprintf("ghs_%d_%d_", id, seq)
	return token + strings.Repeat("x", tokenLength-len(token))
}

// createInstallationToken makes a token that expires after an hour
// (https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app).
func (x *exchange) createInstallationToken() response {
	for _, i := range x.cred.app.Installations {
		if i.ID != atoi(x.vars["installation_id"]) {
			continue
		}
		if i.Suspended {
			return errorResponse(http.StatusForbidden, "This installation has been suspended")
		}
		name := fmt.Sprintf("installation-%d", i.ID)
		c := Credential{
			Token: installationToken(i.ID, x.info.Seq), Name: name, Login: x.cred.app.Slug + "[bot]",
			Orgs:   []string{i.Org},
			Bucket: name, Forbidden: i.Forbidden, expiresAt: x.Now.Add(time.Hour).UTC().Truncate(time.Second),
		}
		x.s.AddCredential(c)
		return newResponse(http.StatusCreated, obj{
			"token": c.Token, "expires_at": served.FormatTime(c.expiresAt), "permissions": permissions(i),
			"repository_selection": "all",
		})
	}
	return notFoundResponse()
}
