// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
)

// ActorsConfig configures the user label and which users are shown.
type ActorsConfig struct {
	// Bots is include or exclude: whether bots are shown.
	Bots string `mapstructure:"bots"`
	// Exclude are the logins, or patterns with * and ?, of users that are not shown. Case is ignored.
	Exclude []string `mapstructure:"exclude"`
	// Label is the content of the user label: login, id, hashed or none.
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
