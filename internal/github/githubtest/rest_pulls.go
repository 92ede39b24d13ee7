// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addPullRoutes(t *routeTable) {
	t.repo("/pulls", "pull_requests", (*exchange).listPulls)
	t.repo("/pulls/{pull_number}", "pull_requests", (*exchange).getPull)
	t.repo("/pulls/{pull_number}/reviews", "pull_requests", (*exchange).listReviews)
}

// listPulls lists pull requests (https://docs.github.com/rest/pulls/pulls#list-pull-requests). The direction is
// descending by default only when the order is by creation.
func (x *exchange) listPulls() response {
	q := x.request.URL.Query()
	state, by, direction := cmp.Or(q.Get("state"), "open"), cmp.Or(q.Get("sort"), "created"), q.Get("direction")
	if direction == "" {
		direction = map[bool]string{true: "desc", false: "asc"}[by == "created"]
	}
	pulls := slices.DeleteFunc(x.Pulls(x.repository), func(p served.PullState) bool {
		return state != "all" && (state == "open") != (p.State == "OPEN")
	})
	when := func(p served.PullState) time.Time {
		if by == "updated" {
			return p.Updated
		}
		return p.Created
	}
	sortBy(
		pulls, func(a, b served.PullState) int { return when(a).Compare(when(b)) },
		func(p served.PullState) int64 { return int64(p.Number) }, direction == "desc",
	)
	return listRepo(x, pulls, x.pullJSON)
}

// pathPull returns the pull request of the path, and false when there is none.
func (x *exchange) pathPull() (served.PullState, bool) {
	return x.Pull(x.repository.PullByNumber[int(served.ParseInt(x.pathVars["pull_number"]))])
}

func (x *exchange) getPull() response {
	p, ok := x.pathPull()
	if !ok {
		return notFoundResponse()
	}
	a := newResponse(http.StatusOK, x.pullDetailJSON(p))
	a.lastModified = p.Updated
	return a
}

// listReviews lists reviews in chronological order
// (https://docs.github.com/rest/pulls/reviews#list-reviews-for-a-pull-request).
func (x *exchange) listReviews() response {
	p, ok := x.pathPull()
	if !ok {
		return notFoundResponse()
	}
	return listRepo(x, x.Reviews(p.Pull), x.reviewJSON)
}

// pullJSON returns a pull request (https://docs.github.com/rest/pulls/pulls#list-pull-requests).
func (x *exchange) pullJSON(p served.PullState) obj {
	state := "open"
	if p.State != "OPEN" {
		state = "closed"
	}
	api := fmt.Sprintf("%s/pulls/%d", x.repoURL(p.Repository), p.Number)
	html := fmt.Sprintf("%s/pull/%d", p.Repository.WebURL(), p.Number)
	return obj{
		"id": p.DatabaseID, "node_id": p.NodeID(),
		"number": p.Number, "state": state,
		"locked": false,
		"title":  p.Title(), "body": nil, "draft": p.IsDraft, "user": x.userJSON(x.Index.Account(p.Login)), "url": api,
		"html_url":   html,
		"created_at": served.FormatTime(p.Created), "updated_at": served.FormatTime(p.Updated),
		"closed_at": served.FormatOptionalTime(p.Closed), "merged_at": served.FormatOptionalTime(p.Merged),
		"merge_commit_sha": p.MergeCommitSHA, "author_association": "CONTRIBUTOR", "labels": []obj{},
		"assignees":           []obj{},
		"requested_reviewers": x.requestedReviewers(p), "requested_teams": requestedTeams(p),
		"head": x.headRef(p),
		"base": x.pullRef(p.Repository, p.Repository.DefaultBranch),
	}
}

// requestedReviewers returns the users who are asked for a review.
func (x *exchange) requestedReviewers(p served.PullState) []any {
	users := []any{}
	for _, r := range p.Awaited {
		if r.Login != "" {
			users = append(users, x.userJSON(x.Index.Account(&r.Login)))
		}
	}
	return users
}

// requestedTeams returns the teams that are asked for a review, with the fields that identify them.
func requestedTeams(p served.PullState) []obj {
	teams := []obj{}
	for _, r := range p.Awaited {
		if r.Team != "" {
			teams = append(teams, teamJSON(r, p))
		}
	}
	return teams
}

// teamJSON returns the team of a request for a review.
func teamJSON(r *served.ReviewRequest, p served.PullState) obj {
	return obj{"id": dataset.NumericID("team", p.Repository.Owner+"/"+r.Team), "name": r.Team, "slug": r.Team}
}

// pullRef returns the head or the base of a pull request.
// headRef returns the branch of a pull request. That of a fork is in a repository of the author's.
func (x *exchange) headRef(p served.PullState) obj {
	head := x.pullRef(p.Repository, p.HeadBranch())
	if p.IsFork {
		owner := x.userJSON(x.Index.Account(p.Login))
		fork := x.repoJSON(p.Repository)
		fork["id"], fork["fork"], fork["owner"] = dataset.NumericID("fork", *p.Login+"/"+p.Repository.Name), true, owner
		fork["full_name"] = *p.Login + "/" + p.Repository.Name
		head["repo"], head["user"], head["label"] = fork, owner, *p.Login+":"+p.HeadBranch()
	}
	return head
}

func (x *exchange) pullRef(r *served.Repo, branch string) obj {
	return obj{
		"label": r.Owner + ":" + branch, "ref": branch, "sha": strings.Repeat("0", 40), "user": x.ownerJSON(r),
		"repo": x.repoJSON(r),
	}
}

// pullDetailJSON returns a pull request with the fields that only the response for a single one has.
func (x *exchange) pullDetailJSON(p served.PullState) obj {
	j := x.pullJSON(p)
	j["merged"], j["merged_by"] = p.Merged != nil, nil
	if p.Merged != nil {
		j["merged_by"] = x.userJSON(x.Index.Account(p.Merger()))
	}
	j["comments"], j["review_comments"], j["commits"] = len(x.Comments(p.Comments)), 0, 1
	j["additions"], j["deletions"], j["changed_files"] = p.Additions, p.Deletions, 0
	return j
}

// reviewJSON returns a review (https://docs.github.com/rest/pulls/reviews); a pending one has no submitted_at.
func (x *exchange) reviewJSON(r *served.Review) obj {
	api := fmt.Sprintf("%s/pulls/%d", x.repoURL(r.OfPull.Repository), r.Pull)
	j := obj{
		"id": r.ID, "node_id": r.NodeID(),
		"user":             x.userJSON(x.Index.Account(r.Login)),
		"body":             "",
		"state":            x.ReviewState(r),
		"html_url":         fmt.Sprintf("%s/pull/%d#pullrequestreview-%d", r.OfPull.Repository.WebURL(), r.Pull, r.ID),
		"pull_request_url": api, "author_association": "CONTRIBUTOR", "commit_id": strings.Repeat("0", 40),
	}
	if r.Submitted != nil {
		j["submitted_at"] = served.FormatTime(*r.Submitted)
	}
	return j
}
