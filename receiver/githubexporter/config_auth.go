// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// AuthConfig is the credential for an organization: exactly one of its fields is set.
type AuthConfig struct {
	// Token is a personal access token, classic or fine-grained. Its permissions: docs/github-app.md.
	Token *configopaque.String `mapstructure:"token"`
	// App is an installation of a GitHub App. How to make one: docs/github-app.md.
	App *AppConfig `mapstructure:"app"`
	// Authenticator is the id of a client auth extension, such as bearertokenauth/github.
	Authenticator *component.ID `mapstructure:"authenticator"`

	_ struct{}
}

// AppConfig is an installation of a GitHub App; without its id, the one in the organization. Exactly one name of the
// App, its numeric id or its client id, is set, and exactly one form of its private key.
type AppConfig struct {
	// AppID is the numeric id of the App. Exactly one of it and client_id. Default: none.
	AppID int64 `mapstructure:"app_id"`
	// ClientID is the client id of the App, such as Iv23liABCDEF0123456789.
	ClientID string `mapstructure:"client_id"`
	// InstallationID is the id of the App's installation. Default: looked up for the organization.
	InstallationID int64 `mapstructure:"installation_id"`
	// PrivateKeyFile is the file with the App's private key. It is read for every token, so that a key is replaced
	// without a restart. Exactly one of it and private_key.
	PrivateKeyFile string `mapstructure:"private_key_file"`
	// PrivateKey is the private key itself, in PEM form.
	PrivateKey *configopaque.String `mapstructure:"private_key"`

	_ struct{}
}

// NamedApp is an App of the configuration, and the organization or the enterprise that it is the credential for.
type NamedApp struct {
	Owner string
	*AppConfig
}

// Apps returns the Apps of the organizations and of the enterprise.
func (c *Config) Apps() []NamedApp {
	var apps []NamedApp
	for i := range c.Orgs {
		if app := c.Orgs[i].Auth.App; app != nil {
			apps = append(apps, NamedApp{c.Orgs[i].Name, app})
		}
	}
	if app := c.Copilot.Enterprise.Auth.App; app != nil {
		apps = append(apps, NamedApp{c.Copilot.Enterprise.Slug, app})
	}
	return apps
}

// Unmarshal removes the line ends of what was read from a file, as with ${file:/run/secrets/token}.
func (c *AuthConfig) Unmarshal(conf *confmap.Conf) error {
	if err := conf.Unmarshal(c); err != nil {
		return err
	}
	if c.Token != nil {
		configcheck.TrimLineEnds(c.Token)
	}
	if c.App != nil {
		configcheck.TrimLineEnds(&c.App.ClientID)
	}
	return nil
}

// Validate checks that there is exactly one credential. Its errors never contain a secret.
func (c *AuthConfig) Validate() error {
	var given []string
	for name, is := range map[string]bool{
		"token": c.Token != nil, "app": c.App != nil,
		"authenticator": c.Authenticator != nil,
	} {
		if is {
			given = append(given, name)
		}
	}
	switch slices.Sort(given); len(given) {
	case 0:
		return errors.New(
			"0 credentials, want exactly one of token, app, authenticator (is the environment variable set?)")
	case 1:
	default:
		return fmt.Errorf("%s: %d credentials, want exactly one of token, app, authenticator",
			strings.Join(given, " and "), len(given))
	}
	if c.Token != nil {
		return validSecret("token", string(*c.Token))
	}
	return nil
}

// validSecret refuses texts that are no secret, such as what an unset environment variable leaves. Its errors never
// contain the text.
func validSecret(field, secret string) error {
	if secret == "" {
		return fmt.Errorf("%s: empty, want the secret (is the environment variable set?)", field)
	}
	if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%s: has white space or other characters that no token has, want the bare secret", field)
	}
	return nil
}

// Validate checks that there is one name of the App and one form of its key. Its errors never contain a secret.
func (c *AppConfig) Validate() error {
	var errs []error
	errs = append(errs, c.validateName())
	if c.InstallationID < 0 {
		errs = append(errs, fmt.Errorf(
			"installation_id: %d, want the installation's positive id, or nothing to have it found out",
			c.InstallationID))
	}
	if (c.PrivateKeyFile == "") == (c.PrivateKey == nil) {
		errs = append(errs, errors.New("private_key: want exactly one of private_key_file and private_key"))
	}
	if strings.ContainsAny(c.PrivateKeyFile, "\r\n") || strings.Contains(c.PrivateKeyFile, "-----BEGIN") {
		errs = append(errs, errors.New(
			"private_key_file: has a key in it, want the name of a file; the key itself goes into private_key"))
	}
	if c.PrivateKey != nil && !strings.Contains(string(*c.PrivateKey), "-----BEGIN") {
		errs = append(errs, errors.New("private_key: not in PEM form, want the text that begins with -----BEGIN (is "+
			"the environment variable set?)"))
	}
	if c.PrivateKey != nil {
		if err := transport.CheckKeyLineBreaks(string(*c.PrivateKey)); err != nil {
			errs = append(errs, fmt.Errorf("private_key: %w", err))
		}
	}
	return errors.Join(errs...)
}

// clientID matches the client ids that GitHub makes for Apps, such as Iv23liABCDEF0123456789 or Iv1.0123456789abcdef. A
// client secret, which has 40 characters, does not match.
var clientID = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,31}$`)

// validateName refuses an App that has neither or both of app_id and client_id.
func (c *AppConfig) validateName() error {
	switch {
	case c.AppID != 0 && c.ClientID != "":
		return errors.New(
			"app_id, client_id: both are given, want exactly one of the App's numeric id and its client id")
	case c.ClientID != "" && !clientID.MatchString(c.ClientID):
		// The value may be a secret that was put into the wrong place.
		return errors.New("client_id: not a client id, want the App's such as Iv23liABCDEF0123456789; its numeric " +
			"id goes into app_id, and its client secret is not used")
	case c.ClientID == "" && c.AppID <= 0:
		return fmt.Errorf("app_id: %d, want the App's positive id, or client_id (is the environment variable set?)",
			c.AppID)
	}
	return nil
}
