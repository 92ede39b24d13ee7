// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"crypto/rsa"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// Credential is a token and what it may read.
type Credential struct {
	Token string
	// Name is the name in RequestInfo, which never has the token; empty means Login.
	Name string
	// Login is the login of the user of the token.
	Login string
	// Orgs are the logins of the owners whose repositories it may read, nil for all.
	Orgs []string
	// PublicOnly hides private and internal repositories.
	PublicOnly bool
	// Forbidden are the permissions that it lacks: "issues", "pull_requests", "contents", "metadata" (REST's list of
	// repositories), "members" (teams). REST answers 403 then, and names the permission in
	// X-Accepted-GitHub-Permissions; GraphQL nulls the field, and with it the object where the field cannot be null
	// (https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens).
	Forbidden []string
	// Scopes are those of a classic token, which each response has in a header; nil for another token
	// (https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps).
	Scopes []string
	// Expires is the end of a personal token, from which on it is refused; each response has it in a header. Zero means
	// never.
	Expires time.Time
	// Bucket is the name of its rate limit, which credentials with the same name share; empty means one for each login.
	Bucket string

	// app is the GitHub App whose JSON web token this is, nil for a token.
	app *App
	// expiresAt is the end of an installation's token, which no header shows; zero means never.
	expiresAt time.Time
}

// name returns the name of the credential in RequestInfo.
func (c *Credential) name() string { return cmp.Or(c.Name, c.Login, "token") }

// bucket returns the name of its rate limit.
func (c *Credential) bucket() string { return cmp.Or(c.Bucket, "user:"+cmp.Or(c.Login, c.Name)) }

// access returns what the credential may read.
func (c *Credential) access() served.Access {
	return served.Access{Owners: c.Orgs, PublicOnly: c.PublicOnly, Lacking: c.Forbidden}
}

// isExpired reports whether the credential has ended.
func (c *Credential) isExpired(now time.Time) bool {
	ended := func(end time.Time) bool { return !end.IsZero() && !now.Before(end) }
	return ended(c.expiresAt) || ended(c.Expires)
}

// credentialTable has the accepted tokens and the GitHub Apps. It is safe for concurrent use.
type credentialTable struct {
	mu     sync.RWMutex
	tokens map[string]*Credential
	apps   []App // PublicKey alone changes
}

func newCredentialTable(tokens []Credential, apps []App) *credentialTable {
	t := &credentialTable{tokens: map[string]*Credential{}, apps: apps}
	for _, c := range tokens {
		t.tokens[c.Token] = &c
	}
	return t
}

// add accepts a further token, or replaces what a token may read.
func (t *credentialTable) add(c Credential) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tokens[c.Token] = &c
}

// remove makes a token unknown.
func (t *credentialTable) remove(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tokens, token)
}

// bucketOf returns the rate limit of the credential of a name, empty for an unknown name.
func (t *credentialTable) bucketOf(name string) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, c := range t.tokens {
		if c.name() == name {
			return c.bucket()
		}
	}
	return ""
}

// find returns the credential of an Authorization header, nil for an unknown or expired token, and whether there is a
// header. It has one of two forms
// (https://docs.github.com/rest/authentication/authenticating-to-the-rest-api).
func (t *credentialTable) find(authorization string, now time.Time) (cred *Credential, given bool) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") && !strings.EqualFold(scheme, "token") {
		return nil, authorization != ""
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	cred = t.tokens[strings.TrimSpace(token)]
	if cred != nil && cred.isExpired(now) {
		return nil, true
	}
	return cred, true
}

// app returns the App of an iss claim, which is its client id or its id, as a string or a number; nil for none.
func (t *credentialTable) app(iss any) *App {
	want := fmt.Sprint(iss)
	for i := range t.apps {
		a := &t.apps[i]
		if want == strconv.FormatInt(a.ID, 10) || a.ClientID != "" && want == a.ClientID {
			return a
		}
	}
	return nil
}

// appKey returns the key of an App.
func (t *credentialTable) appKey(app *App) *rsa.PublicKey {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return app.PublicKey
}

// setAppKey replaces the key of an App.
func (t *credentialTable) setAppKey(id int64, key *rsa.PublicKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.app(id).PublicKey = key
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
