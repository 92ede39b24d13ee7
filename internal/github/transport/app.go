// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	gogithub "github.com/google/go-github/v66/github"
	"golang.org/x/sync/semaphore"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// AppSettings are of a GitHub App's installation
// (https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation).
type AppSettings struct {
	// AppID or ClientID names the App; where both are given ClientID does, which GitHub prefers
	// (https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app).
	AppID    int64
	ClientID string
	// InstallationID is 0 when it is to be requested: that of Org.
	InstallationID int64
	Org            string
	// PrivateKey returns the App's private key in PEM form. It is called for every token, so that a key may be
	// replaced.
	PrivateKey func() ([]byte, error)
}

const (
	// jwtLife is how long the App's own token is valid; GitHub accepts ten minutes.
	jwtLife = 9 * time.Minute
	// jwtBackdate allows for clocks that differ.
	jwtBackdate = time.Minute
	// refreshBefore is how long before its end an installation token is replaced. It lives an hour. No later, because a
	// request that has its token may still wait for a slot; no earlier, because ETags depend on the token.
	refreshBefore = 2 * time.Minute
)

// appCredential caches an installation token. One request refreshes it, however many wait for it.
type appCredential struct {
	settings AppSettings
	client   sender // set by New: the first of the clients that share the credential

	refreshing *semaphore.Weighted // held while a token is requested
	key        *rsa.PrivateKey     // the last valid one; guarded by refreshing
	keyErr     error               // why PrivateKey returned no newer one; guarded by refreshing

	mu                sync.Mutex
	foundInstallation int64 // the installation's id, when it was requested
	currentToken      string
	expires           time.Time
}

// AppCredential authenticates as a GitHub App's installation. Its error is that of a private key that cannot be read or
// parsed.
func AppCredential(settings AppSettings) (Credential, error) {
	key, err := settings.readKey()
	if err != nil {
		return nil, err
	}
	return &appCredential{settings: settings, key: key, refreshing: semaphore.NewWeighted(1)}, nil
}

// readKey calls PrivateKey and parses the result.
func (s *AppSettings) readKey() (*rsa.PrivateKey, error) {
	text, err := s.PrivateKey()
	if err != nil {
		return nil, err
	}
	return parseKey(text)
}

// issuer is the name under which the App signs its own token.
func (s *AppSettings) issuer() string {
	if s.ClientID != "" {
		return s.ClientID
	}
	return strconv.FormatInt(s.AppID, 10)
}

func (a *appCredential) bind(client sender) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client == nil {
		a.client = client
	}
}

func (a *appCredential) isApp() bool { return true }

// String hides the key.
func (a *appCredential) String() string { return "[REDACTED]" }

// GoString hides the key.
func (a *appCredential) GoString() string { return "[REDACTED]" }

func (a *appCredential) token(ctx context.Context, bypassLimits bool) (string, error) {
	if token, ok := a.cachedToken(); ok {
		return token, nil
	}
	if err := a.refreshing.Acquire(ctx, 1); err != nil {
		return "", err
	}
	defer a.refreshing.Release(1)
	if token, ok := a.cachedToken(); ok {
		return token, nil // another request has refreshed it meanwhile
	}
	token, expires, err := a.requestToken(ctx, bypassLimits)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.currentToken, a.expires = token, expires
	return token, nil
}

// cachedToken returns the current token, and whether it is valid for long enough.
func (a *appCredential) cachedToken() (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.client.GitHubNow() // the end is by GitHub's clock
	return a.currentToken, a.currentToken != "" && now.Before(a.expires.Add(-refreshBefore))
}

// invalidate deletes the token unless another request has replaced it.
func (a *appCredential) invalidate(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.currentToken == token {
		a.currentToken = ""
	}
	return true
}

// installation returns the id of the installation, 0 until it was requested.
func (a *appCredential) installation() int64 {
	if a.settings.InstallationID != 0 {
		return a.settings.InstallationID
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.foundInstallation
}

// setFoundInstallation records the id that GitHub returned; 0 to request it again.
func (a *appCredential) setFoundInstallation(id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.foundInstallation = id
}

// requestToken requests an installation token from the configured endpoint
// (https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app).
func (a *appCredential) requestToken(ctx context.Context, bypassLimits bool) (string, time.Time, error) {
	id := a.installation()
	if id == 0 {
		var err error
		if id, err = a.findInstallation(ctx, bypassLimits); err != nil {
			return "", time.Time{}, a.asCredentialError(err)
		}
		a.setFoundInstallation(id)
	}
	var token gogithub.InstallationToken
	err := a.sendAsApp(ctx, bypassLimits, http.MethodPost, "/app/installations/{installation_id}/access_tokens",
		"app/installations/"+strconv.FormatInt(id, 10)+"/access_tokens",
		func(body []byte) error { return decodeToken(body, &token) })
	if err != nil {
		if _, gone := errors.AsType[*NotFoundError](err); gone {
			a.setFoundInstallation(0) // an App that is installed again has another id
		}
		return "", time.Time{}, a.asCredentialError(err)
	}
	return token.GetToken(), token.GetExpiresAt().Time, nil
}

// findInstallation requests the installation in the organization
// (https://docs.github.com/rest/apps/apps#get-an-organization-installation-for-the-authenticated-app).
func (a *appCredential) findInstallation(ctx context.Context, bypassLimits bool) (int64, error) {
	var installation gogithub.Installation
	err := a.sendAsApp(ctx, bypassLimits, http.MethodGet, "/orgs/{org}/installation",
		"orgs/"+url.PathEscape(a.settings.Org)+"/installation",
		func(body []byte) error {
			if err := DecodeJSON(body, &installation); err != nil {
				return err
			}
			if installation.GetID() <= 0 {
				return errors.New("an installation without an id")
			}
			return nil
		})
	return installation.GetID(), err
}

// sendAsApp sends a request that the App's own token authorizes.
func (a *appCredential) sendAsApp(
	ctx context.Context, bypassLimits bool, method, endpoint, path string, read func(body []byte) error,
) error {
	return a.client.send(ctx, &exchange{
		bypassLimits: bypassLimits, signAsApp: a.sign,
		Call: &Call{
			Endpoint: endpoint, Resource: budget.ResourceREST, Price: 1, Method: method, Path: path,
			CallOptions: CallOptions{NoRetry: bypassLimits},
			Decode:      func(r Received) (BodyInfo, error) { return BodyInfo{Points: 1}, read(r.Body) },
		},
	})
}

// asCredentialError converts a refusal of the App into a *CredentialError. Other errors stay what they are.
func (a *appCredential) asCredentialError(err error) error {
	var (
		forbidden *ForbiddenError
		missing   *NotFoundError
		refused   *CredentialError
	)
	if unavailable, ok := errors.AsType[*UnavailableError](err); ok {
		unavailable.TooLarge = false // a smaller request needs a token as well
	}
	switch {
	case errors.As(err, &forbidden):
		return &CredentialError{Response: forbidden.Response, Err: errors.New("the installation may not be used")}
	case errors.As(err, &missing):
		return &CredentialError{Response: missing.Response, Err: errors.New("there is no such installation of the App")}
	case errors.As(err, &refused) && a.keyErr != nil:
		return &CredentialError{Response: refused.Response, Err: fmt.Errorf("the App's older key is used: %w",
			a.keyErr)}
	}
	return err
}

// decodeToken decodes an installation token. Its error is that of a response without one.
func decodeToken(body []byte, into *gogithub.InstallationToken) error {
	if err := DecodeJSON(body, into); err != nil {
		return err
	}
	if into.GetToken() == "" || into.GetExpiresAt().IsZero() {
		return errors.New("a response without a token")
	}
	return nil
}

// sign returns the App's own token, a JWT by GitHub's clock as far as its skew is known.
func (a *appCredential) sign() (string, error) {
	if key, err := a.settings.readKey(); err == nil {
		a.key, a.keyErr = key, nil
	} else {
		a.keyErr = err // the last one may still be valid
	}
	now := a.client.GitHubNow()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer:    a.settings.issuer(),
		IssuedAt:  jwt.NewNumericDate(now.Add(-jwtBackdate)),
		ExpiresAt: jwt.NewNumericDate(now.Add(jwtLife)),
	}).SignedString(a.key)
	if err != nil {
		return "", fmt.Errorf("sign the App's token: %w", err)
	}
	return signed, nil
}
