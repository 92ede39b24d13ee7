// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

func TestLabels(t *testing.T) {
	t.Parallel()
	ada, bot, ghost := activity.Actor{ID: 7, Login: "ada"}, activity.Bot(9, "renovate"), activity.Ghost()
	label := func(exclude ...string) ActorsConfig {
		return ActorsConfig{Bots: "include", Label: "login", Exclude: exclude}
	}
	for name, test := range map[string]struct {
		config ActorsConfig
		want   [3]string // of ada, the bot and the ghost; empty when not shown
	}{
		"login":        {ActorsConfig{Bots: "include", Label: "login"}, [3]string{"ada", "renovate[bot]", "ghost"}},
		"id":           {ActorsConfig{Bots: "include", Label: "id"}, [3]string{"7", "9", "ghost"}},
		"hashed":       {ActorsConfig{Bots: "include", Label: "hashed"}, [3]string{"7a05e1f0c8a7ba72", "", "ghost"}},
		"none":         {ActorsConfig{Bots: "include", Label: "none"}, [3]string{"_all", "_all", "_all"}},
		"without bots": {ActorsConfig{Bots: "exclude", Label: "login"}, [3]string{"ada", "", "ghost"}},
		"excluded":     {label("a*"), [3]string{"", "renovate[bot]", "ghost"}},
		"bot by name":  {label("Renovate[bot]", "renovateb", "{ada,ghost}"), [3]string{"ada", "", "ghost"}},
		"other case":   {label("ADA", "gh?st"), [3]string{"", "renovate[bot]", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			label := newUserLabels(&test.config).labelFor
			for i, actor := range []activity.Actor{ada, bot, ghost} {
				got, shown := label(actor)
				if name == "hashed" && actor.Login != "ghost" {
					require.Len(t, got, 16)
					require.NotContains(t, got, "a da")
					continue
				}
				require.Equal(t, test.want[i] != "", shown)
				require.Equal(t, test.want[i], got)
			}
		})
	}
}

// TestUnmatchedUsers: a pattern is unmatched until a user of any organization matches it, a bot that is not shown as
// well.
func TestUnmatchedUsers(t *testing.T) {
	t.Parallel()
	u := newUserLabels(&ActorsConfig{Bots: "exclude", Label: "login", Exclude: []string{
		"Ada", "*[bot]", "{a,b}",
		"bob",
	}})
	require.Equal(t, []string{"Ada", "*[bot]", "{a,b}", "bob"}, u.unmatchedPatterns())
	for _, a := range []activity.Actor{{ID: 7, Login: "ada"}, activity.Bot(9, "renovate"), activity.Ghost()} {
		u.labelFor(a)
	}
	require.Equal(t, []string{"{a,b}", "bob"}, u.unmatchedPatterns())
}

// TestAgentsInOlderRecords: what was recorded of an agent under another login, or without the mark of a bot, is a
// bot's.
func TestAgentsInOlderRecords(t *testing.T) {
	t.Parallel()
	shown, hidden := newUserLabels(&ActorsConfig{Bots: "include", Label: "login"}),
		newUserLabels(&ActorsConfig{Bots: "exclude", Label: "login"})
	for _, a := range []activity.Actor{
		{ID: 198982749, Login: "Copilot"},
		activity.Bot(198982749, "copilot-swe-agent"),
	} {
		label, _ := shown.labelFor(a)
		require.Equal(t, "Copilot[bot]", label)
		_, there := hidden.labelFor(a)
		require.False(t, there)
	}
}
