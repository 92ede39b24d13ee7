// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"strings"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// account is an account in a GraphQL response (https://docs.github.com/graphql/reference/interfaces#actor).
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

// id returns the id of the account; 0 when GitHub does not return it.
func (a *account) id() int64 {
	if a.DatabaseID == 0 && a.User != nil {
		return a.User.DatabaseID
	}
	return a.DatabaseID
}

// actor returns the actor of an account; a deleted account is null.
func (a *account) actor() activity.Actor {
	if a == nil || a.Login == "" {
		return activity.Ghost()
	}
	return newActor(a.id(), a.Login, a.Typename == "Bot")
}

// gitActor is the author that git records for a commit (https://docs.github.com/graphql/reference/objects#gitactor).
type gitActor struct {
	Name  string   `json:"name"`
	Email string   `json:"email"`
	User  *account `json:"user"`
}

// actor returns the author of a commit: never its committer, and never a mail address.
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

// unlinkedActor returns the author of a commit that GitHub links to no account: one of GitHub's own agents, whose
// commits it does not always link, or an actor without an account.
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

// restActor returns the actor of an account in a REST response.
func restActor(u *gogithub.User) activity.Actor {
	if u.GetLogin() == "" {
		return activity.Ghost()
	}
	return newActor(u.GetID(), u.GetLogin(), u.GetType() == "Bot")
}

// restAuthor returns the author of a commit in a REST response, where a missing account is null or {}.
func restAuthor(c *gogithub.RepositoryCommit) activity.Actor {
	git := c.GetCommit().GetAuthor()
	if c.GetAuthor().GetLogin() != "" {
		return restActor(c.GetAuthor())
	}
	return unlinkedActor(git.GetName(), git.GetEmail())
}

// newActor returns the actor of an account; a negative id counts as none. A deleted account is the account "ghost" in
// REST and null in GraphQL: both are one actor, as are the several logins of GitHub's own agents.
func newActor(id int64, login string, isBot bool) activity.Actor {
	id = max(0, id)
	if login == activity.LoginGhost {
		return activity.Ghost()
	}
	if isBot || strings.HasSuffix(login, "[bot]") {
		return activity.Bot(id, login).Canonical()
	}
	return activity.Actor{ID: id, Login: login}.Canonical()
}
