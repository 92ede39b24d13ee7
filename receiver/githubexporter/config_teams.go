// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/pattern"
	"github.com/seed-358c4d9d/githubexporter/internal/teams"
)

// minTeamsInterval is the shortest time between two readings of teams. It is for tests: teams seldom change.
const minTeamsInterval = minInterval

// TeamsConfig selects the teams whose members are shown.
type TeamsConfig struct {
	// Enabled reads the teams of every organization, with its credential, and shows their members as
	// gh_user_team_info. Needs the permission Members: read.
	Enabled bool `mapstructure:"enabled"`
	// Interval is the time between two readings.
	Interval time.Duration `mapstructure:"interval"`
	// Include are the slugs, or patterns of slugs, of the teams to read. At least one. The wildcards are * and ? alone,
	// and case is ignored. A pattern that matches no team is a warning in the log.
	Include []string `mapstructure:"include"`
	// Exclude are the slugs, or patterns of slugs, of teams to leave out.
	Exclude []string `mapstructure:"exclude"`
	// Nested counts the members of child teams as members of their parents too, as GitHub does. false needs
	// github::api: graphql, because REST has no list without them.
	Nested bool `mapstructure:"nested"`
	// Secret reads secret teams too, which only their members can see on GitHub.
	Secret bool `mapstructure:"secret"`

	_ struct{}
}

func defaultTeams() TeamsConfig {
	return TeamsConfig{Interval: time.Hour, Include: []string{"*"}, Nested: true}
}

// Validate checks the interval and the patterns.
func (c *TeamsConfig) Validate() error {
	errs := []error{
		configcheck.DurationBetween("interval", c.Interval, minTeamsInterval, maxInterval),
		validPatterns("include", c.Include), validPatterns("exclude", c.Exclude),
	}
	if len(c.Include) == 0 {
		errs = append(errs, errors.New(`include: the list is empty, want at least one slug or pattern, "*" for all`))
	}
	return errors.Join(errs...)
}

// validateTeams refuses what teams cannot be read or shown with.
func (c *Config) validateTeams() error {
	switch {
	case !c.Teams.Enabled:
		return nil
	case c.Actors.Label == labelNone:
		return errors.New("teams::enabled: true with actors::label: none, want another label: without users there " +
			"are no members")
	case !c.Teams.Nested && c.GitHub.API == string(github.APIREST):
		return errors.New("teams::nested: false with github::api: rest, want true, or github::api: graphql: REST " +
			"lists the members of child teams with those of their parents")
	default:
		return nil
	}
}

// selection returns the selection of a configuration that was validated.
func (c *TeamsConfig) selection() (teams.Selection, error) {
	include, err := pattern.CompileList(c.Include)
	if err != nil {
		return teams.Selection{}, err
	}
	exclude, err := pattern.CompileList(c.Exclude)
	return teams.Selection{Include: include, Exclude: exclude, Nested: c.Nested, Secret: c.Secret}, err
}
