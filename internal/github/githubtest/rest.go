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
	return newResponse(http.StatusOK, x.userJSON(&account{login: login, typ: "User", id: numericID("user", login)}))
}

func (x *exchange) getOrg() response {
	o := x.org(x.vars["org"])
	if o == nil {
		return notFoundResponse()
	}
	a := newResponse(http.StatusOK, x.orgJSON(o))
	a.lastModified = o.created
	return a
}

// listOrgRepos (https://docs.github.com/rest/repos/repos#list-organization-repositories).
func (x *exchange) listOrgRepos() response {
	o := x.org(x.vars["org"])
	if id := x.vars["organization_id"]; id != "" {
		if o = x.ix.orgsByID[atoi(id)]; o != nil {
			o = x.org(o.Login)
		}
	}
	if o == nil {
		return notFoundResponse()
	}
	q := x.r.URL.Query()
	repos := slices.DeleteFunc(x.repos(o), func(r *repoIndex) bool { return !repoOfType(r, q.Get("type")) })
	all := len(repos)
	repos = slices.DeleteFunc(repos, x.forbidden)
	x.sortRepos(repos, q.Get("sort"), q.Get("direction"))
	a := list(x, fmt.Sprintf("%s/organizations/%d/repos", x.base, o.id), repos, x.repoJSON)
	if len(repos) < all {
		a.header.Set("X-Github-Sso", fmt.Sprintf("partial-results; organizations=%d", o.id))
	}
	return a
}

func repoOfType(r *repoIndex, typ string) bool {
	switch typ {
	case "public":
		return !r.private()
	case "private":
		return r.private()
	case "internal":
		return r.visibility == "internal"
	case "forks":
		return r.Fork
	case "sources":
		return !r.Fork
	default:
		return true
	}
}

func (x *exchange) sortRepos(repos []*repoIndex, by, direction string) {
	compare := func(a, b *repoIndex) int { return a.created.Compare(b.created) }
	switch by {
	case "full_name":
		compare = func(a, b *repoIndex) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }
		direction = cmp.Or(direction, "asc")
	case "updated":
		compare = func(a, b *repoIndex) int { return x.repoUpdatedAt(a).Compare(x.repoUpdatedAt(b)) }
	case "pushed":
		compare = func(a, b *repoIndex) int { return x.pushedAt(a).Compare(x.pushedAt(b)) }
	}
	sortBy(repos, compare, func(r *repoIndex) int64 { return r.id }, direction != "asc")
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
	a.lastModified = x.repoUpdatedAt(x.repo)
	if t := x.pushedAt(x.repo); t.After(a.lastModified) {
		a.lastModified = t
	}
	return a
}

func (x *exchange) listBranches() response {
	return listRepo(x, x.branchNames(x.repo), func(name string) obj {
		sha := x.head(x.repo, name).SHA
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
	pulls := slices.DeleteFunc(x.pulls(x.repo), func(p pullState) bool {
		return state != "all" && (state == "open") != (p.state == "OPEN")
	})
	when := func(p pullState) time.Time {
		if by == "updated" {
			return p.updated
		}
		return p.created
	}
	sortBy(
		pulls, func(a, b pullState) int { return when(a).Compare(when(b)) },
		func(p pullState) int64 { return int64(p.Number) }, direction == "desc",
	)
	return listRepo(x, pulls, x.pullJSON)
}

func (x *exchange) pathPull() (pullState, bool) {
	return x.pull(x.repo.byNumber[int(atoi(x.vars["pull_number"]))])
}

func (x *exchange) getPull() response {
	p, ok := x.pathPull()
	if !ok {
		return notFoundResponse()
	}
	a := newResponse(http.StatusOK, x.pullDetailJSON(p))
	a.lastModified = p.updated
	return a
}

// listReviews is in chronological order (https://docs.github.com/rest/pulls/reviews#list-reviews-for-a-pull-request).
func (x *exchange) listReviews() response {
	p, ok := x.pathPull()
	if !ok {
		return notFoundResponse()
	}
	return listRepo(x, x.reviews(p.pullIndex), x.reviewJSON)
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
		x.comments(x.repo.comments), func(c *commentIndex) bool { return x.commentUpdated(c).Before(since) },
	)
	id := func(c *commentIndex) int64 { return c.ID }
	switch q.Get("sort") {
	case "created":
		sortBy(
			all, func(a, b *commentIndex) int { return a.created.Compare(b.created) }, id, q.Get("direction") != "asc",
		)
	case "updated":
		sortBy(
			all, func(a, b *commentIndex) int { return x.commentUpdated(a).Compare(x.commentUpdated(b)) }, id,
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
	var all []*commentIndex
	if p, ok := x.pull(x.repo.byNumber[n]); ok {
		all = p.comments
	} else if is, ok := x.issue(x.repo.issueNo[n]); ok {
		all = is.comments
	} else {
		return notFoundResponse()
	}
	all = slices.DeleteFunc(x.comments(all), func(c *commentIndex) bool { return x.commentUpdated(c).Before(since) })
	return listRepo(x, all, x.commentJSON)
}

// timeParam reads a time of a query string, zero for none.
func timeParam(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, s)
}
