package github

import (
	"strings"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// account is an account in an answer of GraphQL
// (https://docs.github.com/graphql/reference/interfaces#actor).
type account struct {
	Typename   string `json:"__typename"`
	Login      string `json:"login"`
	DatabaseID int64  `json:"databaseId"`
	// User is the account of a managed user of an enterprise, which has an id where the other has none
	// (https://docs.github.com/graphql/reference/objects#enterpriseuseraccount).
	User *struct {
		DatabaseID int64 `json:"databaseId"`
	} `json:"user"`
}

func (a *account) id() int64 {
	if a.DatabaseID == 0 && a.User != nil {
		return a.User.DatabaseID
	}
	return a.DatabaseID
}

// actorOf is the actor of an account; a deleted one is null.
func (a *account) actor() activity.Actor {
	if a == nil || a.Login == "" {
		return activity.Ghost()
	}
	return newActor(a.id(), a.Login, a.Typename == "Bot")
}

// gitActor is who git says wrote a commit
// (https://docs.github.com/graphql/reference/objects#gitactor).
type gitActor struct {
	Name  string   `json:"name"`
	Email string   `json:"email"`
	User  *account `json:"user"`
}

// actor is the actor of a commit: never who committed it, and never a mail address.
func (a *gitActor) actor() activity.Actor {
	switch {
	case a == nil:
		return activity.UnattributedCommit()
	case a.User == nil || a.User.Login == "":
		return unlinkedActor(a.Name, a.Email)
	default:
		return newActor(a.User.id(), a.User.Login, a.User.Typename == "Bot")
	}
}

// unlinkedActor is the actor of a commit that GitHub links to no account: a known agent of GitHub's, whose commits it does
// not always link, or one of the actors who are no account.
func unlinkedActor(name, address string) activity.Actor {
	if agent, ok := activity.AgentByEmail(address); ok {
		return agent
	}
	if name == "" && address == "" {
		return activity.UnattributedCommit()
	}
	return activity.UnlinkedGitAuthor()
}

// isCompleteUser reports whether an account in a REST response has a name; null is a deleted one.
func isCompleteUser(u *gogithub.User) bool { return u == nil || (u.Login != nil && u.ID != nil) }

// restActor is the actor of an account in an answer of REST.
func restActor(u *gogithub.User) activity.Actor {
	if u.GetLogin() == "" {
		return activity.Ghost()
	}
	return newActor(u.GetID(), u.GetLogin(), u.GetType() == "Bot")
}

// restAuthor is the actor of a commit in an answer of REST, where a missing account is null or {}.
func restAuthor(c *gogithub.RepositoryCommit) activity.Actor {
	git := c.GetCommit().GetAuthor()
	if c.GetAuthor().GetLogin() != "" {
		return restActor(c.GetAuthor())
	}
	return unlinkedActor(git.GetName(), git.GetEmail())
}

// newActor is an account; a negative id counts as none. REST shows a deleted one as the account "ghost", GraphQL as
// null: one actor comes out, as it does for an agent of GitHub's that the APIs show under several logins.
func newActor(id int64, login string, bot bool) activity.Actor {
	id = max(0, id)
	if login == activity.LoginGhost {
		return activity.Ghost()
	}
	if bot || strings.HasSuffix(login, "[bot]") {
		return activity.Bot(id, login).Canonical()
	}
	return activity.Actor{ID: id, Login: login}.Canonical()
}
