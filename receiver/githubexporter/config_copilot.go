// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/download"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// CopilotConfig configures the Copilot usage reports of all organizations, and those of an enterprise.
type CopilotConfig struct {
	// Enabled reads the reports of the organizations, each with its credential, and of the enterprise.
	Enabled bool `mapstructure:"enabled"`
	// Orgs are the names of the organizations whose reports are read, some of those in orgs. Default: all.
	Orgs []string `mapstructure:"orgs"`
	// ScrapeInterval is the time between two requests of a report.
	ScrapeInterval time.Duration `mapstructure:"scrape_interval"`
	// RequestTimeout is the time-out of a request for the links of a report.
	RequestTimeout time.Duration `mapstructure:"request_timeout"`
	// DownloadTimeout is the time-out of the download of a file.
	DownloadTimeout time.Duration `mapstructure:"download_timeout"`
	// Org28d reads the aggregate of each organization over 28 days.
	Org28d bool `mapstructure:"org_28d"`
	// OrgUsers28d reads the users of each organization over 28 days.
	OrgUsers28d bool `mapstructure:"org_users_28d"`
	// Enterprise28d reads the aggregate of the enterprise over 28 days. Needs enterprise::slug.
	Enterprise28d bool `mapstructure:"enterprise_28d"`
	// EnterpriseUsers28d reads the users of the enterprise over 28 days. Needs enterprise::slug.
	EnterpriseUsers28d bool `mapstructure:"enterprise_users_28d"`
	// Teams reads the teams of the newest day, of each owner with a report of 28 days.
	Teams bool `mapstructure:"teams"`
	// Repos reads the pull requests of each repository on the newest day, of each owner with a report of 28 days. Needs
	// pull_request_activity.
	Repos bool `mapstructure:"repos"`
	// Seats reads the numbers of seats of each owner with a report of 28 days.
	Seats bool `mapstructure:"seats"`
	// PullRequestActivity shows the metrics of pull requests.
	PullRequestActivity bool `mapstructure:"pull_request_activity"`
	// Breakdown adds series for each value of a dimension, beside the totals.
	Breakdown CopilotBreakdownConfig `mapstructure:"breakdown"`
	// DayLabel makes a series of each day, with the label day, in place of the sum over the days of a report.
	DayLabel bool `mapstructure:"day_label"`
	// ScopeLabel adds the labels scope and window, which say from which report a value is. Without them, an aggregate
	// over 28 days hides the days that were read in its place.
	ScopeLabel bool `mapstructure:"scope_label"`
	// MaxRecordsPerReport bounds the rows of a report that are used; what is above is dropped and counted. 0: all.
	MaxRecordsPerReport int `mapstructure:"max_records_per_report"`
	// MaxUsersPerReport bounds the users of a report that are used; what is above is dropped and counted. 0: all.
	MaxUsersPerReport int `mapstructure:"max_users_per_report"`
	// RefreshIfUnchanged reads the files of a report at each interval, although it is the one that was read before.
	RefreshIfUnchanged bool `mapstructure:"refresh_if_unchanged"`
	// DownloadHosts are the hosts that files are read from: names with * for a part of a label, or addresses. The proxy
	// and the certificates are those of github. At least one.
	DownloadHosts []string `mapstructure:"download_hosts"`
	// Enterprise is the enterprise of enterprise_28d and enterprise_users_28d.
	Enterprise CopilotEnterpriseConfig `mapstructure:"enterprise"`

	_ struct{}
}

// CopilotBreakdownConfig switches on the dimensions of the counts. Each adds series with one label.
type CopilotBreakdownConfig struct {
	// IDE adds series for each editor, with the label ide.
	IDE bool `mapstructure:"ide"`
	// Feature adds series for each feature of Copilot, with the label feature.
	Feature bool `mapstructure:"feature"`
	// Language adds series for each programming language, with the label language.
	Language bool `mapstructure:"language"`
	// Model adds series for each model, with the label model.
	Model bool `mapstructure:"model"`

	_ struct{}
}

// CopilotEnterpriseConfig is an enterprise with its credential.
type CopilotEnterpriseConfig struct {
	// Slug is the name of the enterprise in its URL, https://github.com/enterprises/SLUG.
	Slug string `mapstructure:"slug"`
	// Auth is the credential for the enterprise: exactly one of its settings. An App needs its installation_id, which
	// cannot be looked up.
	Auth EnterpriseAuthConfig `mapstructure:"auth"`

	_ struct{}
}

// EnterpriseAuthConfig is an AuthConfig that may be empty: without an enterprise there is no credential for it.
type EnterpriseAuthConfig AuthConfig

// Unmarshal removes line ends as that of an AuthConfig does.
func (c *EnterpriseAuthConfig) Unmarshal(conf *confmap.Conf) error {
	return (*AuthConfig)(c).Unmarshal(conf)
}

func defaultCopilot() CopilotConfig {
	return CopilotConfig{
		ScrapeInterval: 6 * time.Hour, RequestTimeout: 30 * time.Second, DownloadTimeout: 90 * time.Second,
		Org28d: true, Seats: true, PullRequestActivity: true, ScopeLabel: true,
		DownloadHosts: download.DefaultHosts(),
	}
}

// maxReportCap is the largest value of the caps of a report.
const maxReportCap = 1_000_000_000

// Validate checks the ranges and the hosts, and that there is something to read.
func (c *CopilotConfig) Validate() error {
	errs := []error{
		configcheck.DurationBetween("scrape_interval", c.ScrapeInterval, minInterval, maxInterval),
		configcheck.DurationBetween("request_timeout", c.RequestTimeout, minInterval, time.Hour),
		configcheck.DurationBetween("download_timeout", c.DownloadTimeout, minInterval, 24*time.Hour),
		configcheck.IntBetween("max_records_per_report", c.MaxRecordsPerReport, 0, maxReportCap),
		configcheck.IntBetween("max_users_per_report", c.MaxUsersPerReport, 0, maxReportCap),
		c.validateReports(),
	}
	if len(c.DownloadHosts) == 0 {
		errs = append(errs, errors.New("download_hosts: the list is empty, want at least one host, such as "+
			"copilot-reports.github.com"))
	}
	for i, host := range c.DownloadHosts {
		if download.CheckHost(host) != nil {
			errs = append(errs, fmt.Errorf("download_hosts::%d: %s, want the name of a host without a scheme and a "+
				"port, with * for a part of it, or an address", i, configcheck.QuoteUnlessSecret(host)))
		}
	}
	return errors.Join(errs...)
}

// validateReports refuses switches that have no effect together.
func (c *CopilotConfig) validateReports() error {
	if c.readsEnterprise() && c.Enterprise.Slug == "" {
		return errors.New("enterprise::slug: empty, want the slug of the enterprise for enterprise_28d and " +
			"enterprise_users_28d")
	}
	switch {
	case !c.Enabled:
		return nil
	case !c.readsOrgs() && !c.readsEnterprise():
		return errors.New("enabled: true without a report, want at least one of org_28d, org_users_28d, " +
			"enterprise_28d and enterprise_users_28d")
	case c.Enterprise.Slug != "" && !c.readsEnterprise():
		return errors.New("enterprise: set without a report of it, want enterprise_28d or enterprise_users_28d")
	case c.Repos && !c.PullRequestActivity:
		return errors.New("repos: true with pull_request_activity: false, want pull_request_activity: true, because " +
			"the reports of repositories have nothing else")
	}
	return nil
}

// enterpriseSlug matches what GitHub makes of the name of an enterprise.
var enterpriseSlug = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9_])?$`)

// Validate checks the slug, and that there is exactly one credential if there is an enterprise. Its errors never
// contain a secret.
func (c *CopilotEnterpriseConfig) Validate() error {
	auth := AuthConfig(c.Auth)
	if c.Slug == "" {
		if auth != (AuthConfig{}) {
			return errors.New("slug: empty, want the slug of the enterprise that auth is for")
		}
		return nil
	}
	var errs []error
	if !enterpriseSlug.MatchString(c.Slug) {
		errs = append(errs, fmt.Errorf("slug: %s, want the enterprise's name in https://github.com/enterprises/SLUG",
			configcheck.QuoteUnlessSecret(c.Slug)))
	}
	errs = append(errs, configcheck.PrefixPath("auth", auth.Validate()))
	if auth.App != nil && auth.App.InstallationID == 0 {
		errs = append(errs, errors.New("auth::app::installation_id: 0, want the id of the App's installation on the "+
			"enterprise, which cannot be looked up"))
	}
	return errors.Join(errs...)
}

// validateCopilot checks what the reports and the organizations must agree in.
func (c *Config) validateCopilot() error {
	return errors.Join(c.validateCopilotOrgs(), c.validateCopilotSeries())
}

// validateCopilotOrgs refuses names that are not among the organizations.
func (c *Config) validateCopilotOrgs() error {
	var errs []error
	for i, name := range c.Copilot.Orgs {
		if !slices.ContainsFunc(c.Orgs, func(org OrgConfig) bool { return org.IsOrg(name) }) {
			errs = append(errs, fmt.Errorf("copilot::orgs::%d: %s, want the name of one of the organizations in orgs",
				i, configcheck.QuoteUnlessSecret(name)))
		}
	}
	return errors.Join(errs...)
}

// validateCopilotSeries refuses an enterprise with the name of an organization if nothing distinguishes their series.
func (c *Config) validateCopilotSeries() error {
	if !c.Copilot.Enabled || c.Copilot.ScopeLabel || !c.Copilot.readsEnterprise() || !c.Copilot.readsOrgs() {
		return nil
	}
	for i := range c.Orgs {
		if c.Copilot.readsOrg(c.Orgs[i].Name) && c.Orgs[i].IsOrg(c.Copilot.Enterprise.Slug) {
			return fmt.Errorf("copilot::scope_label: false, want true: the enterprise %s and the organization %s "+
				"would have the same series", c.Copilot.Enterprise.Slug, c.Orgs[i].Name)
		}
	}
	return nil
}

// readsCopilot reports whether Copilot reports are read.
func (c *Config) readsCopilot() bool {
	return c.Copilot.Enabled && !isEnterpriseServer(c.GitHub.Endpoint)
}

// readsOrgs and readsEnterprise report which reports of 28 days are switched on.
func (c *CopilotConfig) readsOrgs() bool       { return c.Org28d || c.OrgUsers28d }
func (c *CopilotConfig) readsEnterprise() bool { return c.Enterprise28d || c.EnterpriseUsers28d }

// readsOrg reports whether the reports of an organization are read, where those of organizations are switched on.
func (c *CopilotConfig) readsOrg(name string) bool {
	return c.readsOrgs() && (len(c.Orgs) == 0 ||
		slices.ContainsFunc(c.Orgs, func(listed string) bool { return strings.EqualFold(listed, name) }))
}

// scopes returns the scopes with a report of 28 days.
func (c *CopilotConfig) scopes() []report.Scope {
	var scopes []report.Scope
	if c.readsOrgs() {
		scopes = append(scopes, report.ScopeOrganization)
	}
	if c.readsEnterprise() {
		scopes = append(scopes, report.ScopeEnterprise)
	}
	return scopes
}

// rules returns which reports of a scope are read.
func (c *CopilotConfig) rules(scope report.Scope) copilot.Rules {
	aggregate, users := c.Org28d, c.OrgUsers28d
	if scope == report.ScopeEnterprise {
		aggregate, users = c.Enterprise28d, c.EnterpriseUsers28d
	}
	rules := copilot.Rules{Interval: c.ScrapeInterval, RefreshUnchanged: c.RefreshIfUnchanged}
	for _, of := range []struct {
		isOn    bool
		content report.Content
		window  report.Window
	}{
		{aggregate, report.ContentAggregate, report.Window28Days},
		{users, report.ContentUsers, report.Window28Days},
		{c.Teams, report.ContentTeams, report.WindowDay},
		{c.Repos, report.ContentRepositories, report.WindowDay},
	} {
		if of.isOn {
			rules.Reports = append(rules.Reports, report.Type{Scope: scope, Content: of.content, Window: of.window})
		}
	}
	if c.Seats {
		rules.Seats = &scope
	}
	return rules
}

// usage returns the settings of the samples.
func (c *CopilotConfig) usage() usage.Settings {
	b := &c.Breakdown
	return usage.Settings{
		Breakdown: usage.Breakdown{Feature: b.Feature, IDE: b.IDE, Language: b.Language, Model: b.Model},
		ByDay:     c.DayLabel, MaxRecords: int64(c.MaxRecordsPerReport), MaxUsers: c.MaxUsersPerReport,
	}
}

// owner returns the owner of the documents of the enterprise.
func (c *CopilotEnterpriseConfig) owner() ledger.CopilotOwner {
	return ledger.CopilotOwner{Enterprise: strings.ToLower(c.Slug)}
}

// isEnterpriseServer reports whether an endpoint is that of GitHub Enterprise Server, whose REST API is at /api/v3
// (https://docs.github.com/enterprise-server/rest/enterprise-admin#endpoint-urls).
func isEnterpriseServer(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/api/v3")
}
