// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func (n pullNode) field(e *execution, name string, a args) (any, error) {
	p := n.p
	switch name {
	case "author":
		return actorNode(e.Index.Account(p.Login)), nil
	case "mergedBy":
		if p.Merged == nil {
			return nil, nil
		}
		return actorNode(e.Index.Account(p.Merger())), nil
	case "repository":
		return repoNode{p.Repository}, nil
	case "reviews":
		return e.reviewConnection(p, a)
	case "timelineItems":
		return e.pullTimelineConnection(p, a)
	case "reviewRequests":
		return reviewRequestConnection(p, a)
	case "comments":
		return e.commentConnection(p.Comments, a)
	default:
		return pullScalar(p, name), nil
	}
}

// pullScalar returns a field of a pull request that is a scalar.
func pullScalar(p served.PullState, name string) any {
	path := fmt.Sprintf("/%s/pull/%d", p.Repository.FullName(), p.Number)
	switch name {
	case "id":
		return p.NodeID()
	case "databaseId":
		return p.DatabaseID
	case "fullDatabaseId":
		return strconv.FormatInt(p.DatabaseID, 10)
	case "number":
		return p.Number
	case "title":
		return p.Title()
	case "url":
		return served.WebURL + path
	case "resourcePath":
		return path
	case "state":
		return p.State
	case "isDraft":
		return p.IsDraft
	case "merged":
		return p.State == "MERGED"
	case "closed":
		return p.State != "OPEN"
	case "createdAt":
		return p.Created
	case "updatedAt":
		return p.Updated
	case "mergedAt":
		return served.FormatOptionalTime(p.Merged)
	case "closedAt":
		return served.FormatOptionalTime(p.Closed)
	case "baseRefName":
		return p.Repository.DefaultBranch
	case "isCrossRepository":
		return p.IsFork
	case "headRefName":
		return p.HeadBranch()
	case "additions":
		return p.Additions
	case "deletions":
		return p.Deletions
	default:
		return 0 // changedFiles
	}
}

func (e *execution) reviewConnection(p served.PullState, a args) (any, error) {
	states := a.strs("states")
	var rows []row
	for _, r := range e.Reviews(p.Pull) {
		author := e.Index.Account(r.Login)
		if states != nil && !slices.Contains(states, e.ReviewState(r)) || a.str("author") != "" &&
			(author == nil || author.Login != a.str("author")) {
			continue
		}
		rows = append(rows, row{key: r.SortKey(), node: reviewNode{r}})
	}
	return connect("PullRequestReviewConnection", rows, a, false)
}

// reviewRequestConnection returns the reviews that are awaited.
func reviewRequestConnection(p served.PullState, a args) (any, error) {
	var rows []row
	for i, r := range p.Awaited {
		id := dataset.NumericID("review request", fmt.Sprintf("%d/%d", p.DatabaseID, i))
		rows = append(rows, row{key: served.SortKey(r.Requested, id), node: record{"ReviewRequest", obj{
			"id": served.NodeID(served.NodeRequest, p.Repository.DatabaseID, id), "databaseId": id,
			"asCodeOwner": false,
		}}})
	}
	return connect("ReviewRequestConnection", rows, a, false)
}

func (n reviewNode) field(e *execution, name string, _ args) (any, error) {
	r := n.r
	path := fmt.Sprintf("/%s/pull/%d#pullrequestreview-%d", r.OfPull.Repository.FullName(), r.Pull, r.ID)
	switch name {
	case "id":
		return r.NodeID(), nil
	case "databaseId":
		return databaseID(r.ID), nil
	case "fullDatabaseId":
		return strconv.FormatInt(r.ID, 10), nil
	case "state":
		return e.ReviewState(r), nil
	case "submittedAt":
		return served.FormatOptionalTime(r.Submitted), nil
	case "createdAt", "updatedAt":
		if r.Submitted == nil {
			return r.OfPull.Created, nil
		}
		return *r.Submitted, nil
	case "author":
		return actorNode(e.Index.Account(r.Login)), nil
	case "url":
		return served.WebURL + path, nil
	case "resourcePath":
		return path, nil
	case "body":
		return "", nil
	case "pullRequest":
		p, _ := e.Pull(r.OfPull)
		return pullNode{p}, nil
	default: // repository
		return repoNode{r.OfPull.Repository}, nil
	}
}
