// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addCommitRoutes(t *routeTable) {
	t.repo("/commits", "contents", (*exchange).listCommits)
	t.repo("/commits/{ref...}", "contents", (*exchange).getCommit)
	t.repo("/compare/{basehead...}", "contents", (*exchange).compare)
}

// emptyRepository returns the response for the commits of a repository that has none.
func emptyRepository() response {
	return newResponse(http.StatusConflict, obj{
		"message":           "Git Repository is empty.",
		"documentation_url": "https://docs.github.com/rest/commits/commits#list-commits", "status": "409",
	})
}

// listCommits lists the history of a branch or commit. It filters by committer date, both ends inclusive
// (https://docs.github.com/rest/commits/commits#list-commits).
func (x *exchange) listCommits() response {
	if x.IsEmpty(x.repository) {
		return emptyRepository()
	}
	q := x.request.URL.Query()
	from := x.ResolveCommit(x.repository, cmp.Or(q.Get("sha"), x.DefaultBranch(x.repository)))
	if from == nil {
		return notFoundResponse()
	}
	since, err := timeParam(q.Get("since"))
	until, err2 := timeParam(q.Get("until"))
	if err != nil || err2 != nil {
		return errorResponse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	return listRepo(x, x.History(from, since, until), x.commitJSON)
}

func (x *exchange) getCommit() response {
	if x.IsEmpty(x.repository) {
		return emptyRepository()
	}
	c := x.ResolveCommit(x.repository, x.pathVars["ref"])
	if c == nil {
		return errorResponse(http.StatusUnprocessableEntity, "No commit found for SHA: "+x.pathVars["ref"])
	}
	if c.DiffUnavailable {
		return newResponse(http.StatusUnprocessableEntity, obj{
			"message":           "Server Error: Sorry, this diff is temporarily unavailable due to heavy server load.",
			"errors":            []obj{{"resource": "Commit", "field": "diff", "code": "not_available"}},
			"documentation_url": docURL,
		})
	}
	a := newResponse(http.StatusOK, x.commitStatsJSON(c))
	a.lastModified = c.Committed
	return a
}

// compare lists the commits that head reaches and base does not, the oldest first
// (https://docs.github.com/rest/commits/commits#compare-two-commits).
func (x *exchange) compare() response {
	baseRef, headRef, ok := strings.Cut(x.pathVars["basehead"], "...")
	if !ok {
		return notFoundResponse()
	}
	base, head := x.resolveCompareRef(baseRef), x.resolveCompareRef(headRef)
	if base == nil || head == nil {
		return notFoundResponse()
	}
	if !x.HaveCommonAncestor(base, head) {
		return errorResponse(http.StatusNotFound, "No common ancestor between "+baseRef+" and "+headRef+".")
	}
	comparison := x.Compare(base, head)
	q := x.request.URL.Query()
	if !q.Has("page") && !q.Has("per_page") {
		return x.comparePage(base, head, comparison, 1, 250)
	}
	page, size := pageParams(q)
	return x.comparePage(base, head, comparison, page, size)
}

// resolveCompareRef returns the commit of one side of a comparison, which may begin with "owner:"; nil for none.
func (x *exchange) resolveCompareRef(ref string) *served.Commit {
	if owner, branch, ok := strings.Cut(ref, ":"); ok && strings.EqualFold(owner, x.repository.Owner) {
		ref = branch
	}
	return x.ResolveCommit(x.repository, ref)
}

func (x *exchange) comparePage(base, head *served.Commit, found served.Comparison, page, size int) response {
	ahead := found.Ahead
	from := min((page-1)*size, len(ahead))
	commits := []obj{}
	for _, c := range ahead[from:min(from+size, len(ahead))] {
		commits = append(commits, x.commitJSON(c))
	}
	a := newResponse(http.StatusOK, obj{
		"url": x.repoURL(x.repository) + "/compare/" + base.SHA + "..." + head.SHA, "status": found.Status(),
		"ahead_by": len(ahead), "behind_by": found.Behind, "total_commits": len(ahead),
		"commits": commits, "files": []obj{},
		"base_commit": x.commitJSON(base), "merge_base_commit": x.mergeBase(base, head),
	})
	address := x.repoAddress(x.repository) + "/compare/" + x.pathVars["basehead"]
	if l := linkHeader(address, x.request.URL.Query(), page, (len(ahead)+size-1)/size); l != "" {
		a.header.Set("Link", l)
	}
	return a
}

// mergeBase returns the newest commit that both reach, null for none.
func (x *exchange) mergeBase(base, head *served.Commit) any {
	known := x.ReachableFrom(base)
	for c := range x.Walk(head) {
		if known[c] {
			return x.commitJSON(c)
		}
	}
	return nil
}

func (x *exchange) gitAuthor(c *served.Commit) served.GitActor {
	return served.GitIdentity(x.Index, c.Login, c.AuthorName, c.AuthorEmail)
}

// commitJSON returns a commit (https://docs.github.com/rest/commits/commits#list-commits). The author is null when its
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

// commitStatsJSON returns a commit with the fields that only the response for a single commit has.
func (x *exchange) commitStatsJSON(c *served.Commit) obj {
	j := x.commitJSON(c)
	j["stats"] = obj{"additions": c.Additions, "deletions": c.Deletions, "total": c.Additions + c.Deletions}
	j["files"] = []obj{}
	return j
}
