// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type obj = map[string]any

// response is an answer before it is written.
type response struct {
	status       int
	header       http.Header
	body         []byte
	lastModified time.Time
}

func newResponse(status int, v any) response {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return response{
		status: status, body: b,
		header: http.Header{
			"Content-Type": {"application/json; charset=utf-8"}, "X-Github-Media-Type": {"github.v3; format=json"},
		},
	}
}

const docURL = "https://docs.github.com/rest"

func errorResponse(status int, message string) response {
	return newResponse(status, obj{"message": message, "documentation_url": docURL, "status": strconv.Itoa(status)})
}

func notFoundResponse() response { return errorResponse(http.StatusNotFound, "Not Found") }

// applyValidators sets the validators of an answer and turns it into a 304 if the client has it already. The ETag
// depends on the token (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api).
func (a *response) applyValidators(r *http.Request) (notModified bool) {
	if a.status != http.StatusOK || r.Method != http.MethodGet {
		return false
	}
	h := sha256.New()
	for _, s := range []string{
		r.Header.Get("Authorization"), r.Header.Get("Accept"), a.header.Get("Link"),
		string(a.body),
	} {
		_, _ = h.Write([]byte(s))
		_, _ = h.Write([]byte{0})
	}
	etag := `"` + hex.EncodeToString(h.Sum(nil)) + `"`
	a.header.Set("ETag", etag)
	a.header.Set("Cache-Control", "private, max-age=60, s-maxage=60")
	a.header.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP")
	if !a.lastModified.IsZero() {
		a.header.Set("Last-Modified", a.lastModified.UTC().Format(http.TimeFormat))
	}
	if !a.isNotModified(r, etag) {
		return false
	}
	a.status, a.body = http.StatusNotModified, nil
	a.header.Del("Content-Type")
	return true
}

func (a *response) isNotModified(r *http.Request, etag string) bool {
	if match := r.Header.Get("If-None-Match"); match != "" {
		for m := range strings.SplitSeq(match, ",") {
			if strings.TrimPrefix(strings.TrimSpace(m), "W/") == etag {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	return err == nil && !a.lastModified.IsZero() && !a.lastModified.Truncate(time.Second).After(since)
}

// pageParams is the page number and size of a request, GitHub's defaults for what makes no sense.
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

// linkHeader is a Link header (https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api).
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
