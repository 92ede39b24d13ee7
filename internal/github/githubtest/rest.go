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

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// list answers one page of a list with its Link header.
func list[T any](x *exchange, address string, all []T, render func(T) obj) response {
	q := x.r.URL.Query()
	page, size := pageParams(q)
	last := (len(all) + size - 1) / size
	from := min((page-1)*size, len(all))
	out := []obj{}
	for _, v := range all[from:min(from+size, len(all))] {
		out = append(out, render(v))
	}
	a := newResponse(http.StatusOK, out)
	if l := linkHeader(address, q, page, last); l != "" {
		a.header.Set("Link", l)
	}
	return a
}

// listRepo is a list below a repository; its links have the address by id.
func listRepo[T any](x *exchange, all []T, render func(T) obj) response {
	below := x.path
	for _, prefix := range []string{
		"/repos/" + x.vars["owner"] + "/" + x.vars["repo"],
		"/repositories/" + x.vars["repository_id"],
	} {
		below = strings.TrimPrefix(below, prefix)
	}
	return list(x, x.repoAddress(x.repo)+below, all, render)
}

func (x *exchange) meta() response {
	return newResponse(http.StatusOK, obj{
		"verifiable_password_authentication": false, "hooks": []string{"192.30.252.0/22"},
		"web": []string{"192.30.252.0/22"},
		"api": []string{"192.30.252.0/22"}, "git": []string{"192.30.252.0/22"},
	})
}

// rateLimit is free (https://docs.github.com/rest/rate-limit/rate-limit).
func (x *exchange) rateLimit() response {
	if x.s.settings.NoRateLimits {
		return errorResponse(http.StatusNotFound, "Rate limiting is not enabled.")
	}
	quota := func(resource string) obj {
		return x.s.limits.quota(bucketKey{x.cred.bucket(), resource}, x.s.now()).json()
	}
	core := quota(ResourceCore)
	return newResponse(
		http.StatusOK, obj{"resources": obj{ResourceCore: core, ResourceGraphQL: quota(ResourceGraphQL)}, "rate": core},
	)
}

func (x *exchange) authenticatedUser() response {
	login := cmp.Or(x.cred.Login, x.cred.name())
	return newResponse(http.StatusOK, x.userJSON(served.NewUser(login)))
}

func (x *exchange) getOrg() response {
	o := x.Org(x.vars["org"])
	if o == nil {
		return notFoundResponse()
	}
	a := newResponse(http.StatusOK, x.orgJSON(o))
	a.lastModified = o.Created
	return a
}

// listOrgRepos (https://docs.github.com/rest/repos/repos#list-organization-repositories).
func (x *exchange) listOrgRepos() response {
	o := x.Org(x.vars["org"])
	if id := x.vars["organization_id"]; id != "" {
		if o = x.Index.OrgByID[atoi(id)]; o != nil {
			o = x.Org(o.Login)
		}
	}
	if o == nil {
		return notFoundResponse()
	}
	q := x.r.URL.Query()
	repos := slices.DeleteFunc(x.Repos(o), func(r *served.Repo) bool { return !repoOfType(r, q.Get("type")) })
	all := len(repos)
	repos = slices.DeleteFunc(repos, x.IsForbidden)
	x.sortRepos(repos, q.Get("sort"), q.Get("direction"))
	a := list(x, fmt.Sprintf("%s/organizations/%d/repos", x.base, o.DatabaseID), repos, x.repoJSON)
	if len(repos) < all {
		a.header.Set("X-Github-Sso", fmt.Sprintf("partial-results; organizations=%d", o.DatabaseID))
	}
	return a
}

func repoOfType(r *served.Repo, typ string) bool {
	switch typ {
	case "public":
		return !r.IsPrivate()
	case "private":
		return r.IsPrivate()
	case "internal":
		return r.ServedVisibility == "internal"
	case "forks":
		return r.Fork
	case "sources":
		return !r.Fork
	default:
		return true
	}
}

func (x *exchange) sortRepos(repos []*served.Repo, by, direction string) {
	compare := func(a, b *served.Repo) int { return a.Created.Compare(b.Created) }
	switch by {
	case "full_name":
		compare = func(a, b *served.Repo) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }
		direction = cmp.Or(direction, "asc")
	case "updated":
		compare = func(a, b *served.Repo) int { return x.RepoUpdatedAt(a).Compare(x.RepoUpdatedAt(b)) }
	case "pushed":
		compare = func(a, b *served.Repo) int { return x.PushedAt(a).Compare(x.PushedAt(b)) }
	}
	sortBy(repos, compare, func(r *served.Repo) int64 { return r.DatabaseID }, direction != "asc")
}

// sortBy sorts by a comparison and then by id, both turned around when descending.
func sortBy[T any](all []T, compare func(a, b T) int, id func(T) int64, desc bool) {
	slices.SortFunc(all, func(a, b T) int {
		c := cmp.Or(compare(a, b), cmp.Compare(id(a), id(b)))
		if desc {
			return -c
		}
		return c
	})
}

func (x *exchange) getRepo() response {
	a := newResponse(http.StatusOK, x.repoJSON(x.repo))
	a.lastModified = x.RepoUpdatedAt(x.repo)
	if t := x.PushedAt(x.repo); t.After(a.lastModified) {
		a.lastModified = t
	}
	return a
}

func (x *exchange) listBranches() response {
	return listRepo(x, x.BranchNames(x.repo), func(name string) obj {
		sha := x.Head(x.repo, name).SHA
		return obj{
			"name": name, "protected": false, "commit": obj{"sha": sha, "url": x.repoURL(x.repo) + "/commits/" + sha},
		}
	})
}

// listPulls (https://docs.github.com/rest/pulls/pulls#list-pull-requests): the direction is descending by default only
// when the order is by creation.
func (x *exchange) listPulls() response {
	q := x.r.URL.Query()
	state, by, direction := cmp.Or(q.Get("state"), "open"), cmp.Or(q.Get("sort"), "created"), q.Get("direction")
	if direction == "" {
		direction = map[bool]string{true: "desc", false: "asc"}[by == "created"]
	}
	pulls := slices.DeleteFunc(x.Pulls(x.repo), func(p served.PullState) bool {
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

func (x *exchange) pathPull() (served.PullState, bool) {
	return x.Pull(x.repo.PullByNumber[int(atoi(x.vars["pull_number"]))])
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

// listReviews is in chronological order (https://docs.github.com/rest/pulls/reviews#list-reviews-for-a-pull-request).
func (x *exchange) listReviews() response {
	p, ok := x.pathPull()
	if !ok {
		return notFoundResponse()
	}
	return listRepo(x, x.Reviews(p.Pull), x.reviewJSON)
}

// listComments has the comments of issues and pull requests, by id unless sorted; since is inclusive and about the
// update time (https://docs.github.com/rest/issues/comments#list-issue-comments-for-a-repository).
func (x *exchange) listComments() response {
	q := x.r.URL.Query()
	since, err := timeParam(q.Get("since"))
	if err != nil {
		return errorResponse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	all := slices.DeleteFunc(
		x.Comments(x.repo.Comments), func(c *served.Comment) bool { return x.CommentUpdatedAt(c).Before(since) },
	)
	id := func(c *served.Comment) int64 { return c.ID }
	switch q.Get("sort") {
	case "created":
		sortBy(
			all, func(a, b *served.Comment) int { return a.Created.Compare(b.Created) }, id,
			q.Get("direction") != "asc",
		)
	case "updated":
		sortBy(
			all, func(a, b *served.Comment) int { return x.CommentUpdatedAt(a).Compare(x.CommentUpdatedAt(b)) }, id,
			q.Get("direction") != "asc",
		)
	}
	return listRepo(x, all, x.commentJSON)
}

func (x *exchange) listIssueComments() response {
	n := int(atoi(x.vars["issue_number"]))
	since, err := timeParam(x.r.URL.Query().Get("since"))
	if err != nil {
		return errorResponse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	var all []*served.Comment
	if p, ok := x.Pull(x.repo.PullByNumber[n]); ok {
		all = p.Comments
	} else if is, ok := x.Issue(x.repo.IssueByNumber[n]); ok {
		all = is.Comments
	} else {
		return notFoundResponse()
	}
	all = slices.DeleteFunc(x.Comments(all), func(c *served.Comment) bool {
		return x.CommentUpdatedAt(c).Before(since)
	})
	return listRepo(x, all, x.commentJSON)
}

// timeParam reads a time of a query string, zero for none.
func timeParam(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, s)
}
