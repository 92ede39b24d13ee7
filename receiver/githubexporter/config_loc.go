// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/internal/loc/rounds"
)

// Where weekly lines come from.
const (
	locCommits    = "commits"
	locStatistics = "stats_contributors"
)

// LOCConfig is where the weekly lines come from.
type LOCConfig struct {
	// Source is commits (every commit is read with its lines) or stats_contributors (commits are read without lines,
	// and GitHub's statistics are asked for those of the last complete week).
	Source string `mapstructure:"source"`
	// RefreshInterval is how often the statistics of a repository are asked for. Weekly lines that were not confirmed
	// for twice as long are stale.
	RefreshInterval time.Duration `mapstructure:"refresh_interval"`
	// Fallback is for repositories of which the statistics have no lines.
	Fallback LOCFallbackConfig `mapstructure:"fallback"`

	_ struct{}
}

// LOCFallbackConfig is how the lines of single commits are read where the statistics have none.
type LOCFallbackConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// MaxCommitsPerRepoPerWeek bounds the commits of a week that are asked for their lines.
	MaxCommitsPerRepoPerWeek int `mapstructure:"max_commits_per_repo_per_week"`
	// MaxCommitDetailCallsPerOrgPerHour bounds those of all repositories of an organization in an hour; the rest waits.
	MaxCommitDetailCallsPerOrgPerHour int `mapstructure:"max_commit_detail_calls_per_org_per_hour"`
	// ZeroDetectionWindows is the number of responses in a row that must have commits and no line.
	ZeroDetectionWindows int `mapstructure:"zero_detection_windows"`
	// Cooldown is how long the statistics are not asked then.
	Cooldown time.Duration `mapstructure:"cooldown"`

	_ struct{}
}

func defaultLOC() LOCConfig {
	return LOCConfig{
		Source: locCommits, RefreshInterval: 24 * time.Hour,
		Fallback: LOCFallbackConfig{
			Enabled: true, MaxCommitsPerRepoPerWeek: 500, MaxCommitDetailCallsPerOrgPerHour: 1000,
			ZeroDetectionWindows: 2,
			Cooldown:             168 * time.Hour,
		},
	}
}

// Validate checks the source and the interval, up to 30 days.
func (c *LOCConfig) Validate() error {
	return errors.Join(
		configcheck.OneOf("source", c.Source, locCommits, locStatistics),
		configcheck.DurationBetween("refresh_interval", c.RefreshInterval, minInterval, 30*24*time.Hour))
}

// Validate checks the ranges, also where the fallback is disabled.
func (c *LOCFallbackConfig) Validate() error {
	return errors.Join(
		configcheck.IntBetween("max_commits_per_repo_per_week", c.MaxCommitsPerRepoPerWeek, 1, 100_000),
		configcheck.IntBetween("max_commit_detail_calls_per_org_per_hour", c.MaxCommitDetailCallsPerOrgPerHour, 1,
			1_000_000),
		configcheck.IntBetween("zero_detection_windows", c.ZeroDetectionWindows, 1, 1000),
		configcheck.DurationBetween("cooldown", c.Cooldown, minInterval, 365*24*time.Hour))
}

// statistics reports whether the weekly lines come from GitHub's statistics.
func (c *LOCConfig) statistics() bool { return c.Source == locStatistics }

// settings are those of the collector, but for who is asked.
func (c *LOCConfig) settings(retention time.Duration) rounds.Settings {
	return rounds.Settings{
		Rules: loc.Rules{
			RefreshInterval: c.RefreshInterval, Fallback: c.Fallback.Enabled,
			ZeroAnswers: c.Fallback.ZeroDetectionWindows, Cooldown: c.Fallback.Cooldown,
		},
		MaxCommits:        c.Fallback.MaxCommitsPerRepoPerWeek,
		MaxCommitsPerHour: c.Fallback.MaxCommitDetailCallsPerOrgPerHour, Retention: retention,
	}
}
