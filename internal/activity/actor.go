// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Logins of actors without an account. None of them collides with an account: GitHub's logins have no underscore
// except in the suffix of enterprise-managed users, and "ghost" is GitHub's own account for deleted ones
// (https://docs.github.com/account-and-profile/concepts/account-management#deleting-your-personal-account).
const (
	LoginGhost              = "ghost"
	LoginUnlinkedGitAuthor  = "unlinked_git_author"
	LoginUnattributedCommit = "unattributed_commit"
	// LoginOther is the user into which new users are folded after max_series was reached.
	LoginOther = "_other"
)

// maxLoginBytes bounds a login: GitHub's have at most 39 bytes, the name of an App with its suffix has a few more.
const maxLoginBytes = 255

// botSuffix is how the login of a GitHub App's account ends in REST.
const botSuffix = "[bot]"

// Actor is the account to which an event is attributed, or one of the stand-ins without an account.
type Actor struct {
	// ID is the account's database id; 0 without an account, or when the response has no id.
	ID int64
	// Login is the account's login, for bots with the suffix "[bot]", or one of the Login constants.
	Login string
}

// IsBot reports whether the actor is a GitHub App's account.
func (a Actor) IsBot() bool { return strings.HasSuffix(a.Login, botSuffix) }

// Bot returns the actor of a GitHub App. REST names it "renovate[bot]" and GraphQL "renovate"; both become
// "renovate[bot]".
func Bot(id int64, login string) Actor {
	return Actor{ID: id, Login: strings.TrimSuffix(login, botSuffix) + botSuffix}
}

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

// Ghost returns the actor that stands for deleted accounts.
func Ghost() Actor { return Actor{Login: LoginGhost} }

// UnlinkedGitAuthor returns the actor of commits whose address belongs to no account.
func UnlinkedGitAuthor() Actor { return Actor{Login: LoginUnlinkedGitAuthor} }

// UnattributedCommit returns the actor of commits without an author.
func UnattributedCommit() Actor { return Actor{Login: LoginUnattributedCommit} }

// Other returns the actor into which new users are folded after max_series was reached.
func Other() Actor { return Actor{Login: LoginOther} }

// ErrLogin is returned for a login that is none of GitHub's.
var ErrLogin = errors.New("login is empty, too long, not UTF-8 or has control characters")

// Validate returns ErrLogin for a login that is empty, too long or not printable. Logins become label values.
func (a Actor) Validate() error {
	if a.Login == "" || len(a.Login) > maxLoginBytes || !IsPrintable(a.Login) {
		return fmt.Errorf("%w: %.64q", ErrLogin, a.Login)
	}
	return nil
}

// IsPrintable reports whether s is UTF-8 without control or other invisible characters, fit for a label or a log line.
func IsPrintable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
