// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// perPage is the largest page size of REST.
const perPage = 100

// restPage is what a REST response says beside its rows.
type restPage struct {
	next bool
	last int // the number of the last page; 0 when the response does not have it
	// hiddenRows is GitHub's notice of rows that the credential may not see; empty when there are none.
	hiddenRows string
	// etag validates the page in a later request. unchanged says that the page is the one of the request's etag; it
	// then has no rows.
	etag      string
	unchanged bool
	// invalid has the rows with a value that cannot be decoded, by index; their other fields are decoded.
	invalid map[int]fieldErrors
}

// restRequest describes a GET request.
type restRequest struct {
	endpoint string // the route template
	path     string // below the base URL
	query    url.Values
	// etag makes the request conditional; empty for an unconditional one.
	etag string
	// noRetry limits the request to one attempt: the caller can do without it, or has another one.
	noRetry bool
	// expectsNotFound says that "not found" is an ordinary result.
	expectsNotFound bool
	// trustsRefusal says that a refusal is final.
	trustsRefusal bool
}

// get sends a request and decodes the response as its format says. The error is an *UnavailableError when a row lacks
// what every row has.
func get[T any](ctx context.Context, c *Client, request restRequest, as format[T]) (T, restPage, error) {
	var data T
	path := request.path
	if len(request.query) > 0 {
		path += "?" + request.query.Encode()
	}
	var info restPage
	x := &exchange{call: call{
		endpoint: request.endpoint, resource: budget.ResourceREST, price: 1, etag: request.etag,
		newRequest: c.newGetRequest(path),
		callOptions: callOptions{
			noRetry: request.noRetry, expectsNotFound: request.expectsNotFound, trustsRefusal: request.trustsRefusal,
		},
	}}
	x.decode = func(header http.Header, body []byte) error {
		if bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
			return errors.New("null, not the JSON that was expected") // a list that is null is not an empty list
		}
		decoded, invalid, err := as.decode(body)
		if err != nil {
			return err
		}
		data, info = decoded, pageOf(header.Values("Link"))
		info.invalid = invalid
		info.etag, info.hiddenRows = etagOf(header.Get("Etag")), partialOf(header.Get("X-Github-Sso"))
		return as.check(data, info)
	}
	x.points = func() int {
		if x.notModified {
			return 0
		}
		return 1
	}
	x.quota = func() budget.Quota { return budget.Quota{} }
	err := c.send(ctx, x)
	info.unchanged = x.notModified
	return data, info, err
}

// newGetRequest makes requests for a path below the base.
func (c *Client) newGetRequest(path string) func(ctx context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		request, err := c.restAPI.NewRequest(http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		return request.WithContext(ctx), nil
	}
}

// partialOf is the header of a list that leaves rows out because the credential is not authorized for single sign-on
// (https://docs.github.com/rest/authentication/authenticating-to-the-rest-api).
func partialOf(sso string) string {
	if !strings.HasPrefix(sso, "partial-results") {
		return ""
	}
	return printable("X-GitHub-SSO: " + sso)
}

// pageOf reads Link headers
// (https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api#using-link-headers).
func pageOf(links []string) restPage {
	var p restPage
	for _, header := range links {
		for link := range strings.SplitSeq(header, ",") {
			address, rel, _ := strings.Cut(link, ";")
			switch {
			case strings.Contains(rel, `rel="next"`):
				p.next = true
			case strings.Contains(rel, `rel="last"`):
				p.last = numberOf(address)
			}
		}
	}
	return p
}

func numberOf(address string) int {
	u, err := url.Parse(strings.Trim(strings.TrimSpace(address), "<>"))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(u.Query().Get("page")) // 0 when it has none
	return max(0, n)
}

// repoPath is the path of something in a repository. It is the one that GitHub redirects to when a repository was
// renamed: a name may be another repository's a moment later
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects).
func repoPath(org string, repo *activity.Repository, rest string) string {
	if repo.ID > 0 {
		return "repositories/" + strconv.FormatInt(repo.ID, 10) + rest
	}
	return "repos/" + url.PathEscape(org) + "/" + url.PathEscape(repo.Name) + rest
}

func (r *reader) path(rest string) string { return repoPath(r.request.Org, &r.request.Repo, rest) }

func values(pairs ...string) url.Values {
	v := make(url.Values, len(pairs)/2+1)
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}
