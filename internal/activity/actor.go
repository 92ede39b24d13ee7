package activity

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Logins of actors who are no account. None of them can collide with a person: GitHub's logins have no underscore
// except in the suffix of enterprise-managed users, and "ghost" is GitHub's own account for deleted ones
// (https://docs.github.com/account-and-profile/concepts/account-management#deleting-your-personal-account).
const (
	LoginGhost              = "ghost"
	LoginUnlinkedGitAuthor  = "unlinked_git_author"
	LoginUnattributedCommit = "unattributed_commit"
	// LoginOther collects the users whom the series budget folded.
	LoginOther = "_other"
)

// maxLogin bounds a login in bytes: GitHub's are at most 39, an app's name with its suffix somewhat longer.
const maxLogin = 255

const botSuffix = "[bot]"

// Actor is who did something.
type Actor struct {
	// ID is the account's database id, 0 when there is no account or GitHub did not say.
	ID int64
	// Login is the account's login, for bots with the suffix "[bot]", or one of the Login constants.
	Login string
}

// IsBot reports whether the actor is a GitHub App's account.
func (a Actor) IsBot() bool { return strings.HasSuffix(a.Login, botSuffix) }

// Bot is the actor of a GitHub App: REST names it "renovate[bot]", GraphQL "renovate"; one name comes out.
func Bot(id int64, login string) Actor {
	return Actor{ID: id, Login: strings.TrimSuffix(login, botSuffix) + botSuffix}
}

// agent is an account of GitHub's own that the APIs show under several logins, on some paths without a mark of a bot.
type agent struct {
	// login is the one login that comes out, without the suffix of bots.
	login string
	// slug is the App's name, which is the login in GraphQL.
	slug string
	// address is the one that the agent's commits have; empty where it makes none.
	address string
}

// agents are the known ones by the database id of their account. The coding agent is "Copilot" in REST, in commits
// without the type Bot, and "copilot-swe-agent" in GraphQL; the reviewer is "Copilot" or
// "copilot-pull-request-reviewer[bot]" in REST, by the endpoint
// (https://docs.github.com/copilot/concepts/agents/coding-agent/about-coding-agent,
// https://github.com/copilot-coding-agent/user-feedback/issues/73, https://api.github.com/user/198982749).
var agents = map[int64]agent{
	198982749: {login: "Copilot", slug: "copilot-swe-agent", address: "198982749+Copilot@users.noreply.github.com"},
	175728472: {login: "copilot-pull-request-reviewer", slug: "copilot-pull-request-reviewer"},
}

// Canonical is the actor under the one login that comes out for a known agent of GitHub's, whichever of its logins and
// types an answer had. An App's name that ends in "[bot]" is unique, so it tells a known agent without an id, too.
// Other actors are what they are.
func (a Actor) Canonical() Actor {
	if known, ok := agents[a.ID]; ok {
		return Bot(a.ID, known.login)
	}
	if a.ID != 0 || !a.IsBot() {
		return a
	}
	for id, known := range agents {
		if a.Login == known.slug+botSuffix {
			return Bot(id, known.login)
		}
	}
	return a
}

// AgentByEmail is the known agent of GitHub's whose commits have exactly this address, and false for every other
// address: no other is ever taken for an account.
func AgentByEmail(address string) (Actor, bool) {
	for id, known := range agents {
		if known.address != "" && address == known.address {
			return Bot(id, known.login), true
		}
	}
	return Actor{}, false
}

// Ghost is a deleted account.
func Ghost() Actor { return Actor{Login: LoginGhost} }

// UnlinkedGitAuthor is the author of a commit whose address belongs to no account.
func UnlinkedGitAuthor() Actor { return Actor{Login: LoginUnlinkedGitAuthor} }

// UnattributedCommit stands for a commit without any author.
func UnattributedCommit() Actor { return Actor{Login: LoginUnattributedCommit} }

// Other is whom the series budget folds new users into.
func Other() Actor { return Actor{Login: LoginOther} }

// ErrLogin is the error of a login that GitHub cannot have given.
var ErrLogin = errors.New("login is empty, too long, not UTF-8 or has control characters")

// Validate refuses logins that GitHub cannot have given: they become label values.
func (a Actor) Validate() error {
	if a.Login == "" || len(a.Login) > maxLogin || !IsPrintable(a.Login) {
		return fmt.Errorf("%w: %.64q", ErrLogin, a.Login)
	}
	return nil
}

// IsPrintable reports whether s is UTF-8 without control or other invisible characters, fit for a label or a log line.
func IsPrintable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
