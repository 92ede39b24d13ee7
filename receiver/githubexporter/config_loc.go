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

// Values of loc::source.
const (
	locCommits    = "commits"
	locStatistics = "stats_contributors"
)

// LOCConfig configures the source of the weekly lines.
type LOCConfig struct {
	// Source is commits (each commit is read with its lines) or stats_contributors (commits are read without lines,
	// and GitHub's statistics give those of the last complete week, of at most 100 authors of a repository; there are
	// no sums of lines then).
	Source string `mapstructure:"source"`
	// RefreshInterval is the time between two requests for the statistics of a repository. Weekly lines that were not
	// confirmed for twice as long are stale.
	RefreshInterval time.Duration `mapstructure:"refresh_interval"`
	// Fallback configures the reading of single commits for repositories whose statistics have no lines, as GitHub's
	// have none from 10,000 commits on.
	Fallback LOCFallbackConfig `mapstructure:"fallback"`

	_ struct{}
}

// LOCFallbackConfig configures the reading of the lines of single commits where the statistics have none.
type LOCFallbackConfig struct {
	// Enabled reads the lines of single commits where the statistics are all zero. false: such repositories show none.
	Enabled bool `mapstructure:"enabled"`
	// MaxCommitsPerRepoPerWeek bounds the commits of a repository in a week whose lines are read.
	MaxCommitsPerRepoPerWeek int `mapstructure:"max_commits_per_repo_per_week"`
	// MaxCommitDetailCallsPerOrgPerHour bounds those requests for all repositories of an organization in an hour;
	// further ones wait.
	MaxCommitDetailCallsPerOrgPerHour int `mapstructure:"max_commit_detail_calls_per_org_per_hour"`
	// ZeroDetectionWindows is the number of responses in a row with commits and without lines after which the fallback
	// begins.
	ZeroDetectionWindows int `mapstructure:"zero_detection_windows"`
	// Cooldown is the time without requests for the statistics after the fallback has begun.
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

// settings returns the settings of the rounds, without their source and callbacks.
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
