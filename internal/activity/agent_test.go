// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAgents checks that each agent of GitHub's is one bot, whatever its login in a response, and that no other account
// is.
func TestAgents(t *testing.T) {
	t.Parallel()
	coding, reviewer := Actor{198982749, "Copilot[bot]"}, Actor{175728472, "copilot-pull-request-reviewer[bot]"}
	for name, test := range map[string]struct{ given, want Actor }{
		"REST":                         {Bot(198982749, "Copilot"), coding},
		"GraphQL":                      {Bot(198982749, "copilot-swe-agent"), coding},
		"commits":                      {Actor{198982749, "Copilot"}, coding},
		"GraphQL without an id":        {Bot(0, "copilot-swe-agent"), coding},
		"a new login of the same id":   {Actor{198982749, "something-else"}, coding},
		"the reviewer of reviews":      {Bot(175728472, "copilot-pull-request-reviewer[bot]"), reviewer},
		"the reviewer of comments":     {Bot(175728472, "Copilot"), reviewer},
		"the reviewer without an id":   {Bot(0, "copilot-pull-request-reviewer"), reviewer},
		"a person":                     {Actor{5, "copilot-swe-agent"}, Actor{5, "copilot-swe-agent"}},
		"a person without an id":       {Actor{0, "Copilot"}, Actor{0, "Copilot"}},
		"another App":                  {Bot(7, "copilot-swe-agent"), Bot(7, "copilot-swe-agent")},
		"an account that is deleted":   {Ghost(), Ghost()},
		"another App without an id":    {Bot(0, "renovate"), Bot(0, "renovate")},
		"an author without an account": {UnlinkedGitAuthor(), UnlinkedGitAuthor()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, test.given.Canonical())
			require.Equal(t, test.want, test.want.Canonical())
			require.NoError(t, test.want.Validate())
		})
	}
	for address, want := range map[string]bool{
		"198982749+Copilot@users.noreply.github.com": true, "198982749+copilot@users.noreply.github.com": false,
		"<198982749+Copilot@users.noreply.github.com>": false, "Copilot@users.noreply.github.com": false,
		"1+ada@users.noreply.github.com": false, "": false,
	} {
		agent, ok := AgentByEmail(address)
		require.Equal(t, want, ok, address)
		require.Equal(t, ok, agent == coding)
	}
}

// TestAccountType checks who is a person, a bot and an agent, and that a name makes no account an agent.
func TestAccountType(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		given Actor
		want  AccountType
	}{
		"a person":                     {Actor{5, "ada"}, AccountPerson},
		"a person without an id":       {Actor{0, "ada"}, AccountPerson},
		"a bot":                        {Bot(7, "renovate"), AccountBot},
		"a bot without an id":          {Bot(0, "renovate"), AccountBot},
		"the coding agent in commits":  {Actor{198982749, "Copilot"}, AccountAgent},
		"the coding agent without id":  {Bot(0, "copilot-swe-agent"), AccountAgent},
		"another vendor's agent":       {Bot(158243242, "devin-ai-integration"), AccountAgent},
		"its name under another id":    {Bot(8, "devin-ai-integration"), AccountBot},
		"an account that is deleted":   {Ghost(), AccountUnknown},
		"an author without an account": {UnlinkedGitAuthor(), AccountUnknown},
		"a commit without an author":   {UnattributedCommit(), AccountUnknown},
		"the users beyond the budget":  {Other(), AccountUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want.String(), test.given.AccountType().String())
		})
	}
}
