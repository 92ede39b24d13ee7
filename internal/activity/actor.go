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
	// LoginNone stands for no actor, in events that are attributed to their repository. It is no user.
	LoginNone = "_none"
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

// IsSameAccount reports whether two actors are one account. Deleted accounts share one stand-in and count as one: the
// deleted author of a pull request has more often commented on it than another deleted account.
func (a Actor) IsSameAccount(o Actor) bool {
	if a.ID != 0 && o.ID != 0 {
		return a.ID == o.ID
	}
	return a.Login == o.Login
}

// IsBot reports whether the actor is a GitHub App's account.
func (a Actor) IsBot() bool { return strings.HasSuffix(a.Login, botSuffix) }

// Bot returns the actor of a GitHub App. REST names it "renovate[bot]" and GraphQL "renovate"; both become
// "renovate[bot]".
func Bot(id int64, login string) Actor {
	return Actor{ID: id, Login: strings.TrimSuffix(login, botSuffix) + botSuffix}
}

// Ghost returns the actor that stands for deleted accounts.
func Ghost() Actor { return Actor{Login: LoginGhost} }

// UnlinkedGitAuthor returns the actor of commits whose address belongs to no account.
func UnlinkedGitAuthor() Actor { return Actor{Login: LoginUnlinkedGitAuthor} }

// UnattributedCommit returns the actor of commits without an author.
func UnattributedCommit() Actor { return Actor{Login: LoginUnattributedCommit} }

// Other returns the actor into which new users are folded after max_series was reached.
func Other() Actor { return Actor{Login: LoginOther} }

// NoActor returns the actor of events that are attributed to their repository.
func NoActor() Actor { return Actor{Login: LoginNone} }

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
