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
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// perPage is the largest page size of REST.
const perPage = 100

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
	// noRefusalRetry says that the first refusal is final.
	noRefusalRetry bool
	// notFoundHint is the likely cause of a 404; empty for none.
	notFoundHint string
}

// requestREST sends a request and decodes the response as its format says. The error is a *transport.UnavailableError
// when a row lacks what every row has.
func requestREST[T any](ctx context.Context, c *Client, request restRequest, as format[T]) (T, restPage, error) {
	var data T
	path := request.path
	if len(request.query) > 0 {
		path += "?" + request.query.Encode()
	}
	var info restPage
	status, err := c.transport.Send(ctx, &transport.Call{
		Endpoint: request.endpoint, Resource: budget.ResourceREST, Price: 1, Path: path, ETag: request.etag,
		NotFoundHint: request.notFoundHint,
		CallOptions: transport.CallOptions{
			NoRetry: request.noRetry, ExpectsNotFound: request.expectsNotFound, NoRefusalRetry: request.noRefusalRetry,
		},
		Decode: func(r transport.Received) (transport.BodyInfo, error) {
			charged := transport.BodyInfo{Points: 1}
			if bytes.Equal(bytes.TrimSpace(r.Body), []byte("null")) {
				return charged, errors.New("null, not the JSON that was expected") // a list that is null is not empty
			}
			decoded, invalid, err := as.decode(r.Body)
			if err != nil {
				return charged, err
			}
			data, info = decoded, parseLinkHeaders(r.Header.Values("Link"))
			info.invalid = invalid
			info.etag, info.hiddenRows = validETag(r.Header.Get("Etag")), hiddenRowsNotice(r.Header.Get("X-Github-Sso"))
			return charged, as.check(data, info)
		},
	})
	info.unchanged = err == nil && status == http.StatusNotModified
	return data, info, err
}

// hiddenRowsNotice returns the header of a list that leaves rows out because the credential is not authorized for
// single sign-on; empty for none (https://docs.github.com/rest/authentication/authenticating-to-the-rest-api).
func hiddenRowsNotice(sso string) string {
	if !strings.HasPrefix(sso, "partial-results") {
		return ""
	}
	return transport.Printable("X-GitHub-SSO: " + sso)
}

// parseLinkHeaders returns the next and the last page that Link headers name
// (https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api#using-link-headers).
func parseLinkHeaders(links []string) restPage {
	var p restPage
	for _, header := range links {
		for link := range strings.SplitSeq(header, ",") {
			address, rel, _ := strings.Cut(link, ";")
			switch {
			case strings.Contains(rel, `rel="next"`):
				p.next = true
			case strings.Contains(rel, `rel="last"`):
				p.last = pageNumberOf(address)
			}
		}
	}
	return p
}

// pageNumberOf returns the number of the page at an address; 0 when it has none.
func pageNumberOf(address string) int {
	u, err := url.Parse(strings.Trim(strings.TrimSpace(address), "<>"))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(u.Query().Get("page")) // 0 when it has none
	return max(0, n)
}

// repoPath returns the path of something in a repository: by the id, to which GitHub redirects when a repository was
// renamed, since a name may be another repository's a moment later
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects).
func repoPath(org string, repo *activity.Repository, rest string) string {
	if repo.ID > 0 {
		return "repositories/" + strconv.FormatInt(repo.ID, 10) + rest
	}
	return "repos/" + url.PathEscape(org) + "/" + url.PathEscape(repo.Name) + rest
}

// queryValues returns the parameters of a request; the arguments alternate between names and values.
func queryValues(pairs ...string) url.Values {
	v := make(url.Values, len(pairs)/2+1)
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// formatTime formats a time in whole seconds, as in GitHub's parameters.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// maxETag bounds the length of an ETag, in bytes.
const maxETag = 200

// validETag returns an ETag header; empty when it is too long or not printable.
func validETag(header string) string {
	if len(header) > maxETag || !activity.IsPrintable(header) {
		return ""
	}
	return header
}
