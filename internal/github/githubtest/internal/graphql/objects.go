// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// rootNode is Query.
type rootNode struct{}

func (rootNode) typeName() string { return "Query" }

// orgNode is Organization.
type orgNode struct{ o *served.Org }

func (orgNode) typeName() string { return "Organization" }

// repoNode is Repository.
type repoNode struct{ r *served.Repo }

func (repoNode) typeName() string { return "Repository" }

// refNode is Ref.
type refNode struct {
	r      *served.Repo
	branch string
}

func (refNode) typeName() string { return "Ref" }

// commitNode is Commit.
type commitNode struct{ c *served.Commit }

func (commitNode) typeName() string { return "Commit" }

// pullNode is PullRequest.
type pullNode struct{ p served.PullState }

func (pullNode) typeName() string { return "PullRequest" }

// reviewNode is PullRequestReview.
type reviewNode struct{ r *served.Review }

func (reviewNode) typeName() string { return "PullRequestReview" }

// issueNode is Issue.
type issueNode struct{ is served.IssueState }

func (issueNode) typeName() string { return "Issue" }

// commentNode is IssueComment.
type commentNode struct{ c *served.Comment }

func (commentNode) typeName() string { return "IssueComment" }

// userNode is an account as one of GraphQL's types of actors.
type userNode struct {
	a   *served.Account
	typ string
}

func (n userNode) typeName() string { return n.typ }

// actorNode returns an account as an Actor, null for nil.
func actorNode(a *served.Account) any {
	if a == nil {
		return nil
	}
	return userNode{a, a.Type}
}

// databaseID returns an id, null for one that a signed 32-bit number cannot hold
// (https://docs.github.com/graphql/reference/pulls#pullrequestreview).
func databaseID(id int64) any {
	if id > 1<<31-1 {
		return nil
	}
	return id
}
