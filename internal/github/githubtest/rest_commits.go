// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// emptyRepository is the answer about commits where there are none.
func emptyRepository() response {
	return newResponse(http.StatusConflict, obj{
		"message":           "Git Repository is empty.",
		"documentation_url": "https://docs.github.com/rest/commits/commits#list-commits", "status": "409",
	})
}

// listCommits filters by committer date, both ends inclusive
// (https://docs.github.com/rest/commits/commits#list-commits).
func (x *exchange) listCommits() response {
	if x.isEmpty(x.repo) {
		return emptyRepository()
	}
	q := x.r.URL.Query()
	from := x.resolve(x.repo, cmp.Or(q.Get("sha"), x.defaultBranch(x.repo)))
	if from == nil {
		return notFoundResponse()
	}
	since, err := timeParam(q.Get("since"))
	until, err2 := timeParam(q.Get("until"))
	if err != nil || err2 != nil {
		return errorResponse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	return listRepo(x, x.history(from, since, until), x.commitJSON)
}

// history is what is reachable and committed in a period; zero times do not bound it.
func (v view) history(from *commitIndex, since, until time.Time) []*commitIndex {
	var out []*commitIndex
	for c := range v.walk(from) {
		if !c.committed.Before(since) && (until.IsZero() || !c.committed.After(until)) {
			out = append(out, c)
		}
	}
	return out
}

func (x *exchange) getCommit() response {
	if x.isEmpty(x.repo) {
		return emptyRepository()
	}
	c := x.resolve(x.repo, x.vars["ref"])
	if c == nil {
		return errorResponse(http.StatusUnprocessableEntity, "No commit found for SHA: "+x.vars["ref"])
	}
	if c.DiffUnavailable {
		return newResponse(http.StatusUnprocessableEntity, obj{
			"message":           "Server Error: Sorry, this diff is temporarily unavailable due to heavy server load.",
			"errors":            []obj{{"resource": "Commit", "field": "diff", "code": "not_available"}},
			"documentation_url": docURL,
		})
	}
	a := newResponse(http.StatusOK, x.commitStatsJSON(c))
	a.lastModified = c.committed
	return a
}

// compare has the commits that head has and base has not, oldest first
// (https://docs.github.com/rest/commits/commits#compare-two-commits).
func (x *exchange) compare() response {
	baseRef, headRef, ok := strings.Cut(x.vars["basehead"], "...")
	if !ok {
		return notFoundResponse()
	}
	base, head := x.resolveCompareRef(baseRef), x.resolveCompareRef(headRef)
	if base == nil || head == nil {
		return notFoundResponse()
	}
	if !x.haveCommonAncestor(base, head) {
		return errorResponse(http.StatusNotFound, "No common ancestor between "+baseRef+" and "+headRef+".")
	}
	ahead, behind := x.reachableOnlyFrom(head, base), x.reachableOnlyFrom(base, head)
	slices.Reverse(ahead)
	q := x.r.URL.Query()
	if !q.Has("page") && !q.Has("per_page") {
		return x.comparePage(base, head, ahead, len(behind), 1, 250)
	}
	page, size := pageParams(q)
	return x.comparePage(base, head, ahead, len(behind), page, size)
}

func (x *exchange) resolveCompareRef(ref string) *commitIndex {
	if owner, branch, ok := strings.Cut(ref, ":"); ok && strings.EqualFold(owner, x.repo.owner) {
		ref = branch
	}
	return x.resolve(x.repo, ref)
}

// reachableOnlyFrom is what is reachable from a and not from b, newest first.
func (v view) reachableOnlyFrom(a, b *commitIndex) []*commitIndex {
	known := v.reachable(b)
	var out []*commitIndex
	for c := range v.walk(a) {
		if !known[c] {
			out = append(out, c)
		}
	}
	return out
}

func (x *exchange) comparePage(base, head *commitIndex, ahead []*commitIndex, behind, page, size int) response {
	status := "identical"
	switch {
	case len(ahead) > 0 && behind > 0:
		status = "diverged"
	case len(ahead) > 0:
		status = "ahead"
	case behind > 0:
		status = "behind"
	}
	from := min((page-1)*size, len(ahead))
	commits := []obj{}
	for _, c := range ahead[from:min(from+size, len(ahead))] {
		commits = append(commits, x.commitJSON(c))
	}
	a := newResponse(http.StatusOK, obj{
		"url": x.repoURL(x.repo) + "/compare/" + base.SHA + "..." + head.SHA, "status": status,
		"ahead_by": len(ahead), "behind_by": behind, "total_commits": len(ahead), "commits": commits, "files": []obj{},
		"base_commit": x.commitJSON(base), "merge_base_commit": x.mergeBase(base, head),
	})
	address := x.repoAddress(x.repo) + "/compare/" + x.vars["basehead"]
	if l := linkHeader(address, x.r.URL.Query(), page, (len(ahead)+size-1)/size); l != "" {
		a.header.Set("Link", l)
	}
	return a
}

// haveCommonAncestor reports whether two commits can be compared.
func (v view) haveCommonAncestor(a, b *commitIndex) bool {
	known := v.reachable(a)
	for c := range v.walk(b) {
		if known[c] {
			return true
		}
	}
	return false
}

func (x *exchange) mergeBase(base, head *commitIndex) any {
	known := x.reachable(base)
	for c := range x.walk(head) {
		if known[c] {
			return x.commitJSON(c)
		}
	}
	return nil
}
