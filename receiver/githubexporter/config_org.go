// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/pattern"
)

// OrgConfig configures one organization and its passes.
type OrgConfig struct {
	// Name is the login of the organization. Default: required.
	Name string `mapstructure:"name"`
	// Auth is the credential for the organization: exactly one of its settings.
	Auth AuthConfig `mapstructure:"auth"`
	// ScrapeInterval is the time from the start of one pass to the start of the next, with a jitter of a tenth.
	ScrapeInterval time.Duration `mapstructure:"scrape_interval"`
	// Repositories selects the repositories that are read: those whose name matches one of include and none of exclude.
	// The wildcards are * and ? alone, case is ignored, and ORG/NAME is NAME. A pattern that matches no repository is a
	// warning in the log.
	Repositories RepositoriesConfig `mapstructure:"repositories"`
	// Concurrency is the number of repositories that a pass, or a round over weekly lines, reads at a time, and the
	// bound of the organization's requests in flight.
	Concurrency int `mapstructure:"concurrency"`
	// Lookback is the length of the window that is read of a repository at first contact: its last 24 h at once, the
	// older part by backfill. At most retention.
	Lookback time.Duration `mapstructure:"lookback"`

	_ struct{}
}

// RepositoriesConfig selects the repositories whose name matches one of Include and none of Exclude. Both are names, or
// patterns with * and ?, with the organization in front or without it. Case is ignored.
type RepositoriesConfig struct {
	// Include are the names or patterns of the repositories to read. At least one.
	Include []string `mapstructure:"include"`
	// Exclude are the names or patterns of repositories to leave out.
	Exclude []string `mapstructure:"exclude"`
	// Archived reads archived repositories too. One that is archived later is read once more, and its metrics stay.
	Archived bool `mapstructure:"archived"`
	// Forks reads forks too.
	Forks bool `mapstructure:"forks"`

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

// Unmarshal reads an organization over the defaults. Unknown keys are refused by Config.Unmarshal.
func (c *OrgConfig) Unmarshal(conf *confmap.Conf) error {
	*c = defaultOrg()
	return conf.Unmarshal(c, confmap.WithIgnoreUnused())
}

// key returns the organization's key: two spellings of one login have the same.
func (c *OrgConfig) key() string { return strings.ToLower(c.Name) }

// orgName matches the logins that GitHub allows for an organization, underscores of managed accounts included.
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

// withoutOwner returns a pattern without the organization in front of it.
func (c *OrgConfig) withoutOwner(pattern string) string {
	if owner, name, ok := strings.Cut(pattern, "/"); ok && strings.EqualFold(owner, c.Name) {
		return name
	}
	return pattern
}

// filter returns the filter that the settings of repositories describe.
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

// Validate checks that something is included, and the patterns.
func (c *RepositoriesConfig) Validate() error {
	if len(c.Include) == 0 {
		return errors.New(`include: the list is empty, want at least one name or pattern, "*" for all`)
	}
	return errors.Join(validPatterns("include", c.Include), validPatterns("exclude", c.Exclude))
}

// validPatterns refuses texts that are not patterns of names.
func validPatterns(field string, patterns []string) error {
	var errs []error
	for i, p := range patterns {
		if _, err := pattern.Compile(p); err != nil {
			errs = append(errs, fmt.Errorf("%s::%d: %s, want a name or a pattern such as app-*", field, i,
				configcheck.QuoteUnlessSecret(p)))
		}
	}
	return errors.Join(errs...)
}
