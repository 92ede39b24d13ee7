// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

// agent is an account of GitHub's own that the APIs return under several logins, from some endpoints without the type
// Bot.
type agent struct {
	// login is the canonical login without the suffix of bots.
	login string
	// slug is the App's name, which is the login in GraphQL.
	slug string
	// address is the e-mail address in the agent's commits; empty for an agent that makes none.
	address string
}

// agents has GitHub's agents by the database id of their account. The coding agent is "Copilot" in REST, in commits
// without the type Bot, and "copilot-swe-agent" in GraphQL; the reviewer is "Copilot" or
// "copilot-pull-request-reviewer[bot]" in REST, by the endpoint
// (https://docs.github.com/copilot/concepts/agents/coding-agent/about-coding-agent,
// https://github.com/copilot-coding-agent/user-feedback/issues/73, https://api.github.com/user/198982749).
var agents = map[int64]agent{
	198982749: {login: "Copilot", slug: "copilot-swe-agent", address: "198982749+Copilot@users.noreply.github.com"},
	175728472: {login: "copilot-pull-request-reviewer", slug: "copilot-pull-request-reviewer"},
}

// Canonical returns the actor under the canonical login if it is one of GitHub's agents, whatever login and type the
// response had, and a itself otherwise. The name of an App with "[bot]" is unique, so it identifies an agent without an
// id, too.
func (a Actor) Canonical() Actor {
	if found, ok := agents[a.ID]; ok {
		return Bot(a.ID, found.login)
	}
	if a.ID != 0 || !a.IsBot() {
		return a
	}
	for id, candidate := range agents {
		if a.Login == candidate.slug+botSuffix {
			return Bot(id, candidate.login)
		}
	}
	return a
}

// AgentByEmail returns the agent of GitHub's whose commits have exactly this address, and false for any other address:
// an address does not identify an account otherwise.
func AgentByEmail(address string) (Actor, bool) {
	for id, candidate := range agents {
		if candidate.address != "" && address == candidate.address {
			return Bot(id, candidate.login), true
		}
	}
	return Actor{}, false
}

// appAgents has the accounts of Apps by other vendors that write or review code on their own, by the database id of the
// account, which https://api.github.com/user/ID names. Their logins are the same in both APIs.
var appAgents = map[int64]string{
	136622811: "coderabbitai[bot]",
	158243242: "devin-ai-integration[bot]",
	161369871: "google-labs-jules[bot]",
	199175422: "chatgpt-codex-connector[bot]",
	206951365: "cursor[bot]",
	209825114: "claude[bot]",
}

// AccountType says who acts through an account.
type AccountType uint8

// The types of accounts.
const (
	// AccountUnknown is of an actor that stands for several accounts, or for none.
	AccountUnknown AccountType = iota
	AccountPerson
	// AccountBot is a GitHub App's account.
	AccountBot
	// AccountAgent is the account of an agent, which writes or reviews code on its own.
	AccountAgent
)

// String returns the type in labels; empty for AccountUnknown.
func (t AccountType) String() string { return [...]string{"", "person", "bot", "agent"}[t] }

// AccountType returns the type of the actor's account. An agent is known by its id alone: anybody can have its name.
func (a Actor) AccountType() AccountType {
	a = a.Canonical()
	_, isGitHubs := agents[a.ID]
	_, isApp := appAgents[a.ID]
	switch {
	case isGitHubs || isApp:
		return AccountAgent
	case a.IsBot():
		return AccountBot
	case a.ID != 0:
		return AccountPerson
	}
	switch a.Login {
	case LoginGhost, LoginUnlinkedGitAuthor, LoginUnattributedCommit, LoginOther:
		return AccountUnknown
	}
	return AccountPerson
}
