// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"
	"slices"
	"strings"
)

// htmlBase is the web address of everything; it need not exist.
const htmlBase = "https://github.com"

// userJSON is a simple user (https://docs.github.com/rest/users/users): bots are "name[bot]" of type Bot.
func (x *exchange) userJSON(a *account) any {
	if a == nil {
		return nil
	}
	html := htmlBase + "/" + a.login
	if name, ok := strings.CutSuffix(a.login, "[bot]"); ok {
		html = htmlBase + "/apps/" + name
	}
	return obj{
		"login": a.login, "id": a.id, "node_id": nodeID(nodeUser, a.id), "type": a.typ, "site_admin": false,
		"avatar_url": avatar(a.id), "html_url": html, "url": x.base + "/users/" + a.login,
	}
}

func avatar(id int64) string {
	return fmt.Sprintf("https://avatars.githubusercontent.com/u/%d?v=4", id)
}

func (x *exchange) ownerJSON(r *repoIndex) obj {
	id := numericID("org", r.owner)
	if o := x.ix.orgs[strings.ToLower(r.owner)]; o != nil {
		id = o.id
	}
	return obj{
		"login": r.owner, "id": id, "node_id": nodeID(nodeOrg, id), "type": "Organization", "site_admin": false,
		"avatar_url": avatar(id), "html_url": htmlBase + "/" + r.owner, "url": x.base + "/orgs/" + r.owner,
	}
}

// repoURL is the address by name, as in the url fields of answers.
func (x *exchange) repoURL(r *repoIndex) string { return x.base + "/repos/" + r.fullName() }

func repoHTML(r *repoIndex) string { return htmlBase + "/" + r.fullName() }

// repoJSON is a repository (https://docs.github.com/rest/repos/repos#get-a-repository).
func (x *exchange) repoJSON(r *repoIndex) obj {
	j := obj{
		"id": r.id, "node_id": nodeID(nodeRepo, r.id), "name": r.Name, "full_name": r.fullName(),
		"owner":   x.ownerJSON(r),
		"private": r.private(), "visibility": r.visibility, "fork": r.Fork, "archived": r.Archived,
		"disabled":       r.Disabled,
		"default_branch": x.defaultBranch(r), "description": nil, "language": nil, "size": len(r.commits),
		"is_template": false,
		"created_at":  formatTime(r.created), "updated_at": formatTime(x.repoUpdatedAt(r)),
		"pushed_at": formatTime(x.pushedAt(r)),
		"html_url":  repoHTML(r), "url": x.repoURL(r), "clone_url": repoHTML(r) + ".git",
		"stargazers_count": 0, "watchers_count": 0, "forks_count": 0, "open_issues_count": 0, "topics": []string{},
		"has_issues": !x.issuesOff(r), "has_wiki": false, "has_projects": false,
	}
	if !slices.Contains(x.s.settings.MissingFields, "Repository.hasPullRequestsEnabled") {
		j["has_pull_requests"] = !x.pullsOff(r)
	}
	return j
}

func (x *exchange) orgJSON(o *orgIndex) obj {
	return obj{
		"login": o.Login, "id": o.id, "node_id": nodeID(nodeOrg, o.id), "type": "Organization", "name": o.Login,
		"url": x.base + "/orgs/" + o.Login, "html_url": htmlBase + "/" + o.Login, "avatar_url": avatar(o.id),
		"repos_url": x.base + "/orgs/" + o.Login + "/repos", "public_repos": len(x.repos(o)),
		"created_at": formatTime(o.created), "updated_at": formatTime(o.created),
	}
}

// gitActor is the name, address and date that git recorded.
type gitActor struct{ name, email string }

func (x *exchange) gitAuthor(c *commitIndex) gitActor {
	return gitIdentity(x.ix, c.Login, c.AuthorName, c.AuthorEmail)
}

func gitIdentity(ix *index, login *string, name, email string) gitActor {
	g := gitActor{name: name, email: email}
	if login != nil {
		id := numericID("user", *login)
		if a := ix.users[*login]; a != nil {
			id = a.id
		}
		if g.name == "" {
			g.name = *login
		}
		if g.email == "" {
			g.email = fmt.Sprintf("%d+%s@users.noreply.github.com", id, *login)
		}
		return g
	}
	if g.name == "" {
		g.name = "Unlinked Author"
	}
	if g.email == "" {
		g.email = "unlinked@example.com"
	}
	return g
}

// commitJSON is a commit (https://docs.github.com/rest/commits/commits#list-commits). The author is null when its
// address belongs to no account.
func (x *exchange) commitJSON(c *commitIndex) obj {
	api := x.repoURL(c.repo)
	who := x.gitAuthor(c)
	git := obj{"name": who.name, "email": who.email, "date": formatTime(c.authored)}
	parents := []obj{}
	for _, sha := range c.shas {
		parents = append(
			parents, obj{"sha": sha, "url": api + "/commits/" + sha, "html_url": repoHTML(c.repo) + "/commit/" + sha},
		)
	}
	j := obj{
		"sha": c.SHA, "node_id": nodeID(nodeCommit, c.repo.id, c.SHA), "url": api + "/commits/" + c.SHA,
		"html_url": repoHTML(c.repo) + "/commit/" + c.SHA, "comments_url": api + "/commits/" + c.SHA + "/comments",
		"commit": obj{
			"author": git, "committer": obj{"name": who.name, "email": who.email, "date": formatTime(c.committed)},
			"message": c.message(), "tree": obj{"sha": c.SHA, "url": api + "/git/trees/" + c.SHA},
			"url": api + "/git/commits/" + c.SHA, "comment_count": 0,
			"verification": obj{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil},
		},
		"author": x.userJSON(x.ix.committer(c.Login)), "committer": x.userJSON(x.ix.committer(c.Login)),
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

func (c *commitIndex) message() string { return "Change " + c.SHA[:min(8, len(c.SHA))] }

// commitStatsJSON adds what only the answer for a single commit has.
func (x *exchange) commitStatsJSON(c *commitIndex) obj {
	j := x.commitJSON(c)
	j["stats"] = obj{"additions": c.Additions, "deletions": c.Deletions, "total": c.Additions + c.Deletions}
	j["files"] = []obj{}
	return j
}

// pullJSON is a pull request (https://docs.github.com/rest/pulls/pulls#list-pull-requests).
func (x *exchange) pullJSON(p pullState) obj {
	state := "open"
	if p.state != "OPEN" {
		state = "closed"
	}
	api := fmt.Sprintf("%s/pulls/%d", x.repoURL(p.repo), p.Number)
	html := fmt.Sprintf("%s/pull/%d", repoHTML(p.repo), p.Number)
	return obj{
		"id": p.id, "node_id": nodeID(nodePull, p.repo.id, p.Number), "number": p.Number, "state": state,
		"locked": false,
		"title":  p.title(), "body": nil, "draft": p.Draft, "user": x.userJSON(x.ix.account(p.Login)), "url": api,
		"html_url":   html,
		"created_at": formatTime(p.created), "updated_at": formatTime(p.updated),
		"closed_at": formatOptionalTime(p.closed), "merged_at": formatOptionalTime(p.merged),
		"merge_commit_sha": p.mergeCommitHash, "author_association": "CONTRIBUTOR", "labels": []obj{},
		"assignees": []obj{},
		"head":      x.pullRef(p.repo, p.headBranch()), "base": x.pullRef(p.repo, p.repo.DefaultBranch),
	}
}

func (p *pullIndex) title() string { return fmt.Sprintf("Pull request %d", p.Number) }

func (p *pullIndex) headBranch() string { return fmt.Sprintf("change-%d", p.Number) }

func (x *exchange) pullRef(r *repoIndex, branch string) obj {
	return obj{
		"label": r.owner + ":" + branch, "ref": branch, "sha": strings.Repeat("0", 40), "user": x.ownerJSON(r),
		"repo": x.repoJSON(r),
	}
}

// pullDetailJSON adds what only the answer for a single pull request has.
func (x *exchange) pullDetailJSON(p pullState) obj {
	j := x.pullJSON(p)
	j["merged"], j["merged_by"] = p.merged != nil, nil
	if p.merged != nil {
		j["merged_by"] = x.userJSON(x.ix.account(p.merger()))
	}
	j["comments"], j["review_comments"], j["commits"] = len(x.comments(p.comments)), 0, 1
	j["additions"], j["deletions"], j["changed_files"] = 0, 0, 0
	return j
}

func (p *pullIndex) merger() *string {
	if p.MergedBy != nil {
		return p.MergedBy
	}
	return p.Login
}

// reviewJSON is a review (https://docs.github.com/rest/pulls/reviews); a pending one has no submitted_at.
func (x *exchange) reviewJSON(r *reviewIndex) obj {
	api := fmt.Sprintf("%s/pulls/%d", x.repoURL(r.pull.repo), r.Pull)
	j := obj{
		"id": r.ID, "node_id": nodeID(nodeReview, r.pull.repo.id, r.ID), "user": x.userJSON(x.ix.account(r.Login)),
		"body":             "",
		"state":            r.State,
		"html_url":         fmt.Sprintf("%s/pull/%d#pullrequestreview-%d", repoHTML(r.pull.repo), r.Pull, r.ID),
		"pull_request_url": api, "author_association": "CONTRIBUTOR", "commit_id": strings.Repeat("0", 40),
	}
	if r.submitted != nil {
		j["submitted_at"] = formatTime(*r.submitted)
	}
	return j
}

// commentJSON is a comment (https://docs.github.com/rest/issues/comments).
func (x *exchange) commentJSON(c *commentIndex) obj {
	api := x.repoURL(c.repo)
	return obj{
		"id": c.ID, "node_id": nodeID(nodeComment, c.repo.id, c.ID), "user": x.userJSON(x.ix.account(c.Login)),
		"body":       "A comment.",
		"created_at": formatTime(c.created), "updated_at": formatTime(x.commentUpdated(c)),
		"author_association": "CONTRIBUTOR",
		"url":                fmt.Sprintf("%s/issues/comments/%d", api, c.ID),
		"issue_url":          fmt.Sprintf("%s/issues/%d", api, c.Issue),
		"html_url":           c.html(),
	}
}

func (c *commentIndex) html() string {
	kind := "issues"
	if c.pull != nil {
		kind = "pull"
	}
	return fmt.Sprintf("%s/%s/%d#issuecomment-%d", repoHTML(c.repo), kind, c.Issue, c.ID)
}
