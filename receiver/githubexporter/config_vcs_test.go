// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

// TestVCSReadingOfMetrics checks that each metric vcs.* switches on what it needs and nothing else.
func TestVCSReadingOfMetrics(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		enable func(c *Config)
		want   collect.VCSSettings
	}{
		{"none", func(*Config) {}, collect.VCSSettings{}},
		{"facts", func(c *Config) {
			c.Metrics.VcsRepositoryCount.Enabled, c.Metrics.VcsRefCount.Enabled = true, true
		}, collect.VCSSettings{}},
		{
			"changes", func(c *Config) { c.Metrics.VcsChangeCount.Enabled = true },
			collect.VCSSettings{Changes: true},
		},
		{
			"contributors", func(c *Config) { c.Metrics.VcsContributorCount.Enabled = true },
			collect.VCSSettings{Contributors: true},
		},
		{
			"duration", func(c *Config) { c.Metrics.VcsChangeDuration.Enabled = true },
			collect.VCSSettings{Changes: true, Details: github.ChangeDetails{MaxRows: 100, States: true}},
		},
		{
			"approval", func(c *Config) { c.Metrics.VcsChangeTimeToApproval.Enabled = true },
			collect.VCSSettings{Changes: true, Details: github.ChangeDetails{MaxRows: 100, Approvals: true}},
		},
		{
			"merge", func(c *Config) { c.Metrics.VcsChangeTimeToMerge.Enabled, c.VCS.MaxRefs = true, 7 },
			collect.VCSSettings{Changes: true, Details: github.ChangeDetails{MaxRows: 7}},
		},
		{
			"lines", func(c *Config) { c.Metrics.VcsRefLinesDelta.Enabled = true },
			collect.VCSSettings{Changes: true, Details: github.ChangeDetails{MaxRows: 100, Lines: true}},
		},
		{
			"revisions", func(c *Config) { c.Metrics.VcsRefRevisionsDelta.Enabled, c.VCS.MaxRefs = true, 7 },
			collect.VCSSettings{
				Changes: true, Details: github.ChangeDetails{MaxRows: 7}, Branches: true, MaxRefs: 7,
				MaxRefsPerOrg: 10_000,
			},
		},
		{
			"age", func(c *Config) { c.Metrics.VcsRefTime.Enabled = true },
			collect.VCSSettings{Branches: true, MaxRefs: 100, MaxRefsPerOrg: 10_000},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config, ok := createDefaultConfig().(*Config)
			require.True(t, ok)
			test.enable(config)
			require.Equal(t, test.want, config.vcsReading(nil))
		})
	}
}

// TestVCSConfig checks the defaults and the ranges.
func TestVCSConfig(t *testing.T) {
	t.Parallel()
	config := defaultVCS()
	require.NoError(t, config.Validate())
	for message, change := range map[string]func(c *VCSConfig){
		"max_refs: 0":           func(c *VCSConfig) { c.MaxRefs = 0 },
		"max_refs: 101":         func(c *VCSConfig) { c.MaxRefs = 101 },
		"max_refs_per_org: 0":   func(c *VCSConfig) { c.MaxRefsPerOrg = 0 },
		"merged_for: 500ms":     func(c *VCSConfig) { c.MergedFor = 500 * time.Millisecond },
		"merged_for: 100000h0m": func(c *VCSConfig) { c.MergedFor = 100_000 * time.Hour },
	} {
		wrong := defaultVCS()
		change(&wrong)
		require.ErrorContains(t, wrong.Validate(), message)
	}
}
