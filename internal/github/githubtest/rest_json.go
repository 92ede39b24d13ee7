// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// userJSON is a simple user (https://docs.github.com/rest/users/users): bots are "name[bot]" of type Bot.
func (x *exchange) userJSON(a *served.Account) any {
	if a == nil {
		return nil
	}
	html := served.WebURL + "/" + a.Login
	if name, ok := strings.CutSuffix(a.Login, "[bot]"); ok {
		html = served.WebURL + "/apps/" + name
	}
	return obj{
		"login": a.Login, "id": a.ID, "node_id": a.NodeID(), "type": a.Type,
		"site_admin": false,
		"avatar_url": served.AvatarURL(a.ID), "html_url": html, "url": x.base + "/users/" + a.Login,
	}
}

func (x *exchange) ownerJSON(r *served.Repo) obj {
	id := dataset.NumericID("org", r.Owner)
	if o := x.Index.OrgByLogin[strings.ToLower(r.Owner)]; o != nil {
		id = o.DatabaseID
	}
	return obj{
		"login": r.Owner, "id": id, "node_id": served.NodeID(served.NodeOrg, id), "type": "Organization",
		"site_admin": false,
		"avatar_url": served.AvatarURL(id), "html_url": served.WebURL + "/" + r.Owner,
		"url": x.base + "/orgs/" + r.Owner,
	}
}

// repoURL is the address by name, as in the url fields of answers.
func (x *exchange) repoURL(r *served.Repo) string { return x.base + "/repos/" + r.FullName() }

// repoJSON is a repository (https://docs.github.com/rest/repos/repos#get-a-repository).
func (x *exchange) repoJSON(r *served.Repo) obj {
	j := obj{
		"id": r.DatabaseID, "node_id": r.NodeID(), "name": r.Name,
		"full_name": r.FullName(),
		"owner":     x.ownerJSON(r),
		"private":   r.IsPrivate(), "visibility": r.ServedVisibility, "fork": r.Fork, "archived": r.Archived,
		"disabled":       r.Disabled,
		"default_branch": x.DefaultBranch(r), "description": nil, "language": nil, "size": len(r.Commits),
		"is_template": false,
		"created_at":  served.FormatTime(r.Created), "updated_at": served.FormatTime(x.RepoUpdatedAt(r)),
		"pushed_at": served.FormatTime(x.PushedAt(r)),
		"html_url":  r.WebURL(), "url": x.repoURL(r), "clone_url": r.WebURL() + ".git",
		"stargazers_count": 0, "watchers_count": 0, "forks_count": 0, "open_issues_count": 0, "topics": []string{},
		"has_issues": !x.AreIssuesOff(r), "has_wiki": false, "has_projects": false,
	}
	if !slices.Contains(x.s.settings.MissingFields, "Repository.hasPullRequestsEnabled") {
		j["has_pull_requests"] = !x.ArePullsOff(r)
	}
	return j
}

func (x *exchange) orgJSON(o *served.Org) obj {
	return obj{
		"login": o.Login, "id": o.DatabaseID, "node_id": o.NodeID(),
		"type": "Organization", "name": o.Login,
		"url": x.base + "/orgs/" + o.Login, "html_url": served.WebURL + "/" + o.Login,
		"avatar_url": served.AvatarURL(o.DatabaseID),
		"repos_url":  x.base + "/orgs/" + o.Login + "/repos", "public_repos": len(x.Repos(o)),
		"created_at": served.FormatTime(o.Created), "updated_at": served.FormatTime(o.Created),
	}
}

func (x *exchange) gitAuthor(c *served.Commit) served.GitActor {
	return served.GitIdentity(x.Index, c.Login, c.AuthorName, c.AuthorEmail)
}

// commitJSON is a commit (https://docs.github.com/rest/commits/commits#list-commits). The author is null when its
// address belongs to no account.
func (x *exchange) commitJSON(c *served.Commit) obj {
	api := x.repoURL(c.Repository)
	who := x.gitAuthor(c)
	git := obj{"name": who.Name, "email": who.Email, "date": served.FormatTime(c.Authored)}
	parents := []obj{}
	for _, sha := range c.AllParentSHAs {
		parents = append(
			parents,
			obj{"sha": sha, "url": api + "/commits/" + sha, "html_url": c.Repository.WebURL() + "/commit/" + sha},
		)
	}
	j := obj{
		"sha": c.SHA, "node_id": c.NodeID(),
		"url":          api + "/commits/" + c.SHA,
		"html_url":     c.Repository.WebURL() + "/commit/" + c.SHA,
		"comments_url": api + "/commits/" + c.SHA + "/comments",
		"commit": obj{
			"author":    git,
			"committer": obj{"name": who.Name, "email": who.Email, "date": served.FormatTime(c.Committed)},
			"message":   c.Message(), "tree": obj{"sha": c.SHA, "url": api + "/git/trees/" + c.SHA},
			"url": api + "/git/commits/" + c.SHA, "comment_count": 0,
			"verification": obj{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil},
		},
		"author": x.userJSON(x.Index.CommitAccount(c.Login)), "committer": x.userJSON(x.Index.CommitAccount(c.Login)),
		"parents": parents,
	}
	switch {
	case c.NoAuthor:
		j["author"], j["committer"] = nil, nil
		j["commit"].(obj)["author"] = nil
	case c.EmptyAuthor:
		j["author"] = obj{}
	}
	return j
}

// commitStatsJSON adds what only the answer for a single commit has.
func (x *exchange) commitStatsJSON(c *served.Commit) obj {
	j := x.commitJSON(c)
	j["stats"] = obj{"additions": c.Additions, "deletions": c.Deletions, "total": c.Additions + c.Deletions}
	j["files"] = []obj{}
	return j
}

// pullJSON is a pull request (https://docs.github.com/rest/pulls/pulls#list-pull-requests).
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
		"title":  p.Title(), "body": nil, "draft": p.Draft, "user": x.userJSON(x.Index.Account(p.Login)), "url": api,
		"html_url":   html,
		"created_at": served.FormatTime(p.Created), "updated_at": served.FormatTime(p.Updated),
		"closed_at": served.FormatOptionalTime(p.Closed), "merged_at": served.FormatOptionalTime(p.Merged),
		"merge_commit_sha": p.MergeCommitSHA, "author_association": "CONTRIBUTOR", "labels": []obj{},
		"assignees": []obj{},
		"head":      x.pullRef(p.Repository, p.HeadBranch()),
		"base":      x.pullRef(p.Repository, p.Repository.DefaultBranch),
	}
}

func (x *exchange) pullRef(r *served.Repo, branch string) obj {
	return obj{
		"label": r.Owner + ":" + branch, "ref": branch, "sha": strings.Repeat("0", 40), "user": x.ownerJSON(r),
		"repo": x.repoJSON(r),
	}
}

// pullDetailJSON adds what only the answer for a single pull request has.
func (x *exchange) pullDetailJSON(p served.PullState) obj {
	j := x.pullJSON(p)
	j["merged"], j["merged_by"] = p.Merged != nil, nil
	if p.Merged != nil {
		j["merged_by"] = x.userJSON(x.Index.Account(p.Merger()))
	}
	j["comments"], j["review_comments"], j["commits"] = len(x.Comments(p.Comments)), 0, 1
	j["additions"], j["deletions"], j["changed_files"] = 0, 0, 0
	return j
}

// reviewJSON is a review (https://docs.github.com/rest/pulls/reviews); a pending one has no submitted_at.
func (x *exchange) reviewJSON(r *served.Review) obj {
	api := fmt.Sprintf("%s/pulls/%d", x.repoURL(r.OfPull.Repository), r.Pull)
	j := obj{
		"id": r.ID, "node_id": r.NodeID(),
		"user":             x.userJSON(x.Index.Account(r.Login)),
		"body":             "",
		"state":            r.State,
		"html_url":         fmt.Sprintf("%s/pull/%d#pullrequestreview-%d", r.OfPull.Repository.WebURL(), r.Pull, r.ID),
		"pull_request_url": api, "author_association": "CONTRIBUTOR", "commit_id": strings.Repeat("0", 40),
	}
	if r.Submitted != nil {
		j["submitted_at"] = served.FormatTime(*r.Submitted)
	}
	return j
}

// commentJSON is a comment (https://docs.github.com/rest/issues/comments).
func (x *exchange) commentJSON(c *served.Comment) obj {
	api := x.repoURL(c.Repository)
	return obj{
		"id": c.ID, "node_id": c.NodeID(),
		"user":       x.userJSON(x.Index.Account(c.Login)),
		"body":       "A comment.",
		"created_at": served.FormatTime(c.Created), "updated_at": served.FormatTime(x.CommentUpdatedAt(c)),
		"author_association": "CONTRIBUTOR",
		"url":                fmt.Sprintf("%s/issues/comments/%d", api, c.ID),
		"issue_url":          fmt.Sprintf("%s/issues/%d", api, c.Issue),
		"html_url":           c.WebURL(),
	}
}
