// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
)

// ActorsConfig configures the user label and which users are shown.
type ActorsConfig struct {
	// Bots is include, or exclude to leave out bots (name[bot]) and GitHub's own agents (Copilot[bot],
	// copilot-pull-request-reviewer[bot]).
	Bots string `mapstructure:"bots"`
	// Exclude are logins or patterns of users to leave out, bots with their suffix (dependabot[bot]). The wildcards are
	// * and ? alone, and case is ignored. A pattern that matches no known user is a warning in the log.
	Exclude []string `mapstructure:"exclude"`
	// Label is the content of the label user: login, id, hashed (keeps names off dashboards; it is not anonymity) or
	// none (one series for each repository, with user="_all").
	Label string `mapstructure:"label"`

	_ struct{}
}

const (
	botsInclude = "include"
	botsExclude = "exclude"

	labelLogin  = "login"
	labelID     = "id"
	labelHashed = "hashed"
	labelNone   = "none"
)

func defaultActors() ActorsConfig { return ActorsConfig{Bots: botsInclude, Label: labelLogin} }

// Validate checks the enumerations and the patterns.
func (c *ActorsConfig) Validate() error {
	return errors.Join(
		configcheck.OneOf("bots", c.Bots, botsInclude, botsExclude),
		configcheck.OneOf("label", c.Label, labelLogin, labelID, labelHashed, labelNone),
		validPatterns("exclude", c.Exclude))
}
