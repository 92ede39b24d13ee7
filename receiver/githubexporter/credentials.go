// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// credentials makes the credentials of organizations and the budgets of their limits. Organizations with the same
// credential share its budget and its installation token. It is not safe for concurrent use.
type credentials struct {
	newBudget func(credential string) budget.Budget
	budgets   map[string]budget.Budget
	apps      map[string]transport.Credential
}

func newCredentials(newBudget func(credential string) budget.Budget) *credentials {
	return &credentials{
		newBudget: newBudget, budgets: make(map[string]budget.Budget),
		apps: make(map[string]transport.Credential),
	}
}

// resolve returns the credential of a configuration, nil when an authenticator has it, and the budget of its limits.
func (c *credentials) resolve(auth *AuthConfig, org, endpoint string) (transport.Credential, budget.Budget, error) {
	name := credentialName(auth, org, endpoint)
	shared := c.budgets[name]
	if shared == nil {
		shared = c.newBudget(name)
		c.budgets[name] = shared
	}
	switch {
	case auth.Token != nil:
		return transport.TokenCredential(string(*auth.Token)), shared, nil
	case auth.App == nil:
		return nil, shared, nil // the HTTP client authenticates by itself
	case c.apps[name] != nil:
		return c.apps[name], shared, nil
	}
	app, err := appCredential(auth.App, org)
	c.apps[name] = app
	return app, shared, err
}

// credentialName returns the name of the limits that GitHub counts for a credential: organizations with equal names
// share them. It contains no secret: of a token it has a part of the SHA-256.
func credentialName(auth *AuthConfig, org, endpoint string) string {
	host := endpoint
	if u, err := url.Parse(endpoint); err == nil {
		host = u.Host
	}
	switch {
	case auth.Token != nil:
		sum := sha256.Sum256([]byte(*auth.Token))
		return host + "/token/" + hex.EncodeToString(sum[:8])
	case auth.App != nil && auth.App.InstallationID == 0:
		return fmt.Sprintf("%s/app/%s/%s", host, auth.App.identifier(), strings.ToLower(org))
	case auth.App != nil:
		return fmt.Sprintf("%s/app/%s/%d", host, auth.App.identifier(), auth.App.InstallationID)
	default:
		return host + "/authenticator/" + auth.Authenticator.String()
	}
}

// identifier returns the App's client id, or its id where there is none.
func (c *AppConfig) identifier() string {
	if c.ClientID != "" {
		return c.ClientID
	}
	return strconv.FormatInt(c.AppID, 10)
}

// appCredential returns the credential of an App's installation in an organization.
func appCredential(app *AppConfig, org string) (transport.Credential, error) {
	return transport.AppCredential(transport.AppSettings{
		AppID: app.AppID, ClientID: app.ClientID, InstallationID: app.InstallationID, Org: org,
		PrivateKey: privateKey(app),
	})
}

// privateKey returns a function that reads the key, from its file each time, so that a key can be replaced without a
// restart.
func privateKey(app *AppConfig) func() ([]byte, error) {
	return func() ([]byte, error) {
		if app.PrivateKey != nil {
			return []byte(*app.PrivateKey), nil
		}
		key, err := os.ReadFile(app.PrivateKeyFile)
		if err != nil {
			return nil, fmt.Errorf("auth::app::private_key_file: %w", err)
		}
		return key, nil
	}
}
