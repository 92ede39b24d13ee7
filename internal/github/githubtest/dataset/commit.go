// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"time"
)

// Commit is a commit. Without ParentSHAs its first parent is the commit pushed before it to its branch, and the others
// are older commits of that branch. A force push is a commit whose ParentSHAs leave out its predecessor.
type Commit struct {
	Repo string `json:"repo"`
	SHA  string `json:"sha"`
	// Login is the author's account, nil when the author's address belongs to none.
	Login       *string   `json:"login"`
	AuthoredAt  time.Time `json:"authored_at"`
	CommittedAt time.Time `json:"committed_at"`
	Additions   int       `json:"additions"`
	Deletions   int       `json:"deletions"`
	// Parents is the number of parents where ParentSHAs is nil; 0 means 1.
	Parents int `json:"parents"`
	// ParentSHAs are the parents, the first parent first. An empty list that is not nil makes a root commit.
	ParentSHAs []string `json:"parent_shas,omitempty"`
	// Branch is the branch to which the commit was pushed; empty means the default branch.
	Branch string `json:"branch,omitempty"`

	CommitObject
	CommitAuthor
}

// CommitObject says when and how well GitHub can serve the object of a commit.
type CommitObject struct {
	// PushedAt is when the commit became visible; zero means CommittedAt.
	PushedAt time.Time `json:"pushed_at,omitzero"`
	// GoneAt is when GitHub deletes the object: requests that name it fail from then on. Zero means never. A commit
	// that a branch reaches must stay.
	GoneAt time.Time `json:"gone_at,omitzero"`
	// DiffUnavailable makes the commit's additions and deletions fail: GraphQL nulls the whole page that has it.
	DiffUnavailable bool `json:"diff_unavailable,omitempty"`
}

// CommitAuthor is the author in git's own record, where it differs from what follows from the login.
type CommitAuthor struct {
	// NoAuthor leaves out the author: `author: null` in GraphQL, `commit.author: null` in REST.
	NoAuthor bool `json:"no_author,omitempty"`
	// EmptyAuthor makes REST answer `author: {}`.
	EmptyAuthor bool `json:"empty_author,omitempty"`
	// AuthorName and AuthorEmail are derived from the login when they are empty.
	AuthorName  string `json:"author_name,omitempty"`
	AuthorEmail string `json:"author_email,omitempty"`
	// CoAuthors are the logins of further authors.
	CoAuthors []string `json:"co_authors,omitempty"`
}

// PushTime returns when the commit became visible.
func (c *Commit) PushTime() time.Time {
	if c.PushedAt.IsZero() {
		return c.CommittedAt
	}
	return c.PushedAt
}
