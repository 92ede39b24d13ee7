// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package served has the data of the scripted GitHub as it is served: an Index of all rows in served times, and a View
// of what a credential can see of it at a moment. Both APIs answer from a View.
package served

import (
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
)

// Index is the data of all organizations in served times, with references resolved. It is built again after each
// change of the data and does not change itself, so that it is safe for concurrent use.
type Index struct {
	Timeline    dataset.Timeline
	OrgByLogin  map[string]*Org // by lower-case login
	OrgByID     map[int64]*Org
	repos       map[string]*Repo // by repoKey
	moved       map[string]*Repo // by repoKey of a former address
	RepoByID    map[int64]*Repo
	UserByLogin map[string]*Account // by the login in the rows
	UserByID    map[int64]*Account
	TeamByID    map[int64]*Team
}

// Org is an organization.
type Org struct {
	dataset.Org

	DatabaseID   int64
	Created      time.Time
	Repositories []*Repo // also those that were transferred to it
	Teams        []*Team // by slug
}

// Repo is a repository with all that it ever has; the methods of View say what is visible of it.
type Repo struct {
	*dataset.Repo

	Owner string
	// ServedVisibility is "public", "private" or "internal".
	ServedVisibility string
	DatabaseID       int64
	Created, Updated time.Time
	Comments         []*Comment // by id
	repoCommits
	repoPulls
	repoIssues
}

// repoCommits has what was pushed to a repository.
type repoCommits struct {
	Commits map[string]*Commit // by SHA
	// branches has the heads of each branch by its name, the oldest first.
	branches map[string][]branchMove
	// otherPushes are the times of pushes without a commit of the data.
	otherPushes []time.Time
}

// repoPulls has the pull requests of a repository, in the order of their numbers.
type repoPulls struct {
	Pulls        []*Pull
	PullByNumber map[int]*Pull
}

// repoIssues has the issues of a repository that are no pull requests, in the order of their numbers.
type repoIssues struct {
	Issues        []*Issue
	IssueByNumber map[int]*Issue
}

// branchMove is the head of a branch from a served time on.
type branchMove struct {
	at   time.Time
	head *Commit
}

// Commit is a commit with its place in the history.
type Commit struct {
	*dataset.Commit

	Repository *Repo
	// ParentCommits are the parents that the data has; AllParentSHAs also names the others.
	ParentCommits               []*Commit
	AllParentSHAs               []string
	Authored, Committed, Pushed time.Time
	// Gone is when the object is deleted, nil for never.
	Gone *time.Time
}

// Pull is a pull request. Merged and Closed are nil for never, and may lie after the time of a View.
type Pull struct {
	*dataset.Pull

	Repository     *Repo
	DatabaseID     int64
	Created        time.Time
	Merged, Closed *time.Time
	Touched        []time.Time
	// Readied and Drafted are when it was marked as ready for review, and made a draft again.
	Readied, Drafted []time.Time
	// Closings are the times at which it was closed, with Closed as the last one. Reopenings are when it was reopened.
	Closings, Reopenings []time.Time
	Requests             []*ReviewRequest
	Reviews              []*Review
	Comments             []*Comment
	MergeCommitSHA       string
}

// ReviewRequest is a request for a review. Removed is nil for never, and may lie after the time of a View.
type ReviewRequest struct {
	*dataset.ReviewRequest

	Requested time.Time
	Removed   *time.Time
}

// Review is a review of a pull request. Submitted is nil for a pending one.
type Review struct {
	*dataset.Review

	OfPull    *Pull
	Submitted *time.Time
	// Dismissed is nil for never, and may lie after the time of a View.
	Dismissed *time.Time
}

// Issue is an issue that is no pull request. The row is nil for an issue that exists through its comments alone.
type Issue struct {
	*dataset.Issue

	Number     int
	DatabaseID int64
	Repository *Repo
	Comments   []*Comment
	Opened     time.Time
	// AllClosings, Reopenings and Touched are the times of updates, also of those after the time of a View.
	AllClosings         []time.Time
	Reopenings, Touched []time.Time
	// Gone is when the issue vanishes, nil for never.
	Gone *time.Time
}

// Comment is a comment on a pull request or on an issue: the other one is nil.
type Comment struct {
	*dataset.Comment

	Repository       *Repo
	OfPull           *Pull
	OfIssue          *Issue
	Created, Updated time.Time
}

// Account is an account as REST serves it.
type Account struct {
	Login string
	// Type is "User", "Bot" or another of GraphQL's types of actors.
	Type string
	// Slug is the login of a Bot in GraphQL; empty means Login without "[bot]".
	Slug    string
	ID      int64
	Deleted bool
	// UserInCommits makes the account a User where it is the author of a commit.
	UserInCommits bool
}

// IsBot reports whether the account is one of an app.
func (a *Account) IsBot() bool { return a.Type == "Bot" }

// IsPrivate reports whether the repository is private or internal.
func (r *Repo) IsPrivate() bool { return r.ServedVisibility != "public" }

// FullName returns "owner/name".
func (r *Repo) FullName() string { return r.Owner + "/" + r.Name }

// repoKey returns the key of a repository in maps: its address in lower case.
func repoKey(owner, name string) string { return strings.ToLower(owner + "/" + name) }
