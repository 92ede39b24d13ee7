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
	if a.Login == "" || len(a.Login) > maxLogin || !Printable(a.Login) {
		return fmt.Errorf("%w: %.64q", ErrLogin, a.Login)
	}
	return nil
}

// Printable reports whether s is UTF-8 without control or other invisible characters, fit for a label or a log line.
func Printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
