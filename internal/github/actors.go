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
}

// actorOf is the actor of an account; a deleted one is null.
func (a *account) actor() activity.Actor {
	if a == nil || a.Login == "" {
		return activity.Ghost()
	}
	return actor(a.DatabaseID, a.Login, a.Typename == "Bot")
}

// gitActor is who git says wrote a commit
// (https://docs.github.com/graphql/reference/objects#gitactor).
type gitActor struct {
	Name  string   `json:"name"`
	Email string   `json:"email"`
	User  *account `json:"user"`
}

// author is the actor of a commit: never who committed it, and never a mail address.
func (a *gitActor) author() activity.Actor {
	switch {
	case a == nil || (a.Name == "" && a.Email == "" && a.User == nil):
		return activity.UnattributedCommit()
	case a.User == nil || a.User.Login == "":
		return activity.UnlinkedGitAuthor()
	default:
		return actor(a.User.DatabaseID, a.User.Login, a.User.Typename == "Bot")
	}
}

// restActor is the actor of an account in an answer of REST.
func restActor(u *gogithub.User) activity.Actor {
	if u.GetLogin() == "" {
		return activity.Ghost()
	}
	return actor(u.GetID(), u.GetLogin(), u.GetType() == "Bot")
}

// restAuthor is the actor of a commit in an answer of REST, where a missing account is null or {}.
func restAuthor(c *gogithub.RepositoryCommit) activity.Actor {
	git := c.GetCommit().GetAuthor()
	switch {
	case c.GetAuthor().GetLogin() != "":
		return restActor(c.GetAuthor())
	case git.GetName() == "" && git.GetEmail() == "":
		return activity.UnattributedCommit()
	default:
		return activity.UnlinkedGitAuthor()
	}
}

// actor is an account; an id that none has is not told. REST shows a deleted one as the account "ghost", GraphQL as null: one actor comes out.
func actor(id int64, login string, bot bool) activity.Actor {
	id = max(0, id)
	if login == activity.LoginGhost {
		return activity.Ghost()
	}
	if bot || strings.HasSuffix(login, "[bot]") {
		return activity.Bot(id, login)
	}
	return activity.Actor{ID: id, Login: login}
}
