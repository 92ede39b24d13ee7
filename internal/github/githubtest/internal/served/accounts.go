// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"fmt"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
)

// Account returns the account of a login in the rows, nil for nil and for a deleted one.
func (ix *Index) Account(login *string) *Account {
	if login == nil {
		return nil
	}
	if a := ix.UserByLogin[*login]; a != nil && !a.Deleted {
		return a
	}
	return nil
}

// CommitAccount returns the account of a login as the author of a commit; see Account.UserInCommits.
func (ix *Index) CommitAccount(login *string) *Account {
	a := ix.Account(login)
	if a == nil || !a.UserInCommits {
		return a
	}
	user := *a
	user.Type = "User"
	return &user
}

// GitActor is the author of a commit as git recorded it.
type GitActor struct{ Name, Email string }

// GitIdentity returns the author in git's record: the given name and email or, where they are empty, the login's.
func GitIdentity(ix *Index, login *string, name, email string) GitActor {
	g := GitActor{Name: name, Email: email}
	if login != nil {
		id := dataset.NumericID("user", *login)
		if a := ix.UserByLogin[*login]; a != nil {
			id = a.ID
		}
		if g.Name == "" {
			g.Name = *login
		}
		if g.Email == "" {
			g.Email = fmt.Sprintf("%d+%s@users.noreply.github.com", id, *login)
		}
		return g
	}
	if g.Name == "" {
		g.Name = "Unlinked Author"
	}
	if g.Email == "" {
		g.Email = "unlinked@example.com"
	}
	return g
}

// NewUser returns the account of a user that the data does not have.
func NewUser(login string) *Account {
	return &Account{Login: login, Type: "User", ID: dataset.NumericID("user", login)}
}
