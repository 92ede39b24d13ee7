// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
)

const (
	// maxVCSRefs is GitHub's largest page, maxVCSRefsPerOrg bounds the series of an organization.
	maxVCSRefs       = 100
	maxVCSRefsPerOrg = 1_000_000
)

// VCSConfig bounds the metrics vcs.* that have a series for each branch.
type VCSConfig struct {
	// MaxRefs bounds, by repository, the open pull requests and the merged ones that are shown by their branches, the
	// newest ones each, and the branches that are compared with the default branch, the first ones by name.
	MaxRefs int `mapstructure:"max_refs"`
	// MaxRefsPerOrg bounds the pull requests of an organization that are shown by their branches, and the branches that
	// are compared with the default branch; a warning says when some are not.
	MaxRefsPerOrg int `mapstructure:"max_refs_per_org"`
	// MergedFor is how long a pull request is shown by its branches after it was merged.
	MergedFor time.Duration `mapstructure:"merged_for"`

	_ struct{}
}

func defaultVCS() VCSConfig {
	return VCSConfig{MaxRefs: maxVCSRefs, MaxRefsPerOrg: 10_000, MergedFor: 7 * 24 * time.Hour}
}

// Validate checks the settings.
func (c *VCSConfig) Validate() error {
	return errors.Join(
		configcheck.IntBetween("max_refs", c.MaxRefs, 1, maxVCSRefs),
		configcheck.IntBetween("max_refs_per_org", c.MaxRefsPerOrg, 1, maxVCSRefsPerOrg),
		configcheck.DurationBetween("merged_for", c.MergedFor, minInterval, maxRetention))
}

// vcsReading returns what is read for the enabled metrics vcs.*.
func (c *Config) vcsReading(source collect.VCSSource) collect.VCSSettings {
	m := &c.Metrics
	details := github.ChangeDetails{
		States: m.VcsChangeDuration.Enabled, Approvals: m.VcsChangeTimeToApproval.Enabled,
		Lines: m.VcsRefLinesDelta.Enabled,
	}
	if details.States || details.Approvals || details.Lines || m.VcsChangeTimeToMerge.Enabled ||
		m.VcsRefRevisionsDelta.Enabled { // it has the pull requests of the branches
		details.MaxRows = c.VCS.MaxRefs
	}
	settings := collect.VCSSettings{
		Source: source, Changes: m.VcsChangeCount.Enabled || details.MaxRows > 0, Details: details,
		Contributors: m.VcsContributorCount.Enabled,
	}
	if m.VcsRefRevisionsDelta.Enabled || m.VcsRefTime.Enabled {
		settings.Branches, settings.MaxRefs, settings.MaxRefsPerOrg = true, c.VCS.MaxRefs, c.VCS.MaxRefsPerOrg
	}
	return settings
}

// vcsEmission returns the settings of the metrics vcs.*.
func (c *Config) vcsEmission() emit.VCSSettings {
	return emit.VCSSettings{
		WebURL: github.WebURL(c.GitHub.Endpoint), MaxRefs: c.VCS.MaxRefsPerOrg, MergedFor: c.VCS.MergedFor,
	}
}
