// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pageParams returns the number and the size of the page that a query string asks for; an invalid value is GitHub's
// default.
func pageParams(q url.Values) (page, size int) {
	page, size = 1, 30
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 0 {
		page = n
	}
	if n, err := strconv.Atoi(q.Get("per_page")); err == nil && n > 0 {
		size = min(n, 100)
	}
	return page, size
}

// linkHeader returns the Link header of a page
// (https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api).
func linkHeader(address string, q url.Values, page, last int) string {
	var out []string
	link := func(rel string, n int) {
		q.Set("page", strconv.Itoa(n))
		out = append(out, "<"+address+"?"+q.Encode()+`>; rel="`+rel+`"`)
	}
	if page > 1 {
		link("prev", min(page-1, max(1, last)))
	}
	if page < last {
		link("next", page+1)
		link("last", last)
	}
	if page > 1 {
		link("first", 1)
	}
	return strings.Join(out, ", ")
}

// list returns the page of a list that the request asks for, with its Link header.
func list[T any](x *exchange, address string, all []T, render func(T) obj) response {
	q := x.request.URL.Query()
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

// listRepo returns a page as list does, with the address of the repository by id in its links.
func listRepo[T any](x *exchange, all []T, render func(T) obj) response {
	below := x.path
	for _, prefix := range []string{
		"/repos/" + x.pathVars["owner"] + "/" + x.pathVars["repo"],
		"/repositories/" + x.pathVars["repository_id"],
	} {
		below = strings.TrimPrefix(below, prefix)
	}
	return list(x, x.repoAddress(x.repository)+below, all, render)
}

// sortBy sorts by a comparison and then by id, in reverse order with desc.
func sortBy[T any](all []T, compare func(a, b T) int, id func(T) int64, desc bool) {
	slices.SortFunc(all, func(a, b T) int {
		c := cmp.Or(compare(a, b), cmp.Compare(id(a), id(b)))
		if desc {
			return -c
		}
		return c
	})
}

// timeParam parses a time of a query string; the zero time for an empty text.
func timeParam(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, s)
}
