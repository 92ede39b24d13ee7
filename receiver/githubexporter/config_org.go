package githubexporter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

// OrgConfig is an organization and how it is read.
type OrgConfig struct {
	// Name is the organization's login.
	Name string `mapstructure:"name"`
	// Auth is its credential.
	Auth AuthConfig `mapstructure:"auth"`
	// ScrapeInterval is from the beginning of one pass to the next.
	ScrapeInterval time.Duration `mapstructure:"scrape_interval"`
	// Repositories says which ones are read.
	Repositories RepositoriesConfig `mapstructure:"repositories"`
	// Concurrency is how many repositories are read at once.
	Concurrency int `mapstructure:"concurrency"`
	// Lookback is how far back a repository is read at first contact: the last 24 h at once, what is older afterwards.
	Lookback time.Duration `mapstructure:"lookback"`

	_ struct{}
}

// AuthConfig has exactly one of its credentials.
type AuthConfig struct {
	// Token is a personal access token, classic or fine-grained.
	Token *configopaque.String `mapstructure:"token"`
	// App is a GitHub App's installation.
	App *AppConfig `mapstructure:"app"`
	// Authenticator is the id of a client auth extension.
	Authenticator *component.ID `mapstructure:"authenticator"`

	_ struct{}
}

// AppConfig is a GitHub App's installation, the organization's where its id is left out, with exactly one name of the
// App, its numeric id or its client id, and exactly one form of the App's private key.
type AppConfig struct {
	AppID          int64                `mapstructure:"app_id"`
	ClientID       string               `mapstructure:"client_id"`
	InstallationID int64                `mapstructure:"installation_id"`
	PrivateKeyFile string               `mapstructure:"private_key_file"`
	PrivateKey     *configopaque.String `mapstructure:"private_key"`

	_ struct{}
}

// RepositoriesConfig says which repositories are read: those of which the name matches one of Include and none of
// Exclude. Both are names, or patterns with * and ?, with the organization in front or without it. Case is ignored.
type RepositoriesConfig struct {
	Include  []string `mapstructure:"include"`
	Exclude  []string `mapstructure:"exclude"`
	Archived bool     `mapstructure:"archived"`
	Forks    bool     `mapstructure:"forks"`

	_ struct{}
}

func defaultOrg() OrgConfig {
	return OrgConfig{
		ScrapeInterval: 5 * time.Minute,
		Repositories:   RepositoriesConfig{Include: []string{"*"}},
		Concurrency:    4,
		Lookback:       336 * time.Hour,
	}
}

// Unmarshal reads an organization over the defaults.
func (c *OrgConfig) Unmarshal(conf *confmap.Conf) error {
	*c = defaultOrg()
	return conf.Unmarshal(c, confmap.WithIgnoreUnused()) // unknown keys are the whole configuration's business
}

// key is the same for two names of one organization.
func (c *OrgConfig) key() string { return strings.ToLower(c.Name) }

// orgName is what GitHub allows in the login of an organization, underscores of managed accounts included.
var orgName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9_])?$`)

// Validate checks the name by what GitHub allows, and that patterns with an owner name this organization.
func (c *OrgConfig) Validate() error {
	var errs []error
	if !orgName.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("name: %s, want the login of an organization: letters, digits and hyphens",
			configcheck.QuoteUnlessSecret(c.Name)))
	}
	return errors.Join(append(errs,
		configcheck.DurationBetween("scrape_interval", c.ScrapeInterval, minInterval, maxInterval),
		configcheck.IntBetween("concurrency", c.Concurrency, 1, 100),
		configcheck.DurationBetween("lookback", c.Lookback, minLookback, maxRetention),
		c.validateOwners("include", c.Repositories.Include),
		c.validateOwners("exclude", c.Repositories.Exclude))...)
}

// validateOwners refuses patterns of repositories of another owner, which can match nothing.
func (c *OrgConfig) validateOwners(field string, patterns []string) error {
	var errs []error
	for i, p := range patterns {
		if name := c.withoutOwner(p); strings.Contains(name, "/") || (name == "" && p != "") {
			const wrong = "repositories::%s::%d: %s, want a repository of the organization %s: its name, or %s/NAME"
			errs = append(errs, fmt.Errorf(wrong, field, i, configcheck.QuoteUnlessSecret(p), c.Name, c.Name))
		}
	}
	return errors.Join(errs...)
}

// withoutOwner is a pattern of repositories without the organization in front of it.
func (c *OrgConfig) withoutOwner(pattern string) string {
	if owner, name, ok := strings.Cut(pattern, "/"); ok && strings.EqualFold(owner, c.Name) {
		return name
	}
	return pattern
}

// filter is what the settings of repositories select.
func (c *OrgConfig) filter() (collect.Filter, error) {
	names := func(patterns []string) []string {
		list := make([]string, len(patterns))
		for i, p := range patterns {
			list[i] = c.withoutOwner(p)
		}
		return list
	}
	repos := &c.Repositories
	return collect.NewFilter(names(repos.Include), names(repos.Exclude), repos.Archived, repos.Forks)
}

// Validate checks that there is exactly one credential. Its errors never contain a secret.
func (c *AuthConfig) Validate() error {
	var given []string
	for name, is := range map[string]bool{"token": c.Token != nil, "app": c.App != nil, "authenticator": c.Authenticator != nil} {
		if is {
			given = append(given, name)
		}
	}
	switch slices.Sort(given); len(given) {
	case 0:
		return errors.New("0 credentials, want exactly one of token, app, authenticator (is the environment variable set?)")
	case 1:
	default:
		return fmt.Errorf("%s: %d credentials, want exactly one of token, app, authenticator", strings.Join(given, " and "), len(given))
	}
	if c.Token != nil {
		return validSecret("token", string(*c.Token))
	}
	return nil
}

// validSecret refuses what is no secret, above all what an unset environment variable leaves. It never shows it.
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
		errs = append(errs, fmt.Errorf("installation_id: %d, want the installation's positive id, or nothing to have it found out", c.InstallationID))
	}
	if (c.PrivateKeyFile == "") == (c.PrivateKey == nil) {
		errs = append(errs, errors.New("private_key: want exactly one of private_key_file and private_key"))
	}
	if strings.ContainsAny(c.PrivateKeyFile, "\r\n") || strings.Contains(c.PrivateKeyFile, "-----BEGIN") {
		errs = append(errs, errors.New("private_key_file: has a key in it, want the name of a file; the key itself goes into private_key"))
	}
	if c.PrivateKey != nil && !strings.Contains(string(*c.PrivateKey), "-----BEGIN") {
		errs = append(errs, errors.New("private_key: not in PEM form, want the text that begins with -----BEGIN (is the environment variable set?)"))
	}
	if c.PrivateKey != nil {
		if err := github.CheckKeyLineBreaks(string(*c.PrivateKey)); err != nil {
			errs = append(errs, fmt.Errorf("private_key: %w", err))
		}
	}
	return errors.Join(errs...)
}

// clientID is what GitHub gives as the client id of an App, such as Iv23liABCDEF0123456789 or Iv1.0123456789abcdef. A
// client secret has 40 characters.
var clientID = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,31}$`)

// validateName refuses an App that has no name, or two.
func (c *AppConfig) validateName() error {
	switch {
	case c.AppID != 0 && c.ClientID != "":
		return errors.New("app_id, client_id: both are given, want exactly one of the App's numeric id and its client id")
	case c.ClientID != "" && !clientID.MatchString(c.ClientID):
		// The value may be a secret that was put into the wrong place.
		return errors.New("client_id: not a client id, want the App's such as Iv23liABCDEF0123456789; its numeric " +
			"id goes into app_id, and its client secret is not used")
	case c.ClientID == "" && c.AppID <= 0:
		return fmt.Errorf("app_id: %d, want the App's positive id, or client_id (is the environment variable set?)", c.AppID)
	}
	return nil
}

// Validate checks that something is included, and the patterns.
func (c *RepositoriesConfig) Validate() error {
	if len(c.Include) == 0 {
		return errors.New(`include: the list is empty, want at least one name or pattern, "*" for all`)
	}
	return errors.Join(validPatterns("include", c.Include), validPatterns("exclude", c.Exclude))
}
